import RunSpec

/// Which tokens a training sample is: a pure function of (seed, sample number), so that no position needs to be
/// saved and any worker can make any microbatch.
///
/// A sample is a window of T inputs, each with the token after it as target: T + 1 tokens from its start. In epoch e
/// the windows lie side by side on a grid that is shifted by an offset o, drawn anew for every epoch, and are taken
/// in an order permuted anew for every epoch. Each token is a target at most once in an epoch.
///
/// Bounds. There are n = max(1, (N − T) / T) windows (integer division) and offsets 0 ..< min(T, N − nT). The last
/// window starts at o + (n − 1)T, its last target is token o + nT ≤ (N − nT − 1) + nT = N − 1. For N ≥ 2T,
/// nT ≤ N − T, so all T offsets are possible; a text of T + 1 tokens still has its one window.
package struct SampleOrder: Sendable {
    /// N, tokens in the training shard.
    package let tokenCount: Int
    /// T, inputs in a sample.
    package let context: Int
    /// n, the same in every epoch.
    package let samplesPerEpoch: Int
    /// Possible offsets of an epoch's grid: 0 ..< this.
    package let offsetCount: Int
    private let philox: Philox

    /// The corpus must hold one sample: N ≥ T + 1 (`Ingest` sees to it).
    package init(seed: UInt64, tokenCount: Int, context: Int) {
        precondition(context > 0 && tokenCount > context, "\(tokenCount) tokens for a context of \(context)")
        self.tokenCount = tokenCount
        self.context = context
        samplesPerEpoch = max(1, (tokenCount - context) / context)
        offsetCount = min(context, tokenCount - samplesPerEpoch * context)
        philox = Philox(key: seed)
    }

    /// The shift of epoch `epoch`'s grid, in tokens.
    package func offset(ofEpoch epoch: Int) -> Int {
        let (low, high) = Self.words(epoch)
        let w = philox.block(.sampleOffset, low, high, index: 0)
        let random = UInt64(w[0]) << 32 | UInt64(w[1])
        return Int(random.multipliedFullWidth(by: UInt64(offsetCount)).high)
    }

    /// The index of the first input token of sample `sample`, counted from 0 over the whole run.
    package func start(ofSample sample: Int) -> Int {
        precondition(sample >= 0, "sample \(sample)")
        let (epoch, place) = sample.quotientAndRemainder(dividingBy: samplesPerEpoch)
        return offset(ofEpoch: epoch) + window(at: place, ofEpoch: epoch) * context
    }

    /// The window, 0 ..< n, that comes at `place`, 0 ..< n, of an epoch: a keyed bijection. A balanced Feistel
    /// network permutes the numbers of the smallest even number of bits that holds n of them; a result outside
    /// 0 ..< n is sent through again until it falls inside (cycle walking; fewer than 4 times on average, since
    /// fewer than 3/4 of the numbers are outside for n > 1).
    package func window(at place: Int, ofEpoch epoch: Int) -> Int {
        precondition(place >= 0 && place < samplesPerEpoch, "place \(place) of \(samplesPerEpoch)")
        var value = UInt64(place)
        repeat { value = feistel(value, epoch) } while value >= UInt64(samplesPerEpoch)
        return Int(value)
    }

    private static let rounds: UInt32 = 6

    private func feistel(_ value: UInt64, _ epoch: Int) -> UInt64 {
        let (low, high) = Self.words(epoch)
        let half = UInt64(halfBits), mask: UInt64 = 1 << half - 1
        var left = value >> half, right = value & mask
        for round in 0..<Self.rounds {
            // The epoch's high word shares a counter word with the round; 2^61 epochs do not happen.
            let w = philox.block(.sampleOrder, low, high << 3 | round, index: UInt32(right))
            (left, right) = (right, left ^ UInt64(w[0]) & mask)
        }
        return left << half | right
    }

    /// Half of the smallest even number of bits that counts 0 ..< n, at least 1.
    private var halfBits: Int {
        let bits = Int.bitWidth - (samplesPerEpoch - 1).leadingZeroBitCount
        return max(1, (bits + 1) / 2)
    }

    private static func words(_ epoch: Int) -> (low: UInt32, high: UInt32) {
        (UInt32(truncatingIfNeeded: epoch), UInt32(truncatingIfNeeded: epoch >> 32))
    }
}

extension SampleOrder {
    /// Fills one microbatch: sample number = step · M · b + leaf · b + row.
    ///
    /// - Parameters:
    ///   - tokens: the training shard, N tokens.
    ///   - step: the step, from 0. `leaf`: the microbatch, 0 ..< M.
    ///   - microbatches: M. `sequences`: b.
    ///   - inputs: b × T, row-major; all written.
    ///   - targets: b × T, the token after each input; all written.
    package func fill(
        from tokens: TokenShard, step: Int, leaf: Int, microbatches: Int, sequences: Int,
        inputs: UnsafeMutablePointer<Int32>, targets: UnsafeMutablePointer<Int32>
    ) {
        precondition(tokens.count == tokenCount, "\(tokens.path) has \(tokens.count) tokens, not \(tokenCount)")
        precondition(leaf >= 0 && leaf < microbatches, "leaf \(leaf) of \(microbatches)")
        let first = (step * microbatches + leaf) * sequences
        for row in 0..<sequences {
            let start = start(ofSample: first + row)
            tokens.copy(from: start, length: context, to: inputs + row * context)
            tokens.copy(from: start + 1, length: context, to: targets + row * context)
        }
    }
}
