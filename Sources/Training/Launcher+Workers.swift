import Collectives
import Coordination
import Foundation
import Ledger
import RunSpec

extension Launcher {
    // MARK: Birth

    func spawn(_ slot: Int) throws {
        let replica = nextReplica
        nextReplica += 1
        shared.setSlot(slot, replica: replica, state: .starting)
        let first = replacementFor[slot] == nil
        let arguments = ["worker", folder.absolutePath, "--slot", String(slot), "--replica", String(replica), "--doorbell", String(doorbell),
            "--launcher", String(getpid()), "--step", String(step)] + (first ? ["--measure-peak"] : [])
        var row = ReplicaRow(replica: replica, session: session, slot: slot, pid: 0, incident: replacementFor[slot],
            spawnedNanoseconds: MonotonicClock.nanoseconds())
        // Before the process: should the launcher die in between, its number is taken all the same.
        try ledger.put(row)
        do {
            let process = try WorkerProcess(executable: executable, arguments: arguments, environment: environment, log: folder.logPath(replica: replica))
            row.pid = Int(process.pid)
            members[slot] = Member(process: process, row: row)
        } catch {
            (row.endedNanoseconds, row.reapedNanoseconds, row.exit) = (row.spawnedNanoseconds, row.spawnedNanoseconds, "not started")
            try ledger.put(row)
            throw error
        }
        try ledger.put(row)
    }

    // MARK: Death

    func lookAtDeaths() throws {
        for (slot, member) in members {
            let detected = MonotonicClock.nanoseconds()
            guard let end = member.process.reap(wait: false) else { continue }
            try drain(slot)
            let row = members[slot]!.row.ended(end, detected: detected)
            try ledger.put(row)
            member.process.closeDescriptor()
            finishedCompute += members[slot]!.computeNanoseconds
            let gone = members.removeValue(forKey: slot)!
            try bookFault(gone)
            if shared.stopRequested { continue }
            let incident = try note(gone, row, end.exit, detected)
            replacementFor[slot] = incident
            try apply(views.receive(.ended(slot: slot, unfinished: unfinished())), ring: true)
        }
    }

    private func unfinished() -> Unfinished {
        Unfinished(leaves: shared.leaves.unfinished(step: step), chunks: shared.updates.unfinished(step: step),
            evaluationUnits: shared.evaluations.unfinished(step: step, in: shared.due(step, config)))
    }

    /// Notes that the fault that ended the worker fired, if one did.
    private func bookFault(_ member: Member) throws {
        guard let last = member.lastEvent, last.phase == .fault else { return }
        try ledger.put(FaultRow(session: session, fault: Int(last.unit), text: faults[Int(last.unit)].description, firedNanoseconds: last.nanoseconds))
    }

    /// Records the incident: what, whose, since when.
    private func note(_ member: Member, _ row: ReplicaRow, _ exit: WorkerProcess.Exit, _ detected: UInt64) throws -> Int {
        let last = member.lastEvent
        var fault: Int?, onset = detected
        if let last, last.phase == .fault {
            fault = Int(last.unit)
            onset = last.nanoseconds
        }
        let cause: String
        switch exit {
        case .exited(let status): cause = "exited with status \(status)"
        case .signalled(let signal): cause = "killed by signal \(signal)"
        }
        let place = fault.map { " at \(faults[$0].point.rawValue)" } ?? last?.phase.map { " in \($0)" } ?? " before its first sign"
        let incident = IncidentRow(
            incident: nextIncident, session: session, kind: fault.map { faults[$0].kind.rawValue } ?? "death", replica: row.replica,
            slot: row.slot, step: step, onsetNanoseconds: onset, onsetIsExact: fault != nil, detectedNanoseconds: detected,
            plannedNanoseconds: nil, leavesReassigned: 0, fault: fault,
            description: "worker \(row.slot) \(cause)\(place) of step \(step)")
        nextIncident += 1
        openIncidents.append(incident)
        lastIncident = incident.description
        try ledger.put(incident)
        return incident.incident
    }

    /// Takes what the slot's flight recorder holds that is new into the ledger.
    func drain(_ slot: Int) throws {
        guard var member = members[slot] else { return }
        if member.ring == nil { member.ring = try? FlightRing(opening: folder.flightPath(replica: member.row.replica)) }
        guard let ring = member.ring else { return }
        let (events, lost) = ring.drain(from: member.drained)
        member.drained += lost + UInt64(events.count)
        member.row.lostEvents += Int(lost)
        try ledger.append(events, replica: member.row.replica)
        for event in events {
            if let last = member.lastEvent, last.phase?.isCompute == true {
                member.computeNanoseconds += max(event.nanoseconds - last.nanoseconds, event.runDelayNanoseconds - last.runDelayNanoseconds)
                    - (event.runDelayNanoseconds - last.runDelayNanoseconds)
            }
            member.lastEvent = event
        }
        members[slot] = member
    }

    func lastWords() -> String {
        let path = folder.logPath(replica: nextReplica - 1)
        guard let text = try? String(contentsOfFile: path, encoding: .utf8), let line = text.split(separator: "\n").last else { return "" }
        return "; the last one said: \(line)"
    }

    /// Ends every process of the run at once, and waits for it.
    func killEverybody() {
        for member in members.values { member.process.kill() }
        for (slot, member) in members {
            let end = member.process.reap(wait: true)
            member.process.closeDescriptor()
            try? drain(slot)
            if let end { try? ledger.put(members[slot]!.row.ended(end, detected: MonotonicClock.nanoseconds())) }
        }
        members.removeAll()
        killWriter()
        try? closeRows()
    }

    /// Gives the slots back: what is paid for ends now.
    private func closeRows() throws {
        let now = MonotonicClock.nanoseconds()
        for row in slotRows {
            try ledger.put(SlotRow(session: session, slot: row.slot, openedNanoseconds: row.openedNanoseconds, closedNanoseconds: now))
        }
        try ledger.end(session: session, at: now)
    }

    // MARK: RunProgress and the end

    func progress(at now: UInt64) -> RunProgress {
        let first = recentCommits.first, last = recentCommits.last
        let seconds = first.flatMap { f in last.map { Double($0.nanoseconds - f.nanoseconds) * 1e-9 } } ?? 0
        let rate = seconds > 0 ? Double(last!.step - first!.step) / seconds : 0
        let provisioned = slotRows.reduce(0) { $0 + Double(max($1.openedNanoseconds, members[$1.slot]?.lastEvent?.nanoseconds ?? now) - $1.openedNanoseconds) }
        let compute = members.values.reduce(Double(finishedCompute)) { $0 + Double($1.computeNanoseconds) }
        return RunProgress(
            step: step, steps: config.steps, loss: lastLoss, tokensPerSecond: rate * Double(config.tokensPerStep),
            computeNanoseconds: compute, provisionedNanoseconds: provisioned, alive: members.count, slots: description.slots,
            lastIncident: lastIncident, secondsLeft: rate > 0 ? Double(config.steps - step) / rate : nil)
    }

    /// After the last worker has left: the closing checkpoint, and the slots are given back.
    func closeSession() throws {
        outcome = isComplete ? .finished : .interrupted
        let last = try finalCheckpoint()
        // The run is not over before its result is safe: `resume` writes it again.
        if !last.durable { throw UserError(.unwritable, last.said) }
        if outcome == .finished { try ledger.setFact(RunFact.finalDigest, finalDigest()) }
        let peaks = (0..<description.slots).map { shared.peakFlops($0) }.filter { $0 > 0 }
        if let peak = peaks.max() { try ledger.setFact(RunFact.peakFlopsPerWorker, String(peak)) }
        let allocations = (0..<description.slots).reduce(0) { $0 + shared.stepAllocations($1) }
        try ledger.setFact(RunFact.stepAllocations, String(allocations))
        try ledger.setFact(RunFact.outcome, outcome.rawValue)
        try closeRows()
        notify(.message(last.said))
    }

    /// SHA-256 of (θ, m, v), padding included.
    private func finalDigest() -> String {
        var stream = SHA256Stream()
        for part in 0..<3 {
            stream.update(UnsafeRawBufferPointer(start: shared.state(generation: shared.currentGeneration, part: part), count: 4 * parameters.count))
        }
        return stream.finish()
    }
}

extension ReplicaRow {
    /// The row once the process is gone and reaped.
    func ended(_ end: WorkerProcess.End, detected: UInt64) -> ReplicaRow {
        var row = self
        row.endedNanoseconds = detected
        row.reapedNanoseconds = MonotonicClock.nanoseconds()
        row.cpuNanoseconds = end.cpuNanoseconds
        switch end.exit {
        case .exited(let status): (row.exit, row.exitCode) = ("exited", status)
        case .signalled(let signal): (row.exit, row.exitCode) = ("signalled", signal)
        }
        return row
    }
}

extension Phase {
    var isCompute: Bool { self == .forward || self == .backward || self == .reduce || self == .update }
}

/// `value` with `digits` decimals, in the C locale.
func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
