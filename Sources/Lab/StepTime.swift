import RunSpec

/// How long a step takes, and what of: of the slowest worker, without stragglers.
package struct StepTime: Hashable, Sendable {
    /// Seconds of forward and backward passes.
    package fileprivate(set) var compute = 0.0
    /// Of transfers: that somebody waits for, and that go on beside the computing.
    package fileprivate(set) var exposed = 0.0, hidden = 0.0
    /// Of stages that wait for others' microbatches, though transfers took no time.
    package fileprivate(set) var bubble = 0.0
    /// Of sums, norms and AdamW, and the step's constant.
    package fileprivate(set) var update = 0.0
    package var total: Double { compute + exposed + bubble + update }
    /// What a worker waits for messages, whatever for.
    package var waiting: Double { exposed + bubble }
    /// From a microbatch's first layer to its last and back; until the gradients of all are with their owners.
    package fileprivate(set) var leafLatency = 0.0, gradients = 0.0

    fileprivate init() {}

    /// - Parameter flops: floating-point operations that a worker does in a second, of whole microbatches.
    package init(_ costs: ShardingCosts, link: Link, flops: Double, calibration: Calibration = Calibration()) {
        precondition(flops > 0 && link.gigabitsPerSecond > 0 && link.microseconds >= 0, "\(flops) FLOP/s, \(link)")
        var model = StepModel(costs: costs, link: link, calibration: calibration, flops: flops)
        model.run()
        self = model.time
    }
}

private struct StepModel {
    let costs: ShardingCosts, link: Link, calibration: Calibration, flops: Double
    var time = StepTime()
    private var sharding: Sharding { costs.sharding }
    private var mesh: Mesh { costs.sharding.mesh }
    private var overlaps: Bool { calibration.overlapsLastLeaf && mesh.workers == mesh.data }

    init(costs: ShardingCosts, link: Link, calibration: Calibration, flops: Double) {
        (self.costs, self.link, self.calibration, self.flops) = (costs, link, calibration, flops)
    }

    mutating func run() {
        if mesh.pipeline > 1 { addPipeline() } else { addLeaves() }
        let stolen = calibration.stolenShare * time.hidden
        (time.exposed, time.hidden) = (time.exposed + stolen, time.hidden - stolen)
        time.gradients = time.compute + time.exposed + time.bubble
        addUpdate()
    }

    private func transfer(_ bytes: Int, messages: Int) -> Double { transfer(Double(bytes), messages: messages) }
    private func transfer(_ bytes: Double, messages: Int) -> Double {
        bytes * 8 / (link.gigabitsPerSecond * 1e9 * calibration.linkShare) + Double(messages) * link.microseconds * 1e-6
    }

    /// Of a vector of so many bytes that data-parallel workers exchange, each its part with each other.
    private func exchange(_ bytes: Int) -> Double {
        let W = mesh.data
        return W > 1 ? transfer(Double(bytes) * Double(W - 1) / Double(W), messages: W - 1) : 0
    }

    /// Of so many floats summed over the tensor-parallel ranks.
    private func allReduce(_ floats: Int) -> Double {
        let t = mesh.tensor
        return t > 1 ? transfer(8 * Double(floats) * Double(t - 1) / Double(t), messages: 2 * (t - 1)) : 0
    }

    // MARK: Forward and backward passes

    /// One block of a stage: seconds of its forward pass (backward takes twice that, `weights` included), sums over ranks, floats.
    private struct Piece {
        var forward = 0.0, weights = 0.0, sumsForward = 0.0, sumsBackward = 0.0
        var floats = 0
    }

    /// The stage's blocks in forward order, of its fullest rank.
    private func pieces(stage: Int) -> [Piece] {
        let model = costs.model, t = Double(mesh.tensor), tokens = Double(model.rows), sum = allReduce(model.activation)
        let flops = (0..<mesh.tensor.trailingZeroBitCount).reduce(flops) { speed, _ in speed * calibration.halvedShare }
        let worker = costs.workers.first { $0.stage == stage && $0.tensor == 0 && $0.data == 0 }!
        let first = stage == 0, last = stage == mesh.pipeline - 1
        return worker.blocks.enumerated().map { index, floats in
            if first, index == 0 { return Piece(sumsForward: sum, floats: floats) }
            if last, index == worker.blocks.count - 1 {
                let share = Double(model.tokens(tensor: mesh.tensor, rank: 0)) / Double(model.config.vocabulary)
                return Piece(forward: tokens * model.headFlops * share / 3 / flops, sumsBackward: sum + allReduce(3 * model.rows), floats: floats)
            }
            return Piece(forward: tokens * model.layerFlops / t / 3 / flops, weights: tokens * model.layerWeightFlops / t / flops, sumsForward: 2 * sum, sumsBackward: 2 * sum, floats: floats)
        }
    }

    /// Seconds of computing and of sums over ranks of a stage's microbatch.
    private func pass(_ pieces: [Piece]) -> (forward: Double, backward: Double, sums: Double) {
        let compute = pieces.reduce(calibration.leafSeconds / 3) { $0 + $1.forward }
        let (forward, backward) = (pieces.reduce(0) { $0 + $1.sumsForward }, pieces.reduce(0) { $0 + $1.sumsBackward })
        return (compute + forward, 2 * compute + backward, forward + backward)
    }

    /// Seconds that memory for what others keep of a block takes.
    private func pages(gathered floats: Int) -> Double {
        sharding.state == .zero3 ? 4 * Double(floats) * Double(mesh.data - 1) / Double(mesh.data) * calibration.gatheredPageSeconds : 0
    }

    /// All layers in one place.
    private mutating func addLeaves() {
        let pieces = pieces(stage: 0), rounds = costs.maximum(\.leaves), nodes = costs.maximum(\.nodes), tied = costs.model.config.tied
        // ddp and zero1 send from sums that stay where they are.
        let travels = sharding.state.isInRounds
        var passes: [StepTimeline.Pass] = []
        for round in 0..<rounds {
            passes.append(StepTimeline.Pass(compute: calibration.leafSeconds))
            for (index, piece) in pieces.enumerated() {
                // A tied head gathers the table once more; the embedding needs none on the way back.
                let gathered = piece.floats + (tied && index == pieces.count - 1 ? pieces[0].floats : 0)
                passes.append(StepTimeline.Pass(
                    compute: piece.forward + pages(gathered: gathered), gather: sharding.state == .zero3 ? exchange(4 * gathered) : 0, blocking: piece.sumsForward))
            }
            for (index, piece) in pieces.enumerated().reversed() {
                var pass = StepTimeline.Pass(compute: 2 * piece.forward, blocking: piece.sumsBackward)
                if travels {
                    pass.send = exchange(4 * piece.floats)
                    pass.compute += 4 * Double(piece.floats) * calibration.gradientPageSeconds
                }
                if !travels, round == rounds - 1, overlaps { pass.send = exchange(4 * nodes * piece.floats) }
                // The head is still there, and the embedding's backward pass reads none of it.
                if sharding.state == .zero3, 0 < index, index < pieces.count - 1 {
                    pass.gather = exchange(4 * piece.floats)
                    pass.compute += pages(gathered: piece.floats)
                }
                pass.drains = travels && index == 0
                passes.append(pass)
            }
        }
        let line = StepTimeline(passes, buffers: travels ? 2 : nil)
        let leaf = pass(pieces)
        time.compute = line.computing
        time.exposed = line.end - line.computing
        time.hidden = max(0, line.transferring - time.exposed)
        time.leafLatency = leaf.forward + leaf.backward
        if !travels, !overlaps {
            time.exposed += exchange(4 * nodes * costs.maximum(\.floats))
        }
    }

    private mutating func addPipeline() {
        let stages = (0..<mesh.pipeline).map { pieces(stage: $0) }, passes = stages.map { pass($0) }, n = costs.maximum(\.leaves)
        let nodes = costs.maximum(\.nodes), model = costs.model
        func line(_ boundary: Double, _ table: Double, sums: Bool) -> PipelineTimeline {
            func alone(_ pieces: [Piece]) -> Double { pieces.reduce(calibration.leafSeconds / 3) { $0 + $1.forward } }
            return PipelineTimeline(
                leaves: n, forward: sums ? passes.map(\.forward) : stages.map(alone), backward: sums ? passes.map(\.backward) : stages.map { 2 * alone($0) },
                weights: stages.map { $0.reduce(0) { $0 + $1.weights } }, boundary: boundary, table: table)
        }
        let table = 4 * model.table(tensor: mesh.tensor, rank: 0)
        let real = line(transfer(4 * model.activation, messages: 1), model.config.tied ? transfer(table, messages: 1) : 0, sums: true)
        let ideal = line(0, 0, sums: false).ends.max() ?? 0
        // Each stage sends its sums' slices after its last pass.
        let gradients = stages.map { pieces in exchange(4 * nodes * pieces.reduce(0) { $0 + $1.floats }) }
        let ends = zip(gradients, real.ends).map { $0 + $1 }
        let sums = passes.map { $0.sums * Double(n) }.max() ?? 0
        time.compute = stages.map { pieces in Double(n) * 3 * pieces.reduce(calibration.leafSeconds / 3) { $0 + $1.forward } }.max() ?? 0
        time.bubble = ideal - time.compute
        time.exposed = (ends.max() ?? 0) - ideal
        time.hidden = max(0, real.transferring + (gradients.max() ?? 0) + sums - time.exposed)
        time.leafLatency = passes.reduce(0) { $0 + $1.forward + $1.backward } + 2 * Double(mesh.pipeline - 1) * transfer(4 * model.activation, messages: 1)
        // A tied head's new table goes back before the next step.
        if model.config.tied { time.exposed += transfer(table, messages: 1) }
    }

    // MARK: Reduction and update

    private mutating func addUpdate() {
        let (W, M) = (mesh.data, costs.model.leaves), c = calibration
        var touched = 0.0, slowest = 0.0
        // Every rank and stage cuts the leaves alike.
        let nodes = costs.workers.prefix(W).reduce(0) { $0 + $1.nodes }
        for worker in costs.workers {
            let (P, s) = (Double(worker.floats), Double(worker.owned))
            switch sharding.state {
            case .ddp, .zero1:
                // Own leaves into nodes; all nodes of the owned range into one sum.
                touched = c.additionBytes * (Double(worker.leaves - worker.nodes) * P + Double(nodes - 1) * s) + c.normBytes * s
                touched += c.updateBytes * (sharding.state == .ddp ? P : s)
            case .zero2, .zero3:
                touched = (c.additionBytes * Double(M - 1) + c.normBytes + c.updateBytes) * s
            }
            switch sharding.redundancy {
            case .none: break
            case .shadow: touched += c.updateBytes * s
            case .parity: touched += 3 * Double(sharding.ownedStateBytes) * s
            }
            slowest = max(slowest, touched)
        }
        time.update = slowest / c.memoryBytesPerSecond + c.stepSeconds
        // Sums of squares, then votes: a word to each other.
        if mesh.workers > 1 { time.exposed += 2 * transfer(0, messages: mesh.workers - 1) }
        let gathered = costs.maximum { $0.sent.reduced + (sharding.state == .zero3 ? 0 : $0.sent.parameters) + (sharding.redundancy == .shadow ? $0.sent.redundancy : 0) }
        if gathered > 0 { time.exposed += transfer(gathered, messages: W - 1) }
        if sharding.redundancy == .parity { time.exposed += transfer(costs.maximum(\.sent.redundancy), messages: W - 1) }
    }
}
