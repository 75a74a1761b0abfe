import Collectives
import Coordination
import Foundation
import Glibc
import Ledger
import RunSpec

extension Launcher {
    // MARK: Birth

    /// Starts the replacements whose time has come.
    func spawnDue(at now: UInt64) throws {
        if shared.stopRequested { spawns.removeAll() }
        while let next = spawns.firstIndex(where: { $0.at <= now }) { try spawn(spawns.remove(at: next).slot) }
    }

    /// Replacements that were to come and are not wanted any more: gone before they began.
    func dropSpawns(_ slots: [Int]) throws {
        let dropped = spawns.filter { slots.contains($0.slot) }.map(\.slot)
        spawns.removeAll { slots.contains($0.slot) }
        for slot in dropped { try apply(views.receive(.ended(slot: slot, unfinished: unfinished())), ring: true) }
    }

    func spawn(_ slot: Int) throws {
        if slot == slotRows.count || slotRows[slot].closedNanoseconds > slotRows[slot].openedNanoseconds { try openSlot(slot) }
        let replica = nextReplica
        nextReplica += 1
        shared.setSlot(slot, replica: replica, state: .starting)
        shared.admit(slot, replica: 0)
        shared.forgetPace(of: slot)
        shared.setHoldsState(slot, false)
        shared.setMeasured(slot, sentBytes: 0, hiddenBytes: 0, residentBytes: 0)
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
            members[slot] = Member(process: process, row: row, watch: Watch(since: row.spawnedNanoseconds))
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
            try noteFaults()
            let gone = members.removeValue(forKey: slot)!
            gone.process.closeDescriptor()
            finishedCompute += gone.computeNanoseconds
            var row = gone.row.ended(end, detected: detected)
            if let cause = gone.stoppedFor { (row.stoppedFor, row.exit) = (cause, "stopped") }
            try ledger.put(row)
            // All of it is in the ledger.
            unlink(folder.flightPath(replica: row.replica))
            if shared.stopRequested { continue }
            let wasDismissed = views.slots[slot] == .leaving
            if sendsMessages, shared.leavers.contains(slot) {
                // Whoever waits for what it was to hand over must not wait for ever.
                shared.setLeavers(shared.leavers.filter { $0 != slot })
                if end.exit != .exited(status: 0) { try apply(views.receive(.channelsLost), ring: true) }
            }
            // One whose notice ran out, or who was killed while it drained, left nothing in order.
            var known = gone.incident
            if gone.isDraining, case .signalled = end.exit { known = nil }
            replacementFor[slot] = try gone.stoppedFor ?? known ?? (wasDismissed ? nil : note(gone, row, end.exit, detected))
            lossUnderWay = replacementFor[slot]
            // Nobody lives: the memory has the state still, and is all that has what is not on the disk.
            if members.isEmpty, gone.stoppedFor == nil, !gone.isDraining, description.options.policy != .restart {
                noteLoss(rewound: false)
                try chooseInterval(.failure)
            }
            shared.releaseClaims(of: slot, turn: shared.turn)
            shared.forgetPace(of: slot)
            try apply(views.receive(.ended(slot: slot, unfinished: unfinished())), ring: true)
        }
    }

    /// What nobody has published, less the leaves that somebody living computes.
    private func unfinished() -> Unfinished {
        let turn = shared.turn
        return Unfinished(
            leaves: shared.leaves.unfinished(turn: turn).filter { shared.claimant(of: $0, turn: turn).map { members[$0] == nil } ?? true },
            chunks: shared.updates.unfinished(turn: turn), evaluationUnits: shared.evaluations.unfinished(turn: turn, in: shared.due(step, config)))
    }

    /// Records which faults have fired since the last look.
    func noteFaults() throws {
        for (index, fault) in faults.enumerated() where !notedFaults.contains(index) {
            guard let fired = shared.faultFired(index) else { continue }
            notedFaults.insert(index)
            try ledger.put(FaultRow(session: session, fault: index, text: fault.description, firedNanoseconds: fired, mechanism: shared.faultMechanism(index)))
        }
    }

    /// Records the incident of a worker that ended without being asked to: what, whose, since when.
    private func note(_ member: Member, _ row: ReplicaRow, _ exit: WorkerProcess.Exit, _ detected: UInt64) throws -> Int {
        let last = member.lastEvent
        let cause: String, kind: IncidentKind
        switch exit {
        case .exited(let status): (cause, kind) = ("exited with status \(status)", .death)
        case .signalled(let signal): (cause, kind) = ("killed by signal \(signal)", signal == SIGSEGV || signal == SIGBUS ? .segfault : .crash)
        }
        // Its last words name the fault; one that a notice ran out on has said nothing.
        var fault = last?.phase == .fault ? Int(last!.unit) : nil
        if fault == nil, exit == .signalled(signal: Int(SIGKILL)) {
            fault = culprit { $0.kind == .preempt && $0.worker == row.slot }?.index
        }
        let place = fault.map { " at \(faults[$0].point.rawValue)" } ?? last?.phase.map { " in \($0)" } ?? " before its first sign"
        return try open(kind, member, onset: last?.phase == .fault ? last!.nanoseconds : detected, isExact: last?.phase == .fault, fault: fault,
            detected: detected, "worker \(row.slot) \(cause)\(place) of step \(step)")
    }

    /// The first injected fault of a kind that has struck and that nobody blames for anything yet.
    func culprit(_ fits: (Fault) -> Bool) -> (index: Int, fired: UInt64)? {
        for index in faults.indices where fits(faults[index]) && !blamed.contains(index) {
            if let fired = shared.faultFired(index) { return (index, fired) }
        }
        return nil
    }

    /// - Parameters:
    ///   - onset: exact when a fault said so itself.
    func open(
        _ kind: IncidentKind, _ member: Member, onset: UInt64, isExact: Bool? = nil, fault: Int?, detected: UInt64, _ description: String
    ) throws -> Int {
        if let fault { blamed.insert(fault) }
        let incident = IncidentRow(
            incident: nextIncident, session: session, kind: kind, replica: member.row.replica, slot: member.row.slot, step: step,
            onsetNanoseconds: min(onset, detected), onsetIsExact: isExact ?? (fault != nil), detectedNanoseconds: detected, plannedNanoseconds: nil, leavesReassigned: 0,
            fault: fault, description: description)
        nextIncident += 1
        lastIncident = incident.description
        try ledger.put(incident)
        // One that costs nobody anything changes no view.
        if [.stall, .preempt, .veto].contains(kind) { notify(.message(description)) } else { openIncidents.append(incident) }
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
        if case let bytes = shared.residentBytes(slot), bytes > 0 {
            (member.row.sentBytes, member.row.hiddenBytes, member.row.residentBytes) = (shared.sentBytes(slot), shared.hiddenBytes(slot), bytes)
        }
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

    // MARK: Slots: what is paid for

    private func openSlot(_ slot: Int) throws {
        let now = MonotonicClock.nanoseconds()
        let row = SlotRow(session: session, slot: slot, openedNanoseconds: now, closedNanoseconds: now)
        if slot == slotRows.count { slotRows.append(row) } else { slotRows[slot] = row }
        try ledger.put(row)
    }

    func closeSlot(_ slot: Int) throws {
        guard slotRows[slot].closedNanoseconds <= slotRows[slot].openedNanoseconds else { return }
        slotRows[slot].closedNanoseconds = MonotonicClock.nanoseconds()
        replacementFor[slot] = nil
        try ledger.put(slotRows[slot])
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
        for slot in slotRows.indices { try closeSlot(slot) }
        try ledger.end(session: session, at: MonotonicClock.nanoseconds())
    }

    // MARK: RunProgress and the end

    func progress(at now: UInt64) -> RunProgress {
        let first = recentCommits.first, last = recentCommits.last
        let seconds = first.flatMap { f in last.map { Double($0.nanoseconds - f.nanoseconds) * 1e-9 } } ?? 0
        let rate = seconds > 0 ? Double(last!.step - first!.step) / seconds : 0
        let provisioned = slotRows.reduce(0) { sum, row in
            let end = row.closedNanoseconds > row.openedNanoseconds ? row.closedNanoseconds : members[row.slot]?.lastEvent?.nanoseconds ?? now
            return sum + Double(max(end, row.openedNanoseconds) - row.openedNanoseconds)
        }
        let compute = members.values.reduce(Double(finishedCompute)) { $0 + Double($1.computeNanoseconds) }
        return RunProgress(
            step: step, steps: config.steps, loss: lastLoss, tokensPerSecond: rate * Double(config.tokensPerStep),
            computeNanoseconds: compute, provisionedNanoseconds: provisioned, alive: members.count, slots: slotRows.count { $0.closedNanoseconds <= $0.openedNanoseconds },
            lastIncident: lastIncident, secondsLeft: rate > 0 ? Double(config.steps - step) / rate : nil)
    }

    /// After the last worker has left: the closing checkpoint, and the slots are given back.
    func closeSession() throws {
        outcome = isComplete ? .finished : .interrupted
        let last = try finalCheckpoint()
        // The run is not over before its result is safe: `resume` writes it again.
        guard last.durable else {
            keepsSegment = true
            throw UserError(.unwritable, last.said)
        }
        if outcome == .finished { try ledger.setFact(RunFact.finalDigest, finalDigest()) }
        let peaks = slotRows.indices.map { shared.peakFlops($0) }.filter { $0 > 0 }
        if let peak = peaks.max() { try ledger.setFact(RunFact.peakFlopsPerWorker, String(peak)) }
        let allocations = slotRows.indices.reduce(0) { $0 + shared.stepAllocations($1) }
        try ledger.setFact(RunFact.stepAllocations, String(allocations))
        try noteFaults()
        if description.options.leafNanoseconds > 0 {
            let leaves = slotRows.indices.map { shared.pacedLeaves($0) }
            try ledger.setFact(RunFact.pacedLeaves, String(leaves.reduce(0) { $0 + $1.all }))
            try ledger.setFact(RunFact.lateLeaves, String(leaves.reduce(0) { $0 + $1.late }))
        }
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
