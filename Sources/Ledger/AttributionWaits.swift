// Who was waited for, and which waits a fault is to blame for.

/// The parts of each step that others wait for: leaves and validation units, reductions, updates.
struct Meetings: Sendable {
    struct Part: Sendable {
        var replica: Int
        var slot: Int
        var start: UInt64
        /// Done, or the worker's death.
        var end: UInt64
    }
    struct Key: Hashable, Sendable {
        var session: Int, step: Int
    }
    private(set) var leaves: [Key: [Part]] = [:]
    private(set) var evaluations: [Key: [Part]] = [:]
    private(set) var reductions: [Key: [Part]] = [:]
    private(set) var updates: [Key: [Part]] = [:]
    /// Waiting spans with the index of their life in the log.
    private(set) var waits: [Key: [(life: Int, span: FlightSpan)]] = [:]

    init(_ log: FlightLog, _ fates: Fates) {
        for e in fates.executions {
            leaves[Key(session: e.place.session, step: e.step), default: []].append(Part(
                replica: e.replica, slot: e.place.slot, start: e.start, end: e.end))
        }
        for (index, life) in log.lives.enumerated() {
            for span in life.spans where span.ending != .gap {
                let key = Key(session: life.place.session, step: span.step)
                let part = Part(replica: life.row.replica, slot: life.place.slot, start: span.start, end: span.end)
                switch span.phase {
                case .evaluate, .probe: evaluations[key, default: []].append(part)
                case .reduce: reductions[key, default: []].append(part)
                case .update: updates[key, default: []].append(part)
                case .awaitLeaves, .awaitReduction, .awaitCommit, .awaitEvaluation: waits[key, default: []].append((index, span))
                default: break
                }
            }
        }
    }

    /// Among the parts a wait was for that others had begun before it ended, the one done last; nil if there was none.
    func lastArrival(before wait: FlightSpan, of life: ReplicaLife) -> (slot: Int, end: UInt64)? {
        let key = Key(session: life.place.session, step: wait.step)
        let parts: [Part] = switch wait.phase {
        case .awaitLeaves: (leaves[key] ?? []) + (evaluations[key] ?? [])
        case .awaitReduction: reductions[key] ?? []
        default: updates[key] ?? []
        }
        let last = parts.lazy.filter { $0.replica != life.row.replica && $0.start < wait.end }.max { $0.end < $1.end }
        return last.map { ($0.slot, $0.end) }
    }
}

extension TimelineBuilder {
    /// Survivors' waits that an incident really blocked: before its detection F2, from then until the wait ends F12.
    mutating func addBlockedSurvivors() {
        for incident in record.incidents.sorted(by: { $0.detectedNanoseconds < $1.detectedNanoseconds }) {
            let victim = log.indexByReplica[incident.replica].map { log.lives[$0] }
            let blocked = blockedWaits(incident, victim)
            guard !blocked.isEmpty else { continue }
            let onset = victim?.end ?? incident.onsetNanoseconds
            let detected = max(onset, incident.detectedNanoseconds)
            let attempt = limit(of: incident, onset)
            let repaired = repairedNanoseconds(incident, blocked, detected: detected, limit: attempt)
            let key = Meetings.Key(session: incident.session, step: incident.step)
            for (index, span) in meetings.waits[key] ?? [] {
                let life = log.lives[index]
                guard life.row.replica != incident.replica, blocked.contains(span.phase), span.end > onset,
                    span.start <= detected || span.start < repaired, span.start <= attempt
                else { continue }
                block(life, incident, max(span.start, onset), min(span.end, detected), .undetectedBlocking)
                block(life, incident, max(span.start, detected), span.end, .survivorStall)
            }
        }
    }

    private mutating func block(_ life: ReplicaLife, _ incident: IncidentRow, _ start: UInt64, _ end: UInt64, _ category: Category) {
        guard start < end else { return }
        timeline.spans.append(TimelineSpan(
            life.place, replica: life.row.replica, from: start, to: end, .settled(category), incident: incident.incident,
            culprit: incident.slot))
    }

    /// The waits that cannot end without what the victim still owed to the step of the incident.
    private func blockedWaits(_ incident: IncidentRow, _ victim: ReplicaLife?) -> Set<Phase> {
        guard let victim else { return [.awaitLeaves, .awaitReduction, .awaitCommit] }
        guard victim.tookPart else { return [] }
        guard let last = victim.spans.last(where: { $0.phase != .fault }), last.ending != .gap else {
            return [.awaitLeaves, .awaitReduction, .awaitCommit]
        }
        // It had not begun this step, or was not yet admitted to it.
        if !last.phase.isWithinStep || last.step < incident.step { return [.awaitLeaves, .awaitEvaluation] }
        switch last.phase {
        case .awaitLeaves, .reduce: return [.awaitReduction]
        case .awaitReduction, .update: return [.awaitCommit]
        case .awaitCommit, .awaitEvaluation: return []
        default: return [.awaitLeaves, .awaitEvaluation]
        }
    }

    /// The end of the attempt the incident struck: its commit, or the first commit after a rewind.
    private func limit(of incident: IncidentRow, _ onset: UInt64) -> UInt64 {
        switch lineage.attempt(session: incident.session, step: incident.step, at: onset) {
        case .commit(let row): return record.commits[row].nanoseconds
        case .rewound:
            return record.commits.first { $0.session == incident.session && $0.nanoseconds >= onset }?.nanoseconds ?? .max
        case .undecided: return .max
        }
    }

    /// When others had done what the victim left undone: the end of the last leaf, reduction or update of the step
    /// that began after the detection. Which leaves changed hands is not recorded, so that survivors' own late ones
    /// are among them.
    private func repairedNanoseconds(_ incident: IncidentRow, _ blocked: Set<Phase>, detected: UInt64, limit: UInt64) -> UInt64 {
        let key = Meetings.Key(session: incident.session, step: incident.step)
        var parts: [Meetings.Part] = []
        if blocked.contains(.awaitLeaves) { parts += (meetings.leaves[key] ?? []) + (meetings.evaluations[key] ?? []) }
        if blocked.contains(.awaitReduction) { parts += meetings.reductions[key] ?? [] }
        if blocked.contains(.awaitCommit) { parts += meetings.updates[key] ?? [] }
        let again = parts.filter { $0.replica != incident.replica && $0.start >= detected && $0.start <= limit }
        return max(again.map(\.end).max() ?? 0, detected, incident.plannedNanoseconds ?? detected)
    }
}
