import CSystem
import Model
import RunSpec
import Testing

@Suite("What a pass tells its peers") struct PeersTests {
    /// Two slices.
    private static let sequences = 30

    @Test("with only the blocks at hand that the pass asked for, every bit stays the same",
          arguments: ModelConfig.Family.allCases, [0, 0.2])
    func gatheredBlocks(family: ModelConfig.Family, dropout: Double) {
        for tied in [true, false] {
            var config = small(family, dropout: dropout)
            config.tied = tied
            let sample = Sample(config, sequences: Self.sequences), model = sample.model
            let key = DropoutKey(seed: 1, step: 2, leaf: 3)
            let (loss, gradient) = sample.run(key)
            var losses = [Double](repeating: .nan, count: Self.sequences), shardedLosses = losses
            model.losses(parameters: sample.parameters, targets: sample.targets, into: &losses)

            let sharded = Sharded(sample)
            model.forward(parameters: sharded.parameters, inputs: sample.inputs, dropout: key, peers: sharded)
            let found = model.backward(
                parameters: sharded.parameters, targets: sample.targets, gradient: sharded.gradient, peers: sharded)
            model.losses(parameters: sharded.parameters, targets: sample.targets, into: &shardedLosses, peers: sharded)

            #expect(found == loss && shardedLosses == losses)
            #expect(sharded.complete.map(\.bitPattern) == gradient.map(\.bitPattern))
            #expect(sharded.atHand.isEmpty)
            #expect(sharded.completed == Array((0...config.layers + 1).reversed()))
        }
    }

    @Test("what a peer throws ends the pass, and the next pass owes nothing to it",
          arguments: ModelConfig.Family.allCases, [1, 2])
    func failure(family: ModelConfig.Family, degree: Int) {
        let config = divisible(family, tied: true), sample = Sample(config, sequences: Self.sequences)
        // The first rank, whose sums nobody adds to.
        let model = Transformer(config, sequences: Self.sequences, part: .whole(config, degree: degree))
        var parameters = [Float](repeating: .nan, count: model.layout.count)
        model.layout.takeShard(&parameters, from: sample.parameters)
        var found = [Float](repeating: .nan, count: model.layout.count), calls = 0
        func attempt(failingAt call: Int) throws -> Double {
            let peers = Failing(call: call, degree: degree)
            defer { calls = peers.calls }
            try model.forward(parameters: parameters, inputs: sample.inputs, dropout: nil, peers: peers)
            return try model.backward(
                parameters: parameters, targets: sample.targets, gradient: &found, peers: peers)
        }
        let loss = try! attempt(failingAt: .max), gradient = found, all = calls
        // A read begins and ends for 4 blocks forward, 3 backward and the tied table; 4 gradients are completed. Ranks sum
        // twice forward and twice backward in either slice of two layers, and for the embedding, the head's input
        // gradient, the largest logits and the sums of exponentials.
        #expect(all == 2 * (4 + 3 + 1) + 4 + (degree > 1 ? 4 * 2 * 2 + 4 : 0))

        for call in 0..<all {
            #expect(throws: Failing.Gone.self) { try attempt(failingAt: call) }
            #expect(calls == call + 1)
        }
        #expect(try! attempt(failingAt: .max) == loss && found == gradient)
    }

    @Test("a step with peers allocates nothing after the first", arguments: ModelConfig.Family.allCases, [1, 2])
    func allocations(family: ModelConfig.Family, degree: Int) throws {
        var config = divisible(family, tied: true, dropout: 0.1)
        // OpenBLAS's own AVX-512 kernels for small matrices allocate where sizes, of heads too, are no multiples of 16.
        (config.width, config.hidden, config.context, config.vocabulary) = (16 * config.heads, 128, 32, 64)
        let sample = Sample(config, sequences: Self.sequences), peers = Failing(call: .max, degree: degree)
        let model = Transformer(config, sequences: Self.sequences, part: .whole(config, degree: degree))
        var parameters = [Float](repeating: .nan, count: model.layout.count), gradient = parameters
        model.layout.takeShard(&parameters, from: sample.parameters)
        let key = DropoutKey(seed: 1, step: 1, leaf: 0)
        func step() throws {
            try model.forward(parameters: parameters, inputs: sample.inputs, dropout: key, peers: peers)
            _ = try model.backward(
                parameters: parameters, targets: sample.targets, gradient: &gradient, peers: peers)
        }
        try step()

        let before = cs_allocation_count()
        for _ in 0..<3 { try step() }
        let after = cs_allocation_count()

        #expect(before > 0, "the counting allocator is not linked in")
        #expect(after == before)
    }
}

/// Parameters of which only the blocks being read are there, all else not a number; a gradient that is taken away block
/// by block.
private final class Sharded: Peers {
    typealias Failure = Never
    let whole: [Float], blocks: [Range<Int>]
    let parameters, gradient: UnsafeMutablePointer<Float>
    private(set) var complete: [Float], completed: [Int] = [], atHand: Set<Int> = []

    init(_ sample: Sample) {
        whole = sample.parameters
        blocks = sample.model.layout.blocks
        parameters = .allocate(capacity: whole.count)
        gradient = .allocate(capacity: whole.count)
        parameters.initialize(repeating: .nan, count: whole.count)
        gradient.initialize(repeating: .nan, count: whole.count)
        complete = Array(repeating: .nan, count: whole.count)
    }

    deinit {
        parameters.deallocate()
        gradient.deallocate()
    }

    func willRead(block: Int, in pass: Pass) {
        #expect(atHand.insert(block).inserted)
        // Two at a time at most, which is what a gathering worker has room for.
        #expect(atHand.count <= 2)
        for i in blocks[block] { parameters[i] = whole[i] }
    }

    func hasRead(block: Int, in pass: Pass) {
        #expect(atHand.remove(block) != nil)
        for i in blocks[block] { parameters[i] = .nan }
    }

    let degree = 1
    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) {}
    func max(_ values: UnsafeMutablePointer<Float>, count: Int) {}

    func gradientIsComplete(block: Int) {
        completed.append(block)
        for i in blocks[block] {
            complete[i] = gradient[i]
            gradient[i] = .nan
        }
    }
}

/// A peer that is lost at one of the calls.
private final class Failing: Peers {
    struct Gone: Error {}
    typealias Failure = Gone
    let call: Int, degree: Int
    private(set) var calls = 0

    init(call: Int, degree: Int) { (self.call, self.degree) = (call, degree) }

    private func count() throws(Gone) {
        calls += 1
        if calls - 1 == call { throw Gone() }
    }
    func willRead(block: Int, in pass: Pass) throws(Gone) { try count() }
    func hasRead(block: Int, in pass: Pass) throws(Gone) { try count() }
    func gradientIsComplete(block: Int) throws(Gone) { try count() }
    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) throws(Gone) { try self.count() }
    func max(_ values: UnsafeMutablePointer<Float>, count: Int) throws(Gone) { try self.count() }
}
