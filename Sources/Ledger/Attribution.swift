// Where every nanosecond of every slot went: the record's rows become spans, the lineage settles them.

/// The settled intervals of a run.
package struct Attribution: Sendable {
    /// Disjoint, by place and time.
    package let intervals: [Interval]
    /// Run delay that exceeded the span it was measured over, in nanoseconds; in no category. A disagreement between
    /// the scheduler's clock and ours that should stay far below the budget.
    package let excessRunDelayNanoseconds: Int

    package init(_ record: RunRecord) {
        let record = record.closingOpenSlots()
        var log = FlightLog(record)
        let lineage = Lineage(record)
        let fates = Fates(record, lineage, &log)
        self.init(record, lineage, log, fates)
    }

    init(_ record: RunRecord, _ lineage: Lineage, _ log: FlightLog, _ fates: Fates) {
        var builder = TimelineBuilder(record, lineage, log, fates)
        builder.addLaunchersView()
        for life in log.lives { builder.addRecorded(life) }
        builder.addBlockedSurvivors()
        builder.addHostContention()
        intervals = builder.timeline.intervals()
        excessRunDelayNanoseconds = log.lives.reduce(0) { $0 + Int($1.excessRunDelay) }
    }
}

/// Builds the timeline of a record. Layers, outer to inner: what the launcher knows, what the workers recorded,
/// survivors blocked by incidents, host contention.
struct TimelineBuilder {
    let record: RunRecord
    let lineage: Lineage
    let log: FlightLog
    let fates: Fates
    let meetings: Meetings
    var timeline = Timeline()
    private var contention: [TimelineSpan] = []
    private var unfinished: [Int?: Int] = [:]
    private var pendingAttempt: Int?
    private let hasSpares: Bool
    /// Attempts that were thrown away, whole or from their reduction on: places in the record's setbacks.
    private let thrownAway: [Meetings.Key: [Int]]

    init(_ record: RunRecord, _ lineage: Lineage, _ log: FlightLog, _ fates: Fates) {
        (self.record, self.lineage, self.log, self.fates) = (record, lineage, log, fates)
        meetings = Meetings(log, fates)
        hasSpares = record.facts[RunFact.spares].flatMap { Int($0) } ?? 0 > 0
        thrownAway = Dictionary(grouping: record.setbacks.indices.filter { record.setbacks[$0].kind != .rewind }) {
            Meetings.Key(session: record.setbacks[$0].session, step: record.setbacks[$0].step)
        }
        // Attempts: first one for each commit, then one for each execution, one for each setback, then those that were
        // never committed.
        timeline.attempts = record.commits.indices.map { lineage.verdict($0) }
        timeline.attempts += fates.executions.map { AttemptVerdict($0.fate.outcome, incident: $0.fate == .committed ? nil : $0.incident) }
        timeline.attempts += record.setbacks.map { AttemptVerdict($0.kind == .recheck ? .duplicate : .aborted, incident: $0.incident) }
    }

    // MARK: What a worker recorded

    mutating func addRecorded(_ life: ReplicaLife) {
        let recovery = timeline.recoveries.count
        timeline.recoveries.append(Recovery(
            succeeded: !life.diedInFault || life.tookPart, incident: life.row.incident ?? life.death?.incident))
        // Until its first event a worker is being started; one that was never admitted and left no event died at that.
        let began = life.spans.first.map { $0.phase == .initialise ? $0.start : life.start }
            ?? (life.row.admittedNanoseconds == nil ? life.end : life.start)
        add(life, life.start, began, .recovery(life.row.incident == nil ? .launch : .respawn, recovery))
        for (index, span) in life.spans.enumerated() where span.start < span.end && span.ending != .gap {
            let next = index + 1 < life.spans.count ? life.spans[index + 1].phase : nil
            add(life, span, next: next, recovery: recovery)
            if span.runDelay > 0 {
                contention.append(TimelineSpan(
                    life.place, replica: life.row.replica, from: span.end - span.runDelay, to: span.end, .settled(.hostContention)))
            }
        }
    }

    private mutating func add(_ life: ReplicaLife, _ span: FlightSpan, next: Phase?, recovery: Int) {
        let isReplacement = life.row.incident != nil
        func start(_ first: Category, _ replacement: Category) -> Claim { .recovery(isReplacement ? replacement : first, recovery) }
        switch span.phase {
        case .initialise: add(life, span.start, span.end, start(.initialisation, .respawn))
        case .load: add(life, span.start, span.end, start(.firstLoad, .restoreFromMemory))
        case .rendezvous:
            // Whoever is ready at a boundary and not admitted was not needed: a spare.
            let boundary = record.commits.first { $0.session == life.place.session && $0.nanoseconds > span.start }?.nanoseconds ?? .max
            let idle = min(max(boundary, span.start), span.end), isSpare = hasSpares && (life.row.admittedNanoseconds ?? .max) > boundary
            add(life, span.start, isSpare ? idle : span.end, start(.firstRendezvous, .awaitingAdmission))
            if isSpare { add(life, idle, span.end, .settled(.spareIdle)) }
        case .input: addAround(life, span, .inputWait)
        case .glue: addAround(life, span, .stepGlue)
        case .forward, .backward:
            guard let execution = span.execution else { return }
            add(life, span.start, span.end, .work(record.commits.count + execution))
        case .reduce, .update: add(life, span.start, span.end, .work(attempt(life, span)))
        case .awaitLeaves, .awaitReduction, .awaitCommit: addWait(life, span)
        case .transfer: addAround(life, span, .exposedCommunication)
        case .snapshot: addAround(life, span, .snapshotBlocking)
        case .regroup:
            let cause = record.incidents.last { $0.session == life.place.session && $0.detectedNanoseconds <= span.end }
            add(life, span.start, span.end, .settled(cause == nil ? .firstRendezvous : .regroup), incident: cause?.incident)
        case .evaluate, .probe: add(life, span.start, span.end, .settled(.evaluation))
        case .awaitEvaluation:
            let isLast = next == .leave || span.ending == .exit
            add(life, span.start, span.end, .settled(isLast ? .finishedEarly : .evaluation))
        case .leave: add(life, span.start, span.end, .settled(life.drain == nil ? .shutdown : .plannedDrain))
        case .stalled: add(life, span.start, span.end, .settled(.undetectedFailure), incident: stall(life, span))
        case .fault:
            // A fault in the last moments of a run opens no incident: the worker was leaving anyway.
            if !life.diedInFault, span.ending == .exit { add(life, span.start, span.end, .settled(.shutdown)) }
        }
    }

    /// A wait is straggler wait until the last peer's part arrived, exposed communication after.
    private mutating func addWait(_ life: ReplicaLife, _ span: FlightSpan) {
        let last = meetings.lastArrival(before: span, of: life)
        let arrived = min(max(last?.end ?? span.start, span.start), span.end)
        addAround(life, span, .stragglerWait, to: arrived, culprit: last?.slot)
        addAround(life, span, .exposedCommunication, from: arrived)
    }

    private mutating func addAround(
        _ life: ReplicaLife, _ span: FlightSpan, _ category: Category, from: UInt64? = nil, to: UInt64? = nil, culprit: Int? = nil
    ) {
        let start = from ?? span.start, end = to ?? span.end
        guard start < end else { return }
        var claim = Claim.settled(category)
        if let attempt = thrownAway(life, span) {
            claim = .work(attempt)
        } else if case .commit(let row) = lineage.attempt(session: life.place.session, step: span.step, at: span.start) {
            claim = .around(category, row)
        }
        add(life, start, end, claim, culprit: culprit)
    }

    private func stall(_ life: ReplicaLife, _ span: FlightSpan) -> Int? {
        record.incidents.first { $0.kind == .stall && $0.replica == life.row.replica && $0.onsetNanoseconds <= span.end && $0.detectedNanoseconds >= span.start }?.incident
    }

    private mutating func add(
        _ life: ReplicaLife, _ start: UInt64, _ end: UInt64, _ claim: Claim, incident: Int? = nil, culprit: Int? = nil
    ) {
        guard start < end else { return }
        var incident = incident
        if case .recovery = claim { incident = life.row.incident }
        timeline.spans.append(TimelineSpan(
            life.place, replica: life.row.replica, from: start, to: end, claim, incident: incident, culprit: culprit))
    }

    /// The attempt that a reduce or update span counts for. Chunks finished before their worker's death are used, the
    /// one under way is not; which is which is not recorded. So a span cut short by death is waste as a whole, unless
    /// nobody had to begin that phase again after the death was noticed: then all of it was used.
    private mutating func attempt(_ life: ReplicaLife, _ span: FlightSpan) -> Int {
        let session = life.place.session
        if let attempt = thrownAway(life, span) { return attempt }
        let attempt = lineage.attempt(session: session, step: span.step, at: span.start)
        if span.ending == .death, let death = life.death {
            let parts = (span.phase == .reduce ? meetings.reductions : meetings.updates)[Meetings.Key(session: session, step: span.step)]
            let again = parts?.contains { $0.replica != life.row.replica && $0.start >= death.detectedNanoseconds } ?? false
            guard case .commit(let row) = attempt, !again else { return unfinishedAttempt(death.incident) }
            return row
        }
        if case .commit(let row) = attempt {
            // A later session took over the leaves; whether it took over chunks, too, is not recorded.
            return record.commits[row].session == session ? row : unfinishedAttempt(record.cause(session: session, after: span.start, until: .max))
        }
        if record.isUndecided(lineage, session: session, step: span.step, at: span.start) {
            if let pendingAttempt { return pendingAttempt }
            timeline.attempts.append(AttemptVerdict(.pending))
            pendingAttempt = timeline.attempts.count - 1
            return timeline.attempts.count - 1
        }
        return unfinishedAttempt(record.cause(session: session, after: span.start, until: .max))
    }

    /// The attempt that the span was part of, if everybody threw it away later: its microbatches, too, or what came after
    /// them only. What was decided after its step was committed, or the run went back, was about another attempt.
    private func thrownAway(_ life: ReplicaLife, _ span: FlightSpan) -> Int? {
        let key = Meetings.Key(session: life.place.session, step: span.step)
        let keepsLeaves = ![.reduce, .update, .awaitReduction, .awaitCommit, .transfer].contains(span.phase)
        guard let candidates = thrownAway[key] else { return nil }
        let decided = lineage.nextChange(session: key.session, after: span.start) ?? .max
        let setback = candidates.first {
            span.start < record.setbacks[$0].nanoseconds && record.setbacks[$0].nanoseconds <= decided && (record.setbacks[$0].kind == .discard || !keepsLeaves)
        }
        return setback.map { record.commits.count + fates.executions.count + $0 }
    }

    private mutating func unfinishedAttempt(_ incident: Int?) -> Int {
        if let known = unfinished[incident] { return known }
        timeline.attempts.append(AttemptVerdict(.aborted, incident: incident))
        unfinished[incident] = timeline.attempts.count - 1
        return timeline.attempts.count - 1
    }

    mutating func addHostContention() {
        timeline.spans += contention
        contention = []
    }
}
