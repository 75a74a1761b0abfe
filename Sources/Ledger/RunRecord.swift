// The raw record from which each reported number is computed: everything a ledger holds, as values.

import RunSpec

/// One life of the launcher: `headway train` or `headway resume`. A run that was resumed has several.
package struct SessionRow: Equatable, Sendable {
    package var session: Int
    package var startedNanoseconds: UInt64
    /// Nil while the launcher lives, or if it died without a word.
    package var endedNanoseconds: UInt64?
    /// Seconds since 1970 at the start.
    package var startedUnixSeconds: Double
    /// The committed step the session began from, and how it got the state: `initial`, `origin`, `checkpoint`,
    /// `chosen checkpoint`, `shared memory`.
    package var startStep: Int
    package var source: String

    package init(
        session: Int, startedNanoseconds: UInt64, endedNanoseconds: UInt64? = nil, startedUnixSeconds: Double,
        startStep: Int, source: String
    ) {
        self.session = session
        self.startedNanoseconds = startedNanoseconds
        self.endedNanoseconds = endedNanoseconds
        self.startedUnixSeconds = startedUnixSeconds
        self.startStep = startStep
        self.source = source
    }
}

/// A whole ledger in memory.
package struct RunRecord: Sendable {
    /// Facts about the run by name: see `RunFact`.
    package var facts: [String: String] = [:]
    package var sessions: [SessionRow] = []
    package var slots: [SlotRow] = []
    package var replicas: [ReplicaRow] = []
    package var views: [ViewRow] = []
    /// In the order they were written. A step appears again after a rewind; the lineage is the hash chain.
    package var commits: [CommitRow] = []
    package var incidents: [IncidentRow] = []
    package var faults: [FaultRow] = []
    package var evaluations: [EvaluationRow] = []
    package var probes: [ProbeRow] = []
    package var contributions: [ContributionRow] = []
    package var launcherSpans: [LauncherSpanRow] = []
    package var rechecks: [RecheckRow] = []
    package var setbacks: [SetbackRow] = []
    package var checkpoints: [CheckpointRow] = []
    package var intervals: [IntervalRow] = []
    package var restores: [RestoreRow] = []
    /// Flight events by replica, in time order.
    package var flights: [Int: [FlightEvent]] = [:]

    package init() {}

    /// Where the run stands: committed steps, and the hash of their state. After the last commit or rewind of the last
    /// session; before either, where that session began.
    package var position: (step: Int, stateHash: String) {
        let session = sessions.map(\.session).max() ?? commits.last?.session ?? 0
        let commit = commits.last { $0.session == session }, rewind = setbacks.last { $0.kind == .rewind && $0.session == session }
        var step = commit?.step ?? sessions.last { $0.session == session }?.startStep ?? startStep
        if let rewind, rewind.nanoseconds >= commit?.nanoseconds ?? 0 { step = rewind.toStep }
        return (step, stateHash(at: step) ?? "")
    }

    /// The step of the checkpoint that the last session was to go back to, as long as nothing has followed: newer ones may
    /// not be set aside yet.
    package var chosenStart: Int? {
        guard let last = sessions.max(by: { $0.session < $1.session }), last.source == "chosen checkpoint",
            !commits.contains(where: { $0.session == last.session }), !setbacks.contains(where: { $0.session == last.session }) else { return nil }
        return last.startStep
    }

    /// Of the state after so many committed steps, the last time they were; nil when no row tells.
    package func stateHash(at step: Int) -> String? {
        commits.last { $0.step == step }?.stateHash ?? (step == startStep ? facts[RunFact.initialHash] : nil)
    }

    /// The last updates up to commit `step` of the lineage. What the rows of the last session do not say, because the run began
    /// later or the end of an older ledger was lost, it was told at its start.
    package func pastUpdates(at step: Int) -> PastUpdates {
        let session = sessions.map(\.session).max() ?? 0
        var known: [Int: PastUpdates.Update] = [:]
        for commit in commits where commit.session != session { known[commit.step] = commit.update }
        for update in facts[RunFact.updatesBefore].flatMap({ PastUpdates(json: $0) })?.updates ?? [] { known[update.step] = update }
        for commit in commits where commit.session == session { known[commit.step] = commit.update }
        return PastUpdates(known.values.filter { $0.step <= step }.sorted { $0.step < $1.step })
    }

    /// Committed steps in the state that the run began from.
    package var startStep: Int { facts[RunFact.startStep].flatMap { Int($0) } ?? 0 }
    /// Steps that the run is to commit; nil when unknown.
    package var plannedCommits: Int? { facts[RunFact.steps].flatMap { Int($0) }.map { $0 - startStep } }
}
