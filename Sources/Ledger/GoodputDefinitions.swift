// One run under ten published definitions of goodput. All but one see a job, not workers: they ask whether the job as a
// whole was getting on, so that what happens inside a step, and on idle or dead workers beside living ones, is good
// time to them. Where a definition presumes something this system does not do, the comment says how it is carried over.

/// Goodput as somebody else defines it.
package struct GoodputDefinition: Equatable, Sendable {
    package let name: String
    /// Who uses it.
    package let source: String
    package let formula: String
    /// 0 to 1; nil when the record lacks what it needs.
    package let value: Double?
    /// Why it differs from the ledger's compute goodput on this run, with this run's figures.
    package let difference: String

    /// The ten, from the widest view to the narrowest.
    package static func all(_ account: RunAccount) -> [GoodputDefinition] { GoodputDefinitions(account).all }
}

struct GoodputDefinitions {
    let account: RunAccount
    let history: JobHistory
    /// Time from commit to commit in nanoseconds: the median, and the fastest tenth's longest.
    let medianStep: Double, fastStep: Double
    /// Provisioned slots, averaged over time.
    let slots: Double

    init(_ account: RunAccount) {
        self.account = account
        history = JobHistory(account)
        let durations = account.record.stepDurations.map(\.nanoseconds).sorted()
        medianStep = Double(account.headlines.medianStepNanoseconds)
        fastStep = durations.isEmpty ? 0 : Double(durations[(durations.count - 1) / 10])
        slots = ratio(Double(account.accounts.budgetNanoseconds), Double(history.wall.nanoseconds))
    }

    var headlines: Headlines { account.headlines }
    var record: RunRecord { account.record }
    /// Seconds of the whole job, between sessions too: what a calendar shows.
    var total: Double { Double(history.totalNanoseconds) }

    var all: [GoodputDefinition] {
        [productivity, stepGaps, savedSteps, readiness, effectiveTrainingTime, iterationTime, slidingTrainingTime, commitRate,
         tokenRate, savedTime]
    }

    func share(_ a: Double, of b: Double) -> Double? { b > 0 ? a / b : nil }

    /// Scheduling: every slot holds a living worker. Runtime: of the time when that is so or steps are made anyway, the
    /// part in steps that were kept. Program: model FLOPs of those steps ÷ the SGEMM peak measured at start-up.
    private var productivity: GoodputDefinition {
        let kept = history.kept
        let stopped = history.outages.subtracting(history.complete)
        let scheduling = share(Double(history.complete.nanoseconds), of: total)
        let runtime = share(Double(kept.nanoseconds), of: Double(history.wall.subtracting(stopped).nanoseconds))
        let perToken = record.facts[RunFact.flopsPerToken].flatMap { Double($0) }, peak = record.facts[RunFact.peakFlopsPerWorker].flatMap { Double($0) }
        var program: Double?
        if let perToken, let peak, peak > 0 {
            program = share(perToken * Double(headlines.committedTokens), of: peak * slots * Double(kept.nanoseconds) / 1e9)
        }
        var value: Double?
        if let scheduling, let runtime, let program { value = scheduling * runtime * program }
        return GoodputDefinition(
            name: "ML productivity", source: "Google Cloud, ML Productivity Goodput, 2024", formula: "scheduling × runtime × program goodput",
            value: value, difference: productivityDifference(scheduling, runtime, program))
    }

    /// A step begins when the state before it is committed, the first one of a session when a worker begins it. An
    /// outage is subtracted only if the number of a step is seen again after it.
    private var stepGaps: GoodputDefinition {
        let (good, gaps) = stepGapTime
        return GoodputDefinition(
            name: "ml-goodput", source: "Google ml-goodput-measurement 0.2.3", formula: "Σ gaps between the starts of steps not rewound ÷ job time",
            value: share(Double(good.nanoseconds + gaps) - firstStepExcess, of: total), difference: reconciliation(good, between: .good(gaps)))
    }

    private var stepGapTime: (JobTime, gapNanoseconds: Int) {
        let sessions = history.sessions
        guard let first = sessions.firstIndex(where: { $0.firstStep != nil && $0.lastCommit != nil }),
            let last = sessions.lastIndex(where: { $0.lastCommit != nil }) else { return (JobTime([]), 0) }
        var pieces: [JobTime.Stretch] = [], gaps = 0
        for index in first...last {
            let s = sessions[index]
            // A session that died before its first step is part of the start of the next one.
            let begins = sessions[index...last].first { $0.firstStep != nil }
            let isCounted = index > first && begins?.isRepetition != true
            if isCounted { gaps += s.gapNanoseconds }
            let start = isCounted ? s.start : s.firstStep ?? s.end
            pieces.append(JobTime.Stretch(session: s.number, start: start, end: index == last ? s.lastCommit ?? s.end : s.end))
        }
        return (JobTime(pieces).subtracting(history.rewound).subtracting(history.repeatedInPlace), gaps)
    }

    /// By how much the first steps of sessions were longer than the others: start-up, to this definition.
    private var firstStepExcess: Double {
        history.sessions.reduce(0) { sum, session in
            // A session that was rewound whole is not in the time this is taken off.
            guard account.lineage.rows.contains(where: { record.commits[$0].session == session.number }) else { return sum }
            let durations = record.stepDurations.filter { record.commits[$0.commit].session == session.number }.map { Double($0.nanoseconds) }
            guard let begin = session.firstStep, let end = record.commits.first(where: { $0.session == session.number })?.nanoseconds,
                end > begin, !durations.isEmpty else { return sum }
            return sum + max(0, Double(end - begin) - durations.reduce(0, +) / Double(durations.count))
        }
    }

    /// The reference step time, which its users supply, is this run's median step.
    private var savedSteps: GoodputDefinition {
        let loaded = record.sessions.map(\.startStep).min() ?? 0
        let saved = record.checkpoints.filter { $0.durableNanoseconds != nil }.map(\.step).max()
        let steps = max(0, (saved ?? loaded) - loaded)
        return GoodputDefinition(
            name: "saved steps", source: "Google AI-Hypercomputer/resiliency, 2025", formula: "(last saved − first loaded step) × reference step time ÷ job time",
            value: share(Double(steps) * medianStep, of: total), difference: savedStepsDifference(loaded, saved))
    }

    /// Interruptions are ends of sessions, rewinds, and times without a worker in a step: what a dead worker's peers
    /// work through is none. Lost work is what was really gone back on, in place of the time since a checkpoint;
    /// rescheduling is the time between sessions.
    private var readiness: GoodputDefinition {
        let starts = history.sessions.enumerated().compactMap { index, s -> JobTime.Stretch? in
            if index == 0, s.firstStep != nil || history.sessions.count == 1 { return nil }
            return JobTime.Stretch(session: s.number, start: s.start, end: s.firstStep ?? s.end)
        }
        let good = history.wall.subtracting(JobTime(starts)).subtracting(history.rewound).subtracting(history.outages)
        let saving = ratio(Double(account.accounts.nanoseconds(.checkpoint)), slots)
        return GoodputDefinition(
            name: "cluster readiness", source: "NVIDIA cluster-readiness-engine, 2026",
            formula: "(time − resume − lost − reschedule − save) ÷ (time − reschedule)",
            value: share(max(0, Double(good.nanoseconds) - saving), of: Double(history.wall.nanoseconds)), difference: reconciliation(good, between: .leftOut))
    }

    private var effectiveTrainingTime: GoodputDefinition {
        GoodputDefinition(
            name: "ETTR", source: "Meta, research clusters RSC-1 and RSC-2, 2024", formula: "productive run time of the job ÷ its available time",
            value: share(Double(history.kept.nanoseconds), of: total), difference: reconciliation(history.kept, between: .lost))
    }

    private var iterationTime: GoodputDefinition {
        GoodputDefinition(
            name: "effective time rate", source: "ByteDance MegaScale, NSDI 2024", formula: "iterations × iteration time ÷ job time",
            value: share(Double(headlines.committedSteps) * medianStep, of: total),
            difference: medianDifference(headlines.committedSteps))
    }

    private var slidingTrainingTime: GoodputDefinition {
        let worst = worstHour
        return GoodputDefinition(
            name: "sliding ETTR", source: "ByteDance ByteRobust, SOSP 2025", formula: "productive ÷ wall time, in the worst hour of the run",
            value: worst?.share, difference: slidingDifference(worst))
    }

    /// A view that lost a worker in a step is a failed attempt, although the step went on with the survivors' gradients.
    private var commitRate: GoodputDefinition {
        let failed = failedAttempts, attempts = record.commits.count + failed
        let value = share(Double(headlines.committedSteps), of: Double(attempts)).map { $0 * headlines.effective.availability }
        return GoodputDefinition(
            name: "commit rate", source: "torchft, demonstration on 300 GPUs, 2025", formula: "committed ÷ attempted steps × participating share",
            value: value, difference: commitRateDifference(failed, attempts))
    }

    var failedAttempts: Int {
        struct Attempt: Hashable { var session: Int, step: Int, view: Int }
        var failed: Set<Attempt> = [], last: [Int: Execution] = [:]
        for e in account.fates.executions {
            last[e.replica] = e
            if e.fate == .lost || e.fate == .aborted { failed.insert(Attempt(session: e.place.session, step: e.step, view: e.view)) }
        }
        for incident in record.incidents {
            guard let e = last[incident.replica] else { continue }
            failed.insert(Attempt(session: incident.session, step: incident.step, view: e.step == incident.step ? e.view : -incident.incident))
        }
        return failed.count
    }

    /// The reference rate, which its users supply, is the one of the run's fastest tenth of steps.
    private var tokenRate: GoodputDefinition {
        let tokens = Double(record.tokensPerLeaf * (record.commits.last?.leafReplicas.count ?? 0))
        return GoodputDefinition(
            name: "token rate", source: "marin, issue 8623", formula: "tokens ÷ (reference tokens/s × time since creation)",
            value: tokens > 0 ? share(Double(headlines.committedTokens) / tokens * fastStep, of: total) : nil, difference: tokenRateDifference(tokens))
    }

    /// An allocation is a session: good up to the request of its newest durable checkpoint, wholly so if the job ended
    /// in it.
    private var savedTime: GoodputDefinition {
        let hasEnded = record.facts[RunFact.outcome] == "finished"
        let good = JobTime(history.sessions.compactMap { s in
            if hasEnded, s.number == history.sessions.last?.number { return JobTime.Stretch(session: s.number, start: s.start, end: s.end) }
            let saved = record.checkpoints.last { $0.session == s.number && $0.durableNanoseconds != nil }
            return saved.map { JobTime.Stretch(session: s.number, start: s.start, end: min(max($0.requestedNanoseconds, s.start), s.end)) }
        })
        return GoodputDefinition(
            name: "saved wall time", source: "HTCondor, condor_userlog", formula: "allocated time whose work was saved ÷ allocated time",
            value: share(Double(good.nanoseconds), of: Double(history.wall.nanoseconds)), difference: reconciliation(good, between: .leftOut))
    }

    struct Window { var share: Double, startNanoseconds: Int, isWholeRun: Bool }
    static let windowNanoseconds = 3_600_000_000_000

    /// The hour with the least kept time. Its ends lie where kept time ends or begins.
    var worstHour: Window? {
        let end = history.totalNanoseconds, width = Self.windowNanoseconds
        guard end > 0 else { return nil }
        if end <= width { return Window(share: Double(history.kept.nanoseconds) / Double(end), startNanoseconds: 0, isWholeRun: true) }
        var offsets: [Int: Int] = [:], cursor = 0
        for s in history.sessions {
            cursor += s.gapNanoseconds
            offsets[s.number] = cursor - Int(s.start)
            cursor += Int(s.end - s.start)
        }
        let kept = history.kept.stretches.map { (start: Int($0.start) + (offsets[$0.session] ?? 0), end: Int($0.end) + (offsets[$0.session] ?? 0)) }
        let starts = ([0, end - width] + kept.flatMap { [$0.end, $0.start - width] }).filter { $0 >= 0 && $0 + width <= end }.sorted()
        let windows = starts.map { start in
            let good = kept.reduce(0) { $0 + max(0, min($1.end, start + width) - max($1.start, start)) }
            return Window(share: Double(good) / Double(width), startNanoseconds: start, isWholeRun: false)
        }
        return windows.min { $0.share < $1.share }
    }
}
