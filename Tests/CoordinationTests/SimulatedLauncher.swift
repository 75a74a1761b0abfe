import Coordination

// The launcher around the two machines: `Launcher` with ledger, clock and processes taken out. What it decides becomes a
// list of operations, each one store or one system call; it can die between any two of them, and workers go on meanwhile.

struct SimulatedLauncher {
    struct Member: Equatable {
        var replica: Int
        var isReady = false, isDraining = false, isStopped = false
    }

    enum Operation {
        case assignLeaves([Int]), assignChunks([Int]), assignEvaluations([Int])
        case admit(slot: Int), dismiss(slot: Int), kill(slot: Int), spawn(slot: Int)
        case setCurrent(Int), setNext(Int), setStop(Bool), setTurn(step: Int), newTurn(step: Int), setView(Int), ring
        case recordView(Int), recordCommit(step: Int, generation: Int), recorded(step: Int)
        case startWriter(generation: Int), killWriter
        case releaseClaims(slot: Int), ended(slot: Int)
        case discard, restore(chunk: Int, from: Int), rewound(step: Int)
        case leaveIfComplete, clearSlots, open, giveUp
    }

    /// Counts launchers of the run.
    var session: Int
    var isAlive = true
    var views: ViewMachine
    var commits: CommitMachine
    let workers: Int, spares: Int
    /// By slot.
    var members: [Member?] = Array(repeating: nil, count: SimulatedMemory.slotsMaximum)
    var spawns: [(slot: Int, at: Int)] = []
    /// Slots whose worker was lost: the next one comes after the respawn delay.
    var replaced: Set<Int> = []
    var step: Int
    var evaluated: Int?
    var checkpointWanted = false, stopWanted = false
    /// Still to be done, the next one last; so many are left from earlier ticks.
    var operations: [Operation] = [], left = 0
    var phase = 0
    var wake: Int, isAsleep = false, isRung = false
    var leaveDeadline: Int?
}

/// A process that copies a pinned generation, chunk by chunk.
struct SimulatedWriter {
    let generation: Int, step: Int
    var copied: [UInt64] = []
    var wake: Int
}

extension StepSimulation {
    /// One store; or looks at the world, until one of them wants something done.
    mutating func tickLauncher() {
        launcher.isAsleep = false
        launcher.wake = now + random.draw(1...3) + (random.isOne(in: 60) ? random.draw(150) : 0)
        let operation = launcher.operations.popLast()
        launcher.left = launcher.operations.count
        if let operation {
            if diesBefore(operation) { return }
            if story != nil { tell("launcher \(operation)") }
            return execute(operation)
        }
        repeat {
            look()
        } while launcher.operations.isEmpty && !launcher.isAsleep && !random.isOne(in: 3) && !isFinished
    }

    private mutating func look() {
        let phase = launcher.phase
        launcher.phase = (phase + 1) % 9
        switch phase {
        case 0, 3: lookAtVotes()
        case 1: lookAtSlots()
        case 2: if lookAtDeaths() { launcher.phase = phase }
        case 4: lookAtSignals()
        case 5: lookAtWishes()
        case 6: spawnDue()
        case 7: watch()
        default:
            if launcher.members.allSatisfy({ $0 == nil }) && launcher.spawns.isEmpty { return endSession() }
            checkOwners()
            let news = workers.filter { !$0.isAlive && $0.noticeAt > now }.map(\.noticeAt).min() ?? .max
            launcher.wake = min(news, now + (launcher.isRung ? 1 : Self.tenth))
            (launcher.isAsleep, launcher.isRung) = (true, false)
        }
    }

    /// After what this tick has scheduled, before what was left from earlier ones.
    mutating func schedule(_ operations: [SimulatedLauncher.Operation]) {
        launcher.operations.insert(contentsOf: operations.reversed(), at: launcher.left)
    }

    // MARK: Looking

    var isComplete: Bool { launcher.step == shape.steps && (shape.evaluations == 0 || launcher.evaluated == launcher.step) }

    private mutating func lookAtVotes() {
        guard case .computing(let step) = launcher.commits.state else { return lookAtEvaluations() }
        let complete = memory.updates.allDone(memory.turn)
        lookAtEvaluations()
        carryOut(launcher.commits.receive(.votes(step: step, complete: complete)))
    }

    mutating func carryOut(_ effects: [CommitMachine.Effect]) {
        for effect in effects {
            switch effect {
            case .record(let step):
                let record = SimulatedLauncher.Operation.recordCommit(step: step, generation: memory.next)
                switch mutation {
                case .recordedTwice: schedule([record, record, .recorded(step: step)])
                case .announcedBeforeRecord: schedule([.recorded(step: step), record])
                default: schedule([record, .recorded(step: step)])
                }
            case .announce(let step, let stop): announce(committed: step, stop: stop)
            }
        }
    }

    private mutating func lookAtEvaluations() {
        let step = launcher.step
        if shape.due(step) > 0, launcher.evaluated != step, memory.step == step, memory.evaluations.allDone(memory.turn, below: shape.due(step)) {
            launcher.evaluated = step
            ledger.evaluated.insert(step)
            let weights = Arithmetic.weights(chain[step])
            need(memory.results.indices.allSatisfy { memory.results[$0] == Arithmetic.evaluation($0, weights: weights) }, "the validation pass of step \(step) has another result")
        }
        if isComplete && !memory.stop { leave() }
    }

    private mutating func lookAtSlots() {
        if memory.stop { return }
        for slot in launcher.members.indices {
            guard let member = launcher.members[slot], memory.slots[slot].replica == member.replica, !random.isOne(in: 8) else { continue }
            let state = memory.slots[slot].state
            if !member.isReady, state == .ready || state == .draining && random.isOne(in: 2) {
                launcher.members[slot]!.isReady = true
                carryOut(launcher.views.receive(.ready(slot: slot)), ring: true)
                if random.isOne(in: 4) {
                    counts.repeated += 1
                    carryOut(launcher.views.receive(.ready(slot: slot)), ring: true)
                }
            }
            if state == .draining, !member.isDraining {
                launcher.members[slot]!.isDraining = true
                carryOut(launcher.views.receive(.draining(slot: slot)), ring: true)
            }
        }
    }

    /// - Returns: whether somebody was found dead; there may be more.
    private mutating func lookAtDeaths() -> Bool {
        if !echoes.isEmpty, random.isOne(in: 4) {
            let echo = echoes.removeFirst()
            counts.repeated += 1
            let isKnown = launcher.members[echo.slot].map { $0.replica == echo.replica } ?? false
            if isKnown || mutation == .heedsTheDead && launcher.members[echo.slot] != nil {
                launcher.members[echo.slot] = nil
                schedule([.releaseClaims(slot: echo.slot), .ended(slot: echo.slot)])
                return true
            }
        }
        guard let index = workers.firstIndex(where: { !$0.isAlive && $0.noticeAt <= now }) else { return false }
        let gone = workers.remove(at: index), slot = gone.slot
        guard let member = launcher.members[slot], member.replica == gone.replica else { return true }
        launcher.members[slot] = nil
        if random.isOne(in: 3) { echoes.append((slot, gone.replica)) }
        if memory.stop { return true }
        if member.isStopped || member.isDraining || launcher.views.slots[slot] != .leaving { launcher.replaced.insert(slot) } else { launcher.replaced.remove(slot) }
        schedule(mutation == .claimsKept ? [.ended(slot: slot)] : [.releaseClaims(slot: slot), .ended(slot: slot)])
        return true
    }

    private mutating func lookAtSignals() {
        if signalled.checkpoint { (signalled.checkpoint, launcher.checkpointWanted) = (false, true) }
        if signalled.stop, !launcher.stopWanted {
            (signalled.stop, launcher.stopWanted) = (false, true)
            counts.stops += 1
            _ = launcher.views.receive(.stopping)
            _ = launcher.commits.receive(.stopRequested)
            if launcher.views.view.members.isEmpty || launcher.step == shape.steps { leave() }
        }
        if memory.stop {
            launcher.leaveDeadline = launcher.leaveDeadline ?? now + Self.leaveTime
            if now > launcher.leaveDeadline! { for slot in launcher.members.indices where launcher.members[slot] != nil { execute(.kill(slot: slot)) } }
        }
        // Votes of a step that is decided, seen again.
        if random.isOne(in: 50), launcher.step > 0 {
            counts.repeated += 1
            carryOut(launcher.commits.receive(.votes(step: launcher.step - 1, complete: true)))
            carryOut(launcher.commits.receive(.recorded(step: launcher.step)))
        }
    }

    private mutating func lookAtWishes() {
        let wanted = memory.wantedWorkers
        memory.wantedWorkers = 0
        guard wanted > 0, !launcher.stopWanted, !isComplete, wanted <= shape.leaves, wanted + launcher.spares <= SimulatedMemory.slotsMaximum else { return }
        counts.resizes += 1
        carryOut(launcher.views.receive(.resize(workers: wanted)), ring: true)
    }

    private mutating func spawnDue() {
        if memory.stop { launcher.spawns.removeAll() }
        while let next = launcher.spawns.firstIndex(where: { $0.at <= now }) { schedule([.spawn(slot: launcher.spawns.remove(at: next).slot)]) }
    }

    /// Fences workers that stand still. Whether they really do is not asked: any may be fenced.
    private mutating func watch() {
        guard !memory.stop, let index = workers.firstIndex(where: { $0.isAlive && now - ($0.hungSince ?? now) > Self.hangLimit }) else { return }
        let slot = workers[index].slot
        guard launcher.members[slot]?.replica == workers[index].replica else { return }
        counts.fenced += 1
        if mutation == .unfenced {
            launcher.members[slot] = nil
            schedule([.releaseClaims(slot: slot), .ended(slot: slot)])
        } else {
            kill(worker: index)
        }
    }

    /// Whoever is owed a unit is in, or somebody living computes it.
    private mutating func checkOwners() {
        let view = launcher.views.view, turn = memory.turn
        guard !view.members.isEmpty, memory.view == view.number, !memory.stop, workers.allSatisfy({ $0.isAlive }) else { return }
        for leaf in memory.leaves.unfinished(turn) {
            let owner = memory.leaves.owners[leaf], claimant = memory.claimant(of: leaf, turn)
            need(view.members.contains(claimant ?? owner), "leaf \(leaf) is left with slot \(claimant ?? owner), which is not in view \(view.number)")
        }
        for chunk in memory.updates.unfinished(turn) {
            need(view.members.contains(memory.updates.owners[chunk]), "chunk \(chunk) is left with somebody who is gone")
        }
        for unit in memory.evaluations.unfinished(turn, below: shape.due(memory.step)) {
            need(view.members.contains(memory.evaluations.owners[unit]), "validation unit \(unit) is left with somebody who is gone")
        }
    }

    // MARK: Deciding

    mutating func carryOut(_ effects: [ViewMachine.Effect], ring: Bool) {
        var operations: [SimulatedLauncher.Operation] = []
        if story != nil && !effects.isEmpty {
            let slots = launcher.views.slots, brief = effects.map { String("\($0)".prefix(90)) }
            tell("views \(brief), slots \(slots)")
        }
        for effect in effects {
            switch effect {
            case .spawn(let slot):
                if launcher.replaced.contains(slot) && shape.respawnDelay > 0 {
                    launcher.spawns.append((slot, now + shape.respawnDelay))
                } else {
                    operations.append(.spawn(slot: slot))
                }
            case .dismiss(let slot): operations.append(.dismiss(slot: slot))
            case .kill(let slots): operations += slots.map { .kill(slot: $0) }
            case .rewind:
                counts.rewinds += 1
                let from = ledger.checkpoints.max() ?? 0
                operations.append(.killWriter)
                if mutation != .rewindKeepsTheTurn { operations.append(.newTurn(step: memory.step)) }
                operations += (0..<Self.chunkCount).map { .restore(chunk: $0, from: from) }
                operations += [.setCurrent(0), .setNext(1), .newTurn(step: from), .rewound(step: from)]
            case .close, .abandon: break
            case .discard:
                counts.discards += 1
                operations.append(.discard)
            case .replan(let plan): operations += stores(plan)
            case .announce(let view, _, _):
                counts.views += 1
                operations += stores(view.plan) + view.members.map { .admit(slot: $0) }
                let words: [SimulatedLauncher.Operation] = [.setView(view.number)] + (ring ? [.ring] : [])
                let record = SimulatedLauncher.Operation.recordView(view.number)
                operations += mutation == .viewRecordedAfterwards ? words + [record] : [record] + words
            case .giveUp: operations.append(.giveUp)
            }
        }
        schedule(operations)
    }

    private func stores(_ plan: Plan) -> [SimulatedLauncher.Operation] {
        [.assignLeaves(plan.leafOwners), .assignChunks(plan.chunkOwners), .assignEvaluations(plan.evaluationOwners)]
    }

    private mutating func announce(committed: Int, stop: Bool) {
        launcher.step = committed
        let current = memory.next, step = launcher.step
        if step % shape.checkpointEvery == 0 { launcher.checkpointWanted = true }
        let checkpoint = launcher.checkpointWanted && !stop && step < shape.steps && writer == nil
        let pinned = mutation == .pinForgotten ? nil : checkpoint ? current : writer?.generation
        let next = (0..<SimulatedMemory.generationCount).first { $0 != current && $0 != pinned }!
        let announcement = words(step: step, current: current, next: next, stop: stop)
        if mutation == .ownersAfterTheTurn { schedule(announcement) }
        if !stop { carryOut(launcher.views.receive(.committed), ring: false) }
        if mutation != .ownersAfterTheTurn { schedule(announcement) }
        if checkpoint {
            launcher.checkpointWanted = false
            schedule([.startWriter(generation: current)])
        }
        if !stop { schedule([.leaveIfComplete]) }
    }

    func words(step: Int, current: Int, next: Int, stop: Bool) -> [SimulatedLauncher.Operation] {
        let generations: [SimulatedLauncher.Operation] = [.setCurrent(current), .setNext(next), .setStop(stop)]
        return mutation == .turnBeforeGenerations ? [.setTurn(step: step)] + generations + [.ring] : generations + [.setTurn(step: step), .ring]
    }

    mutating func leave() {
        _ = launcher.views.receive(.stopping)
        schedule(words(step: launcher.step, current: memory.current, next: memory.next, stop: true))
    }

    func unfinished() -> Unfinished {
        let turn = memory.turn
        let leaves = memory.leaves.unfinished(turn).filter { leaf in
            memory.claimant(of: leaf, turn).map { launcher.members[$0] == nil } ?? true
        }
        return Unfinished(leaves: leaves, chunks: memory.updates.unfinished(turn),
            evaluationUnits: memory.evaluations.unfinished(turn, below: shape.due(launcher.step)))
    }
}
