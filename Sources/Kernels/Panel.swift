// A panel is one head's slice of packed rows, brought together in memory. With hundreds of floats from row to row a
// slice meets only a few sets of the first-level cache, and OpenBLAS's products of small matrices lose a third of their
// speed; from contiguous rows, and with the keys transposed, they keep it.

package enum Panel {
    /// `out` (rows, width) = `x` (rows, width), each with its own number of floats from row to row.
    package static func copy(
        _ out: UnsafeMutablePointer<Float>, lead outLead: Int, _ x: UnsafePointer<Float>, lead: Int,
        rows: Int, width: Int
    ) {
        precondition(outLead >= width && lead >= width, "rows of \(width) floats, \(lead) and \(outLead) apart")
        let whole = width & ~15
        for row in 0..<rows {
            let x = x + row * lead, out = out + row * outLead
            for i in stride(from: 0, to: whole, by: 16) { store(load(x + i), out + i) }
            for i in whole..<width { out[i] = x[i] }
        }
    }

    /// `out` (width, rows) = the transpose of `x` (rows, width), each with its own number of floats from row to row.
    package static func transpose(
        _ out: UnsafeMutablePointer<Float>, lead outLead: Int, _ x: UnsafePointer<Float>, lead: Int,
        rows: Int, width: Int
    ) {
        precondition(outLead >= rows && lead >= width, "rows of \(width) floats, \(lead) and \(outLead) apart")
        let wholeRows = rows & ~7, wholeColumns = width & ~3
        // Tiles of 16 × 16: every cache line is read once and written once, however far apart rows lie.
        for top in stride(from: 0, to: wholeRows, by: 16) {
            for left in stride(from: 0, to: wholeColumns, by: 16) {
                for row in stride(from: top, to: min(top + 16, wholeRows), by: 8) {
                    for i in stride(from: left, to: min(left + 16, wholeColumns), by: 4) {
                        transpose8x4(out + i * outLead + row, outLead, x + row * lead + i, lead)
                    }
                }
            }
        }
        for row in 0..<wholeRows {
            for i in wholeColumns..<width { out[i * outLead + row] = x[row * lead + i] }
        }
        for row in wholeRows..<rows {
            for i in 0..<width { out[i * outLead + row] = x[row * lead + i] }
        }
    }

    /// 8 rows of 4: halves of even and odd lanes, twice, are the 4 columns of 8.
    @inline(__always) private static func transpose8x4(
        _ out: UnsafeMutablePointer<Float>, _ outLead: Int, _ x: UnsafePointer<Float>, _ lead: Int
    ) {
        let upper = quad(x, lead), lower = quad(x + 4 * lead, lead)
        let (upperEven, upperOdd, lowerEven, lowerOdd) = (upper.evenHalf, upper.oddHalf, lower.evenHalf, lower.oddHalf)
        store(SIMD8(lowHalf: upperEven.evenHalf, highHalf: lowerEven.evenHalf), out)
        store(SIMD8(lowHalf: upperOdd.evenHalf, highHalf: lowerOdd.evenHalf), out + outLead)
        store(SIMD8(lowHalf: upperEven.oddHalf, highHalf: lowerEven.oddHalf), out + 2 * outLead)
        store(SIMD8(lowHalf: upperOdd.oddHalf, highHalf: lowerOdd.oddHalf), out + 3 * outLead)
    }

    /// Four floats from each of four rows.
    @inline(__always) private static func quad(_ x: UnsafePointer<Float>, _ lead: Int) -> Vector {
        func four(_ p: UnsafePointer<Float>) -> SIMD4<Float> {
            UnsafeRawPointer(p).loadUnaligned(as: SIMD4<Float>.self)
        }
        return Vector(
            lowHalf: SIMD8(lowHalf: four(x), highHalf: four(x + lead)),
            highHalf: SIMD8(lowHalf: four(x + 2 * lead), highHalf: four(x + 3 * lead)))
    }

    @inline(__always) private static func store(_ v: SIMD8<Float>, _ p: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(p).storeBytes(of: v, as: SIMD8<Float>.self)
    }
    @inline(__always) private static func store(_ v: Vector, _ p: UnsafeMutablePointer<Float>) {
        UnsafeMutableRawPointer(p).storeBytes(of: v, as: Vector.self)
    }
}
