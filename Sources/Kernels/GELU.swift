// GELU in its tanh form, as GPT-2 has it: y = x/2 · (1 + tanh u), u = sqrt(2/π) · (x + 0.044715 x³). Since
// 1/2 · (1 + tanh u) = σ(2u), one exponential and one division do it: y = x · σ(2u). Hendrycks, Gimpel 2016.

package enum GELU {
    /// 2 · sqrt(2/π), and the same times 0.044715.
    private static let linear: Float = 1.5957691216, cubic: Float = 0.0713548163

    /// σ(2u).
    @inline(__always) private static func gate(_ x: Vector, _ square: Vector) -> Vector {
        let slope = Vector(repeating: -linear * log2e).addingProduct(square, Vector(repeating: -cubic * log2e))
        return logistic(powerOfTwo: x * slope)
    }

    /// `out` = GELU(`x`), `count` floats each.
    package static func forward(out: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, count: Int) {
        let whole = count & ~15
        for i in stride(from: 0, to: whole, by: 16) {
            let v = load(x + i)
            store(v * gate(v, v * v), out + i)
        }
        if whole < count {
            let v = load(x + whole, first: count - whole)
            store(v * gate(v, v * v), out + whole, first: count - whole)
        }
    }

    /// Turns `dOut`, the gradient with respect to GELU(`x`), into the gradient with respect to `x`, in place; writes
    /// GELU(`x`) to `out` once more, which costs nothing here and need not be kept since the forward pass; and adds the
    /// column sums of the new gradient to `dBias` (C), if given. `out` may be `x`.
    ///
    /// y' = σ(2u) + x · σ(2u) · (1 − σ(2u)) · 2u', 2u' = 2 sqrt(2/π) · (1 + 3 · 0.044715 x²).
    package static func backward(
        dOut: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, dBias: UnsafeMutablePointer<Float>?,
        x: UnsafePointer<Float>, rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width >= 0, "\(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15
        for row in 0..<rows {
            let x = x + row * width, out = out + row * width, dOut = dOut + row * width
            for i in stride(from: 0, to: whole, by: 16) {
                let (y, d) = gradient(load(x + i), load(dOut + i))
                store(y, out + i)
                store(d, dOut + i)
                if let dBias { store(load(dBias + i) + d, dBias + i) }
            }
            if rest > 0 {
                let (y, d) = gradient(load(x + whole, first: rest), load(dOut + whole, first: rest))
                store(y, out + whole, first: rest)
                store(d, dOut + whole, first: rest)
                if let dBias { store(load(dBias + whole, first: rest) + d, dBias + whole, first: rest) }
            }
        }
    }

    @inline(__always) private static func gradient(_ x: Vector, _ dOut: Vector) -> (y: Vector, dX: Vector) {
        let square = x * x, s = gate(x, square), y = x * s
        let slope = Vector(repeating: linear).addingProduct(square, Vector(repeating: 3 * cubic))
        return (y, dOut * s.addingProduct(y * (1 - s), slope))
    }
}
