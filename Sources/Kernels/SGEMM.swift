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
