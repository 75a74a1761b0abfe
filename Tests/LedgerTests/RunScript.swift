import Ledger

/// Writes a run by hand: a clock that the script moves, events by slot. Times are nanoseconds; `second` helps.
struct RunScript {
    static let second: UInt64 = 1_000_000_000
    static let millisecond: UInt64 = 1_000_000

    var record = RunRecord()
    var now: UInt64 = 0
    /// Committed steps.
    var step = 0
    var session = 0
    private(set) var replicaInSlot: [Int: Int] = [:]
    private var view = 1
    private var runDelay: [Int: UInt64] = [:]

    init(outcome: String = "finished") {
        record.facts[RunFact.outcome] = outcome
    }

    /// Opens slots and spawns a first worker in each; they initialise until `now + initialise`.
    mutating func begin(slots: Int, initialise: UInt64, startStep: Int = 0, source: String = "initial") {
        session += 1
        step = startStep
        replicaInSlot = [:]
        record.sessions.append(SessionRow(
            session: session, startedNanoseconds: now, endedNanoseconds: nil, startedUnixSeconds: 0, startStep: startStep, source: source))
        for slot in 0..<slots {
            record.slots.append(SlotRow(session: session, slot: slot, openedNanoseconds: now, closedNanoseconds: now))
            spawn(slot)
        }
        now += initialise
    }

    /// Starts a worker now; it enters `initialise` at once.
    mutating func spawn(_ slot: Int, incident: Int? = nil, silent: Bool = false) {
        let replica = record.replicas.count + 1
        replicaInSlot[slot] = replica
        record.replicas.append(ReplicaRow(
            replica: replica, session: session, slot: slot, pid: 1000 + replica, incident: incident, spawnedNanoseconds: now))
        if !silent { event(slot, .initialise) }
    }

    /// `slot` enters `phase` now. `delay`: run delay since its last event.
    mutating func event(_ slot: Int, _ phase: Phase, unit: Int = 0, at time: UInt64? = nil, delay: UInt64 = 0, step: Int? = nil) {
        let replica = replica(slot)
        runDelay[replica, default: 0] += delay
        record.flights[replica, default: []].append(FlightEvent(
            nanoseconds: time ?? now, runDelayNanoseconds: runDelay[replica] ?? 0, step: UInt32(step ?? self.step), view: UInt32(view),
            unit: UInt32(unit), phase: phase))
    }

    func replica(_ slot: Int) -> Int { replicaInSlot[slot] ?? -1 }

    mutating func newView() { view += 1 }

    /// Commits the step under way now. `leaves`: the replica credited for each.
    mutating func commit(_ leaves: [Int], tokens: Int = 100) {
        step += 1
        record.commits.append(CommitRow(
            session: session, step: step, view: view, nanoseconds: now, lossSum: Double(tokens) * (1 + 3 / Double(step)), tokens: tokens,
            gradientNorm: 1, learningRate: 1e-3, parentHash: "state-\(step - 1)", stateHash: "state-\(step)", leafReplicas: leaves))
    }

    /// Goes back to an older state now.
    mutating func rewind(to older: Int, for incident: Int? = nil) {
        record.setbacks.append(SetbackRow(session: session, step: step, nanoseconds: now, kind: .rewind, toStep: older, incident: incident))
        step = older
    }

    /// A whole step of all slots in lockstep: leaf s by slot s, each taking its own time, the slowest deciding.
    mutating func wholeStep(_ durations: [UInt64]) {
        let slowest = durations.max() ?? 0
        for (slot, duration) in durations.enumerated() {
            event(slot, .forward, unit: slot)
            event(slot, .backward, unit: slot, at: now + duration / 2)
            if duration < slowest { event(slot, .awaitLeaves, at: now + duration) }
        }
        now += slowest
        for slot in durations.indices { event(slot, .awaitCommit) }
        commit(durations.indices.map { replica($0) })
    }

    mutating func wholeSteps(_ count: Int, slots: Int = 1, duration: UInt64 = second) {
        for _ in 0..<count { wholeStep(Array(repeating: duration, count: slots)) }
    }

    /// The worker of `slot` dies now, is noticed after `unnoticed`, planned around and reaped at the same instant.
    @discardableResult
    mutating func die(_ slot: Int, unnoticed: UInt64 = 0, reassigned: Int = 1) -> Int {
        let incident = record.incidents.count + 1, detected = now + unnoticed, replica = replica(slot)
        event(slot, .fault)
        record.incidents.append(IncidentRow(
            incident: incident, session: session, kind: .crash, replica: replica, slot: slot, step: step,
            onsetNanoseconds: now, onsetIsExact: true, detectedNanoseconds: detected, plannedNanoseconds: detected,
            leavesReassigned: reassigned, fault: nil, description: "worker \(slot) killed by signal 9 in step \(step)"))
        end(replica, at: detected, exit: "signalled", code: 9)
        return incident
    }

    mutating func end(_ replica: Int, at time: UInt64, exit: String = "exited", code: Int = 0) {
        let index = record.replicas.firstIndex { $0.replica == replica }!
        record.replicas[index].endedNanoseconds = time
        record.replicas[index].reapedNanoseconds = time
        record.replicas[index].exit = exit
        record.replicas[index].exitCode = code
    }

    /// All living workers leave and the session ends, now.
    mutating func close() {
        for (slot, replica) in replicaInSlot where record.replicas.contains(where: { $0.replica == replica && $0.endedNanoseconds == nil }) {
            event(slot, .leave)
            end(replica, at: now)
        }
        for index in record.slots.indices where record.slots[index].session == session { record.slots[index].closedNanoseconds = now }
        record.sessions[session - 1].endedNanoseconds = now
    }
}

// Whole runs of one slot that several suites judge.
extension RunScript {
    /// One second to start, 50 steps, a crash just after a commit, 30 seconds to a new worker, 50 steps.
    static func crashAfterACommit() -> RunScript {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50)
        run.die(0)
        run.spawn(0, incident: 1)
        run.now += 30 * second
        run.wholeSteps(50)
        run.close()
        return run
    }

    /// One second to start, 49 steps, five attempts of a second each that are given up, 51 steps.
    static func stepAbortedInPlaceFiveTimes() -> RunScript {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(49)
        for _ in 0..<5 {
            run.event(0, .forward)
            run.event(0, .backward, at: run.now + second / 2)
            run.now += second
            run.newView()
        }
        run.wholeSteps(51)
        run.close()
        return run
    }
}

/// Seconds by code, leaving out what is zero.
func seconds(_ bill: Bill) -> [String: Double] {
    bill.filter { $0.value != 0 }.reduce(into: [:]) { $0[$1.key.code] = Double($1.value) / 1e9 }
}
