// LayerNorm over rows: y = (x − mean) · rstd · gain + bias, rstd = 1 / sqrt(variance + ε). Ba, Kiros, Hinton 2016.

package enum LayerNorm {
    /// Normalises every row of `x` (R, C) into `out` (R, C) and keeps `mean` (R) and `rstd` (R) for the backward pass.
    /// - Parameters:
    ///   - gain, bias: (C); no bias when nil.
    ///   - next: (R, C), receives x + `nextBias`: the rows to which this branch's last product will be added. Nil when
    ///     nobody wants it.
    package static func forward(
        out: UnsafeMutablePointer<Float>, mean: UnsafeMutablePointer<Float>, rstd: UnsafeMutablePointer<Float>,
        next: UnsafeMutablePointer<Float>?, nextBias: UnsafePointer<Float>?,
        x: UnsafePointer<Float>, gain: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        rows: Int, width: Int, epsilon: Float
    ) {
        precondition(rows >= 0 && width > 0, "layer norm of \(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15, inTail = lanes(first: rest)
        for row in 0..<rows {
            let x = x + row * width, out = out + row * width
            var sum = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) { sum += load(x + i) }
            if rest > 0 { sum += load(x + whole, first: rest) }
            let average = sum.total / Float(width)
            var squares = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) {
                let d = load(x + i) - average
                squares.addProduct(d, d)
            }
            if rest > 0 {
                let d = Vector.zero.replacing(with: load(x + whole, first: rest) - average, where: inTail)
                squares.addProduct(d, d)
            }
            let scale = 1 / (squares.total / Float(width) + epsilon).squareRoot()
            mean[row] = average
            rstd[row] = scale
            write(out, x, average, scale, gain, bias, width)
            if let next { Rows.add(next + row * width, x, nextBias, rows: 1, width: width) }
        }
    }

    /// Adds the gradients with respect to `x`, `gain` and `bias` to `dX`, `dGain` and `dBias`, given `dOut`; and writes
    /// to `out` what `forward` wrote there, bit for bit: weight gradients need it again, and computing it here costs
    /// less memory traffic than keeping it since the forward pass.
    ///
    /// With n = (x − mean) · rstd and g = dOut · gain: dx = rstd · (g − mean(g) − n · mean(g · n)).
    /// - Parameters:
    ///   - dX: (R, C), accumulated: it holds the gradient that passes by the branch.
    ///   - dGain, dBias: (C), accumulated; dBias nil if `bias` is.
    ///   - out: (R, C), overwritten.
    ///   - mean, rstd: (R), as `forward` left them for the same `x`.
    package static func backward(
        dX: UnsafeMutablePointer<Float>, dGain: UnsafeMutablePointer<Float>, dBias: UnsafeMutablePointer<Float>?,
        out: UnsafeMutablePointer<Float>, dOut: UnsafePointer<Float>, x: UnsafePointer<Float>,
        mean: UnsafePointer<Float>, rstd: UnsafePointer<Float>, gain: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width > 0, "layer norm of \(rows) rows of width \(width)")
        let whole = width & ~15, rest = width & 15, inTail = lanes(first: rest)
        for row in 0..<rows {
            let x = x + row * width, out = out + row * width, dOut = dOut + row * width, dX = dX + row * width
            let average = mean[row], scale = rstd[row]
            // First pass: the two means, and this row's share of dGain and dBias.
            var sum = Vector.zero, product = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) {
                let n = (load(x + i) - average) * scale, d = load(dOut + i), g = d * load(gain + i)
                sum += g
                product.addProduct(g, n)
                store(load(dGain + i).addingProduct(d, n), dGain + i)
            }
            if rest > 0 {
                let d = load(dOut + whole, first: rest), g = d * load(gain + whole, first: rest)
                let n = Vector.zero.replacing(
                    with: (load(x + whole, first: rest) - average) * scale, where: inTail)
                sum += g
                product.addProduct(g, n)
                store(load(dGain + whole, first: rest).addingProduct(d, n), dGain + whole, first: rest)
            }
            if let dBias { Rows.add(dBias, dBias, dOut, rows: 1, width: width) }
            write(out, x, average, scale, gain, bias, width)
            let meanG = sum.total / Float(width), meanGN = product.total / Float(width)
            // Second pass: dx.
            for i in stride(from: 0, to: whole, by: 16) {
                let n = (load(x + i) - average) * scale, g = load(dOut + i) * load(gain + i)
                store(load(dX + i).addingProduct((g - meanG) - n * meanGN, Vector(repeating: scale)), dX + i)
            }
            for i in whole..<width {
                let n = (x[i] - average) * scale, g = dOut[i] * gain[i]
                dX[i] = dX[i].addingProduct((g - meanG) - n * meanGN, scale)
            }
        }
    }

    /// Writes to `out` (R, C) what `forward` wrote there, bit for bit.
    /// - Parameters:
    ///   - mean, rstd: (R), as `forward` left them for the same `x`.
    package static func again(
        out: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, mean: UnsafePointer<Float>, rstd: UnsafePointer<Float>,
        gain: UnsafePointer<Float>, bias: UnsafePointer<Float>?, rows: Int, width: Int
    ) {
        for row in 0..<rows { write(out + row * width, x + row * width, mean[row], rstd[row], gain, bias, width) }
    }

    /// One row of the output.
    @inline(__always) private static func write(
        _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ average: Float, _ scale: Float,
        _ gain: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?, _ width: Int
    ) {
        let whole = width & ~15
        if let bias {
            for i in stride(from: 0, to: whole, by: 16) {
                store(load(bias + i).addingProduct((load(x + i) - average) * scale, load(gain + i)), out + i)
            }
            for i in whole..<width { out[i] = bias[i].addingProduct((x[i] - average) * scale, gain[i]) }
        } else {
            for i in stride(from: 0, to: whole, by: 16) {
                store((load(x + i) - average) * scale * load(gain + i), out + i)
            }
            for i in whole..<width { out[i] = (x[i] - average) * scale * gain[i] }
        }
    }
}
