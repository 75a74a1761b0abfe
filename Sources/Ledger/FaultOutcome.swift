// What became of each injected fault: whether it struck, what the run took it for, and how soon.
import RunSpec

package struct FaultOutcome: Equatable, Sendable {
    package enum Verdict: String, CaseIterable, Sendable {
        /// Found, and taken for what it was.
        case found
        /// Found, and taken for something else.
        case misdiagnosed
        /// It struck, and the run should have noticed.
        case missed
        /// It struck, and there is nothing to notice but the time it costs, or the data.
        case silent
        /// It never struck: the step was not reached, nobody was there, or the run ended first.
        case idle
    }
    package let session: Int
    package let text: String
    package let kind: Fault.Kind?
    package let verdict: Verdict
    package let firedNanoseconds: UInt64?
    /// From the fault to its detection.
    package let latencyNanoseconds: Int?
    /// What the run took it for.
    package let takenFor: String?
    /// By what a fault of the disk was brought about.
    package let mechanism: Fault.Mechanism?

    /// In the order of the record.
    package static func all(_ record: RunRecord) -> [FaultOutcome] {
        let incidents = Dictionary(
            record.incidents.compactMap { incident in incident.fault.map { (Key(session: incident.session, fault: $0), incident) } },
            uniquingKeysWith: { a, _ in a })
        return record.faults.map { FaultOutcome($0, incidents[Key(session: $0.session, fault: $0.fault)], record) }
    }

    private struct Key: Hashable { let session: Int, fault: Int }

    private init(_ row: FaultRow, _ incident: IncidentRow?, _ record: RunRecord) {
        let fault = try? Fault(row.text)
        (session, text, kind, firedNanoseconds, mechanism) = (row.session, row.text, fault?.kind, row.firedNanoseconds, row.mechanism)
        guard let fired = row.firedNanoseconds, let fault else {
            (verdict, latencyNanoseconds, takenFor) = (.idle, nil, nil)
            return
        }
        if let incident {
            let isRight = FaultOutcome.names(fault).contains(incident.kind)
            (verdict, takenFor) = (isRight ? .found : .misdiagnosed, incident.kind.rawValue)
            latencyNanoseconds = Int(incident.detectedNanoseconds) - Int(fired)
            return
        }
        switch (fault.victim, fault.kind) {
        case (_, .torn), (_, .flipped):
            // The first who restores from the checkpoint finds it out, or never will.
            let step = record.checkpoint(writtenAt: fired, row.session)?.step ?? fault.step
            let read = record.restores.first { $0.step == step && ($0.session, $0.nanoseconds) > (row.session, fired) }
            (verdict, takenFor) = (read.map { $0.damage == nil ? .missed : .found } ?? .silent, read?.damage)
            // Between sessions the machine, and with it the clock, may have started again.
            latencyNanoseconds = read.flatMap { $0.damage != nil && $0.nanoseconds > fired ? Int($0.nanoseconds - fired) : nil }
        case (_, .slowdisk): (verdict, takenFor, latencyNanoseconds) = (.silent, nil, nil)
        case (.writer, _):
            // Its checkpoint is booked as failed.
            let struck = record.checkpoint(writtenAt: fired, row.session), failed = struck?.durableNanoseconds == nil ? struck : nil
            (verdict, takenFor, latencyNanoseconds) = (failed == nil ? .missed : .found, failed?.status, nil)
        case (.launcher, _):
            // Nobody is left to find it but the next session.
            let next = record.sessions.contains { $0.session > row.session }
            (verdict, takenFor, latencyNanoseconds) = (next ? .found : .missed, next ? "resumed" : nil, nil)
        case (_, .slow), (_, .labels): (verdict, takenFor, latencyNanoseconds) = (.silent, nil, nil)
        // Struck again before the first was found out, or when everybody was leaving.
        default: (verdict, takenFor, latencyNanoseconds) = (.missed, nil, nil)
        }
    }

    /// What a fault may rightly be taken for.
    private static func names(_ fault: Fault) -> Set<IncidentKind> {
        switch fault.kind {
        case .crash: [.crash]
        case .segfault: [.segfault]
        case .hang: [.hang, .stall]
        case .slow, .labels, .diskfull, .slowdisk, .torn, .flipped: []
        // When the notice runs out, it ends as any kill does.
        case .preempt: [.preempt, .crash]
        case .nonfinite: [.corruption, .veto]
        case .bitflip: fault.target == .gradient ? [.corruption] : [.memory]
        }
    }
}

extension RunRecord {
    /// The checkpoint under way at that time of a session.
    fileprivate func checkpoint(writtenAt nanoseconds: UInt64, _ session: Int) -> CheckpointRow? {
        checkpoints.last { $0.session == session && $0.requestedNanoseconds <= nanoseconds && nanoseconds <= $0.durableNanoseconds ?? .max }
    }
}
