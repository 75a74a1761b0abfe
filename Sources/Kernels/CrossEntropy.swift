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
        for r in 0..<rows {
            let row = logits + r * rowStride, target = Int(targets[r])
            precondition(target >= -1 && target < vocabulary, "target \(target) of \(vocabulary) tokens")
            if target < 0 {
                losses[r] = 0
                if gradient { row.update(repeating: 0, count: vocabulary) }
                continue
            }
            let largest = Self.largest(row, vocabulary), atTarget = row[target]
            let total = exponentials(row, vocabulary, largest: largest)
            losses[r] = loss(largest: largest, total: total, atTarget: atTarget)
            if gradient {
                scale(row, vocabulary, 1 / total)
                row[target] -= 1
            }
        }
    }

    // The same where every rank has the logits of some tokens only: the caller takes the largest and the sums of all
    // ranks between the three passes. `held` are the tokens whose logits a row begins with; there may be none.

    /// `peaks` (rows) = the largest of a row's logits.
    package static func peaks(
        _ peaks: UnsafeMutablePointer<Float>, logits: UnsafePointer<Float>, rows: Int, held: Range<Int>,
        stride rowStride: Int
    ) {
        precondition(rowStride & 15 == 0 && held.count <= rowStride, "\(held.count) logits in rows of \(rowStride) floats")
        for r in 0..<rows { peaks[r] = largest(logits + r * rowStride, held.count) }
    }

    /// Replaces logits by e^(logit − peak), and writes the `totals` (rows) of those and the logits at the targets,
    /// `atTarget` (rows), 0 where the target is not held.
    package static func exponentials(
        totals: UnsafeMutablePointer<Float>, atTarget: UnsafeMutablePointer<Float>, logits: UnsafeMutablePointer<Float>,
        peaks: UnsafePointer<Float>, targets: UnsafePointer<Int32>, rows: Int, vocabulary: Int, held: Range<Int>,
        stride rowStride: Int
    ) {
        for r in 0..<rows {
            let row = logits + r * rowStride, target = Int(targets[r])
            precondition(target >= -1 && target < vocabulary, "target \(target) of \(vocabulary) tokens")
            atTarget[r] = held.contains(target) ? row[target - held.lowerBound] : 0
            totals[r] = exponentials(row, held.count, largest: peaks[r])
        }
    }

    /// The losses, and each row of exponentials replaced by the gradient, given the largest and the sums over all ranks.
    package static func finish(
        losses: UnsafeMutablePointer<Double>, gradient exponentials: UnsafeMutablePointer<Float>?, peaks: UnsafePointer<Float>,
        totals: UnsafePointer<Float>, atTarget: UnsafePointer<Float>, targets: UnsafePointer<Int32>, rows: Int,
        held: Range<Int>, stride rowStride: Int
    ) {
        for r in 0..<rows {
            let target = Int(targets[r])
            losses[r] = target < 0 ? 0 : loss(largest: peaks[r], total: totals[r], atTarget: atTarget[r])
            guard let row = exponentials.map({ $0 + r * rowStride }) else { continue }
            if target < 0 {
                row.update(repeating: 0, count: held.count)
            } else {
                scale(row, held.count, 1 / totals[r])
                if held.contains(target) { row[target - held.lowerBound] -= 1 }
            }
        }
    }

    @inline(__always) private static func largest(_ row: UnsafePointer<Float>, _ count: Int) -> Float {
        let whole = count & ~15, unseen = Vector(repeating: -.infinity)
        var top = unseen
        for i in stride(from: 0, to: whole, by: 16) { top = top.larger(load(row + i)) }
        if whole < count { top = top.larger(unseen.replacing(with: load(row + whole), where: lanes(first: count & 15))) }
        return top.largest
    }

    /// Replaces the row by e^(logit − largest) and returns the sum.
    @inline(__always) private static func exponentials(
        _ row: UnsafeMutablePointer<Float>, _ count: Int, largest: Float
    ) -> Float {
        let whole = count & ~15
        var sum = Vector.zero
        for i in stride(from: 0, to: whole, by: 16) {
            let e = powerOfTwo((load(row + i) - largest) * log2e)
            sum += e
            store(e, row + i)
        }
        if whole < count {
            let e = Vector.zero.replacing(
                with: powerOfTwo((load(row + whole) - largest) * log2e), where: lanes(first: count & 15))
            sum += e
            store(e, row + whole)
        }
        return sum.total
    }

    @inline(__always) private static func scale(_ row: UnsafeMutablePointer<Float>, _ count: Int, _ factor: Float) {
        for i in stride(from: 0, to: count, by: 16) { store(load(row + i) * factor, row + i) }
    }

    @inline(__always) private static func loss(largest: Float, total: Float, atTarget: Float) -> Double {
        logarithm(of: total) + (Double(largest) - Double(atTarget))
    }

    /// Not a number and infinity pass through: a broken step must show in its loss, not stop the process.
    private static func logarithm(of sum: Float) -> Double {
        sum > 0 && sum.isFinite ? PortableMath.log(Double(sum)) : Double(sum)
    }
}
