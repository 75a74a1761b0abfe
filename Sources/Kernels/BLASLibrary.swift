import COpenBLAS
import RunSpec

/// The BLAS that is linked, and what it can do here.
package enum BLASLibrary {
    /// The kernels OpenBLAS chose for this processor, as `SkylakeX`. Part of a run's identity: other kernels, other bits.
    package static var coreName: String { String(cString: openblas_get_corename()) }
    package static var configuration: String { String(cString: openblas_get_config()) }

    /// Whether the core's kernels multiply small matrices as they lie, without packing them: those for AVX-512 do.
    static let multipliesSmallUnpacked = ["SkylakeX", "Cooperlake", "SapphireRapids"].contains(coreName)

    /// Floating-point operations per second of one thread's SGEMM: the best of `repeats` products of 512 × 512
    /// and 1024 × 1024 matrices, each timed alone, so that a disturbed one does not count.
    package static func peakFlops(repeats: Int) -> Double {
        let n = 1024
        let arena = Arena(count: 3 * n * n)
        let (a, b, c) = (arena.carve(n * n), arena.carve(n * n), arena.carve(n * n))
        for i in 0..<n * n {
            a[i] = Float(i % 7) * 0.125
            b[i] = Float(i % 5) * 0.25
        }
        var best = 0.0
        for size in [512, n] {
            for _ in 0..<repeats {
                let start = MonotonicClock.nanoseconds()
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blasint(size), blasint(size), blasint(size),
                    1, a, blasint(size), b, blasint(size), 0, c, blasint(size))
                let seconds = Double(MonotonicClock.nanoseconds() - start) * 1e-9
                best = max(best, 2 * Double(size * size * size) / seconds)
            }
        }
        return best
    }
}
