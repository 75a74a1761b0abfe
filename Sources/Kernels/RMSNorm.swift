// RMSNorm over rows: y = x · rstd · gain, rstd = 1 / sqrt(mean(x²) + ε). Zhang, Sennrich 2019.

package enum RMSNorm {
    /// Normalises every row of `x` (R, C) into `out` (R, C) and keeps `rstd` (R) for the backward pass.
    /// - Parameter next: (R, C), receives a copy of x, to which this branch's last product will be added. Nil when
    ///   nobody wants it.
    package static func forward(
        out: UnsafeMutablePointer<Float>, rstd: UnsafeMutablePointer<Float>, next: UnsafeMutablePointer<Float>?,
        x: UnsafePointer<Float>, gain: UnsafePointer<Float>, rows: Int, width: Int, epsilon: Float
    ) {
        precondition(rows >= 0 && width > 0, "RMS norm of \(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15
        for row in 0..<rows {
            let x = x + row * width, out = out + row * width
            var squares = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) { squares.addProduct(load(x + i), load(x + i)) }
            if rest > 0 {
                let v = load(x + whole, first: rest)
                squares.addProduct(v, v)
            }
            let scale = 1 / (squares.total / Float(width) + epsilon).squareRoot()
            rstd[row] = scale
            write(out, x, scale, gain, width)
            if let next { (next + row * width).update(from: x, count: width) }
        }
    }

    /// Writes to `out` (R, C) what `forward` wrote there, bit for bit.
    /// - Parameter rstd: (R), as `forward` left it for the same `x`.
    package static func again(
        out: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, rstd: UnsafePointer<Float>, gain: UnsafePointer<Float>,
        rows: Int, width: Int
    ) {
        for row in 0..<rows { write(out + row * width, x + row * width, rstd[row], gain, width) }
    }

    /// One row of the output.
    @inline(__always) private static func write(
        _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ scale: Float, _ gain: UnsafePointer<Float>, _ width: Int
    ) {
        let whole = width & ~15
        for i in stride(from: 0, to: whole, by: 16) { store(load(x + i) * scale * load(gain + i), out + i) }
        for i in whole..<width { out[i] = x[i] * scale * gain[i] }
    }

    /// Adds the gradients with respect to `x` and `gain` to `dX` and `dGain`, given `dOut`; and writes to `out` what
    /// `forward` wrote there, bit for bit: see LayerNorm.
    ///
    /// With n = x · rstd and g = dOut · gain: dx = rstd · (g − n · mean(g · n)).
    /// - Parameters:
    ///   - dX: (R, C), accumulated: it holds the gradient that passes by the branch.
    ///   - dGain: (C), accumulated.
    ///   - out: (R, C), overwritten.
    ///   - rstd: (R), as `forward` left it for the same `x`.
    package static func backward(
        dX: UnsafeMutablePointer<Float>, dGain: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>,
        dOut: UnsafePointer<Float>, x: UnsafePointer<Float>, rstd: UnsafePointer<Float>, gain: UnsafePointer<Float>,
        rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width > 0, "RMS norm of \(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15
        for row in 0..<rows {
            let x = x + row * width, dOut = dOut + row * width, dX = dX + row * width, out = out + row * width
            let scale = rstd[row]
            var product = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) {
                let n = load(x + i) * scale, d = load(dOut + i), gain = load(gain + i)
                product.addProduct(d * gain, n)
                store(load(dGain + i).addingProduct(d, n), dGain + i)
                store(n * gain, out + i)
            }
            if rest > 0 {
                let n = load(x + whole, first: rest) * scale, d = load(dOut + whole, first: rest)
                product.addProduct(d * load(gain + whole, first: rest), n)
                store(load(dGain + whole, first: rest).addingProduct(d, n), dGain + whole, first: rest)
                store(n * load(gain + whole, first: rest), out + whole, first: rest)
            }
            let meanGN = product.total / Float(width)
            for i in stride(from: 0, to: whole, by: 16) {
                let n = load(x + i) * scale, g = load(dOut + i) * load(gain + i)
                store(load(dX + i).addingProduct(g - n * meanGN, Vector(repeating: scale)), dX + i)
            }
            for i in whole..<width {
                dX[i] = dX[i].addingProduct(dOut[i] * gain[i] - x[i] * scale * meanGN, scale)
            }
        }
    }
}
