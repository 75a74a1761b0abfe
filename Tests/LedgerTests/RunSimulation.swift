import Ledger

/// A small run of the real protocol on a simulated clock: workers with leaves, reductions and updates, deaths at any
/// moment, replacements that join at step boundaries, launchers that die and resume from an older step. It writes the
/// rows the runtime would write, and keeps its own sums to compare with.
final class RunSimulation {
    /// What the simulation itself knows, in nanoseconds.
    struct Truth {
        /// On-CPU compute that ended with a result, by session and step.
        var compute: [[Int]: Int] = [:]
        /// On-CPU compute cut short by a death or by the end of a session.
        var cutShort = 0
        var runDelay = 0
        var undetected = 0
        var leavesBegun = 0
    }

    private(set) var record = RunRecord()
    private(set) var truth = Truth()
    private let slots: Int, leaves: Int, steps: Int
    private var random: SplitMix
    private var now: UInt64 = 1_000
    private var queue: [(time: UInt64, order: Int, action: () -> Void)] = []
    private var order = 0
    private var session = 0, step = 0, view = 0, killsLeft = 0, undetected = 0
    private var begun = false, stopping = false, committing = false
    private var workers: [Int: Worker] = [:]
    private var units: [Stage: Units] = [:]

    private enum Stage: Int { case leaves, reduction, update, done }
    private struct Units { var owner: [Int], done: [Int?] }

    private final class Worker {
        let replica: Int, slot: Int
        var alive = true, ready = false, member = false, waiting = false, stage = Stage.leaves
        /// Grows when what the worker was about to do is no longer to be done.
        var epoch = 0
        var phase = Phase.initialise, since: UInt64 = 0, delay: UInt64 = 0, leafSpan = 0
        init(replica: Int, slot: Int) { (self.replica, self.slot) = (replica, slot) }
    }

    init(seed: UInt64) {
        random = SplitMix(state: seed)
        slots = 1 + random.below(5)
        leaves = 4 << random.below(2)
        steps = 3 + random.below(8)
        record.facts = [RunFact.outcome: "finished", RunFact.microbatches: "\(leaves)", RunFact.tokensPerStep: "\(leaves * 10)"]
        killsLeft = random.below(8)
    }

    func run() {
        var sessionsLeft = 1 + random.below(3)
        while true {
            sessionsLeft -= 1
            beginSession()
            let limit = sessionsLeft > 0 ? now + UInt64(random.below(60_000)) : .max
            while let index = queue.indices.min(by: { (queue[$0].time, queue[$0].order) < (queue[$1].time, queue[$1].order) }) {
                if queue[index].time > limit, undetected == 0, !stopping { break }
                let next = queue.remove(at: index)
                now = next.time
                next.action()
            }
            if stopping { return }
            finish()
            step = max(0, step - random.below(4))
        }
    }

    // MARK: Sessions

    private func beginSession() {
        session += 1
        now += 500
        (queue, workers, begun, stopping, committing, undetected) = ([], [:], false, false, false, 0)
        record.sessions.append(SessionRow(
            session: session, startedNanoseconds: now, endedNanoseconds: nil, startedUnixSeconds: 0, startStep: step,
            source: session == 1 ? "initial" : "checkpoint"))
        for slot in 0..<slots {
            record.slots.append(SlotRow(session: session, slot: slot, openedNanoseconds: now, closedNanoseconds: now))
            after(10 + random.below(50)) { [self] in spawn(slot, incident: nil) }
        }
        for _ in 0..<(killsLeft > 0 ? 1 + random.below(killsLeft) : 0) { after(random.below(60_000)) { [self] in kill() } }
    }

    /// All leave; the slots close.
    private func finish() {
        for worker in workers.values.sorted(by: { $0.slot < $1.slot }) where worker.alive {
            now += UInt64(random.below(20))
            cutShort(worker, now)
            if record.flights[worker.replica] != nil { event(worker, .leave) }
            worker.alive = false
            update(worker.replica) { $0.endedNanoseconds = now + 5; $0.reapedNanoseconds = now + 7; $0.exit = "exited"; $0.exitCode = 0 }
        }
        now += 100
        for index in record.slots.indices where record.slots[index].session == session { record.slots[index].closedNanoseconds = now }
        record.sessions[session - 1].endedNanoseconds = now
    }

    // MARK: Births and deaths

    private func spawn(_ slot: Int, incident: Int?) {
        let worker = Worker(replica: record.replicas.count + 1, slot: slot)
        workers[slot] = worker
        worker.since = now
        record.replicas.append(ReplicaRow(
            replica: worker.replica, session: session, slot: slot, pid: 1, incident: incident, spawnedNanoseconds: now))
        then(worker, random.below(400)) { [self] in
            event(worker, .initialise)
            then(worker, random.below(2_000)) { [self] in
                event(worker, .load)
                then(worker, random.below(1_000)) { [self] in
                    event(worker, .rendezvous)
                    worker.ready = true
                    update(worker.replica) { $0.readyNanoseconds = now }
                    formIfNobodyComputes()
                }
            }
        }
    }

    private func kill() {
        let victims = workers.values.filter(\.alive).sorted { $0.slot < $1.slot }
        guard !stopping, !committing, killsLeft > 0, !victims.isEmpty else { return }
        killsLeft -= 1
        let victim = victims[random.below(victims.count)], exact = random.below(2) == 0, onset = now
        let beforeFirstEvent = record.flights[victim.replica] == nil
        victim.alive = false
        if exact && !beforeFirstEvent { event(victim, .fault, died: true) }
        undetected += 1
        after(1 + random.below(3_000)) { [self] in detect(victim, onset: exact && !beforeFirstEvent ? onset : nil, beforeFirstEvent) }
    }

    private func detect(_ victim: Worker, onset: UInt64?, _ beforeFirstEvent: Bool) {
        undetected -= 1
        if onset == nil, !beforeFirstEvent { cutShort(victim, now) }
        truth.undetected += Int(now - (onset ?? now))
        let incident = record.incidents.count + 1
        record.incidents.append(IncidentRow(
            incident: incident, session: session, kind: .crash, replica: victim.replica, slot: victim.slot, step: step,
            onsetNanoseconds: onset ?? now, onsetIsExact: onset != nil, detectedNanoseconds: now, plannedNanoseconds: nil,
            leavesReassigned: 0, fault: nil, description: "worker \(victim.slot) killed"))
        update(victim.replica) { $0.endedNanoseconds = now; $0.reapedNanoseconds = now + 3; $0.exit = "signalled"; $0.exitCode = 9 }
        workers[victim.slot] = nil
        if victim.member, !members.isEmpty { replan("worker \(victim.slot) left") }
        after(5 + random.below(2_000)) { [self] in spawn(victim.slot, incident: incident) }
    }

    private var members: [Worker] { workers.values.filter(\.member).sorted { $0.slot < $1.slot } }

    private func formIfNobodyComputes() {
        guard members.isEmpty, begun || (0..<slots).allSatisfy({ workers[$0]?.ready ?? false }) else { return }
        if begun { admit() } else {
            begun = true
            newStep()
        }
        members.forEach { advance($0) }
    }

    private func admit() {
        for worker in workers.values where worker.ready && !worker.member {
            worker.member = true
            update(worker.replica) { $0.admittedNanoseconds = now }
        }
        replan("joined")
    }

    /// Gives what a lost worker left undone to the members, in turn.
    private func replan(_ reason: String) {
        view += 1
        record.views.append(ViewRow(view: view, session: session, step: step, announcedNanoseconds: now, members: members.map(\.replica), reason: reason))
        for index in record.incidents.indices where record.incidents[index].session == session && record.incidents[index].plannedNanoseconds == nil {
            record.incidents[index].plannedNanoseconds = now
        }
        let living = members.map(\.slot)
        for stage in [Stage.leaves, .reduction, .update] {
            for unit in units[stage]!.owner.indices where units[stage]!.done[unit] == nil && !living.contains(units[stage]!.owner[unit]) {
                units[stage]!.owner[unit] = living[unit % living.count]
            }
        }
        wake()
    }

    // MARK: Steps

    private func newStep() {
        for worker in workers.values where worker.ready && !worker.member {
            worker.member = true
            update(worker.replica) { $0.admittedNanoseconds = now }
        }
        let living = members.map(\.slot)
        for (stage, count) in [(Stage.leaves, leaves), (.reduction, living.count), (.update, living.count)] {
            units[stage] = Units(owner: (0..<count).map { living[$0 * living.count / count] }, done: Array(repeating: nil, count: count))
        }
        for worker in members { (worker.stage, worker.waiting, worker.epoch) = (.leaves, false, worker.epoch + 1) }
        replan("step")
    }

    private func advance(_ worker: Worker) {
        guard worker.alive, worker.stage != .done else { return }
        let mine = units[worker.stage]!.owner.indices.first { units[worker.stage]!.owner[$0] == worker.slot && units[worker.stage]!.done[$0] == nil }
        if let mine {
            if worker.stage == .leaves { computeLeaf(worker, mine) } else { computeChunks(worker, mine) }
        } else if units[worker.stage]!.done.allSatisfy({ $0 != nil }) {
            worker.stage = Stage(rawValue: worker.stage.rawValue + 1)!
            if worker.stage == .done {
                event(worker, .awaitCommit)
                commitSoon()
            } else {
                advance(worker)
            }
        } else {
            event(worker, worker.stage == .leaves ? .awaitLeaves : worker.stage == .reduction ? .awaitReduction : .awaitCommit)
            worker.waiting = true
        }
    }

    private func computeLeaf(_ worker: Worker, _ leaf: Int) {
        event(worker, .input, leaf)
        then(worker, random.below(50)) { [self] in
            event(worker, .forward, leaf)
            truth.leavesBegun += 1
            then(worker, 200 + random.below(500)) { [self] in
                event(worker, .backward, leaf)
                then(worker, 200 + random.below(1_500)) { [self] in
                    units[.leaves]!.done[leaf] = worker.replica
                    event(worker, .glue)
                    wake()
                    then(worker, random.below(20)) { [self] in advance(worker) }
                }
            }
        }
    }

    private func computeChunks(_ worker: Worker, _ unit: Int) {
        let stage = worker.stage
        event(worker, stage == .reduction ? .reduce : .update)
        then(worker, 50 + random.below(400)) { [self] in
            units[stage]!.done[unit] = worker.replica
            // The span ends with the next event, which `advance` records at this instant.
            advance(worker)
            wake()
        }
    }

    /// Everybody who waits and need not any more goes on a little later.
    private func wake() {
        for worker in members where worker.waiting && worker.alive {
            let stage = units[worker.stage]!
            let work = stage.owner.indices.contains { stage.owner[$0] == worker.slot && stage.done[$0] == nil }
            guard work || stage.done.allSatisfy({ $0 != nil }) else { continue }
            worker.waiting = false
            then(worker, 1 + random.below(30)) { [self] in advance(worker) }
        }
    }

    private func commitSoon() {
        guard !committing else { return }
        committing = true
        after(1 + random.below(40)) { [self] in
            if undetected > 0 { committing = false; return commitSoon() }
            step += 1
            record.commits.append(CommitRow(
                session: session, step: step, view: view, nanoseconds: now, lossSum: 1, tokens: leaves * 10, gradientNorm: 1,
                learningRate: 1, parentHash: "state-\(step - 1)", stateHash: "state-\(step)", leafReplicas: units[.leaves]!.done.map { $0! }))
            committing = false
            guard step < steps else {
                stopping = true
                queue = []
                return finish()
            }
            guard !members.isEmpty else { return begunAgain() }
            newStep()
            for worker in members { then(worker, 1 + random.below(30)) { [self] in advance(worker) } }
        }
    }

    /// Everybody died after the votes were in: the step after begins with whoever is ready first.
    private func begunAgain() {
        units[.leaves] = Units(owner: Array(repeating: 0, count: leaves), done: Array(repeating: nil, count: leaves))
        units[.reduction] = Units(owner: [0], done: [nil])
        units[.update] = Units(owner: [0], done: [nil])
        formIfNobodyComputes()
    }

    // MARK: Recording

    private func event(_ worker: Worker, _ phase: Phase, _ unit: Int = 0, died: Bool = false) {
        let length = now - worker.since
        let delay = record.flights[worker.replica] != nil && random.below(3) == 0 ? UInt64(random.below(Int(length) + 1)) : 0
        worker.delay += delay
        truth.runDelay += Int(delay)
        account(worker, Int(length - delay), cut: died || phase == .leave)
        record.flights[worker.replica, default: []].append(FlightEvent(
            nanoseconds: now, runDelayNanoseconds: worker.delay, step: UInt32(step), view: UInt32(view), unit: UInt32(unit), phase: phase))
        (worker.phase, worker.since) = (phase, now)
    }

    /// Sums up the compute of the span that ends now. A leaf counts when its backward pass ends.
    private func account(_ worker: Worker, _ nanoseconds: Int, cut: Bool) {
        switch worker.phase {
        case .forward where !cut: worker.leafSpan = nanoseconds
        case .forward: truth.cutShort += nanoseconds
        case .backward where cut: truth.cutShort += worker.leafSpan + nanoseconds
        case .backward: truth.compute[[session, step], default: 0] += worker.leafSpan + nanoseconds
        case .reduce, .update:
            if cut { truth.cutShort += nanoseconds } else { truth.compute[[session, step], default: 0] += nanoseconds }
        default: break
        }
    }

    /// A death nobody recorded: as far as the record knows, the span went on until now.
    private func cutShort(_ worker: Worker, _ now: UInt64) {
        guard !worker.alive else { return }
        account(worker, Int(now - worker.since), cut: true)
    }

    private func update(_ replica: Int, _ change: (inout ReplicaRow) -> Void) { change(&record.replicas[replica - 1]) }

    private func after(_ delay: Int, _ action: @escaping () -> Void) {
        order += 1
        queue.append((now + UInt64(delay), order, action))
    }

    private func then(_ worker: Worker, _ delay: Int, _ action: @escaping () -> Void) {
        let epoch = worker.epoch
        after(delay) { if worker.alive && worker.epoch == epoch { action() } }
    }
}

/// SplitMix64, for tests alone.
struct SplitMix {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(limit))
    }
}
