// Softmax over the visible part of each row of attention scores, for a block of consecutive query rows of one head.
// The block starts at position `first`; its row r sees the keys 0 ... first + r. Rows lie `stride` floats apart, a
// multiple of 16 no smaller than the number of keys the block sees; what is behind a row's last visible key is never
// used on the way in and is zero on the way out, so that the products that follow need no mask.

package enum CausalSoftmax {
    /// Turns `scores` (rows, stride) into probabilities of `scale` · score, in place, and keeps each row's `peak`
    /// (the largest scaled score, times log₂ e) and `norm` (1 / Σ e^(scaled − largest)) for the backward pass.
    package static func forward(
        scores: UnsafeMutablePointer<Float>, peak: UnsafeMutablePointer<Float>, norm: UnsafeMutablePointer<Float>,
        first: Int, rows: Int, stride rowStride: Int, scale: Float
    ) {
        precondition(rowStride & 15 == 0 && first + rows <= rowStride,
                     "\(first) + \(rows) keys in rows of \(rowStride) floats")
        let end = (first + rows + 15) & ~15, scale = scale * log2e
        for r in 0..<rows {
            let row = scores + r * rowStride
            let visible = first + r + 1, whole = visible & ~15, inTail = lanes(first: visible & 15)
            let unseen = Vector(repeating: -.infinity)
            var top = unseen
            for i in stride(from: 0, to: whole, by: 16) { top = top.larger(load(row + i)) }
            if whole < visible { top = top.larger(unseen.replacing(with: load(row + whole), where: inTail)) }
            let largest = top.largest * scale
            var sum = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) {
                let e = powerOfTwo(Vector(repeating: -largest).addingProduct(load(row + i), Vector(repeating: scale)))
                sum += e
                store(e, row + i)
            }
            if whole < visible {
                let t = Vector(repeating: -largest).addingProduct(load(row + whole), Vector(repeating: scale))
                let e = Vector.zero.replacing(with: powerOfTwo(t), where: inTail)
                sum += e
                store(e, row + whole)
            }
            let inverse = 1 / sum.total
            for i in stride(from: 0, to: visible, by: 16) { store(load(row + i) * inverse, row + i) }
            for i in stride(from: (visible + 15) & ~15, to: end, by: 16) { store(.zero, row + i) }
            peak[r] = largest
            norm[r] = inverse
        }
    }

    /// Recomputes the probabilities p in place of `scores` and turns `dP`, the gradient with respect to p, into the
    /// gradient with respect to the unscaled scores: p · (dP − Σ p · dP) · scale. Since the attention output is
    /// out = Σ p · v, the inner sum equals dOut · out, D products instead of one per key.
    /// - Parameters:
    ///   - scores, dP: (rows, stride), both replaced.
    ///   - out, dOut: (rows, D) with `lead` floats from row to row: this head's attention output and its gradient.
    ///   - peak, norm: (rows), as `forward` left them.
    package static func backward(
        scores: UnsafeMutablePointer<Float>, dP: UnsafeMutablePointer<Float>,
        peak: UnsafePointer<Float>, norm: UnsafePointer<Float>,
        out: UnsafePointer<Float>, dOut: UnsafePointer<Float>, lead: Int, headWidth: Int,
        first: Int, rows: Int, stride rowStride: Int, scale: Float
    ) {
        precondition(rowStride & 15 == 0 && first + rows <= rowStride,
                     "\(first) + \(rows) keys in rows of \(rowStride) floats")
        let end = (first + rows + 15) & ~15
        for r in 0..<rows {
            let row = scores + r * rowStride, dRow = dP + r * rowStride
            let visible = first + r + 1, whole = visible & ~15, inTail = lanes(first: visible & 15)
            let inner = dot(out + r * lead, dOut + r * lead, count: headWidth)
            let start = Vector(repeating: -peak[r]), slope = Vector(repeating: scale * log2e)
            let norm = norm[r], scaledNorm = norm * scale
            for i in stride(from: 0, to: whole, by: 16) {
                let e = powerOfTwo(start.addingProduct(load(row + i), slope))
                store(e * norm, row + i)
                store(e * scaledNorm * (load(dRow + i) - inner), dRow + i)
            }
            if whole < visible {
                let e = powerOfTwo(start.addingProduct(load(row + whole), slope))
                let d = e * scaledNorm * (load(dRow + whole) - inner)
                store(Vector.zero.replacing(with: e * norm, where: inTail), row + whole)
                store(Vector.zero.replacing(with: d, where: inTail), dRow + whole)
            }
            for i in stride(from: (visible + 15) & ~15, to: end, by: 16) {
                store(.zero, row + i)
                store(.zero, dRow + i)
            }
        }
    }

    @inline(__always) private static func dot(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int
    ) -> Float {
        let whole = count & ~15, rest = count & 15
        var sum = Vector.zero
        for i in stride(from: 0, to: whole, by: 16) { sum.addProduct(load(a + i), load(b + i)) }
        if rest > 0 { sum.addProduct(load(a + whole, first: rest), load(b + whole, first: rest)) }
        return sum.total
    }
}
