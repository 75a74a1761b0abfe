// What a sharding choice sends in a step, and what it keeps in memory, worker by worker. Everything is float32, 4 bytes.
//
// Legend: W data-parallel workers, t tensor-parallel ranks, p stages, r = (W − 1)/W; P floats of the parameters of one
// (rank, stage), of which data-parallel worker j owns s, about P/W; M leaves (microbatches) of R = b·T rows, width C, n of
// them a worker's own; V rows of the token table; L layers of the stage. An all-reduce of x bytes among t is a
// reduce-scatter, summed in rank order by each part's owner, and an all-gather: 2x(t − 1)/t sent by each.
//
// Gradients are summed in a fixed binary tree over leaf index.
//  ddp, zero1  Contiguous leaves, merged like a binary counter: `counterPeak` buffers of P at the most, the leaf under way
//              included. Once a step the k `canonical` nodes of the range go to the owners: 4k(P − s); on the mean 4P·r·k̄.
//              Then ddp all-gathers the reduced gradient, zero1 the new θ: 4s(W − 1), on the mean 4P·r.
//  zero2       Leaves dealt in turn; each leaf's gradient goes to the owners block by block: 4n(P − s), on the mean
//              4P·r·n. The new θ is all-gathered: 4s(W − 1).
//  zero3       The same gradients; θ is gathered for every leaf by those who compute one in that round, block by block in the
//              order in which passes read them. What is read twice in a row is gathered once, as the head is at the turn; the
//              embedding is not read backward, but a tied head reads its table: 4(s + s')(M − n), where s' are the owned floats
//              of the layers and of a tied embedding. About 8P·r·n on the mean.
//  shadow      The owner sends the reduced slice on to its partner: 4s. The partner makes the new θ of the slice itself: of
//              that the owner sends 4s less (zero3 sends none).
//  parity      D = 4s × (m, v, zero3: and θ). Each owner's D is cut into W − 1 stripes, each of which counts in another owner's parity: D sent.
//  tp          A leaf sums four activations a layer, forward after attention and feed-forward, backward before them, one for
//              the divided token table and one for the head's input gradient, and three floats a row for the loss:
//              (8RC(4L + 1 + 1) + 24R)(t − 1)/t. Parameters that are whole on all ranks get equal gradients: nothing is sent.
//  pp          A leaf crosses each boundary forth and back, 4RC each way. A tied head: the last stage sends its share of the
//              token table's gradient to the first, 4VC a leaf, and gets the new table, 4VC a step.
// Norms, votes, losses and message headers are left out: some hundred bytes.
//
// Memory: two generations of the state, so that a step reads one and writes the other.
//  ddp         θ, m, v: 24P; counter 4P·counterPeak; the reduced gradient where the counter has a buffer to spare when all
//              leaves are in it, else 4P; slices from others 4s·Σk over the others.
//  zero1       θ 8P; m, v 16s; counter as ddp; the reduced slice likewise, or 4s; slices from others as ddp.
//  zero2       θ 8P; m, v 16s; the owner's counter 4s(log2 M + 1) and reduced slice 4s; the two largest blocks' gradients (with
//              a tied head the table's all the time, and two others), and the others' slices of two blocks.
//  zero3       24s; what others keep of the two largest blocks' θ; gradients as zero2.
//  shadow      16s of the partner's m, v (zero3: 24s, θ too), and its reduced gradient, 4s, where the slice has a place of its own.
//  tp, pp      As ddp or zero1, the reduced gradient in a place of its own: 4P, or 4s; tp: every rank's summands of the longest sum.
//  parity      Two generations of D/(W − 1); zero2, zero3: two slices of a stripe from each other (the others have room for them).
//  pp          Every stage keeps the activations of min(n, p) leaves, stages after the first more of each, and stage i the
//              gradients of min(n − 1, i) leaves beside the one under way; after the first two inputs and two of their gradients,
//              before the last two outputs' gradients, 4RC each; the last one, with a tied head, two generations of the table, and
//              its gradient in each buffer and min(n, p) times on its way.
// One worker alone reduces nothing: 24P and the counter.

package struct ShardingCosts: Sendable {
    /// Bytes that a worker sends in a step, by what for.
    package struct Sent: Hashable, Sendable {
        /// To owners; all-gathered after the reduction (zero2 and zero3: nothing).
        package var gradients = 0, reduced = 0
        package var parameters = 0
        package var redundancy = 0
        /// Among tensor-parallel ranks, and between stages.
        package var tensor = 0, pipeline = 0
        package var total: Int { gradients + reduced + parameters + redundancy + tensor + pipeline }
    }

    /// Bytes that a worker keeps, by what for.
    package struct Kept: Hashable, Sendable {
        package var parameters = 0, moments = 0
        /// Sums of leaves; the reduced gradient, where it has a place of its own; what arrives from others.
        package var gradients = 0, reduced = 0, received = 0
        package var redundancy = 0
        package var activations = 0
        package var total: Int { parameters + moments + gradients + reduced + received + redundancy + activations }
    }

    /// One worker: its place in the mesh, its part of the work, what that costs.
    package struct Worker: Sendable {
        package let data: Int, tensor: Int, stage: Int
        /// Floats of the blocks it computes, in the order of the forward pass; the first stage begins with the embedding,
        /// the last one ends with the head.
        package let blocks: [Int]
        /// P, and s.
        package let floats: Int, owned: Int
        /// s': those of the owned that zero3 gathers a second time in a leaf.
        package let again: Int
        /// n, and k.
        package let leaves: Int, nodes: Int
        package fileprivate(set) var sent = Sent()
        package fileprivate(set) var kept = Kept()
    }

    package let sharding: Sharding, model: ShardedModel
    /// Of the whole mesh; those of one stage lie together, and within it those of one rank.
    package let workers: [Worker]

    /// - Parameter sharding: one without an obstacle.
    package init(_ sharding: Sharding, _ model: ShardedModel) {
        let mesh = sharding.mesh
        (self.sharding, self.model) = (sharding, model)
        workers = (0..<mesh.pipeline).flatMap { stage in
            (0..<mesh.tensor).flatMap { tensor in Group(sharding, model, stage: stage, tensor: tensor).workers }
        }
    }

    package func maximum(_ figure: (Worker) -> Int) -> Int { workers.map(figure).max() ?? 0 }
    package func mean(_ figure: (Worker) -> Int) -> Double { Double(workers.reduce(0) { $0 + figure($1) }) / Double(workers.count) }
}

// MARK: Arithmetic of cuts and trees

extension ShardingCosts {
    /// Floats of a stripe that are added to a parity at once: few enough to be in a cache, and to take little memory while they arrive.
    package static let sliceFloats = 1 << 16

    /// Part `index` of `count` things in a row, cut into `parts` as equal as can be: thing i is in part i · parts / count.
    package static func cut(_ count: Int, among parts: Int, _ index: Int) -> Range<Int> {
        func start(_ index: Int) -> Int { (index * count + parts - 1) / parts }
        return start(index)..<start(index + 1)
    }

    /// Floats that each of `workers` owns of `floats`: whole lines of 16.
    package static func owned(_ floats: Int, among workers: Int) -> [Int] {
        (0..<workers).map { worker in
            let lines = cut((floats + 15) / 16, among: workers, worker)
            return min(lines.upperBound * 16, floats) - min(lines.lowerBound * 16, floats)
        }
    }

    /// The nodes of the tree that cover a range of leaves: the fewest aligned ranges. Up to 2·log2 n of them where the
    /// range begins and ends unaligned, as 1..<7 does: 1, 2..<4, 4..<6, 6.
    package static func canonical(_ range: Range<Int>) -> [Range<Int>] {
        var nodes: [Range<Int>] = [], first = range.lowerBound
        while first < range.upperBound {
            var size = first == 0 ? Int(1) << (Int.bitWidth - 2) : first & -first
            while size > range.upperBound - first { size /= 2 }
            nodes.append(first..<first + size)
            first += size
        }
        return nodes
    }

    /// Buffers that a binary counter over the leaves of a range needs: those of the finished nodes and that of the leaf
    /// under way, at the worst moment.
    /// - Parameter lag: by how many leaves a leaf's end comes after the next ones have begun.
    package static func counterPeak(_ range: Range<Int>, lag: Int = 0) -> Int {
        range.reduce(0) { max($0, canonical(range.lowerBound..<max(range.lowerBound, $1 - lag)).count + min(lag, $1 - range.lowerBound) + 1) }
    }

    /// The leaves of worker `index`: contiguous under ddp and zero1, in turn under zero2 and zero3.
    package static func leafCount(_ state: Sharding.State, leaves: Int, workers: Int, _ index: Int) -> Int {
        switch state {
        case .ddp, .zero1: cut(leaves, among: workers, index).count
        case .zero2, .zero3: (leaves - index + workers - 1) / workers
        }
    }
}

// MARK: One rank and stage

/// The data-parallel workers with the same parameters.
private struct Group {
    private(set) var workers: [ShardingCosts.Worker]
    private let sharding: Sharding, model: ShardedModel, stage: Int, tensor: Int
    private var state: Sharding.State { sharding.state }
    private var mesh: Mesh { sharding.mesh }
    private let layerCount: Int
    private var isFirst: Bool { stage == 0 }
    private var isLast: Bool { stage == mesh.pipeline - 1 }
    /// Bytes of the rank's part of the token table.
    private let table: Int
    /// Buffers of an owner's counter over all leaves.
    private let ownersCounter: Int
    /// Σk, and the largest s.
    private var nodes = 0, largestOwned = 0

    init(_ sharding: Sharding, _ model: ShardedModel, stage: Int, tensor: Int) {
        (self.sharding, self.model, self.stage, self.tensor) = (sharding, model, stage, tensor)
        let mesh = sharding.mesh, layers = model.config.layers(stage: stage, of: mesh.pipeline)
        let parts = (stage == 0 ? [model.embedding] : []) + model.layers[layers] + (stage == mesh.pipeline - 1 ? [model.head] : [])
        let blocks = parts.map { model.floats($0, tensor: mesh.tensor, rank: tensor) }
        layerCount = layers.count
        table = 4 * model.table(tensor: mesh.tensor, rank: tensor)
        ownersCounter = ShardingCosts.counterPeak(0..<model.leaves)
        // Every block is cut among all owners; under ddp and zero1 that comes to the same share of the whole, but for lines.
        let byBlock = sharding.state.isInRounds
        let shares = (byBlock ? blocks : [blocks.reduce(0, +)]).map { ShardingCosts.owned($0, among: mesh.data) }
        workers = (0..<mesh.data).map { data in
            let mine = shares.map { $0[data] }
            return ShardingCosts.Worker(
                data: data, tensor: tensor, stage: stage, blocks: blocks, floats: blocks.reduce(0, +), owned: mine.reduce(0, +),
                again: byBlock ? mine.dropFirst().dropLast().reduce(0, +) + (model.config.tied ? mine[0] : 0) : 0,
                leaves: ShardingCosts.leafCount(sharding.state, leaves: model.leaves, workers: mesh.data, data),
                nodes: byBlock ? 0 : ShardingCosts.canonical(ShardingCosts.cut(model.leaves, among: mesh.data, data)).count)
        }
        nodes = workers.reduce(0) { $0 + $1.nodes }
        largestOwned = workers.map(\.owned).max() ?? 0
        for index in workers.indices {
            workers[index].sent = sent(workers[index])
            workers[index].kept = kept(workers[index])
        }
    }

    private func sent(_ worker: ShardingCosts.Worker) -> ShardingCosts.Sent {
        var sent = ShardingCosts.Sent()
        let (W, M, P, s, n) = (mesh.data, model.leaves, worker.floats, worker.owned, worker.leaves)
        switch state {
        case .ddp:
            sent.gradients = 4 * worker.nodes * (P - s)
            sent.reduced = 4 * s * (W - 1)
        case .zero1:
            sent.gradients = 4 * worker.nodes * (P - s)
            sent.parameters = 4 * s * (W - 1)
        case .zero2:
            sent.gradients = 4 * n * (P - s)
            sent.parameters = 4 * s * (W - 1)
        case .zero3:
            sent.gradients = 4 * n * (P - s)
            sent.parameters = 4 * (s + worker.again) * (M - n)
        }
        switch sharding.redundancy {
        case .none: break
        case .shadow:
            sent.redundancy = 4 * s
            if state != .zero3 { sent.parameters -= 4 * s }
        case .parity: sent.redundancy = sharding.ownedStateBytes * s
        }
        let (R, RC, t) = (model.rows, model.activation, mesh.tensor)
        let summed = 4 * layerCount + (isFirst ? 1 : 0) + (isLast ? 1 : 0)
        sent.tensor = n * (8 * RC * summed + (isLast ? 24 * R : 0)) * (t - 1) / t
        sent.pipeline = n * 4 * RC * ((isLast ? 0 : 1) + (isFirst ? 0 : 1))
        if mesh.pipeline > 1, model.config.tied { sent.pipeline += (isLast ? n * table : 0) + (isFirst ? table : 0) }
        return sent
    }

    private func kept(_ worker: ShardingCosts.Worker) -> ShardingCosts.Kept {
        var kept = ShardingCosts.Kept()
        let (W, P, s) = (mesh.data, worker.floats, worker.owned), t = mesh.tensor
        let underWay = PipelineSchedule.inFlight(of: mesh.pipeline, microbatches: worker.leaves)
        let partner = workers[(worker.data + W - 1) % W]
        // The reduced gradient of what the worker updates.
        let slice = state == .ddp ? P : s + (sharding.redundancy == .shadow ? partner.owned : 0)
        switch state {
        case .ddp, .zero1:
            kept.parameters = 8 * P
            kept.moments = 16 * (state == .ddp ? P : s)
            let buffers = ShardingCosts.counterPeak(ShardingCosts.cut(model.leaves, among: W, worker.data), lag: stage)
            kept.gradients = 4 * P * buffers
            if mesh.workers > W || W > 1 && buffers == worker.nodes { kept.reduced = 4 * slice }
            if W > 1 {
                kept.received = 4 * s * (nodes - worker.nodes)
            }
        case .zero2, .zero3:
            let largest = worker.blocks.sorted(by: >).prefix(2).reduce(0, +)
            kept.parameters = state == .zero2 ? 8 * P : 8 * s + 4 * largest * (W - (sharding.redundancy == .shadow ? 2 : 1)) / W
            kept.moments = 16 * s
            // A tied head begins the table's gradient, the embedding completes it: it is there all the time.
            let inFlight = model.config.tied ? worker.blocks[0] + worker.blocks.dropFirst().sorted(by: >).prefix(2).reduce(0, +) : largest
            kept.gradients = 4 * inFlight + 4 * s * ownersCounter
            kept.reduced = 4 * slice
            kept.received = 4 * largest * (W - 1) / W
        }
        switch sharding.redundancy {
        case .none: break
        case .shadow: kept.redundancy = 2 * sharding.ownedStateBytes * partner.owned
        case .parity:
            kept.redundancy = 2 * (sharding.ownedStateBytes * largestOwned + W - 2) / (W - 1)
            if state != .zero1 { kept.received += 8 * (W - 1) * min(ShardingCosts.sliceFloats, (largestOwned + W - 2) / (W - 1)) }
        }
        if mesh.pipeline > 1, model.config.tied {
            kept.parameters += isLast ? 2 * table : 0
            if isLast { kept.gradients += table * (kept.gradients / (4 * P) + underWay) }
        }
        let later = PipelineSchedule.putsOffWeights(stage: stage) ? model.later.bytes(tensor: t) : 0
        let instance = 4 * model.activation + layerCount * (model.kept.bytes(tensor: t) + later) + (isLast ? model.norm.bytes(tensor: t) : 0)
        kept.activations = underWay * instance + model.shared.bytes(tensor: t) + (isLast ? model.logits.bytes(tensor: t) : 0)
        if mesh.pipeline > 1 { kept.received += 4 * model.activation * ((isFirst ? 0 : 4) + (isLast ? 0 : 2)) }
        if t > 1 { kept.received += 4 * model.activation * (t > 2 ? t + 1 : t) }
        return kept
    }
}

extension Sharding {
    /// Of the state that exists once, bytes for each owned float: m, v, and θ under zero3.
    package var ownedStateBytes: Int { state == .ddp ? 0 : state == .zero3 ? 12 : 8 }
}
