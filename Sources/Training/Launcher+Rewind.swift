import Checkpointing
import Collectives
import Coordination
import Ledger
import RunSpec

extension Launcher {
    /// Everybody has been stopped: the newest checkpoint becomes the state, and what was committed after it is lost.
    func rewind() throws {
        let began = MonotonicClock.nanoseconds()
        try abandonWriter("everybody was stopped while it was written")
        var remarks: [String] = []
        let last = step
        (step, stateHash) = try PreparedRun.restore(into: shared, config, parameters, last: last, hasInitial: true, folder, &remarks)
        shared.rewind(to: step, generation: 0)
        commits = CommitMachine(committed: step, lastStep: config.steps)
        if stopWanted { _ = commits.receive(.stopRequested) }
        evaluated = (try ledger.hasEvaluation(step: step)) ? step : nil
        probeRows.removeAll { $0.step > step }
        probes = ProbeSchedule(probeRows, units: description.heldOut, from: step, to: config.steps)
        shared.setProbe(step: probes.next, gradient: probes.takesGradient ? probes.next : nil)
        recentCommits.removeAll()
        try settle("everybody stops, \(last - step) committed step\(last - step == 1 ? "" : "s") lost")
        for remark in remarks { notify(.message(remark)) }
        try ledger.append(LauncherSpanRow(session: session, startNanoseconds: began, endNanoseconds: MonotonicClock.nanoseconds(),
            category: .restoreFromDisk, incident: nextIncident - 1))
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
