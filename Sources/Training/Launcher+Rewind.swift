import Checkpointing
import Collectives
import Coordination
import Ledger
import RunSpec

/// Going back to an older state: what was committed after it is computed again, to the same bits.
extension Launcher {
    /// Everybody has been stopped: the newest checkpoint becomes the state.
    func rewind() throws {
        let began = MonotonicClock.nanoseconds()
        try abandonWriter("everybody was stopped while it was written")
        noteLoss(rewound: true)
        // What is about to be overwritten counts for nothing, whoever takes up the run should this launcher die here.
        shared.discardAttempt(units: 0..<0)
        var remarks: [String] = []
        let (newest, hash, past) = try PreparedRun.restore(into: shared, config, description, parameters, last: step, isDrawn: ledger.fact(RunFact.origin) == nil, folder, session: session, ledger, &remarks)
        try goBack(to: newest, hash: hash, past, remarks.isEmpty ? "everybody begins again from step \(newest)" : remarks.joined(separator: "; "))
        shared.rewind(to: newest, generation: 0, next: 1)
        // It may have been in no row of this ledger.
        try ledger.setFact(RunFact.updatesBefore, past.json)
        recentStates = [0: (newest, hash, past)]
        PreparedRun.noteFingerprints(shared, config.model, generation: 0)
        shared.setDeposit(step: newest)
        setProbe()
        try chooseInterval(.failure)
        try ledger.append(LauncherSpanRow(session: session, startNanoseconds: began, endNanoseconds: MonotonicClock.nanoseconds(),
            category: .restoreFromDisk, incident: lossUnderWay ?? nextIncident - 1))
    }

    /// What the launcher knows of the run is that of `older` again.
    func goBack(to older: Int, hash: String, _ past: PastUpdates, _ how: String) throws {
        try settle("\(how); \(step - older) committed step\(step - older == 1 ? "" : "s") computed again")
        try noteSetback(.rewind, to: older)
        (step, stateHash, pastUpdates, recheck) = (older, hash, past, nil)
        (late, mark, retryStep, checkpointStep) = (nil, nil, nil, min(checkpointStep, older))
        shared.setHelps(description.options.helps)
        commits = CommitMachine(committed: step, lastStep: config.steps)
        if stopWanted { _ = commits.receive(.stopRequested) }
        evaluated = try ledger.hasEvaluation(step: step) ? step : nil
        probeRows.removeAll { $0.step > step }
        probes = ProbeSchedule(probeRows, units: description.heldOut, from: step, to: config.steps)
        recentCommits.removeAll()
        recentStates = recentStates.filter { $0.value.step <= older }
    }

    /// Work that was done counts for nothing from here on, for the loss under way if there is one.
    func noteSetback(_ kind: SetbackRow.Kind, to older: Int? = nil) throws {
        try ledger.append(SetbackRow(session: session, step: step, nanoseconds: MonotonicClock.nanoseconds(), kind: kind,
            toStep: older ?? step, incident: kind == .recheck ? nil : lossUnderWay))
    }

    /// The decision on what is open has fallen.
    func settle(_ decision: String) throws {
        let now = MonotonicClock.nanoseconds()
        for index in openIncidents.indices where openIncidents[index].plannedNanoseconds == nil {
            openIncidents[index].plannedNanoseconds = now
            try ledger.put(openIncidents[index])
            notify(.message("\(openIncidents[index].description); \(decision)"))
        }
    }
}
