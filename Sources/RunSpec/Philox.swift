// Random numbers without state: every number is a pure function of what it is for.

/// The Philox4x32-10 counter-based generator (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy
/// as 1, 2, 3", SC 2011). A block is four 32-bit words, a function of a 128-bit counter and a 64-bit key alone.
package struct Philox: Sendable {
    package typealias Block = SIMD4<UInt32>
    private let key: SIMD2<UInt32>

    package init(key: UInt64) {
        self.key = SIMD2(UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
    }

    /// The four words for `counter`.
    package func block(_ counter: Block) -> Block {
        var x = counter, k = key
        for _ in 0..<10 {
            let p0 = UInt64(x[0]) &* 0xD251_1F53, p1 = UInt64(x[2]) &* 0xCD9E_8D57
            x = Block(
                UInt32(truncatingIfNeeded: p1 >> 32) ^ x[1] ^ k[0], UInt32(truncatingIfNeeded: p1),
                UInt32(truncatingIfNeeded: p0 >> 32) ^ x[3] ^ k[1], UInt32(truncatingIfNeeded: p0))
            k &+= SIMD2(0x9E37_79B9, 0xBB67_AE85)
        }
        return x
    }
}

/// What a random number is for. It is one word of the counter, so that no two purposes ever share numbers.
package enum RandomPurpose: UInt32, Sendable {
    case initialisation = 1, sampleOrder, sampleOffset, dropout, tales, sampling, faultSchedule, audit
}

extension Philox {
    /// The block number `index` of the stream (`purpose`, `a`, `b`). In `dropout`, a is the step and b packs
    /// the leaf and the site.
    package func block(_ purpose: RandomPurpose, _ a: UInt32, _ b: UInt32, index: UInt32) -> Block {
        block(Block(index, b, a, purpose.rawValue))
    }

    /// A number in 0 ..< 1 with 53 random bits, the `index`-th of its stream.
    package func uniform(_ purpose: RandomPurpose, _ a: UInt32, _ b: UInt32, index: UInt32) -> Double {
        let w = block(purpose, a, b, index: index)
        return Double((UInt64(w[0]) << 32 | UInt64(w[1])) >> 11) * 0x1p-53
    }
}
