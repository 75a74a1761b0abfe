import Kernels
import RunSpec

/// The output head and the loss: logits = x · wᵀ, softmax cross-entropy. With a large vocabulary it works through the
/// rows in chunks, so that logits of all positions never exist at once; loss, dLogits, dW and dX come from one pass.
struct Head {
    let rows: Int, width: Int, vocabulary: Int
    /// Rows of a chunk, and floats from one row of logits to the next.
    let chunk: Int, stride: Int
    /// (chunk, stride)
    private let logits: UnsafeMutablePointer<Float>
    /// (R, C): the gradient with respect to the head's input.
    let dX: UnsafeMutablePointer<Float>

    /// Floats of logits at a time: 64 MiB, 333 rows of GPT-2's 50,257. The head's matrix and its gradient are read and
    /// written for every chunk: with 83 rows a chunk two layers of GPT-2 small and its head took a quarter longer.
    private static let limit = 1 << 24

    init(_ config: ModelConfig, rows: Int, arena: Arena) {
        self.rows = rows
        width = config.width
        vocabulary = config.vocabulary
        stride = Arena.wholeLines(vocabulary)
        chunk = min(rows, max(16, Self.limit / stride))
        dX = arena.carve(rows * width)
        logits = arena.carve(chunk * stride)
    }

    /// `losses` (R): the loss at every row of `x` (R, C), 0 where the target is −1. `w` is (V, C).
    func forward(
        losses: UnsafeMutablePointer<Double>, x: UnsafePointer<Float>, w: UnsafePointer<Float>,
        targets: UnsafePointer<Int32>
    ) {
        for first in Swift.stride(from: 0, to: rows, by: chunk) {
            let count = min(chunk, rows - first)
            sgemm(transposeB: true, m: count, n: vocabulary, k: width, x + first * width, width, w, width,
                  beta: 0, logits, stride)
            CrossEntropy.rows(
                logits: logits, targets: targets + first, losses: losses + first, rows: count, vocabulary: vocabulary,
                stride: stride, gradient: false)
        }
    }

    /// `losses` (R) as `forward` has them; overwrites `dX` (R, C) and `dW` (V, C) with the gradient of their sum.
    func backward(
        losses: UnsafeMutablePointer<Double>, dW: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>,
        w: UnsafePointer<Float>, targets: UnsafePointer<Int32>
    ) {
        for first in Swift.stride(from: 0, to: rows, by: chunk) {
            let count = min(chunk, rows - first), x = x + first * width
            sgemm(transposeB: true, m: count, n: vocabulary, k: width, x, width, w, width, beta: 0, logits, stride)
            CrossEntropy.rows(
                logits: logits, targets: targets + first, losses: losses + first, rows: count, vocabulary: vocabulary,
                stride: stride, gradient: true)
            // logits now holds dLogits: dX (count, C) = dLogits w, dW (V, C) += dLogitsᵀ x
            sgemm(m: count, n: width, k: vocabulary, logits, stride, w, width, beta: 0, dX + first * width, width)
            sgemm(transposeA: true, m: vocabulary, n: width, k: count, logits, stride, x, width,
                  beta: first == 0 ? 0 : 1, dW, width)
        }
    }

    /// `out` (V): the logits of the one row `x` (C).
    func logits(out: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, w: UnsafePointer<Float>) {
        sgemm(transposeB: true, m: 1, n: vocabulary, k: width, x, width, w, width, beta: 0, out, vocabulary)
    }
}
