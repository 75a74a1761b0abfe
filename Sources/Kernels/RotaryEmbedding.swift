import RunSpec

// Rotary positions in the half-rotation form of Hugging Face: in a head of D floats, lanes i and i + D/2 turn together
// by the angle position · base^(−2i / D). Su et al. 2021.

package enum RotaryEmbedding {
    /// Fills `cosines` and `sines` (T, D/2).
    package static func table(
        cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>,
        context: Int, headWidth: Int, base: Double
    ) {
        precondition(headWidth % 2 == 0, "rotary positions need an even head width, not \(headWidth)")
        let half = headWidth / 2
        for i in 0..<half {
            let frequency = PortableMath.pow(base, -2 * Double(i) / Double(headWidth))
            for t in 0..<context {
                let (sine, cosine) = PortableMath.sinCos(Double(t) * frequency)
                cosines[t * half + i] = Float(cosine)
                sines[t * half + i] = Float(sine)
            }
        }
    }

    /// Turns the first `heads` heads of every row of `x`, in place; backwards when `inverse`, which is what gradients
    /// need, a rotation's transpose being its inverse. Row r is at position r mod T.
    /// - Parameters:
    ///   - x: (R, heads · D) with `lead` floats from row to row. Queries and keys lie side by side: one call for both.
    ///   - cosines, sines: (T, D/2).
    package static func rotate(
        _ x: UnsafeMutablePointer<Float>, lead: Int, cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>,
        rows: Int, context: Int, heads: Int, headWidth: Int, inverse: Bool
    ) {
        precondition(lead >= heads * headWidth, "\(heads) heads of \(headWidth) in rows of \(lead) floats")
        let half = headWidth / 2, sign: Float = inverse ? -1 : 1
        for row in 0..<rows {
            let cosines = cosines + row % context * half, sines = sines + row % context * half
            for head in 0..<heads {
                let low = x + row * lead + head * headWidth, high = low + half
                for i in 0..<half {
                    let a = low[i], b = high[i], c = cosines[i], s = sines[i] * sign
                    low[i] = a * c - b * s
                    high[i] = b * c + a * s
                }
            }
        }
    }
}
