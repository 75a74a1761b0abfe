// What a worker does, one access to the shared memory after the other: `Worker.run` and `TrainStep` with everything that
// takes time taken out. Between two ticks anything may happen to it and around it.

struct SimulatedWorker {
    /// Where in the code it is. A unit is begun (its memory is garbage from then on), ended, and stamped.
    enum Place: Equatable {
        case coming, rendezvous
        case readTurn, checkAdmission
        case compute, claim, leafBegin, leafEnd, leafStamp, awaitLeaves
        case evaluationBegin, evaluationEnd, evaluationStamp
        case reduce, reduceBegin, reduceEnd, reduceStamp
        case updateStart, update, updateBegin, updateEnd, updateStamp, awaitCommit
        case finalEvaluation
        case gone
    }

    let replica: Int, slot: Int
    /// Of the launcher that started it.
    let session: Int
    var place = Place.coming
    /// When it does the next thing; a sleeper is woken earlier by a ring.
    var wake: Int
    var isAsleep = false
    /// 1 as a rule; a straggler takes so many times as long.
    var slowness = 1
    /// When the launcher can know that it is gone.
    var noticeAt = 0
    /// Told to make room by SIGTERM.
    var isTerminated = false
    var hungSince: Int?
    var launcherGoneSince: Int?

    var turn = 0, unit = 0
    var old = 0, new = 0
    var seen: UInt64 = 0, norm: UInt64 = 0
    var discards = 0
    /// The generation it reads, and the one it writes, right now.
    var reading: Int?, writing: Int?
    /// The leaf, the chunk to reduce whose memory it writes right now.
    var writingLeaf: Int?, writingChunk: Int?

    init(replica: Int, slot: Int, session: Int, wake: Int) {
        (self.replica, self.slot, self.session, self.wake) = (replica, slot, session, wake)
    }

    var isAlive: Bool { place != .gone }
    var isInMiddleOfUnit: Bool { reading != nil || writing != nil || writingLeaf != nil || writingChunk != nil }
    /// It waits for its admission, or comes up to it: ended with its launcher.
    var isAdmitted: Bool { place != .coming && place != .rendezvous }
}

extension StepSimulation {
    mutating func tick(worker index: Int) {
        var worker = workers[index]
        worker.isAsleep = false
        worker.hungSince = nil
        worker.wake = now + pause(worker.slowness)
        advance(&worker)
        // Where it has looked and not yet acted a pause does most harm.
        if [.claim, .checkAdmission, .readTurn].contains(worker.place), random.isOne(in: 32) { worker.wake = now + random.draw(1...3000) }
        if !worker.isAlive { worker.noticeAt = now + lateness() }
        if story != nil, workers[index].place != worker.place {
            let turn = "\(worker.turn >> 32)/\(SimulatedMemory.step(of: worker.turn))"
            tell("worker \(worker.replica)@\(worker.slot) \(workers[index].place) → \(worker.place) \(worker.unit), turn \(turn)")
        }
        workers[index] = worker
    }

    private mutating func advance(_ worker: inout SimulatedWorker) {
        let slot = worker.slot, turn = worker.turn, step = SimulatedMemory.step(of: turn)
        let due = shape.due(step)
        switch worker.place {
        case .coming:
            memory.slots[slot].replica = worker.replica
            memory.slots[slot].state = .ready
            ringDoorbell()
            worker.place = .rendezvous
        case .rendezvous:
            let admitted = memory.slots[slot].admitted
            if admitted == worker.replica {
                worker.place = first
            } else if memory.stop || admitted == SimulatedMemory.nobody || worker.isTerminated {
                if worker.isTerminated { memory.slots[slot].state = .draining }
                worker.place = .gone
            } else {
                sleep(&worker)
            }
        case .readTurn:
            worker.turn = memory.turn
            worker.place = mutation == .turnReadAfterAdmission ? beginning(SimulatedMemory.step(of: worker.turn)) : .checkAdmission
        case .checkAdmission:
            if memory.stop || memory.slots[slot].admitted != worker.replica {
                worker.place = .gone
            } else {
                worker.place = mutation == .turnReadAfterAdmission ? .readTurn : beginning(step)
            }
        case .compute, .awaitLeaves:
            guard memory.turn == turn else { return worker.place = first }
            noteDrain(worker)
            if let unit = memory.evaluations.nextOwned(by: slot, turn, below: due) {
                (worker.unit, worker.place) = (unit, .evaluationBegin)
            } else if let leaf = memory.freeLeaf(for: slot, turn) {
                (worker.unit, worker.place) = (leaf, .claim)
            } else if memory.leaves.allDone(turn) && memory.evaluations.allDone(turn, below: due) {
                ring()
                worker.place = .reduce
            } else if worker.place == .compute {
                ring()
                worker.place = .awaitLeaves
            } else {
                sleep(&worker)
            }
        case .claim:
            worker.place = .compute
            guard memory.claimant(of: worker.unit, turn) == nil else { return }
            memory.claims[worker.unit] = ((turn >> 32) + 1, slot)
            if memory.leaves.owners[worker.unit] != slot { counts.leavesHelpedOut += 1 }
            worker.place = .leafBegin
        case .leafBegin, .leafEnd, .leafStamp: computeLeaf(&worker, step)
        case .evaluationBegin, .evaluationEnd, .evaluationStamp: evaluate(&worker, step)
        case .reduce: seek(&worker, memory.reductions, begin: .reduceBegin, done: .updateStart)
        case .reduceBegin, .reduceEnd, .reduceStamp: reduce(&worker)
        case .updateStart:
            (worker.old, worker.new) = (memory.current, memory.next)
            worker.norm = Arithmetic.norm(memory.squares)
            worker.place = .update
        case .update: seek(&worker, memory.updates, begin: .updateBegin, done: .awaitCommit)
        case .updateBegin, .updateEnd, .updateStamp: update(&worker, step)
        case .awaitCommit:
            if memory.turn != turn || memory.stop { worker.place = first } else { sleep(&worker) }
        case .finalEvaluation:
            if memory.stop { return worker.place = .gone }
            guard memory.turn == turn else { return worker.place = first }
            noteDrain(worker)
            if let unit = memory.evaluations.nextOwned(by: slot, turn, below: due) {
                (worker.unit, worker.place) = (unit, .evaluationBegin)
            } else {
                sleep(&worker)
            }
        case .gone: break
        }
    }

    /// Of a step: what it is an attempt at first, then whether to take part; `turnReadAfterAdmission`: the other way round.
    private var first: SimulatedWorker.Place { mutation == .turnReadAfterAdmission ? .checkAdmission : .readTurn }
    private func beginning(_ step: Int) -> SimulatedWorker.Place { step == shape.steps ? .finalEvaluation : .compute }

    /// `eachOwned`: an own chunk, or the next phase, or sleep.
    private mutating func seek(
        _ worker: inout SimulatedWorker, _ table: SimulatedTable, begin: SimulatedWorker.Place, done: SimulatedWorker.Place
    ) {
        guard memory.turn == worker.turn else { return worker.place = first }
        if let chunk = table.nextOwned(by: worker.slot, worker.turn) {
            (worker.unit, worker.place) = (chunk, begin)
        } else if table.allDone(worker.turn) {
            worker.place = done
        } else {
            sleep(&worker)
        }
    }

    private mutating func computeLeaf(_ worker: inout SimulatedWorker, _ step: Int) {
        let leaf = worker.unit
        switch worker.place {
        case .leafBegin:
            need(memory.slots[worker.slot].admitted == worker.replica && !memory.stop, "worker \(worker.slot) begins a leaf after it was told to go")
            need(!workers.contains { $0.isAlive && $0.replica != worker.replica && $0.writingLeaf == leaf }, "two workers compute leaf \(leaf)")
            read(memory.current, &worker)
            worker.discards = discards
            worker.writingLeaf = leaf
            worker.seen = Arithmetic.weights(memory.generations[memory.current])
            memory.gradients[leaf] = garbage()
            worker.place = .leafEnd
        case .leafEnd:
            let now = Arithmetic.weights(memory.generations[worker.reading!])
            memory.gradients[leaf] = now == worker.seen ? Arithmetic.leaf(leaf, step: step, weights: now) : garbage()
            memory.leafDiscards[leaf] = worker.discards
            (worker.reading, worker.writingLeaf) = (nil, nil)
            worker.place = .leafStamp
        default:
            memory.leaves.markDone(leaf, worker.turn)
            worker.place = .compute
        }
    }

    private mutating func evaluate(_ worker: inout SimulatedWorker, _ step: Int) {
        let unit = worker.unit
        switch worker.place {
        case .evaluationBegin:
            read(memory.current, &worker)
            worker.seen = Arithmetic.weights(memory.generations[memory.current])
            worker.place = .evaluationEnd
        case .evaluationEnd:
            let now = Arithmetic.weights(memory.generations[worker.reading!])
            memory.results[unit] = now == worker.seen ? Arithmetic.evaluation(unit, weights: now) : garbage()
            worker.reading = nil
            worker.place = .evaluationStamp
        default:
            memory.evaluations.markDone(unit, worker.turn)
            if memory.evaluations.allDone(worker.turn, below: shape.due(step)) {
                ring()
                ringDoorbell()
            }
            worker.place = beginning(step)
        }
    }

    private mutating func reduce(_ worker: inout SimulatedWorker) {
        let chunk = worker.unit
        switch worker.place {
        case .reduceBegin:
            worker.seen = Arithmetic.reduced(memory.gradients, chunk: chunk)
            memory.reduced[chunk] = garbage()
            worker.writingChunk = chunk
            worker.place = .reduceEnd
        case .reduceEnd:
            let now = Arithmetic.reduced(memory.gradients, chunk: chunk)
            memory.reduced[chunk] = now == worker.seen ? now : garbage()
            memory.squares[chunk] = mix(memory.reduced[chunk], 3)
            worker.writingChunk = nil
            worker.place = .reduceStamp
        default:
            memory.reductions.markDone(chunk, worker.turn)
            if let next = memory.reductions.nextOwned(by: worker.slot, worker.turn, from: chunk + 1) {
                (worker.unit, worker.place) = (next, .reduceBegin)
            } else {
                ring()
                worker.place = .reduce
            }
        }
    }

    private mutating func update(_ worker: inout SimulatedWorker, _ step: Int) {
        let chunk = worker.unit
        switch worker.place {
        case .updateBegin:
            let new = worker.new
            need(!workers.contains { $0.isAlive && $0.reading == new }, "generation \(new) is written while somebody computes with it")
            memory.generations[new][chunk] = garbage()
            worker.writing = new
            worker.place = .updateEnd
        case .updateEnd:
            let value = Arithmetic.updated(memory.generations[worker.old][chunk], memory.reduced[chunk], norm: worker.norm, step: step)
            memory.generations[worker.new][chunk] = value
            memory.fingerprints[worker.new][chunk] = value
            worker.writing = nil
            worker.place = .updateStamp
        default:
            memory.updates.markDone(chunk, worker.turn)
            if let next = memory.updates.nextOwned(by: worker.slot, worker.turn, from: chunk + 1) {
                (worker.unit, worker.place) = (next, .updateBegin)
            } else {
                ring()
                if memory.updates.allDone(worker.turn) { ringDoorbell() }
                worker.place = .update
            }
        }
    }

    private mutating func read(_ generation: Int, _ worker: inout SimulatedWorker) {
        need(!workers.contains { $0.isAlive && $0.writing == generation }, "worker \(worker.slot) computes with generation \(generation), which is being written")
        worker.reading = generation
    }

    private mutating func noteDrain(_ worker: SimulatedWorker) {
        guard worker.isTerminated, memory.slots[worker.slot].state == .ready else { return }
        memory.slots[worker.slot].state = .draining
        ringDoorbell()
    }

    /// Until a ring, or a tenth of a second; without a launcher for a second, and then it goes.
    private mutating func sleep(_ worker: inout SimulatedWorker) {
        if launcher.isAlive && launcher.session == worker.session {
            worker.launcherGoneSince = nil
        } else {
            worker.launcherGoneSince = worker.launcherGoneSince ?? now
            if now - worker.launcherGoneSince! > StepSimulation.grace { return worker.place = .gone }
        }
        worker.isAsleep = true
        worker.wake = now + StepSimulation.tenth
    }

    /// Wakes who sleeps, but for rings that are lost.
    mutating func ring() {
        for index in workers.indices where workers[index].isAsleep && workers[index].hungSince == nil {
            if isLost() { continue }
            workers[index].wake = min(workers[index].wake, now + random.draw(1...4))
        }
    }

    mutating func ringDoorbell() {
        guard launcher.isAlive, !isLost() else { return }
        launcher.isRung = true
        if launcher.isAsleep { launcher.wake = min(launcher.wake, now + random.draw(1...4)) }
    }
}
