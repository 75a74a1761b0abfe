/// The three matrix products of a linear layer y = x Wᵀ with W stored (out, in). Shapes: R rows, `inputs`, `outputs`.
///
/// A small W, on a processor where OpenBLAS multiplies small matrices without packing them first, is multiplied block by
/// block: measured with 128 × 512, products run at 1.05 to 1.13 of the speed of a packed 512 × 512 × 512 one, and whole
/// at 0.85 to 1.04; from 384 × 1152 on blocks lose. Both ways are functions of the shapes and of the BLAS core.
package struct Linear {
    package let inputs: Int, outputs: Int
    /// (in, out): the transpose of W, as `turn` left it; nil if products go whole. Unpacked products want it so.
    private let turned: UnsafeMutablePointer<Float>?

    /// Multiplications of a block: up to a million, OpenBLAS does not pack.
    private static let blockLimit = 1_000_000

    /// - Parameter byBlocks: nil chooses the faster way.
    package init(inputs: Int, outputs: Int, arena: Arena, byBlocks: Bool? = nil) {
        self.inputs = inputs
        self.outputs = outputs
        let byBlocks = byBlocks ?? (BLASLibrary.multipliesSmallUnpacked && inputs * outputs <= 1 << 17)
        turned = byBlocks ? arena.carve(inputs * outputs) : nil
    }

    /// To be called with `w` (out, in) before its forward products; valid until the next call.
    package func turn(_ w: UnsafePointer<Float>) {
        guard let turned else { return }
        Panel.transpose(turned, lead: outputs, w, lead: inputs, rows: outputs, width: inputs)
    }

    /// `y` (R, out) = `x` (R, in) · `w`ᵀ, or += if `adding`.
    package func forward(
        _ y: UnsafeMutablePointer<Float>, adding: Bool, _ x: UnsafePointer<Float>, _ w: UnsafePointer<Float>, rows: Int
    ) {
        if let turned {
            blocks(y, adding: adding, x, turned, rows: rows, inner: inputs, columns: outputs)
        } else {
            sgemm(transposeB: true, m: rows, n: outputs, k: inputs, x, inputs, w, inputs, beta: adding ? 1 : 0, y, outputs)
        }
    }

    /// `y` (R, out) = `x` (R, in) · `w`ᵀ + `bias` (out), if there is one.
    package func forward(
        _ y: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?, _ x: UnsafePointer<Float>,
        _ w: UnsafePointer<Float>, rows: Int
    ) {
        if let bias { Rows.fill(y, bias, rows: rows, width: outputs) }
        forward(y, adding: bias != nil, x, w, rows: rows)
    }

    /// `dX` (R, in) = `dY` (R, out) · `w`. Overwrites.
    package func inputGradient(
        _ dX: UnsafeMutablePointer<Float>, _ dY: UnsafePointer<Float>, _ w: UnsafePointer<Float>, rows: Int
    ) {
        if turned != nil {
            blocks(dX, adding: false, dY, w, rows: rows, inner: outputs, columns: inputs)
        } else {
            sgemm(m: rows, n: inputs, k: outputs, dY, outputs, w, inputs, beta: 0, dX, inputs)
        }
    }

    /// `dW` (out, in) = `dY`ᵀ (out, R) · `x` (R, in), or += if `adding`.
    package func weightGradient(
        _ dW: UnsafeMutablePointer<Float>, adding: Bool, _ dY: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int
    ) {
        guard turned != nil else {
            return sgemm(transposeA: true, m: outputs, n: inputs, k: rows, dY, outputs, x, inputs, beta: adding ? 1 : 0,
                         dW, inputs)
        }
        // Equal parts of the rows, so that blocks of 128 × 64 entries stay below the limit.
        let parts = (rows * 128 * 64 + Self.blockLimit - 1) / Self.blockLimit, depth = (rows + parts - 1) / max(parts, 1)
        for first in stride(from: 0, to: rows, by: max(depth, 1)) {
            for output in stride(from: 0, to: outputs, by: 128) {
                for input in stride(from: 0, to: inputs, by: 64) {
                    sgemm(transposeA: true, m: min(128, outputs - output), n: min(64, inputs - input),
                          k: min(depth, rows - first), dY + first * outputs + output, outputs,
                          x + first * inputs + input, inputs, beta: adding || first > 0 ? 1 : 0,
                          dW + output * inputs + input, inputs)
                }
            }
        }
    }

    /// `c` (rows, columns) = `a` (rows, inner) · `b` (inner, columns), or += if `adding`.
    private func blocks(
        _ c: UnsafeMutablePointer<Float>, adding: Bool, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
        rows: Int, inner: Int, columns: Int
    ) {
        let wide = min(columns, 128), high = max(4, Self.blockLimit / (wide * inner) & ~3)
        for row in stride(from: 0, to: rows, by: high) {
            for column in stride(from: 0, to: columns, by: wide) {
                sgemm(m: min(high, rows - row), n: min(wide, columns - column), k: inner, a + row * inner, inner,
                      b + column, columns, beta: adding ? 1 : 0, c + row * columns + column, columns)
            }
        }
    }
}
