import Collectives
import Kernels
import Ledger
import RunSpec

/// The exchange in memory that all workers of a host share: gradients are read where they were computed, and the next state
/// is there for everybody at once.
final class SharedExchange: GradientExchange {
    private let context: StepContext
    private let shared: SharedState, config: RunConfig
    /// Floats of the largest chunk: a direction in weight space that leaves' gradients are multiplied with.
    private let direction: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>

    init(_ context: StepContext) {
        (self.context, shared, config) = (context, context.shared, context.config)
        direction = .allocate(capacity: shared.layout.chunk(0).count)
        weight = .allocate(capacity: shared.layout.chunk(0).count)
    }

    deinit {
        direction.deallocate()
        weight.deallocate()
    }

    var parameters: UnsafePointer<Float> { UnsafePointer(shared.state(generation: shared.currentGeneration, part: 0)) }
    private var previousParameters: UnsafePointer<Float>? { shared.previousGeneration.map { UnsafePointer(shared.state(generation: $0, part: 0)) } }
    var isDisturbed: Bool { false }
    var rounds: RoundPeers? { nil }
    func exchanging(_ step: Int, _ body: () throws -> Void) throws { try body() }
    func begin(_ step: Int) {}
    func gradient(_ leaf: Int) -> UnsafeMutablePointer<Float> { shared.gradient(leaf) }
    func publish(_ leaf: Int) {}
    func leave(_ step: Int) {}

    /// Adds up the gradient tree over the owned chunks, and notes what each leaf says of the last update and of the probe.
    func reduce(_ step: Int) throws {
        let scale = Float(1 / Double(config.tokensPerStep))
        let current = shared.pointers(generation: shared.currentGeneration)
        let previous = config.credits(update: step - 1) ? previousParameters : nil
        let preconditioner = shared.gradientStep == step ? context.optimizerStep(step, gradientNorm: 0) : nil
        try eachOwned(shared.reductions, step, working: .reduce, waiting: .awaitReduction, point: .reduce) { chunk in
            let squares = reduceTree(
                shared.gradient(0), stride: shared.layout.gradientStride, leaves: shared.layout.leaves,
                range: shared.layout.chunk(chunk), scale: scale, into: shared.reducedGradient)
            shared.setSumOfSquares(chunk, squares)
            guard context.instrumented else { return }
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

    /// Clips, updates the owned chunks into the next generation and votes for them with their fingerprints.
    func update(_ step: Int) throws {
        let current = shared.currentGeneration, old = shared.pointers(generation: current), generation = shared.nextGeneration
        let new = shared.pointers(generation: generation)
        let constants = context.optimizerStep(step, gradientNorm: shared.gradientNorm)
        let credits = context.instrumented && config.credits(update: step), leaves = shared.layout.leaves
        let scale = 1 / Float(config.tokensPerStep / leaves)
        try eachOwned(shared.updates, step, working: .update, waiting: .awaitCommit, point: .update) { chunk in
            // The state that the step began from must still be the one that was committed.
            guard fingerprint(old, range: shared.layout.chunk(chunk)) == shared.fingerprint(chunk, generation: current) else {
                try context.reportDamage(chunk)
            }
            context.update(chunk, constants, gradient: shared.reducedGradient, from: old, into: new)
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
        context.faults.strike(.vote, step: step)
    }

    /// Does the chunks this worker owns, then waits for the others', taking over what a lost worker leaves behind.
    private func eachOwned(
        _ table: UnitTable, _ step: Int, working: Phase, waiting: Phase, point: FaultPoint, _ work: (Int) throws -> Void
    ) throws {
        let turn = context.turn
        while true {
            if shared.turn != turn {
                // Others may have finished the last chunks, and the launcher the step, before this worker woke.
                if waiting == .awaitCommit, shared.committedStep > step { return }
                throw TurnIsOver()
            }
            if let first = table.nextOwned(by: context.slot, turn: turn) {
                context.enter(working, step)
                var next: Int? = first
                while let chunk = next {
                    try work(chunk)
                    table.markDone(chunk, turn: turn)
                    context.faults.strike(point, step: step)
                    next = table.nextOwned(by: context.slot, turn: turn, from: chunk + 1)
                }
                // The ring is a full barrier: of two workers that finish together, at least one sees both done.
                shared.ring()
                if waiting == .awaitCommit, table.allDone(turn: turn) { context.ringDoorbell() }
            } else if table.allDone(turn: turn) {
                return
            } else {
                context.enter(waiting, step)
                try context.wait { table.allDone(turn: turn) || table.nextOwned(by: context.slot, turn: turn) != nil }
            }
        }
    }
}
