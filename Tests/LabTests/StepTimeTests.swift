import Lab
import RunSpec
import Testing

@Suite struct StepTimeTests {
    /// 1 GB/s of payload, no time per message.
    private let link = Link(gigabitsPerSecond: 8 / 0.94, microseconds: 0)
    private func isClose(_ a: Double, _ b: Double, _ tolerance: Double = 1e-9) -> Bool { abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-12) }

    /// A layer of 6 MB and 3 s of computing at 1 FLOP/s … 1 s forward, 2 s back, half of it for matrices' gradients; no embedding, no head.
    private func model(layers: Int, leaves: Int) -> ShardedModel {
        var config = ModelConfig()
        (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden, config.context, config.vocabulary) = (layers, 4, 4, 1000, 4000, 100, 16)
        config.tied = false
        return ShardedModel(
            config: config, leaves: leaves, sequences: 1, embedding: ShardedModel.Block(),
            layers: Array(repeating: ShardedModel.Block(split: 1_500_000), count: layers), head: ShardedModel.Block(), layerFlops: 0.03,
            layerWeightFlops: 0.01)
    }

    private func time(_ state: Sharding.State, _ mesh: Mesh, layers: Int = 4, leaves: Int, flops: Double = 1000, link: Link? = nil, _ change: (inout Calibration) -> Void = { _ in }) -> StepTime {
        var calibration = Calibration()
        (calibration.stepSeconds, calibration.memoryBytesPerSecond, calibration.overlapsLastLeaf) = (0, 1e30, true)
        change(&calibration)
        return StepTime(ShardingCosts(Sharding(state, mesh: mesh), model(layers: layers, leaves: leaves)), link: link ?? self.link, flops: flops, calibration: calibration)
    }

    @Test func `one worker computes and updates, and that is all`() {
        let time = time(.ddp, Mesh(), leaves: 8) { $0.memoryBytesPerSecond = 1e9 }
        #expect(isClose(time.compute, 8 * 4 * 3e-3) && time.exposed == 0 && time.hidden == 0 && time.bubble == 0)
        // Seven additions, the norm, AdamW.
        #expect(isClose(time.update, 6e6 * (7 * 12 + 4 + 28) / 1e9))
        #expect(isClose(time.leafLatency, 4 * 3e-3))
    }

    @Test func `a fast link hides all gradients but the last block's, a slow one none of what is left`() {
        // Half of 6 MB to the other: 3 ms a layer, as in 2 ms of its backward pass; all-gather of 12 MB.
        let ddp = time(.ddp, Mesh(data: 2), leaves: 2)
        #expect(isClose(ddp.compute, 12e-3) && isClose(ddp.exposed, (2 + 4 * 3 - 8) * 1e-3 + 12e-3) && isClose(ddp.hidden, 6e-3))
        // Twice as fast: 1.5 ms a layer, the last one's after the end.
        let fast = time(.ddp, Mesh(data: 2), leaves: 2, link: Link(gigabitsPerSecond: 16 / 0.94, microseconds: 0))
        #expect(isClose(fast.exposed, 1.5e-3 + 6e-3) && isClose(fast.hidden, 4.5e-3))
        let after = time(.ddp, Mesh(data: 2), leaves: 2) { $0.overlapsLastLeaf = false }
        #expect(isClose(after.exposed, 24e-3) && after.hidden == 0)
    }

    @Test func `halves of layers are computed a little slower`() {
        let whole = time(.ddp, Mesh(tensor: 4), leaves: 2), halved = time(.ddp, Mesh(tensor: 4), leaves: 2) { $0.halvedShare = 0.9 }
        #expect(isClose(halved.compute, whole.compute / 0.81) && time(.ddp, Mesh(data: 2), leaves: 2) { $0.halvedShare = 0.9 } == time(.ddp, Mesh(data: 2), leaves: 2))
    }

    @Test func `what the network takes from the processor is exposed`() {
        let stolen = time(.ddp, Mesh(data: 2), leaves: 2) { $0.stolenShare = 0.5 }, free = time(.ddp, Mesh(data: 2), leaves: 2)
        #expect(isClose(stolen.total - free.total, 3e-3) && isClose(stolen.hidden, 3e-3))
    }

    @Test func `zero2 sends with every microbatch, stalls when two blocks wait, and begins the next when all is sent`() {
        // Each leaf: 4 ms forward, then layers of 2 ms and 3 ms of link.
        let zero2 = time(.zero2, Mesh(data: 2), leaves: 4)
        var now = 0.0, linkFree = 0.0, ends: [Double] = []
        for _ in 0..<2 {
            now += 4e-3
            for _ in 0..<4 {
                now = max(now, ends.count >= 2 ? ends[ends.count - 2] : 0) + 2e-3
                linkFree = max(now, linkFree) + 3e-3
                ends.append(linkFree)
            }
            now = linkFree
        }
        #expect(isClose(zero2.compute, 24e-3) && isClose(zero2.exposed, linkFree - 24e-3 + 12e-3))
        #expect(zero2.total > time(.zero1, Mesh(data: 2), leaves: 4).total)
    }

    @Test func `zero3 waits for blocks where gathering takes longer than computing`() {
        // A hundred times slower processors: everything is hidden but the gathering of the first block, of the first on the
        // way back, for the head before it computes nothing here, and the last one's gradient.
        let slow = time(.zero3, Mesh(data: 2), leaves: 2, flops: 10)
        #expect(isClose(slow.exposed, 9e-3) && isClose(slow.hidden, (4 + 4 + 4) * 3e-3 - 9e-3))
        // A thousand times faster: the link is all there is.
        let fast = time(.zero3, Mesh(data: 2), leaves: 2, flops: 1e6)
        #expect(isClose(fast.total, 36e-3, 1e-2))
    }

    @Test func `sums over ranks are waited for`() {
        // 400 kB of activation, half of it sent twice: 0.4 ms; four a layer, the token table's, the head's, three floats of 100 rows.
        let time = time(.ddp, Mesh(tensor: 2), leaves: 1)
        #expect(isClose(time.compute, 6e-3) && isClose(time.exposed, 18 * 0.4e-3 + 1.2e-6) && time.hidden < 1e-12)
    }

    /// With fewer microbatches than stages longer: the last one waits for stages − 1 forward passes, the first one for it and back.
    @Test(arguments: [(2, 4, 1), (4, 4, 3), (4, 16, 3), (8, 8, 7), (2, 1, 2), (4, 2, 5), (8, 1, 14)])
    func `equal stages wait one forward pass for each stage after the first`(stages: Int, leaves: Int, waits: Int) {
        let time = time(.ddp, Mesh(pipeline: stages), layers: 8, leaves: leaves, link: Link(gigabitsPerSecond: 1e6, microseconds: 0))
        let share = Double(waits) / Double(3 * leaves + waits)
        #expect(isClose(time.compute, Double(leaves) * 8 / Double(stages) * 3e-3))
        #expect(isClose(time.bubble / (time.compute + time.bubble), share, 1e-6) && time.exposed < 1e-3)
    }

    @Test func `transfers between stages are on the way of the first and the last microbatch`() {
        // One leaf, two stages: an activation forth and its gradient back, 0.4 ms each.
        let time = time(.ddp, Mesh(pipeline: 2), leaves: 1)
        #expect(isClose(time.compute, 6e-3) && isClose(time.bubble, 4e-3) && isClose(time.exposed, 0.8e-3))
    }

    @Test func `each message takes its time`() {
        let quiet = time(.zero1, Mesh(data: 4), leaves: 4), slow = time(.zero1, Mesh(data: 4), leaves: 4, link: Link(gigabitsPerSecond: 8 / 0.94, microseconds: 100))
        // The last of six blocks' exchanges waits behind the others; the all-gather; norms and votes. The link is busy from the first block on.
        #expect(isClose(slow.total - quiet.total, 3e-4 * (5 + 1 + 2), 0.3) && slow.total > quiet.total)
    }
}
