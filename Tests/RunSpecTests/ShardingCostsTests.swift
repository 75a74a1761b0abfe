import RunSpec
import Testing

@Suite struct ShardingCostsTests {
    typealias Block = ShardedModel.Block

    /// Blocks of odd sizes; 480 + 3 × 1,184 + 32 floats.
    private func model(leaves: Int, layers: Int = 3, tied: Bool = true) -> ShardedModel {
        var config = ModelConfig()
        (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden) = (layers, 4, 4, 16, 32)
        (config.context, config.vocabulary, config.tied) = (6, 30, tied)
        return ShardedModel(
            config: config, leaves: leaves, sequences: 2, embedding: Block(perToken: 16), layers: Array(repeating: Block(whole: 160, split: 1024), count: layers),
            head: Block(whole: 32, perToken: tied ? 0 : 16), kept: ShardedModel.Activations(whole: 100, split: 800), later: ShardedModel.Activations(whole: 20, split: 10),
            shared: ShardedModel.Activations(whole: 50),
            logits: ShardedModel.Activations(split: 360))
    }

    private func costs(_ state: Sharding.State, _ mesh: Mesh, _ redundancy: Sharding.Redundancy = .none, leaves: Int, tied: Bool = true) -> ShardingCosts {
        ShardingCosts(Sharding(state, redundancy, mesh: mesh), model(leaves: leaves, tied: tied))
    }

    static let meshes = [1, 2, 4, 8, 16, 32].flatMap { leaves in (1...8).filter { $0 <= leaves }.map { (workers: $0, leaves: leaves) } }

    @Test(arguments: meshes)
    func `bytes are those of every message of a step that is played through`(workers: Int, leaves: Int) {
        for state in Sharding.State.allCases where workers > 1 || state == .ddp {
            for redundancy in Sharding.Redundancy.allCases where redundancy == .none || state != .ddp && (redundancy == .shadow || workers > 2) {
                let costs = self.costs(state, Mesh(data: workers), redundancy, leaves: leaves)
                // The layers' share, and with a tied head the embedding's: 480 floats, 3 × 1,184, and the head's 32.
                let again = costs.workers.map { $0.owned - ShardingCosts.owned(32, among: workers)[$0.data] }
                var step = StepMessages(workers: workers, leaves: leaves, owned: costs.workers.map(\.owned), again: again, doubles: redundancy == .shadow)
                switch state {
                case .ddp, .zero1: step.contiguous()
                case .zero2, .zero3: step.dealt(gathers: state == .zero3)
                }
                switch redundancy {
                case .none: break
                case .shadow: step.shadow()
                case .parity: step.parity(vectors: state == .zero3 ? 3 : 2)
                }
                #expect(step.mistakes.isEmpty, "\(step.mistakes)")
                #expect(costs.workers.map(\.sent.total) == step.sent, "\(state) \(redundancy) \(workers) \(leaves)")
                #expect(costs.workers.reduce(0) { $0 + $1.owned } == costs.model.floats && costs.workers.reduce(0) { $0 + $1.leaves } == leaves)
                if state == .ddp {
                    #expect(costs.workers.map(\.kept.gradients) == step.mostBuffers.map { 4 * costs.model.floats * $0 })
                }
                if state == .zero2 {
                    let counter = costs.workers.map { $0.kept.gradients - 4 * (480 + 2 * 1184) }
                    #expect(counter == costs.workers.map { 4 * $0.owned * step.mostSlices })
                }
            }
        }
    }

    @Test func `the mean is the formula with r, and a ring's for powers of two`() {
        for (workers, leaves) in Self.meshes where workers > 1 {
            let (P, r, n) = (Double(model(leaves: leaves).floats), Double(workers - 1) / Double(workers), Double(leaves) / Double(workers))
            func mean(_ state: Sharding.State) -> Double { costs(state, Mesh(data: workers), leaves: leaves).mean(\.sent.total) }
            // Owners' ranges are whole lines of 16 floats: a worker with more nodes may own a line more or less.
            func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 4 * 16 * Double(leaves) }
            #expect(isClose(mean(.zero2), 4 * P * r * n + 4 * P * r) && isClose(mean(.zero3), 12 * P * r * n - 4 * 32 * r * n))
            if workers & (workers - 1) == 0 { #expect(isClose(mean(.ddp), 8 * P * r) && isClose(mean(.zero1), 8 * P * r)) }
        }
        // 5 of 32: ranges 0..<7, 7..<13, 13..<20, 20..<26, 26..<32 have 3, 3, 3, 2 and 2 nodes.
        #expect(costs(.ddp, Mesh(data: 5), leaves: 32).workers.map(\.nodes) == [3, 3, 3, 2, 2])
    }

    @Test func `memory of two workers is what one adds up by hand`() {
        // One worker: the state twice, the leaf under way, activations of 4 × (12 × 16 + 3 × 900 + 50 + 360) bytes. P = 4,064 floats in 254 lines, of which each owns 127; one leaf each.
        let (P, s) = (4064, 2032)
        #expect(costs(.ddp, Mesh(), leaves: 1).workers[0].kept.total == 28 * P + 13_208)
        let ddp = costs(.ddp, Mesh(data: 2), leaves: 2).workers[1].kept
        // The mean gradient has a buffer of its own, since the only other one has the leaf.
        #expect(ddp.parameters + ddp.moments == 24 * P && ddp.gradients == 4 * P && ddp.reduced == 4 * P && ddp.received == 4 * s)
        #expect(costs(.ddp, Mesh(data: 2), leaves: 4).workers[1].kept.reduced == 0, "after two leaves one of their buffers is free")
        let zero1 = costs(.zero1, Mesh(data: 2), .shadow, leaves: 2).workers[1].kept
        #expect(zero1.parameters == 8 * P && zero1.moments == 16 * s && zero1.gradients == 4 * P && zero1.reduced == 8 * s && zero1.redundancy == 16 * s)
        // Blocks of 480, 3 × 1,184 and 32; a tied table's gradient is there all the time.
        let zero2 = costs(.zero2, Mesh(data: 2), leaves: 2).workers[0], half = zero2.owned
        #expect(half == 240 + 3 * 592 + 16 && zero2.kept.gradients == 4 * (480 + 2 * 1184) + 2 * 4 * half && zero2.kept.reduced == 4 * half && zero2.kept.received == 4 * 1184)
        let untied = costs(.zero2, Mesh(data: 2), leaves: 2, tied: false).workers[0]
        #expect(untied.kept.gradients == 4 * 2 * 1184 + 2 * 4 * untied.owned)
        let zero3 = costs(.zero3, Mesh(data: 2), .shadow, leaves: 2).workers[0].kept
        #expect(zero3.parameters == 8 * half && zero3.moments == 16 * half && zero3.redundancy == 24 * half, "of two partners each keeps all")
        #expect(costs(.zero3, Mesh(data: 2), leaves: 2).workers[0].kept.parameters == 8 * half + 4 * 1184)
        // 254 lines among 4: 64, 64, 63, 63; two generations of a third of m, v of the largest.
        #expect(costs(.zero1, Mesh(data: 4), .parity, leaves: 4).workers.allSatisfy { $0.kept.redundancy == 2 * ((8 * 1024 + 2) / 3) })
    }

    @Test func `tensor-parallel ranks send the parts of their sums and divide the vocabulary as far as it goes`() {
        for (tensor, leaves) in [(2, 1), (2, 4), (4, 2)] {
            let model = self.model(leaves: leaves), costs = self.costs(.ddp, Mesh(tensor: tensor), leaves: leaves)
            // A vector is cut into parts; each goes to its owner from all others, and its sum from the owner to all others.
            func allReduce(_ floats: Int) -> [Int] {
                var sent = Array(repeating: 0, count: tensor)
                for part in 0..<tensor {
                    for other in 0..<tensor where other != part {
                        sent[other] += 4 * floats / tensor
                        sent[part] += 4 * floats / tensor
                    }
                }
                return sent
            }
            var sent = Array(repeating: 0, count: tensor)
            for _ in 0..<leaves {
                let sums = ["token table"] + (0..<3).flatMap { ["attention \($0)", "feed-forward \($0)", "its gradient \($0)", "gradient \($0)"] } + ["head's gradient"]
                for floats in sums.map({ _ in 12 * 16 }) + [3 * 12] { sent = zip(sent, allReduce(floats)).map(+) }
            }
            #expect(costs.workers.map(\.sent.total) == sent)
            #expect(costs.workers.reduce(0) { $0 + model.tokens(tensor: tensor, rank: $1.tensor) } == 30)
            #expect(costs.workers.map(\.floats).reduce(0, +) == model.floats + (tensor - 1) * (3 * 160 + 32))
        }
    }

    @Test func `stages send activations forth, gradients back and a tied table's share`() {
        for stages in 1...3 {
            let leaves = 4, costs = self.costs(.ddp, Mesh(pipeline: stages), leaves: leaves), boundary = 4 * 12 * 16, table = 4 * 30 * 16
            var sent = Array(repeating: 0, count: stages)
            for _ in 0..<leaves {
                for stage in 0..<stages - 1 { sent[stage] += boundary }
                for stage in (0..<stages).dropFirst() { sent[stage] += boundary }
                if stages > 1 { sent[stages - 1] += table }
            }
            if stages > 1 { sent[0] += table }
            #expect(costs.workers.map(\.sent.total) == sent)
            #expect(costs.workers.map(\.floats).reduce(0, +) == costs.model.floats)
            // Every stage has as many microbatches under way as there are stages, and those after the first keep more of each.
            let kept = costs.workers.map(\.kept.activations), layers = (0..<stages).map { costs.model.config.layers(stage: $0, of: stages).count }
            if stages > 1 { #expect(layers == (stages == 2 ? [2, 1] : [1, 1, 1]) && kept[0] == stages * (boundary + layers[0] * 3600) + 200 && kept[stages - 1] == stages * (boundary + layers[stages - 1] * (3600 + 120)) + 200 + 1440) }
        }
        // Three leaves' gradients and the table's in each, of which two are on their way; two inputs and their gradients.
        let last = costs(.ddp, Mesh(pipeline: 2), leaves: 4).workers[1], (boundary, table) = (4 * 12 * 16, 4 * 30 * 16)
        #expect(last.floats == 1184 + 32 && last.kept.gradients == 3 * 4 * last.floats + 5 * table && last.kept.received == 4 * boundary)
        let first = costs(.ddp, Mesh(pipeline: 2), leaves: 4).workers[0]
        #expect(first.kept.gradients == 3 * 4 * first.floats && first.kept.received == 2 * boundary)
        // With ranks and data-parallel workers besides, a rank's counterpart gets the whole activation.
        let all = costs(.zero1, Mesh(data: 2, tensor: 2, pipeline: 2), leaves: 4)
        #expect(all.workers.count == 8 && all.workers.allSatisfy { $0.leaves == 2 })
        #expect(all.workers.filter { $0.stage == 0 }.allSatisfy { $0.sent.pipeline == 2 * 768 + 4 * 15 * 16 })
        #expect(all.workers.filter { $0.stage == 1 }.allSatisfy { $0.sent.pipeline == 2 * 768 + 2 * 4 * 15 * 16 })
    }

    @Test func `a range has the fewest aligned nodes, and a counter never needs fewer buffers than that`() {
        for leaves in [1, 2, 4, 8, 16, 32, 64] {
            for low in 0..<leaves {
                for high in low + 1...leaves {
                    let nodes = ShardingCosts.canonical(low..<high)
                    #expect(nodes.first?.lowerBound == low && nodes.last?.upperBound == high && zip(nodes, nodes.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
                    #expect(nodes.allSatisfy { $0.count & ($0.count - 1) == 0 && $0.lowerBound % $0.count == 0 })
                    #expect(zip(nodes, nodes.dropFirst()).allSatisfy { $0.count != $1.count || $0.lowerBound % (2 * $0.count) != 0 })
                    #expect(ShardingCosts.counterPeak(low..<high) >= nodes.count)
                }
            }
        }
        #expect(ShardingCosts.canonical(1..<7) == [1..<2, 2..<4, 4..<6, 6..<7] && ShardingCosts.counterPeak(0..<16) == 5)
        // More than log2 n + 1 where a range begins in the middle of a node: while 19 is computed, 13, 14..<16, 16..<18 and 18 wait.
        #expect(ShardingCosts.counterPeak(13..<20) == 5)
    }

    @Test(arguments: [1, 2, 3, 4, 6], [1, 2, 4, 5, 16])
    func `a stage has the buffers that its passes take and give back`(stages: Int, leaves: Int) {
        for stage in 0..<stages {
            var taken = 0, most = 0, done = 0
            for (pass, _) in PipelineSchedule.passes(stage: stage, of: stages, microbatches: leaves) {
                if pass == .backward {
                    taken += 1
                    most = max(most, taken)
                }
                if pass == (stage > 0 ? .weights : .backward) {
                    // Two nodes become one for each leaf but those that begin a node.
                    let before = done.nonzeroBitCount
                    done += 1
                    taken += done.nonzeroBitCount - before - 1
                }
            }
            #expect(ShardingCosts.counterPeak(0..<leaves, lag: stage) == most, "stage \(stage)")
        }
    }
}
