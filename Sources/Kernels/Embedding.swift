package enum Embedding {
    /// Row r of `out` (R, C) becomes row `tokens[r]` of `table` (V, C), plus row r mod T of `positions` (T, C), if any.
    /// - Parameter held: the tokens whose rows `table` begins with; those of other tokens count as zeros.
    package static func forward(
        out: UnsafeMutablePointer<Float>, tokens: UnsafePointer<Int32>, table: UnsafePointer<Float>,
        positions: UnsafePointer<Float>?, rows: Int, width: Int, vocabulary: Int, held: Range<Int>, context: Int
    ) {
        for row in 0..<rows {
            let token = Int(tokens[row])
            precondition(token >= 0 && token < vocabulary, "token \(token) of \(vocabulary)")
            let position = positions.map { $0 + row % context * width }, out = out + row * width
            if held.contains(token) {
                Rows.add(out, table + (token - held.lowerBound) * width, position, rows: 1, width: width)
            } else if let position {
                out.update(from: position, count: width)
            } else {
                out.update(repeating: 0, count: width)
            }
        }
    }

    /// Adds each row of `dOut` (R, C) to the row of `dTable` (V, C) of its token, rows in order, if it is one of `held`.
    package static func addTokenGradient(
        _ dTable: UnsafeMutablePointer<Float>, tokens: UnsafePointer<Int32>, dOut: UnsafePointer<Float>,
        rows: Int, width: Int, held: Range<Int>
    ) {
        for row in 0..<rows where held.contains(Int(tokens[row])) {
            let entry = dTable + (Int(tokens[row]) - held.lowerBound) * width
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
