import RunSpec

/// The mask of one use of dropout. It is never stored: element i is kept when the upper 31 bits of word i of the Philox
/// stream (dropout; step, leaf and site) are at least `threshold`, so the backward pass computes it again.
package struct Dropout: Sendable {
    private let key: SIMD2<UInt32>
    private let step: UInt32, stream: UInt32
    private let threshold: Int32
    private let scale: Float

    /// - Parameters:
    ///   - site: which use within the model, below 4096.
    ///   - leaf: the microbatch, below 2^20: the two share one word of the counter.
    ///   - probability: of dropping, in 0 ..< 1.
    package init(seed: UInt64, step: UInt32, leaf: UInt32, site: Int, probability: Double) {
        precondition(probability >= 0 && probability < 1, "dropout of \(probability)")
        precondition(site >= 0 && site < 4096 && leaf < 1 << 20, "dropout site \(site) of leaf \(leaf)")
        key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        self.step = step
        stream = leaf << 12 | UInt32(site)
        threshold = Int32(min((probability * 0x1p31).rounded(), 0x1p31 - 1))
        scale = Float(1 / (1 - probability))
    }

    /// `out` = `base` + mask · `x` / (1 − p) for the elements `first` ..< `first` + `count` of the use; the pointers
    /// point at the first of them. `base` nil stands for zeros. `out` may be `x` or `base`.
    package func apply(
        _ out: UnsafeMutablePointer<Float>, base: UnsafePointer<Float>?, _ x: UnsafePointer<Float>,
        first: Int, count: Int
    ) {
        precondition(first >= 0 && count >= 0 && (first + count) / 4 < Int(UInt32.max) - 8,
                     "dropout of \(count) floats from \(first) on")
        var i = 0
        while i < count {
            // Eight blocks make 32 words; at the ends some of them are not wanted.
            let skipped = (first + i) & 3, words = eightBlocks(UInt32(truncatingIfNeeded: (first + i) / 4))
            if skipped == 0 && count - i >= 32 {
                keep(out + i, base.map { $0 + i }, x + i, words.lowHalf)
                keep(out + i + 16, base.map { $0 + i + 16 }, x + i + 16, words.highHalf)
                i += 32
            } else {
                let run = min(32 - skipped, count - i)
                for k in 0..<run {
                    let kept = Int32(words[skipped + k] >> 1) >= threshold ? x[i + k] * scale : 0
                    out[i + k] = base.map { $0[i + k] + kept } ?? kept
                }
                i += run
            }
        }
    }

    @inline(__always) private func keep(
        _ out: UnsafeMutablePointer<Float>, _ base: UnsafePointer<Float>?, _ x: UnsafePointer<Float>,
        _ words: SIMD16<UInt32>
    ) {
        // Ones in the lanes to drop, by the sign of a difference: comparing integers would be a loop over the lanes.
        let upper = unsafeBitCast(words &>> SIMD16(repeating: 1), to: SIMD16<Int32>.self)
        let dropped = (upper &- SIMD16(repeating: threshold)) &>> SIMD16(repeating: 31)
        let kept = unsafeBitCast(unsafeBitCast(load(x) * scale, to: SIMD16<Int32>.self) & ~dropped, to: Vector.self)
        store(base.map { load($0) + kept } ?? kept, out)
    }

    /// The 32 words of the blocks `index` ..< `index` + 8, in order: RunSpec's Philox, eight counters at a time, one to
    /// a 64-bit lane, so that a product's halves need no unpacking.
    @inline(__always) private func eightBlocks(_ index: UInt32) -> SIMD32<UInt32> {
        typealias Eight = SIMD8<UInt64>
        let low = Eight(repeating: 0xFFFF_FFFF)
        var x0 = (Eight(repeating: UInt64(index)) &+ Eight(0, 1, 2, 3, 4, 5, 6, 7)) & low
        var x1 = Eight(repeating: UInt64(stream)), x2 = Eight(repeating: UInt64(step))
        var x3 = Eight(repeating: UInt64(RandomPurpose.dropout.rawValue))
        var k0 = key.x, k1 = key.y
        for _ in 0..<10 {
            let p0 = (x0 & low) &* Eight(repeating: 0xD251_1F53), p1 = (x2 & low) &* Eight(repeating: 0xCD9E_8D57)
            x0 = (p1 &>> Eight(repeating: 32)) ^ x1 ^ Eight(repeating: UInt64(k0))
            x2 = (p0 &>> Eight(repeating: 32)) ^ x3 ^ Eight(repeating: UInt64(k1))
            x1 = p1 & low
            x3 = p0 & low
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        // Words 0 and 1 of a block fill one 64-bit lane, words 2 and 3 another; then the lanes of the two interleave.
        let front = x0 | x1 &<< Eight(repeating: 32), back = x2 | x3 &<< Eight(repeating: 32)
        var early = Eight.zero, late = Eight.zero
        (early.evenHalf, early.oddHalf) = (front.lowHalf, back.lowHalf)
        (late.evenHalf, late.oddHalf) = (front.highHalf, back.highHalf)
        return SIMD32(
            lowHalf: unsafeBitCast(early, to: SIMD16<UInt32>.self),
            highHalf: unsafeBitCast(late, to: SIMD16<UInt32>.self))
    }
}
