import Collectives
import Corpus
import CSystem
import Glibc
import Kernels
import Ledger
import Model
import RunSpec

/// The launcher is gone: nobody can commit any more. What this worker has published stays in shared memory.
struct LauncherGone: Error {}

/// The turn under way is over: committed without this worker, or thrown away.
private struct TurnIsOver: Error {}

/// A worker's part in every step, in the order it happens. Synchronous, on one thread; between two steps nothing is
/// kept here but buffers, so a worker may appear or vanish anywhere.
final class TrainStep {
    private let shared: SharedState
    private let config: RunConfig
    private let slot: Int, replica: Int
    private let transformer: Transformer
    private let data: WorkerData
    private let recorder: FlightRing
    private let instrumented: Bool
    /// What a microbatch takes on the virtual device of paced mode; 0: as long as it takes.
    private let leafNanoseconds: UInt64
    private var faults: FaultInjector
    private let segments: ChunkSegments
    private let launcherLives: () -> Bool
    private let ringDoorbell: () -> Void
    private var allocations = 0
    /// What is computed here; a result counts for it alone.
    private var turn = 0
    /// Floats of the largest chunk: a direction in weight space that leaves' gradients are multiplied with.
    private let direction: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>

    init(
        shared: SharedState, config: RunConfig, slot: Int, replica: Int, transformer: Transformer, layout: ParameterLayout,
        data: WorkerData, recorder: FlightRing, instrumented: Bool, leafNanoseconds: UInt64, faults: FaultInjector, launcherLives: @escaping () -> Bool,
        ringDoorbell: @escaping () -> Void
    ) {
        (self.shared, self.config, self.slot, self.replica) = (shared, config, slot, replica)
        (self.transformer, self.data, self.recorder, self.faults) = (transformer, data, recorder, faults)
        (self.instrumented, self.leafNanoseconds) = (instrumented, leafNanoseconds)
        direction = .allocate(capacity: shared.layout.chunk(0).count)
        weight = .allocate(capacity: shared.layout.chunk(0).count)
        segments = ChunkSegments(shared: shared.layout, parameters: layout)
        (self.launcherLives, self.ringDoorbell) = (launcherLives, ringDoorbell)
    }

    deinit {
        direction.deallocate()
        weight.deallocate()
    }

    /// Computes steps until the launcher says stop.
    func run() throws {
        var stepsHere = 0
        while true {
            // Read first: whoever is let go, or told to stop, with a commit sees that with its turn.
            turn = shared.turn
            guard !shared.stopRequested, shared.admitted(slot) == replica else { return }
            let step = SharedState.step(of: turn)
            let allocationsBefore = cs_allocation_count()
            do {
                if step == config.steps {
                    try finalEvaluation(step)
                    break
                }
                try compute(step)
                try reduce(step)
                try update(step)
                // The first step touches every buffer for the first time; from the second on nothing may allocate.
                if stepsHere > 0 { allocations += Int(cs_allocation_count() - allocationsBefore) }
                shared.setStepAllocations(slot, allocations)
                stepsHere += 1
                enter(.awaitCommit, step)
                try wait { shared.stopRequested }
                if shared.committedStep > step { faults.strike(.commit, step: step) }
            } catch is TurnIsOver {
                // What was done of it counts for nothing, or others did it.
            }
        }
    }

    /// Own held-out units that are due with the weights before the step, and own leaves, until everybody's are there.
    /// Survivors of a loss find the lost units to be theirs and go on computing.
    private func compute(_ step: Int) throws {
        let due = shared.due(step, config)
        while true {
            if shared.turn != turn { throw TurnIsOver() }
            noteDrain()
            if let unit = shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) {
                evaluate(unit, step)
            } else if let leaf = shared.claimLeaf(for: slot, turn: turn, helping: shared.helps) {
                compute(leaf: leaf, step)
            } else if allComputed(step, due) {
                // Whoever finishes last wakes the others before it goes on to its own chunks.
                shared.ring()
                return
            } else {
                shared.ring()
                enter(.awaitLeaves, step)
                try wait { allComputed(step, due) || hasWork(due) }
            }
        }
    }

    private func allComputed(_ step: Int, _ due: Range<Int>) -> Bool {
        shared.leaves.allDone(turn: turn) && shared.evaluations.allDone(turn: turn, in: due)
    }

    private func hasWork(_ due: Range<Int>) -> Bool {
        shared.hasLeaf(for: slot, turn: turn, helping: shared.helps)
            || shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) != nil
    }

    /// Says once that somebody wants this worker gone.
    private func noteDrain() {
        guard cs_noted_interrupt() == SIGTERM, shared.slotState(slot).state == .ready else { return }
        shared.setSlot(slot, replica: replica, state: .draining)
        ringDoorbell()
    }

    private func compute(leaf: Int, _ step: Int) {
        enter(.input, step, leaf)
        data.fill(step: step, leaf: leaf)
        let began = MonotonicClock.nanoseconds()
        enter(.forward, step, leaf)
        faults.strike(.forward, step: step)
        if faults.permutesTargets { data.permuteTargets() }
        let parameters = UnsafePointer(shared.state(generation: shared.currentGeneration, part: 0))
        let dropout = config.model.dropout > 0
            ? DropoutKey(seed: config.seed, step: UInt32(truncatingIfNeeded: step), leaf: UInt32(leaf)) : nil
        transformer.forward(parameters: parameters, inputs: data.inputs, dropout: dropout)
        enter(.backward, step, leaf)
        faults.strike(.backward, step: step)
        let loss = transformer.backward(parameters: parameters, targets: data.targets, gradient: shared.gradient(leaf))
        faults.strike(.leafDone, step: step, gradient: shared.gradient(leaf), count: shared.layout.parameterFloats)
        pace(since: began)
        shared.noteLeaf(slot, nanoseconds: MonotonicClock.nanoseconds() - began)
        shared.setLeafResult(leaf, LossSum(nats: loss, tokens: data.targetCount), replica: replica)
        shared.leaves.markDone(leaf, turn: turn)
        enter(.glue, step)
        faults.strike(.publish, step: step)
    }

    /// A device slower than this one: a fault's, or the virtual one of paced mode.
    private func pace(since began: UInt64) {
        var target = faults.slowed(MonotonicClock.nanoseconds() - began)
        if leafNanoseconds > 0 {
            let late = MonotonicClock.nanoseconds() - began > leafNanoseconds
            shared.countLeaf(slot, late: late)
            target = max(target, faults.slowed(leafNanoseconds))
        }
        MonotonicClock.sleep(until: began + target)
    }

    /// Adds up the gradient tree over the owned chunks, and notes what each leaf says of the last update and of the probe.
    private func reduce(_ step: Int) throws {
        let scale = Float(1 / Double(config.tokensPerStep))
        let current = shared.pointers(generation: shared.currentGeneration)
        let previous = !config.credits(update: step - 1) ? nil : shared.previousGeneration.map { shared.state(generation: $0, part: 0) }
        let preconditioner = shared.gradientStep == step ? optimizerStep(step, gradientNorm: 0) : nil
        try eachOwned(shared.reductions, step, working: .reduce, waiting: .awaitReduction, point: .reduce) { chunk in
            let squares = reduceTree(
                shared.gradient(0), stride: shared.layout.gradientStride, leaves: shared.layout.leaves,
                range: shared.layout.chunk(chunk), scale: scale, into: shared.reducedGradient)
            shared.setSumOfSquares(chunk, squares)
            guard instrumented else { return }
            // The chunk's gradients were just read: here they lie in the cache.
            let range = shared.layout.chunk(chunk), at = range.lowerBound, count = range.count
            if let previous {
                difference(direction, current.parameters + at, previous + at, count: count)
                eachLeaf(at, count) { leaf, sums in
                    shared.setLeafSum(leaf, .moved, chunk: chunk, sums.along)
                    shared.setLeafSum(leaf, .square, chunk: chunk, sums.square)
                }
            }
            if let preconditioner {
                preconditioned(direction, shared.probeGradient + at, secondMoment: current.secondMoment + at, preconditioner, count: count)
                eachLeaf(at, count) { leaf, sums in shared.setLeafSum(leaf, .probed, chunk: chunk, sums.along) }
            }
        }
    }

    private func eachLeaf(_ at: Int, _ count: Int, _ note: (Int, (along: Double, square: Double)) -> Void) {
        for leaf in 0..<shared.layout.leaves { note(leaf, products(shared.gradient(leaf) + at, direction, count: count)) }
    }

    private func optimizerStep(_ step: Int, gradientNorm: Double) -> AdamWStep {
        let optimizer = config.optimizer
        return AdamWStep(
            step: step, learningRate: config.schedule.rate(step: step, of: config.steps), beta1: optimizer.beta1,
            beta2: optimizer.beta2, epsilon: optimizer.epsilon, weightDecay: optimizer.weightDecay,
            gradientNorm: gradientNorm, clip: optimizer.clip)
    }

    /// Clips, updates the owned chunks into the next generation and votes for them with their fingerprints.
    private func update(_ step: Int) throws {
        let current = shared.currentGeneration, old = shared.pointers(generation: current), generation = shared.nextGeneration
        let new = shared.pointers(generation: generation)
        let constants = optimizerStep(step, gradientNorm: shared.gradientNorm)
        let credits = instrumented && config.credits(update: step), leaves = shared.layout.leaves
        let scale = 1 / Float(config.tokensPerStep / leaves)
        try eachOwned(shared.updates, step, working: .update, waiting: .awaitCommit, point: .update) { chunk in
            // The state that the step began from must still be the one that was committed.
            guard fingerprint(old, range: shared.layout.chunk(chunk)) == shared.fingerprint(chunk, generation: current) else {
                if shared.turn != turn { throw TurnIsOver() }
                shared.reportDamage(chunk: chunk, turn: turn)
                ringDoorbell()
                try wait { shared.stopRequested }
                throw TurnIsOver()
            }
            for index in segments.of(chunk) {
                let segment = segments.all[index]
                adamW(constants, range: segment.range, decays: segment.decays, gradient: shared.reducedGradient, from: old, into: new)
            }
            let range = shared.layout.chunk(chunk), at = range.lowerBound
            shared.setFingerprint(chunk, generation: generation, fingerprint(new, range: range))
            guard credits else { return }
            leaveOneOut(
                direction: direction, weight: weight, constants, leaves: leaves, gradient: shared.reducedGradient, from: old, into: new,
                range: range)
            for leaf in 0..<leaves {
                shared.setLeafSum(leaf, .moving, chunk: chunk, leaveOneOutProduct(
                    shared.gradient(leaf) + at, scale: scale, direction: direction, weight: weight, count: range.count))
            }
        }
        faults.strike(.vote, step: step)
    }

    /// Does the chunks this worker owns, then waits for the others', taking over what a lost worker leaves behind.
    private func eachOwned(
        _ table: UnitTable, _ step: Int, working: Phase, waiting: Phase, point: FaultPoint, _ work: (Int) throws -> Void
    ) throws {
        while true {
            if shared.turn != turn {
                // Others may have finished the last chunks, and the launcher the step, before this worker woke.
                if waiting == .awaitCommit, shared.committedStep > step { return }
                throw TurnIsOver()
            }
            if let first = table.nextOwned(by: slot, turn: turn) {
                enter(working, step)
                var next: Int? = first
                while let chunk = next {
                    try work(chunk)
                    table.markDone(chunk, turn: turn)
                    faults.strike(point, step: step)
                    next = table.nextOwned(by: slot, turn: turn, from: chunk + 1)
                }
                // The ring is a full barrier: of two workers that finish together, at least one sees both done.
                shared.ring()
                if waiting == .awaitCommit, table.allDone(turn: turn) { ringDoorbell() }
            } else if table.allDone(turn: turn) {
                return
            } else {
                enter(waiting, step)
                try wait { table.allDone(turn: turn) || table.nextOwned(by: slot, turn: turn) != nil }
            }
        }
    }

    private func evaluate(_ unit: Int, _ step: Int) {
        let units = shared.layout.heldOut
        let parameters = UnsafePointer(shared.state(generation: shared.currentGeneration, part: 0))
        enter(unit < units.validation ? .evaluate : .probe, step, unit)
        if unit < units.validation {
            shared.setEvaluationResult(unit, data.evaluate(unit, transformer, parameters: parameters))
        } else if unit < units.gradientUnit {
            data.probe(unit - units.validation, transformer, parameters: parameters) { shared.setProbeLoss($0, $1) }
        } else {
            data.probeGradient(transformer, parameters: parameters, into: shared.probeGradient)
        }
        shared.evaluations.markDone(unit, turn: turn)
        if shared.evaluations.allDone(turn: turn, in: shared.due(step, config)) {
            shared.ring()
            ringDoorbell()
        }
    }

    /// After the last step: the validation and probe passes that close the run.
    private func finalEvaluation(_ step: Int) throws {
        let due = shared.due(step, config)
        func next() -> Int? { shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) }
        while !shared.stopRequested {
            if shared.turn != turn { throw TurnIsOver() }
            noteDrain()
            if let unit = next() {
                evaluate(unit, step)
            } else {
                enter(.awaitEvaluation, step)
                try wait { shared.stopRequested || next() != nil }
            }
        }
    }

    private func enter(_ phase: Phase, _ step: Int, _ unit: Int = 0) {
        guard instrumented else { return }
        recorder.record(phase, step: step, view: shared.view, unit: unit)
    }

    private func wait(until condition: () -> Bool) throws {
        guard shared.wait(alive: launcherLives, until: { shared.turn != turn || condition() }) else { throw LauncherGone() }
    }
}

/// The stretches of each chunk that belong to one parameter, so that weight decay knows matrices from vectors.
struct ChunkSegments {
    let all: [(range: Range<Int>, decays: Bool)]
    private let first: [Int]

    init(shared: SharedLayout, parameters: ParameterLayout) {
        var all: [(range: Range<Int>, decays: Bool)] = [], first = [0]
        for chunk in 0..<SharedLayout.chunkCount {
            let range = shared.chunk(chunk)
            var position = range.lowerBound
            for slot in parameters.slots where slot.offset + slot.count > range.lowerBound && slot.offset < range.upperBound {
                let inside = max(slot.offset, range.lowerBound)..<min(slot.offset + slot.count, range.upperBound)
                if position < inside.lowerBound { all.append((position..<inside.lowerBound, false)) }
                all.append((inside, slot.decays))
                position = inside.upperBound
            }
            if position < range.upperBound { all.append((position..<range.upperBound, false)) }
            first.append(all.count)
        }
        (self.all, self.first) = (all, first)
    }

    func of(_ chunk: Int) -> Range<Int> { first[chunk]..<first[chunk + 1] }
}

extension SharedState {
    /// The held-out units to be done with the weights before `step`.
    func due(_ step: Int, _ config: RunConfig) -> Range<Int> {
        layout.heldOut.due(validates: config.evaluates(after: step), probes: probeStep == step, takesGradient: gradientStep == step)
    }

    func pointers(generation: Int) -> StatePointers {
        StatePointers(parameters: state(generation: generation, part: 0), firstMoment: state(generation: generation, part: 1),
            secondMoment: state(generation: generation, part: 2))
    }
}
