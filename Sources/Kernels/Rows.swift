// Whole-row passes: filling with a bias, adding, summing columns.

package enum Rows {
    /// Every row of `out` (R, C) becomes `bias` (C).
    package static func fill(
        _ out: UnsafeMutablePointer<Float>, _ bias: UnsafePointer<Float>, rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width >= 0, "\(rows) rows of width \(width)")
        for row in 0..<rows { (out + row * width).update(from: bias, count: width) }
    }

    /// `out` (R, C) = `x` (R, C) + `bias` (C); a copy when there is no bias. `out` may be `x`.
    package static func add(
        _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?,
        rows: Int, width: Int
    ) {
        precondition(rows >= 0 && width >= 0, "\(rows) rows of width \(width)")
        guard let bias else {
            if x != UnsafePointer(out) { out.update(from: x, count: rows * width) }
            return
        }
        let whole = width & ~15
        for row in 0..<rows {
            let x = x + row * width, out = out + row * width
            for i in stride(from: 0, to: whole, by: 16) { store(load(x + i) + load(bias + i), out + i) }
            for i in whole..<width { out[i] = x[i] + bias[i] }
        }
    }

    /// `sums` (C) += the sums of the columns of `x` (R, C): the gradient of a bias. Nothing happens if `sums` is nil.
    package static func addColumnSums(
        _ sums: UnsafeMutablePointer<Float>?, _ x: UnsafePointer<Float>, rows: Int, width: Int
    ) {
        guard let sums else { return }
        precondition(rows >= 0 && width >= 0, "\(rows) rows of width \(width)")
        // Four rows at a time: the sums are loaded and stored a quarter as often.
        let whole = width & ~15
        var row = 0
        while row + 4 <= rows {
            let a = x + row * width, b = a + width, c = b + width, d = c + width
            for i in stride(from: 0, to: whole, by: 16) {
                store(load(sums + i) + ((load(a + i) + load(b + i)) + (load(c + i) + load(d + i))), sums + i)
            }
            for i in whole..<width { sums[i] += (a[i] + b[i]) + (c[i] + d[i]) }
            row += 4
        }
        while row < rows {
            add(sums, sums, x + row * width, rows: 1, width: width)
            row += 1
        }
    }
}
