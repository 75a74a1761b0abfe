import RunSpec

/// The mask of one use of dropout. It is never stored: element i is kept when word i of the Philox stream
/// (dropout; step, leaf and site) is at least `threshold`, so the backward pass computes it again.
package struct Dropout: Sendable {
    private let generator: Philox
    private let step: UInt32, stream: UInt32
    private let threshold: UInt32
    private let scale: Float

    /// - Parameters:
    ///   - site: which use within the model, below 4096.
    ///   - leaf: the microbatch, below 2^20: the two share one word of the counter.
    ///   - probability: of dropping, in 0 ..< 1.
    package init(seed: UInt64, step: UInt32, leaf: UInt32, site: Int, probability: Double) {
        precondition(probability >= 0 && probability < 1, "dropout of \(probability)")
        precondition(site >= 0 && site < 4096 && leaf < 1 << 20, "dropout site \(site) of leaf \(leaf)")
        generator = Philox(key: seed)
        self.step = step
        stream = leaf << 12 | UInt32(site)
        threshold = UInt32((probability * 0x1p32).rounded())
        scale = Float(1 / (1 - probability))
    }

    /// `out` = `base` + mask · `x` / (1 − p) for the elements `first` ..< `first` + `count` of the use; the pointers
    /// point at the first of them. `base` nil stands for zeros. `out` may be `x` or `base`.
    package func apply(
        _ out: UnsafeMutablePointer<Float>, base: UnsafePointer<Float>?, _ x: UnsafePointer<Float>,
        first: Int, count: Int
    ) {
        precondition(first >= 0 && count >= 0 && (first + count) / 4 < Int(UInt32.max), "dropout of \(count) floats")
        var i = 0
        while i < count {
            let lane = (first + i) & 3, run = min(4 - lane, count - i)
            let words = generator.block(.dropout, step, stream, index: UInt32(truncatingIfNeeded: (first + i) / 4))
            for k in 0..<run {
                let kept = words[lane + k] >= threshold ? x[i + k] * scale : 0
                out[i + k] = (base?[i + k] ?? 0) + kept
            }
            i += run
        }
    }
}
