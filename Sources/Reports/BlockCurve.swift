// Curves and bars from the eighth-blocks of Unicode (U+2581 to U+2588, U+2589 to U+258F).

enum BlockCurve {
    private static let rising: [Character] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
    private static let growing: [Character] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"]

    /// A horizontal bar of `share` (0 to 1) of `width` columns, without the empty rest. A share that is not zero is
    /// never drawn as nothing.
    static func bar(_ share: Double, width: Int) -> String {
        let full = (Double(width * 8) * min(max(share, 0), 1)).rounded()
        let eighths = share > 0 ? max(1, Int(full)) : 0
        let rest = eighths % 8
        return String(repeating: "█", count: eighths / 8) + (rest > 0 ? String(growing[rest]) : "")
    }

    /// One line, one character per value, from the least value (▁) to the greatest (█).
    static func sparkline(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "" }
        return String(values.map { rising[1 + level($0, low, high, levels: 8)] })
    }

    /// `height` lines, top first: a column per value, filled from below; the least value still shows an eighth.
    static func area(_ values: [Double], height: Int) -> [String] {
        guard let low = values.min(), let high = values.max() else { return [] }
        let columns = values.map { 1 + level($0, low, high, levels: 8 * height) }
        return (0..<height).reversed().map { row in String(columns.map { rising[min(8, max(0, $0 - 8 * row))] }) }
    }

    /// At most `columns` means of successive stretches of `values`, every value in exactly one.
    static func condensed(_ values: [Double], columns: Int) -> [Double] {
        guard values.count > columns else { return values }
        return (0..<columns).map { column in
            let range = values.count * column / columns..<values.count * (column + 1) / columns
            return values[range].reduce(0, +) / Double(range.count)
        }
    }

    private static func level(_ value: Double, _ low: Double, _ high: Double, levels: Int) -> Int {
        guard high > low else { return levels - 1 }
        return min(levels - 1, Int((value - low) / (high - low) * Double(levels)))
    }
}
