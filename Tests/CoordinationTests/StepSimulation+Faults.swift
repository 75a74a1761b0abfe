import Coordination

/// What befalls the run, and how launchers follow one another.
extension StepSimulation {
    mutating func befall() {
        faultsLeft -= 1
        lastFault = counts.events
        nextFault = counts.events + 1 + random.draw(random.isOne(in: 3) ? 16 : 400)
        let living = workers.indices.filter { workers[$0].isAlive }, before = counts
        let victim = living.isEmpty ? nil : living[random.draw(living.count)]
        switch random.draw(100) {
        case ..<35: if let victim { die(victim) }
        case ..<42:
            counts.deathsOfAll += living.isEmpty ? 0 : 1
            for index in living { die(index) }
        case ..<50: if let victim { hang(victim) }
        case ..<64: if let victim {
            counts.drains += 1
            workers[victim].isTerminated = true
        }
        case ..<76: memory.wantedWorkers = random.draw(1...min(5, shape.leaves))
        case ..<86: crashLauncher()
        case ..<90: signalled.stop = launcher.isAlive
        case ..<93: signalled.checkpoint = true
        case ..<96: writer = nil
        default: if let victim { workers[victim].slowness = random.draw(5...40) }
        }
        guard story != nil else { return }
        let gone = workers.filter { !$0.isAlive }.map { "\($0.replica)@\($0.slot)" }
        let what = ("befalls: deaths +\(counts.deaths - before.deaths), hangs +\(counts.hangs - before.hangs), drains +\(counts.drains - before.drains), launcher lives: \(launcher.isAlive), stop: \(signalled.stop), wanted: \(memory.wantedWorkers), gone: \(gone)")
        tell(what)
    }

    private mutating func die(_ index: Int) {
        counts.deaths += 1
        if workers[index].isInMiddleOfUnit { counts.deathsInUnits += 1 }
        kill(worker: index)
    }

    mutating func kill(worker index: Int) {
        guard workers[index].isAlive else { return }
        workers[index].place = .gone
        workers[index].isAsleep = false
        (workers[index].reading, workers[index].writing, workers[index].writingLeaf, workers[index].writingChunk) = (nil, nil, nil, nil)
        workers[index].noticeAt = now + lateness()
        if launcher.isAlive && launcher.isAsleep { launcher.wake = min(launcher.wake, workers[index].noticeAt) }
    }

    private mutating func hang(_ index: Int) {
        counts.hangs += 1
        workers[index].hungSince = now
        workers[index].isAsleep = false
        workers[index].wake = now + random.draw(100...3000)
    }

    /// Whether the launcher dies before it carries out `operation`: rather where little time is spent and much can go wrong.
    mutating func diesBefore(_ operation: SimulatedLauncher.Operation) -> Bool {
        guard faultsLeft > 0 else { return false }
        let odds = switch operation {
        case .restore, .newTurn, .setCurrent, .setNext, .recorded: 60
        default: 600
        }
        guard random.isOne(in: odds) else { return false }
        faultsLeft -= 1
        lastFault = counts.events
        crashLauncher()
        return true
    }

    // MARK: Sessions

    private mutating func crashLauncher() {
        guard launcher.isAlive else { return }
        launcher.isAlive = false
        resumeAt = now + random.draw(1500)
        writer = nil
        echoes.removeAll()
        signalled = (false, false)
        for index in workers.indices where !workers[index].isAdmitted { kill(worker: index) }
    }

    /// A new launcher: ends who is left of the old one's workers, and takes up the state in memory if it is the recorded
    /// one.
    mutating func resume() {
        if mutation == .orphansLeftAlive { workers.removeAll { !$0.isAlive } } else { workers.removeAll() }
        let step = ledger.last
        let likely = memory.step == step ? memory.current : memory.next
        let generations = [likely] + (0..<SimulatedMemory.generationCount).filter { $0 != likely }
        let generation = generations.first { memory.generations[$0] == chain[step] }
        guard memory.step == step || memory.step == step - 1, let generation else {
            // What a rewind was about to give up may be gone.
            need(ledger.isRewinding, "step \(step) is recorded and nowhere in memory")
            return restore()
        }
        counts.adoptions += 1
        if memory.step != step { counts.adoptionsOfUnannounced += 1 }
        ledger.step = step
        begin(step: step)
        let follower = (generation + 1) % SimulatedMemory.generationCount
        var operations: [SimulatedLauncher.Operation] = []
        if generation != memory.current || memory.next == generation && mutation != .adoptionTrustsNext {
            operations = [.setCurrent(generation), .setNext(follower)]
        }
        operations.append(.setStop(false))
        if step != memory.step { operations.append(.newTurn(step: step)) }
        operations += mutation == .adoptionKeepsClaims ? [.open] : [.clearSlots, .open]
        launcher.operations = operations.reversed()
    }

    /// Memory is made anew from the newest checkpoint.
    private mutating func restore() {
        counts.restores += 1
        let step = ledger.checkpoints.max() ?? 0
        memory = SimulatedMemory(shape, state: chain[step], stampMask: mutation == .stampsWithoutAttempt ? 0xFFFF_FFFF : ~0)
        (ledger.step, ledger.isRewinding) = (step, true)
        begin(step: step)
        launcher.operations = [.open]
    }

    private mutating func begin(step: Int) {
        launcher = Self.launcher(shape, &random, session: launcher.session + 1, step: step, lastView: ledger.lastView, now: now)
        launcher.evaluated = ledger.evaluated.contains(step) ? step : nil
    }

    /// Everybody has left, or the launcher gives up: the closing checkpoint. A run that is not over is resumed from it.
    mutating func endSession() {
        let step = launcher.step, generation = memory.step == step ? memory.current : memory.next
        need(memory.generations[generation] == chain[step], "the run closes at step \(step) with another state")
        need(isComplete || launcher.stopWanted || launcher.views.slots.allSatisfy { $0 == .abandoned || $0 == .closed }, "the session is over before its end")
        ledger.checkpoints.insert(step)
        writer = nil
        workers.removeAll()
        echoes.removeAll()
        signalled = (false, false)
        if isComplete {
            need(ledger.step == shape.steps, "the run is over before its last step is recorded")
            isFinished = true
        } else {
            restore()
        }
    }
}
