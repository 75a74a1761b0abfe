import Coordination

/// What the launcher does, one operation after the other.
extension StepSimulation {
    mutating func execute(_ operation: SimulatedLauncher.Operation) {
        switch operation {
        case .assignLeaves(let owners): memory.leaves.owners = owners
        case .assignChunks(let owners): (memory.reductions.owners, memory.updates.owners) = (owners, owners)
        case .assignEvaluations(let owners): memory.evaluations.owners = owners
        case .admit(let slot): if let member = launcher.members[slot] { memory.slots[slot].admitted = member.replica } else { need(false, "slot \(slot) is admitted and nobody is there") }
        case .dismiss(let slot):
            memory.slots[slot].admitted = SimulatedMemory.nobody
            endUnborn(slot)
        case .kill(let slot):
            if let member = launcher.members[slot] {
                launcher.members[slot]!.isStopped = true
                if let index = workers.firstIndex(where: { $0.replica == member.replica }) { kill(worker: index) }
            } else {
                endUnborn(slot)
            }
        case .spawn(let slot): spawn(slot)
        case .setCurrent(let generation): memory.current = generation
        case .setNext(let generation): memory.next = generation
        case .setStop(let stop): memory.stop = stop
        case .setTurn(let step):
            need(memory.current != memory.next, "the state would be written over by its own update")
            if step != memory.step { setTurn(at: step) }
            // A mutation puts the turn before them.
            if mutation != .turnBeforeGenerations { need(memory.generations[memory.current] == chain[step], "the state announced for step \(step) is another") }
        case .newTurn(let step): setTurn(at: step)
        case .setView(let number):
            let last = lastView
            need(number > last, "view \(number) comes after view \(last)")
            (memory.view, lastView) = (number, number)
        case .ring: ring()
        case .recordView(let number): ledger.lastView = number
        case .recordCommit(let step, let generation): record(step, generation)
        case .recorded(let step): carryOut(launcher.commits.receive(.recorded(step: step)))
        case .startWriter(let generation):
            let step = launcher.step
            need(memory.generations[generation] == chain[step], "the generation to be checkpointed is not step \(step)")
            writer = SimulatedWriter(generation: generation, step: step, wake: now + random.draw(1...200))
        case .killWriter: writer = nil
        case .releaseClaims(let slot): memory.releaseClaims(of: slot)
        case .ended(let slot): carryOut(launcher.views.receive(.ended(slot: slot, unfinished: unfinished())), ring: true)
        case .discard:
            discards += 1
            if mutation != .discardKeepsTheTurn { setTurn(at: memory.step) }
        case .restore(let chunk, let step):
            need(!workers.contains { $0.isAlive && ($0.reading != nil || $0.writing != nil) }, "the state is wound back under somebody who computes")
            memory.generations[0][chunk] = chain[step][chunk]
            ledger.isRewinding = true
        case .rewound(let step):
            (ledger.step, launcher.step) = (step, step)
            launcher.commits = CommitMachine(committed: step, lastStep: shape.steps)
            if launcher.stopWanted { _ = launcher.commits.receive(.stopRequested) }
            launcher.evaluated = ledger.evaluated.contains(step) ? step : nil
        case .leaveIfComplete: if isComplete { leave() }
        case .clearSlots:
            for slot in memory.slots.indices {
                memory.releaseClaims(of: slot)
                (memory.slots[slot].replica, memory.slots[slot].state) = (0, .empty)
            }
        case .open:
            memory.helps = shape.policy == .elastic || mutation == .helpsUnderEveryPolicy
            schedule(words(step: launcher.step, current: memory.current, next: memory.next, stop: false)
                + (0..<launcher.workers + launcher.spares).map { .spawn(slot: $0) })
        case .giveUp:
            counts.givenUp += 1
            endSession()
        }
    }

    private mutating func setTurn(at step: Int) { memory.turn = memory.nextTurn(at: step) }

    private mutating func spawn(_ slot: Int) {
        guard slot < SimulatedMemory.slotsMaximum else { return need(false, "slot \(slot) does not fit into memory") }
        need(launcher.members[slot] == nil, "slot \(slot) has two workers")
        lastReplica += 1
        memory.slots[slot] = (lastReplica, .starting, 0)
        workers.append(SimulatedWorker(replica: lastReplica, slot: slot, session: launcher.session, wake: now + random.draw(5...60)))
        launcher.members[slot] = .init(replica: lastReplica)
    }

    /// A worker whose start is delayed needs none any more.
    private mutating func endUnborn(_ slot: Int) {
        guard mutation != .unbornForgotten, launcher.members[slot] == nil, launcher.spawns.contains(where: { $0.slot == slot }) else { return }
        counts.unborn += 1
        launcher.spawns.removeAll { $0.slot == slot }
        schedule([.ended(slot: slot)])
    }

    private mutating func record(_ step: Int, _ generation: Int) {
        let last = ledger.step
        need(step == last + 1, "step \(step) is recorded after step \(last)")
        need(memory.generations[generation] == chain[step], "step \(step) is committed with another state")
        need(memory.fingerprints[generation] == chain[step], "step \(step) is recorded with another hash")
        need(shape.policy == .elastic || memory.leafDiscards.allSatisfy { $0 == discards }, "work that was thrown away is in step \(step)")
        (ledger.step, ledger.last, ledger.isRewinding) = (step, step, false)
        counts.commits += 1
    }
}
