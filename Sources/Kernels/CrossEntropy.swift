import RunSpec

package enum CrossEntropy {
    /// The loss −log softmax(logits)[target] of every row; then, if `gradient`, each row of logits is replaced by the
    /// gradient of its loss, softmax − one-hot. A row with target −1 has loss 0 and gradient 0.
    /// - Parameters:
    ///   - logits: (rows, stride), V of each row used; `stride` a multiple of 16. Garbage afterwards unless `gradient`.
    ///   - losses: (rows), overwritten.
    package static func rows(
        logits: UnsafeMutablePointer<Float>, targets: UnsafePointer<Int32>, losses: UnsafeMutablePointer<Double>,
        rows: Int, vocabulary: Int, stride rowStride: Int, gradient: Bool
    ) {
        precondition(rowStride & 15 == 0 && vocabulary > 0 && vocabulary <= rowStride,
                     "\(vocabulary) logits in rows of \(rowStride) floats")
        let whole = vocabulary & ~15, inTail = lanes(first: vocabulary & 15)
        for r in 0..<rows {
            let row = logits + r * rowStride, target = Int(targets[r])
            precondition(target >= -1 && target < vocabulary, "target \(target) of \(vocabulary) tokens")
            if target < 0 {
                losses[r] = 0
                if gradient { row.update(repeating: 0, count: vocabulary) }
                continue
            }
            let unseen = Vector(repeating: -.infinity)
            var top = unseen
            for i in stride(from: 0, to: whole, by: 16) { top = top.larger(load(row + i)) }
            if whole < vocabulary { top = top.larger(unseen.replacing(with: load(row + whole), where: inTail)) }
            let largest = top.largest, atTarget = row[target]
            var sum = Vector.zero
            for i in stride(from: 0, to: whole, by: 16) {
                let e = powerOfTwo((load(row + i) - largest) * log2e)
                sum += e
                store(e, row + i)
            }
            if whole < vocabulary {
                let e = Vector.zero.replacing(with: powerOfTwo((load(row + whole) - largest) * log2e), where: inTail)
                sum += e
                store(e, row + whole)
            }
            let total = sum.total
            losses[r] = logarithm(of: total) + (Double(largest) - Double(atTarget))
            if gradient {
                let inverse = 1 / total
                for i in stride(from: 0, to: vocabulary, by: 16) { store(load(row + i) * inverse, row + i) }
                row[target] -= 1
            }
        }
    }

    /// Not a number and infinity pass through: a broken step must show in its loss, not stop the process.
    private static func logarithm(of sum: Float) -> Double {
        sum > 0 && sum.isFinite ? PortableMath.log(Double(sum)) : Double(sum)
    }
}
