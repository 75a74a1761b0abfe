import Kernels
import RunSpec
import Testing

/// (θ, m, v) over `count` floats each.
private final class State {
    fileprivate let pointers: StatePointers
    private let count: Int

    init(_ parts: [[Float]]) {
        count = parts[0].count
        let blocks = parts.map { part in
            let block = UnsafeMutablePointer<Float>.allocate(capacity: part.count)
            block.initialize(from: part, count: part.count)
            return block
        }
        pointers = StatePointers(parameters: blocks[0], firstMoment: blocks[1], secondMoment: blocks[2])
    }

    /// 64 floats in -0.5 ..< 0.5, second moments in 0 ..< 1e-4.
    convenience init(seed: UInt64) {
        let random = Philox(key: seed)
        self.init((0..<UInt32(3)).map { part in
            (0..<UInt32(64)).map { index in
                let u = Float(random.uniform(.sampling, part, 0, index: index))
                return part == 2 ? u * 1e-4 : u - 0.5
            }
        })
    }

    deinit { for block in blocks { block.deallocate() } }

    private var blocks: [UnsafeMutablePointer<Float>] { [pointers.parameters, pointers.firstMoment, pointers.secondMoment] }
    var parts: [[Float]] { blocks.map { Array(UnsafeBufferPointer(start: $0, count: count)) } }
    var bits: [[UInt32]] { parts.map { $0.map(\.bitPattern) } }
}

private func update(_ old: State, into new: State, _ constants: AdamWStep, range: Range<Int>, decays: Bool, gradient: [Float]) {
    withExtendedLifetime((old, new)) {
        adamW(constants, range: range, decays: decays, gradient: gradient, from: old.pointers, into: new.pointers)
    }
}

@Suite struct AdamWTests {
    private struct Numbers {
        var rate = 3e-3, beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, decay = 0.1, clip = 1.0, norm = 2.5

        func step(_ step: Int) -> AdamWStep {
            AdamWStep(step: step, learningRate: rate, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: decay, gradientNorm: norm, clip: clip)
        }

        /// One element in double precision, from Algorithm 2 of the paper.
        func update(_ p: Double, _ m: Double, _ v: Double, _ gradient: Double, step: Int, decays: Bool) -> [Double] {
            let g = clip > 0 && norm > clip ? gradient * clip / (norm + 1e-6) : gradient
            let m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g * g
            let mHat = m / (1 - PortableMath.pow(beta1, step + 1)), vHat = v / (1 - PortableMath.pow(beta2, step + 1))
            return [p - rate * (mHat / (vHat.squareRoot() + epsilon) + (decays ? decay * p : 0)), m, v]
        }
    }

    private func gradient(_ seed: UInt64) -> [Float] {
        let random = Philox(key: seed)
        return (0..<UInt32(64)).map { Float(random.uniform(.sampling, 9, 0, index: $0) - 0.5) * 0.1 }
    }

    /// Each of the constants 0.9, 0.01 and so on and each operation rounds to 24 bits: some 1e-7 per element and step,
    /// relative to the largest term.
    private static let tolerance = 2e-6

    @Test(arguments: [true, false], [0.0, 1.0, 5.0])
    func `ten steps stay with the same algorithm in double precision`(decays: Bool, clip: Double) {
        var numbers = Numbers()
        numbers.clip = clip
        var state = State(seed: 1), next = State(seed: 2)
        var twin = state.parts.map { $0.map { Double($0) } }
        for step in 0..<10 {
            let g = gradient(UInt64(step) + 10)
            update(state, into: next, numbers.step(step), range: 0..<64, decays: decays, gradient: g)
            swap(&state, &next)
            for i in 0..<64 {
                let expected = numbers.update(twin[0][i], twin[1][i], twin[2][i], Double(g[i]), step: step, decays: decays)
                for part in 0..<3 { twin[part][i] = expected[part] }
            }
        }
        let found = state.parts
        for part in 0..<3 {
            let size = twin[part].map { abs($0) }.max()!
            for i in 0..<64 { #expect(abs(Double(found[part][i]) - twin[part][i]) < Self.tolerance * size, "part \(part), element \(i)") }
        }
    }

    @Test func `nothing of the old state and nothing outside the range is touched`() {
        let old = State(seed: 3), new = State(seed: 4)
        let oldBefore = old.parts, newBefore = new.parts, g = gradient(5)
        update(old, into: new, Numbers().step(7), range: 17..<40, decays: true, gradient: g)
        let newAfter = new.parts
        #expect(old.parts == oldBefore)
        for part in 0..<3 {
            for i in 0..<64 { #expect((newAfter[part][i] == newBefore[part][i]) != (17..<40).contains(i), "part \(part), element \(i)") }
        }
    }

    @Test func `an element's bits do not depend on the range it is updated in`() {
        let g = gradient(6)
        let old = State(seed: 5), whole = State(seed: 0), pieces = State(seed: 0)
        update(old, into: whole, Numbers().step(3), range: 0..<64, decays: true, gradient: g)
        for range in [50..<64, 0..<1, 1..<18, 18..<50] {
            update(old, into: pieces, Numbers().step(3), range: range, decays: true, gradient: g)
        }
        #expect(whole.bits == pieces.bits)
    }

    @Test func `a gradient of zero leaves only decay`() {
        var parts = State(seed: 6).parts
        parts[1] = Array(repeating: 0, count: 64)
        let old = State(parts), new = State(seed: 0), g = [Float](repeating: 0, count: 64), keep = Float(1 - 3e-3 * 0.1)
        update(old, into: new, Numbers().step(0), range: 0..<64, decays: true, gradient: g)
        #expect(new.parts[0] == parts[0].map { keep * $0 })
        update(old, into: new, Numbers().step(0), range: 0..<64, decays: false, gradient: g)
        #expect(new.parts[0] == parts[0])
    }
}

@Suite struct FingerprintTests {
    private func fingerprint(_ blocks: [[Float]], _ range: Range<Int>) -> UInt64 {
        let state = State(blocks)
        return withExtendedLifetime(state) { Kernels.fingerprint(state.pointers, range: range) }
    }

    private func blocks(_ count: Int) -> [[Float]] {
        let random = Philox(key: 12)
        return (0..<UInt32(3)).map { part in (0..<UInt32(count)).map { Float(random.uniform(.sampling, part, 0, index: $0)) } }
    }

    @Test func `equal data has equal fingerprints, wherever it lies`() {
        let blocks = blocks(160), shifted = blocks.map { Array($0[32..<128]) }
        #expect(fingerprint(blocks, 0..<160) == fingerprint(blocks, 0..<160))
        #expect(fingerprint(blocks, 32..<128) == fingerprint(shifted, 0..<96))
    }

    @Test func `any single flipped bit changes the fingerprint`() {
        let blocks = blocks(96), whole = fingerprint(blocks, 0..<96), random = Philox(key: 77)
        for sample in 0..<3000 as Range<UInt32> {
            let block = Int(random.uniform(.sampling, 0, 0, index: sample) * 3), element = Int(random.uniform(.sampling, 1, 0, index: sample) * 96)
            let bit = Int(random.uniform(.sampling, 2, 0, index: sample) * 32)
            var other = blocks
            other[block][element] = Float(bitPattern: blocks[block][element].bitPattern ^ 1 << bit)
            #expect(fingerprint(other, 0..<96) != whole, "bit \(bit) of element \(element) of block \(block)")
        }
    }

    @Test func `data outside the slice does not count`() {
        var blocks = blocks(96)
        let slice = fingerprint(blocks, 16..<80)
        for part in 0..<3 { (blocks[part][15], blocks[part][80]) = (9, 9) }
        #expect(fingerprint(blocks, 16..<80) == slice)
    }

    @Test func `swapped elements, swapped blocks and another length change the fingerprint`() {
        let blocks = blocks(96), whole = fingerprint(blocks, 0..<96)
        var swapped = blocks
        swapped[0].swapAt(3, 19)
        #expect(fingerprint(swapped, 0..<96) != whole)
        swapped = blocks
        swapped[1].swapAt(3, 4)
        #expect(fingerprint(swapped, 0..<96) != whole)
        #expect(fingerprint([blocks[1], blocks[0], blocks[2]], 0..<96) != whole)
        #expect(fingerprint(blocks, 0..<80) != whole && fingerprint(blocks, 0..<0) != fingerprint(blocks, 0..<16))
    }
}
