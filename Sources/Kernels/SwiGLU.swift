// SwiGLU: y = silu(gate) · up, silu(g) = g · σ(g). Shazeer 2020. Rows hold gate and up side by side, as one product
// with the packed matrix leaves them: (R, 2F), gate in columns 0 ..< F, up in F ..< 2F.

package enum SwiGLU {
    /// `out` (R, F) = silu(gate) · up for `gateUp` (R, 2F).
    package static func forward(
        out: UnsafeMutablePointer<Float>, gateUp: UnsafePointer<Float>, rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width >= 0, "\(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15
        for row in 0..<rows {
            let gate = gateUp + row * 2 * width, up = gate + width, out = out + row * width
            for i in stride(from: 0, to: whole, by: 16) {
                let g = load(gate + i)
                store(g * logistic(powerOfTwo: g * -log2e) * load(up + i), out + i)
            }
            if rest > 0 {
                let g = load(gate + whole, first: rest)
                store(g * logistic(powerOfTwo: g * -log2e) * load(up + whole, first: rest), out + whole, first: rest)
            }
        }
    }

    /// Overwrites `dGateUp` (R, 2F) with the gradient with respect to `gateUp` (R, 2F), given `dOut` (R, F); replaces
    /// `dOut` by silu(gate) · up, which the weight gradient of the next product needs and which need not be kept since
    /// the forward pass. `dGateUp` may be `gateUp`.
    ///
    /// silu'(g) = σ + g · σ · (1 − σ).
    package static func backward(
        dGateUp: UnsafeMutablePointer<Float>, dOutThenOut: UnsafeMutablePointer<Float>,
        gateUp: UnsafePointer<Float>, rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width >= 0, "\(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15
        for row in 0..<rows {
            let gate = gateUp + row * 2 * width, up = gate + width, both = dOutThenOut + row * width
            let dGate = dGateUp + row * 2 * width, dUp = dGate + width
            for i in stride(from: 0, to: whole, by: 16) {
                let result = gradient(load(gate + i), load(up + i), load(both + i))
                store(result.out, both + i)
                store(result.dGate, dGate + i)
                store(result.dUp, dUp + i)
            }
            if rest > 0 {
                let result = gradient(
                    load(gate + whole, first: rest), load(up + whole, first: rest), load(both + whole, first: rest))
                store(result.out, both + whole, first: rest)
                store(result.dGate, dGate + whole, first: rest)
                store(result.dUp, dUp + whole, first: rest)
            }
        }
    }

    @inline(__always) private static func gradient(
        _ gate: Vector, _ up: Vector, _ dOut: Vector
    ) -> (out: Vector, dGate: Vector, dUp: Vector) {
        let s = logistic(powerOfTwo: gate * -log2e), silu = gate * s
        return (silu * up, dOut * up * s.addingProduct(silu, 1 - s), dOut * silu)
    }
}
