import Glibc
import Kernels
import RunSpec
import Testing

@Suite("Rows, panels and embeddings") struct RowTests {
    @Test("fill, add and column sums equal their definitions", arguments: awkwardSizes, [1, 3, 4, 9])
    func passes(width: Int, rows: Int) {
        let x = sample(rows * width, seed: 1), bias = sample(width, seed: 2)
        let filled = Floats(repeating: .nan, count: rows * width), added = Floats(repeating: .nan, count: rows * width)
        let sums = Floats(bias)

        Rows.fill(filled.base, bias, rows: rows, width: width)
        Rows.add(added.base, x, bias, rows: rows, width: width)
        Rows.addColumnSums(sums.base, x, rows: rows, width: width)

        #expect(filled.values == (0..<rows * width).map { bias[$0 % width] })
        #expect(added.values == (0..<rows * width).map { x[$0] + bias[$0 % width] })
        let expected = (0..<width).map { i in
            (0..<rows).reduce(Double(bias[i])) { $0 + Double(x[$1 * width + i]) }
        }
        #expect(relativeError(sums.values, expected) < 1e-6)
        #expect(filled.isIntact && added.isIntact && sums.isIntact)
    }

    @Test("without a bias add copies") func withoutBias() {
        let added = Floats(repeating: .nan, count: 34), x = sample(34, seed: 1)

        Rows.add(added.base, x, nil, rows: 2, width: 17)

        #expect(added.values == x)
    }

    @Test("a panel is copied or transposed between any row distances",
          arguments: [(1, 1), (7, 3), (8, 4), (17, 16), (33, 50), (256, 64)])
    func panels(rows: Int, width: Int) {
        let lead = width + 7, x = sample(rows * lead, seed: 1)
        let copy = Floats(repeating: 0, count: rows * (width + 2))
        let transpose = Floats(repeating: 0, count: width * (rows + 3))

        Panel.copy(copy.base, lead: width + 2, x, lead: lead, rows: rows, width: width)
        Panel.transpose(transpose.base, lead: rows + 3, x, lead: lead, rows: rows, width: width)

        for r in 0..<rows {
            for i in 0..<width + 2 { #expect(copy.base[r * (width + 2) + i] == (i < width ? x[r * lead + i] : 0)) }
        }
        for i in 0..<width {
            for r in 0..<rows + 3 {
                #expect(transpose.base[i * (rows + 3) + r] == (r < rows ? x[r * lead + i] : 0))
            }
        }
        #expect(copy.isIntact && transpose.isIntact)
    }

    @Test("embedding looks up and adds positions; its gradient adds per token and per position",
          arguments: [15, 16, 50])
    func embedding(width: Int) {
        let (V, T, B) = (5, 3, 2), tokens: [Int32] = [4, 0, 4, 1, 4, 0]
        let table = sample(V * width, seed: 1), positions = sample(T * width, seed: 2)
        let dOut = sample(B * T * width, seed: 3), out = Floats(repeating: .nan, count: B * T * width)
        let (dTable, dPositions) = (Floats(repeating: 0, count: V * width), Floats(repeating: .nan, count: T * width))

        Embedding.forward(out: out.base, tokens: tokens, table: table, positions: positions, rows: B * T, width: width,
                          vocabulary: V, held: 0..<V, context: T)
        Embedding.addTokenGradient(dTable.base, tokens: tokens, dOut: dOut, rows: B * T, width: width, held: 0..<V)
        Embedding.positionGradient(dPositions.base, dOut: dOut, sequences: B, context: T, width: width)

        #expect(out.values == (0..<B * T * width).map { i in
            table[Int(tokens[i / width]) * width + i % width] + positions[i % (T * width)]
        })
        let expected = (0..<V * width).map { i in
            (0..<B * T).reduce(0.0) { Int(tokens[$1]) == i / width ? $0 + Double(dOut[$1 * width + i % width]) : $0 }
        }
        #expect(relativeError(dTable.values, expected) < 1e-6)
        #expect(dPositions.values == (0..<T * width).map { dOut[$0] + dOut[$0 + T * width] })
        #expect(dTable.isIntact && dPositions.isIntact && out.isIntact)
    }

    @Test("tables that hold some tokens each give together what the whole table gives", arguments: [15, 16, 50])
    func dividedEmbedding(width: Int) {
        let (V, T) = (5, 3), tokens: [Int32] = [4, 0, 4, 1, 4, 0], rows = tokens.count, size = rows * width
        let table = sample(V * width, seed: 1), positions = sample(T * width, seed: 2), dOut = sample(size, seed: 3)
        func run(_ held: Range<Int>, _ positions: [Float]?) -> (out: [Float], dTable: [Float]) {
            let part = Floats(Array(table[held.lowerBound * width..<held.upperBound * width]))
            let out = Floats(repeating: .nan, count: size), dTable = Floats(repeating: 0, count: part.count)
            func forward(_ positions: UnsafePointer<Float>?) {
                Embedding.forward(out: out.base, tokens: tokens, table: part.base, positions: positions, rows: rows,
                                  width: width, vocabulary: V, held: held, context: T)
            }
            if let positions { forward(positions) } else { forward(nil) }
            Embedding.addTokenGradient(dTable.base, tokens: tokens, dOut: dOut, rows: rows, width: width, held: held)
            #expect(out.isIntact && dTable.isIntact)
            return (out.values, dTable.values)
        }

        let whole = run(0..<V, positions), low = run(0..<2, positions), high = run(2..<V, nil)

        #expect(zip(low.out, high.out).map { $0 + $1 } == whole.out)
        #expect(low.dTable + high.dTable == whole.dTable)
    }

    @Test("rotary positions turn lane pairs by position times frequency, and back", arguments: [2, 16, 30, 64])
    func rotary(headWidth: Int) {
        let (T, heads) = (5, 3), half = headWidth / 2, lead = heads * headWidth + 4, rows = 2 * T
        let (cosines, sines) = (Floats(repeating: .nan, count: T * half), Floats(repeating: .nan, count: T * half))
        let start = sample(rows * lead, seed: 1), x = Floats(start)

        RotaryEmbedding.table(cosines: cosines.base, sines: sines.base, context: T, headWidth: headWidth, base: 10_000)
        RotaryEmbedding.rotate(x.base, lead: lead, cosines: cosines.base, sines: sines.base, rows: rows, context: T,
                               heads: 2, headWidth: headWidth, inverse: false)

        let expected = (0..<rows * lead).map { i -> Double in
            let (row, lane) = (i / lead, i % lead % headWidth), value = Double(start[i])
            guard i % lead < 2 * headWidth else { return value }
            let angle = Double(row % T) * pow(10_000, -2 * Double(lane % half) / Double(headWidth))
            let other = Double(start[lane < half ? i + half : i - half])
            return value * cos(angle) + (lane < half ? -other : other) * sin(angle)
        }
        #expect(relativeError(x.values, expected) < 1e-6)
        RotaryEmbedding.rotate(x.base, lead: lead, cosines: cosines.base, sines: sines.base, rows: rows, context: T,
                               heads: 2, headWidth: headWidth, inverse: true)
        #expect(relativeError(x.values, doubles(start)) < 1e-6)
        #expect(x.isIntact && cosines.isIntact && sines.isIntact)
    }
}

@Suite("Dropout") struct DropoutTests {
    private func mask(step: UInt32 = 1, leaf: UInt32 = 2, site: Int = 3, first: Int = 0, count: Int = 4000) -> [Float] {
        let out = Floats(repeating: .nan, count: count), ones = [Float](repeating: 1, count: count)
        Dropout(seed: 7, step: step, leaf: leaf, site: site, probability: 0.25)
            .apply(out.base, base: nil, ones, first: first, count: count)
        return out.values
    }

    @Test("a quarter is dropped and the rest scaled up, so that the mean stays") func rate() {
        let values = mask()

        #expect(values.allSatisfy { $0 == 0 || $0 == Float(1 / 0.75) })
        // Standard deviation of the share of 4000: 0.0068.
        #expect(abs(Double(values.count { $0 == 0 }) / 4000 - 0.25) < 0.03)
    }

    @Test("the mask is a function of step, leaf and site, and of nothing else") func keyed() {
        #expect(mask() == mask())
        #expect(mask() != mask(step: 2) && mask() != mask(leaf: 3) && mask() != mask(site: 4))
    }

    @Test("any part of a use has the same mask as the whole", arguments: [1, 2, 3, 4, 17, 1000])
    func parts(first: Int) {
        #expect(mask(first: first, count: 50) == Array(mask()[first..<first + 50]))
    }

    @Test("element i belongs to word i of its Philox stream") func words() {
        let words = Philox(key: 7).block(.dropout, 1, 2 << 12 | 3, index: 0), values = mask(count: 4)

        for lane in 0..<4 { #expect((values[lane] == 0) == (words[lane] < 1 << 30)) }
    }

    @Test("the kept values are added to the base") func addsToBase() {
        let (x, base) = (sample(50, seed: 1), sample(50, seed: 2)), out = Floats(repeating: .nan, count: 50)

        Dropout(seed: 7, step: 1, leaf: 2, site: 3, probability: 0.25)
            .apply(out.base, base: base, x, first: 0, count: 50)

        let kept = mask(count: 50)
        #expect(out.values == (0..<50).map { base[$0] + (kept[$0] == 0 ? 0 : x[$0] * Float(1 / 0.75)) })
        #expect(out.isIntact)
    }
}
