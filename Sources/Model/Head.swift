import Kernels
import RunSpec

/// The output head and the loss: logits = x · wᵀ, softmax cross-entropy. With a large vocabulary it works through the
/// rows in chunks, so that logits of all positions never exist at once; loss, dLogits, dW and dX come from one pass. With
/// several ranks each has the logits of some tokens, and they take the largest and the sums of exponentials together.
struct Head {
    let rows: Int, width: Int, vocabulary: Int
    /// The tokens of this rank: V of them, the rows of its matrix.
    let held: Range<Int>
    let degree: Int
    /// Rows of a chunk, and floats from one row of logits to the next: the same on all ranks.
    let chunk: Int, stride: Int
    /// (chunk, stride)
    private let logits: UnsafeMutablePointer<Float>
    /// (chunk) and (2, chunk), used only with several ranks: the largest logits; the sums of exponentials and the logits
    /// at the targets.
    private let peaks, sums: UnsafeMutablePointer<Float>
    /// (R, C): the gradient with respect to the head's input.
    let dX: UnsafeMutablePointer<Float>

    /// Floats of logits at a time: 64 MiB, 333 rows of GPT-2's 50,257. The head's matrix and its gradient are read and
    /// written for every chunk: with 83 rows a chunk two layers of GPT-2 small and its head took a quarter longer.
    private static let limit = 1 << 24

    init(_ share: Share, vocabulary: Int, rows: Int, arena: Arena) {
        self.rows = rows
        self.vocabulary = vocabulary
        (width, held, degree) = (share.width, share.tokens, share.degree)
        stride = Arena.wholeLines(share.tableRows)
        chunk = min(rows, max(16, Self.limit / stride))
        dX = arena.carve(rows * width)
        logits = arena.carve(chunk * stride)
        peaks = arena.carve(degree > 1 ? chunk : 0)
        sums = arena.carve(degree > 1 ? 2 * chunk : 0)
    }

    /// `losses` (R): the loss at every row of `x` (R, C), 0 where the target is −1. `w` is (V, C).
    func forward<P: Peers>(
        losses: UnsafeMutablePointer<Double>, x: UnsafePointer<Float>, w: UnsafePointer<Float>,
        targets: UnsafePointer<Int32>, _ peers: P
    ) throws(P.Failure) {
        for first in Swift.stride(from: 0, to: rows, by: chunk) {
            try lossRows(losses: losses, x: x, w: w, targets: targets, first: first, gradient: false, peers)
        }
    }

    /// `losses` (R) as `forward` has them; overwrites `dX` and `dW` (V, C) with the gradient of their sum.
    func backward<P: Peers>(
        losses: UnsafeMutablePointer<Double>, dW: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>,
        w: UnsafePointer<Float>, targets: UnsafePointer<Int32>, _ peers: P
    ) throws(P.Failure) {
        for first in Swift.stride(from: 0, to: rows, by: chunk) {
            let count = min(chunk, rows - first)
            try lossRows(losses: losses, x: x, w: w, targets: targets, first: first, gradient: true, peers)
            // logits now holds dLogits: dX (count, C) = dLogits w, dW (V, C) += dLogitsᵀ x
            sgemm(m: count, n: width, k: held.count, logits, stride, w, width, beta: 0, dX + first * width, width)
            sgemm(transposeA: true, m: held.count, n: width, k: count, logits, stride, x + first * width, width,
                  beta: first == 0 ? 0 : 1, dW, width)
        }
        if degree > 1 { try peers.sum(dX, count: rows * width) }
    }

    /// One chunk's losses; `logits` then holds their gradient, or garbage.
    private func lossRows<P: Peers>(
        losses: UnsafeMutablePointer<Double>, x: UnsafePointer<Float>, w: UnsafePointer<Float>,
        targets: UnsafePointer<Int32>, first: Int, gradient: Bool, _ peers: P
    ) throws(P.Failure) {
        let count = min(chunk, rows - first), targets = targets + first, losses = losses + first
        sgemm(transposeB: true, m: count, n: held.count, k: width, x + first * width, width, w, width,
              beta: 0, logits, stride)
        if degree == 1 {
            return CrossEntropy.rows(
                logits: logits, targets: targets, losses: losses, rows: count, vocabulary: vocabulary, stride: stride,
                gradient: gradient)
        }
        let totals = sums, atTarget = sums + count
        CrossEntropy.peaks(peaks, logits: logits, rows: count, held: held, stride: stride)
        try peers.max(peaks, count: count)
        CrossEntropy.exponentials(
            totals: totals, atTarget: atTarget, logits: logits, peaks: peaks, targets: targets, rows: count,
            vocabulary: vocabulary, held: held, stride: stride)
        try peers.sum(sums, count: 2 * count)
        CrossEntropy.finish(
            losses: losses, gradient: gradient ? logits : nil, peaks: peaks, totals: totals, atTarget: atTarget,
            targets: targets, rows: count, held: held, stride: stride)
    }

    /// `out` (V): the logits of the one row `x` (C).
    func logits(out: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, w: UnsafePointer<Float>) {
        sgemm(transposeB: true, m: 1, n: vocabulary, k: width, x, width, w, width, beta: 0, out, vocabulary)
    }
}
