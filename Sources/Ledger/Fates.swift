// What became of every execution of a microbatch: found by replaying the record along the lineage, never stored.

/// The fate of one execution.
package enum Fate: String, CaseIterable, Sendable {
    /// Its gradient is in the final weights.
    case committed
    /// Its step was committed and later rewound.
    case superseded
    /// It was in the hands of a worker that died.
    case lost = "discarded.lost"
    /// Its worker lived, but the attempt was given up, or its result was thrown away before another was computed.
    case aborted = "discarded.aborted"
    /// Another execution of the same leaf, under way at the same time, was used.
    case duplicate = "discarded.duplicate"
    /// It was reduced, and the update was left out.
    case vetoed = "discarded.vetoed"
    /// Neither committed nor explained. Normal in a run under way; an error in one that finished.
    case pending

    package var outcome: WorkOutcome {
        switch self {
        case .committed: .committed
        case .superseded: .superseded
        case .lost, .aborted: .aborted
        case .duplicate: .duplicate
        case .vetoed: .vetoed
        case .pending: .pending
        }
    }
}

/// One execution of one microbatch by one worker: its forward and backward pass.
package struct Execution: Sendable {
    package var replica: Int
    package var place: Place
    /// Committed steps before it.
    package var step: Int
    package var leaf: Int
    package var view: Int
    /// From the start of forward to the end of backward, or to the worker's death.
    package var start: UInt64
    package var end: UInt64
    /// On-CPU time: the spans less their run delay. Time of spans whose end is unknown is not in it.
    package var computeNanoseconds: UInt64
    /// The gradient was published, as far as the worker's own record says.
    package var isComplete: Bool
    /// The worker died in it.
    package var died: Bool
    /// The commit (an index into the record) of the attempt it was part of, on the lineage or not.
    package var commit: Int?
    package var fate: Fate
    /// What it is lost to, when it is.
    package var incident: Int?
}

/// Counts of executions and tokens by fate.
package struct Fates: Sendable {
    package private(set) var executions: [Execution]
    /// Leaves that a commit credits to a replica that has no record of executing them, or whose stages are not all there.
    package let missing: [MissingExecution]
    /// Tokens that carried loss in the commits of the lineage.
    package let committedTokens: Int
    /// Those, plus the tokens of rewound commits and of every execution that was thrown away. An execution counts
    /// with all its tokens once its forward pass began.
    package let processedTokens: Int
    package let counts: [Fate: Int]

    package struct MissingExecution: Equatable, Sendable {
        package var step: Int
        package var leaf: Int
        package var replica: Int
    }

    package init(_ record: RunRecord) {
        let record = record.closingOpenSlots()
        var log = FlightLog(record)
        self.init(record, Lineage(record), &log)
    }

    init(_ record: RunRecord, _ lineage: Lineage, _ log: inout FlightLog) {
        var executions = Fates.collect(&log)
        let stages = Stages(record)
        // For each commit and leaf, the execution of each replica whose gradient it used: one, or one for each stage.
        var credited: [[[Int: Int]]] = record.commits.map { Array(repeating: [:], count: $0.leafReplicas.count) }
        for index in executions.indices {
            let e = executions[index]
            guard case .commit(let row) = lineage.attempt(session: e.place.session, step: e.step, at: e.start) else { continue }
            executions[index].commit = row
            let credits = record.commits[row].leafReplicas
            guard e.leaf < credits.count, stages.group(of: credits[e.leaf], view: e.view).contains(e.replica) else { continue }
            // The last complete one, or else the last.
            if let other = credited[row][e.leaf][e.replica], executions[other].isComplete, !e.isComplete { continue }
            credited[row][e.leaf][e.replica] = index
        }
        for index in executions.indices {
            let (fate, incident) = Fates.settle(executions[index], index, credited, record, lineage, executions)
            (executions[index].fate, executions[index].incident) = (fate, incident)
        }
        var missing: [MissingExecution] = []
        for row in lineage.rows {
            let commit = record.commits[row]
            for (leaf, replica) in commit.leafReplicas.enumerated() {
                for one in stages.group(of: replica, view: commit.view) where credited[row][leaf][one] == nil {
                    missing.append(MissingExecution(step: commit.step, leaf: leaf, replica: one))
                }
            }
        }
        self.executions = executions
        self.missing = missing
        counts = executions.reduce(into: [:]) { $0[$1.fate, default: 0] += 1 }
        committedTokens = lineage.rows.reduce(0) { $0 + record.commits[$1].tokens }
        // Of stages each has a part of the work on a microbatch's tokens.
        let thrownAway = executions.filter { [.lost, .aborted, .duplicate, .vetoed, .pending].contains($0.fate) }
            .reduce(into: [Int: Int]()) { $0[stages.count(session: $1.place.session), default: 0] += 1 }
        processedTokens = record.commits.reduce(0) { $0 + $1.tokens } + thrownAway.reduce(0) { $0 + $1.value * record.tokensPerLeaf / $1.key }
    }

    /// Reads the executions out of the flights and marks their spans.
    private static func collect(_ log: inout FlightLog) -> [Execution] {
        var executions: [Execution] = []
        for l in log.lives.indices {
            let (replica, place) = (log.lives[l].row.replica, log.lives[l].place)
            // By leaf: a stage has several in flight.
            var open: [Int: Int] = [:]
            for s in log.lives[l].spans.indices {
                let span = log.lives[l].spans[s]
                if [.regroup, .awaitLeaves, .awaitCommit].contains(span.phase) { open = [:] }
                guard span.phase == .forward || span.phase == .backward else { continue }
                let wasInterrupted = s > 0 && [.stalled, .transfer].contains(log.lives[l].spans[s - 1].phase)
                let continues = (span.phase == .backward || wasInterrupted) && open[span.unit].map { executions[$0].step == span.step } ?? false
                if !continues {
                    open[span.unit] = executions.count
                    executions.append(Execution(
                        replica: replica, place: place, step: span.step, leaf: span.unit, view: span.view,
                        start: span.start, end: span.end, computeNanoseconds: 0, isComplete: false, died: false,
                        commit: nil, fate: .pending, incident: nil))
                }
                guard let index = open[span.unit] else { continue }
                log.lives[l].spans[s].execution = index
                executions[index].end = span.end
                if span.ending != .gap { executions[index].computeNanoseconds += span.nanoseconds - span.runDelay }
                executions[index].died = span.ending == .death
                executions[index].isComplete = span.phase == .backward && span.ending == .next
            }
        }
        return executions
    }

    private static func settle(
        _ e: Execution, _ index: Int, _ credited: [[[Int: Int]]], _ record: RunRecord, _ lineage: Lineage, _ all: [Execution]
    ) -> (Fate, incident: Int?) {
        let winners = e.commit.flatMap { e.leaf < credited[$0].count ? credited[$0][e.leaf] : nil } ?? [:]
        if let row = e.commit, winners[e.replica] == index {
            if record.commits[row].isVetoed, lineage.contains[row] { return (.vetoed, lineage.vetoIncident[row]) }
            return lineage.contains[row] ? (.committed, nil) : (.superseded, lineage.rewindIncident[row])
        }
        if e.died {
            // Stopped for the loss of another: not in a dead worker's hands.
            if let cause = record.replicas.first(where: { $0.replica == e.replica })?.stoppedFor { return (.aborted, cause) }
            return (.lost, record.incidents.first { $0.replica == e.replica && $0.kind.isLoss }?.incident)
        }
        let decided = e.commit.map { record.commits[$0].nanoseconds } ?? .max
        let cause = record.cause(session: e.place.session, after: e.start, until: decided)
        if e.isComplete, winners.values.contains(where: { all[$0].start < e.end }) { return (.duplicate, cause) }
        // Computed elsewhere once more, on purpose.
        if e.isComplete, let row = e.commit, record.rechecks.contains(where: { $0.step == record.commits[row].step - 1 && $0.leaf == e.leaf && $0.replicas.contains(e.replica) }) {
            return (.duplicate, cause)
        }
        let isUndecided = e.commit == nil && record.isUndecided(lineage, session: e.place.session, step: e.step, at: e.start)
        return isUndecided ? (.pending, nil) : (.aborted, cause)
    }
}

/// Which workers computed microbatches together: where layers are divided among stages, or every layer among tensor-parallel
/// ranks, those of a data-parallel group. Both are called stages here: each has a part of the work on a microbatch.
struct Stages {
    private let bySession: [Int: Int]
    /// (view): members by rank, and how many in a row are a group; only where there are stages.
    private let views: [Int: (members: [Int], stages: Int)]

    init(_ record: RunRecord) {
        bySession = record.stages
        views = record.views.reduce(into: [:]) { [bySession] in
            if let stages = bySession[$1.session], stages > 1 { $0[$1.view] = ($1.members, stages) }
        }
    }

    func count(session: Int) -> Int { bySession[session] ?? 1 }

    func group(of replica: Int, view: Int) -> ArraySlice<Int> {
        guard let (members, stages) = views[view], let rank = members.firstIndex(of: replica), members.count % stages == 0 else { return [replica] }
        let first = rank / stages * stages
        return members[first..<first + stages]
    }
}

extension RunRecord {
    /// How many workers computed a microbatch together, by session; one where nothing is said.
    var stages: [Int: Int] {
        sessions.reduce(into: [:]) { counts, row in
            if let stages = facts[RunFact.stages(session: row.session)].flatMap({ Int($0) }), stages > 0 { counts[row.session] = stages }
        }
    }

    /// Loss-carrying tokens of one microbatch: the same for every leaf.
    package var tokensPerLeaf: Int {
        if let tokens = facts[RunFact.tokensPerStep].flatMap({ Int($0) }), let leaves = facts[RunFact.microbatches].flatMap({ Int($0) }), leaves > 0 {
            return tokens / leaves
        }
        guard let commit = commits.last, !commit.leafReplicas.isEmpty else { return 0 }
        return commit.tokens / commit.leafReplicas.count
    }

    /// The first incident of a session that was noticed within the given time.
    func cause(session: Int, after start: UInt64, until end: UInt64) -> Int? {
        incidents.filter { $0.session == session && $0.detectedNanoseconds >= start && $0.detectedNanoseconds <= end }
            .min { $0.detectedNanoseconds < $1.detectedNanoseconds }?.incident
    }

    /// Whether work may still be committed: it is the newest of the last session and nobody stopped the run.
    func isUndecided(_ lineage: Lineage, session: Int, step: Int, at time: UInt64) -> Bool {
        guard facts[RunFact.outcome] != "interrupted", lineage.attempt(session: session, step: step, at: time) == .undecided else { return false }
        return session == (sessions.map(\.session).max() ?? slots.map(\.session).max() ?? session)
    }
}
