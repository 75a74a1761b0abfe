package enum Embedding {
    /// Row r of `out` (R, C) becomes row `tokens[r]` of `table` (V, C), plus row r mod T of `positions` (T, C), if any.
    package static func forward(
        out: UnsafeMutablePointer<Float>, tokens: UnsafePointer<Int32>, table: UnsafePointer<Float>,
        positions: UnsafePointer<Float>?, rows: Int, width: Int, vocabulary: Int, context: Int
    ) {
        for row in 0..<rows {
            let token = Int(tokens[row])
            precondition(token >= 0 && token < vocabulary, "token \(token) of \(vocabulary)")
            let position = positions.map { $0 + row % context * width }
            Rows.add(out + row * width, table + token * width, position, rows: 1, width: width)
        }
    }

    /// Adds each row of `dOut` (R, C) to the row of `dTable` (V, C) of its token, rows in order.
    package static func addTokenGradient(
        _ dTable: UnsafeMutablePointer<Float>, tokens: UnsafePointer<Int32>, dOut: UnsafePointer<Float>,
        rows: Int, width: Int
    ) {
        for row in 0..<rows {
            let entry = dTable + Int(tokens[row]) * width
            Rows.add(entry, entry, dOut + row * width, rows: 1, width: width)
        }
    }

    /// `dPositions` (T, C) = the sum of `dOut` (B, T, C) over the sequences, in order. Overwrites.
    package static func positionGradient(
        _ dPositions: UnsafeMutablePointer<Float>, dOut: UnsafePointer<Float>, sequences: Int, context: Int, width: Int
    ) {
        let size = context * width
        dPositions.update(from: dOut, count: size)
        for sequence in 1..<max(sequences, 1) {
            Rows.add(dPositions, dPositions, dOut + sequence * size, rows: 1, width: size)
        }
    }
}
