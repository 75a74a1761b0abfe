import COpenBLAS

/// `c` (m, n) = alpha · op(a) (m, k) · op(b) (k, n) + beta · `c`, all row-major, each with its leading dimension (the
/// floats from one row to the next in memory). op(a) is a, or its transpose when `transposeA`: then a is stored (k, m).
/// With beta 0 what `c` held before does not matter, not even if it was not a number.
@inline(__always)
package func sgemm(
    transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, alpha: Float = 1,
    _ a: UnsafePointer<Float>, _ lda: Int, _ b: UnsafePointer<Float>, _ ldb: Int, beta: Float,
    _ c: UnsafeMutablePointer<Float>, _ ldc: Int
) {
    precondition(lda >= (transposeA ? m : k) && ldb >= (transposeB ? k : n) && ldc >= n,
                 "leading dimensions \(lda), \(ldb), \(ldc) are too small for \(m), \(n), \(k)")
    cblas_sgemm(
        CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
        numericCast(m), numericCast(n), numericCast(k), alpha, a, numericCast(lda), b, numericCast(ldb),
        beta, c, numericCast(ldc))
}

/// The three matrix products of a linear layer y = x Wᵀ with W stored (out, in).
package enum Linear {
    /// `y` (R, out) += `x` (R, in) · `w`ᵀ. The caller fills `y` with the bias, or with the residual stream and the
    /// bias, which saves the pass that adds them.
    package static func forward(
        addingTo y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>,
        rows: Int, inputs: Int, outputs: Int
    ) {
        sgemm(transposeB: true, m: rows, n: outputs, k: inputs, x, inputs, w, inputs, beta: 1, y, outputs)
    }

    /// `y` (R, out) = `x` (R, in) · `w`ᵀ. Overwrites.
    package static func forward(
        _ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>,
        rows: Int, inputs: Int, outputs: Int
    ) {
        sgemm(transposeB: true, m: rows, n: outputs, k: inputs, x, inputs, w, inputs, beta: 0, y, outputs)
    }

    /// `dX` (R, in) = `dY` (R, out) · `w`. Overwrites.
    package static func inputGradient(
        _ dX: UnsafeMutablePointer<Float>, _ dY: UnsafePointer<Float>, _ w: UnsafePointer<Float>,
        rows: Int, inputs: Int, outputs: Int
    ) {
        sgemm(m: rows, n: inputs, k: outputs, dY, outputs, w, inputs, beta: 0, dX, inputs)
    }

    /// `dW` (out, in) = `dY`ᵀ (out, R) · `x` (R, in), or += unless `overwrites`.
    package static func weightGradient(
        _ dW: UnsafeMutablePointer<Float>, overwrites: Bool, _ dY: UnsafePointer<Float>, _ x: UnsafePointer<Float>,
        rows: Int, inputs: Int, outputs: Int
    ) {
        sgemm(transposeA: true, m: outputs, n: inputs, k: rows, dY, outputs, x, inputs, beta: overwrites ? 0 : 1,
              dW, inputs)
    }
}
