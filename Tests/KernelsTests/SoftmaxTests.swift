import Glibc
import Kernels
import Testing

@Suite("Causal softmax") struct CausalSoftmaxTests {
    /// Probabilities over the visible keys, zeros behind them.
    private static func twin(_ scores: ArraySlice<Double>, visible: Int, scale: Double) -> [Double] {
        let seen = scores.prefix(visible).map { $0 * scale }, top = seen.max()!
        let e = seen.map { exp($0 - top) }, sum = e.reduce(0, +)
        return e.map { $0 / sum } + [Double](repeating: 0, count: scores.count - visible)
    }

    @Test("each row is the softmax of its visible keys, and zero behind them",
          arguments: [(0, 1), (0, 17), (15, 3), (16, 16), (33, 17), (240, 16)])
    func forward(first: Int, rows: Int) {
        let end = first + rows, wide = (end + 15) / 16 * 16 + 16, scale = 0.3
        // What lies behind the keys that the product wrote is garbage, even not a number.
        var scores = sample(rows * wide, seed: 1, scale: 20)
        for r in 0..<rows { for i in end..<wide { scores[r * wide + i] = .nan } }
        let (p, peak, norm) = (Floats(scores), Floats(repeating: 0, count: rows), Floats(repeating: 0, count: rows))

        CausalSoftmax.forward(scores: p.base, peak: peak.base, norm: norm.base, first: first, rows: rows, stride: wide,
                              scale: Float(scale))

        for r in 0..<rows {
            let row = doubles(Array(scores[r * wide..<r * wide + end]))
            let expected = Self.twin(row[...], visible: first + r + 1, scale: scale)
            #expect(relativeError(p.values[r * wide..<r * wide + end], expected) < 2e-6, "row \(r)")
        }
        #expect(p.isIntact && peak.isIntact && norm.isIntact)
    }

    @Test("the backward pass recomputes the probabilities and gives the gradient of the scores",
          arguments: [(0, 1, 16), (0, 17, 5), (15, 3, 17), (33, 17, 8)])
    func backward(first: Int, rows: Int, headWidth: Int) {
        let end = first + rows, wide = (end + 15) / 16 * 16, scale = 0.25
        let scores = sample(rows * wide, seed: 2, scale: 10), v = doubles(sample(end * headWidth, seed: 3))
        let dOut = sample(rows * headWidth, seed: 4)
        let (p, peak, norm) = (Floats(scores), Floats(repeating: 0, count: rows), Floats(repeating: 0, count: rows))
        CausalSoftmax.forward(scores: p.base, peak: peak.base, norm: norm.base, first: first, rows: rows, stride: wide,
                              scale: Float(scale))
        let kept = p.values
        func output(_ p: [Double]) -> [Double] {
            (0..<headWidth).map { i in
                var sum = 0.0
                for key in 0..<end { sum += p[key] * v[key * headWidth + i] }
                return sum
            }
        }
        let out = (0..<rows).flatMap { r in output(doubles(Array(kept[r * wide..<r * wide + end]))).map(Float.init) }
        let dP = (0..<rows * wide).map { i -> Float in
            let (r, key) = (i / wide, i % wide)
            guard key < end else { return .nan }
            var sum = 0.0
            for i in 0..<headWidth { sum += Double(dOut[r * headWidth + i]) * v[key * headWidth + i] }
            return Float(sum)
        }
        let (again, dScores) = (Floats(scores), Floats(dP))

        CausalSoftmax.backward(
            scores: again.base, dP: dScores.base, peak: peak.base, norm: norm.base, out: out, dOut: dOut,
            lead: headWidth, headWidth: headWidth, first: first, rows: rows, stride: wide, scale: Float(scale))

        for r in 0..<rows {
            let row = doubles(Array(scores[r * wide..<r * wide + end])), visible = first + r + 1
            let d = doubles(Array(dOut[r * headWidth..<(r + 1) * headWidth]))
            let expected = numericGradient(row) { dot(output(Self.twin($0[...], visible: visible, scale: scale)), d) }
            #expect(relativeError(dScores.values[r * wide..<r * wide + end], expected) < 2e-5, "row \(r)")
            #expect(relativeError(again.values[r * wide..<r * wide + end],
                                  Self.twin(row[...], visible: visible, scale: scale)) < 2e-6, "row \(r)")
        }
        #expect(again.isIntact && dScores.isIntact)
    }

    @Test("a score that is not a number makes its row so")
    func notANumber() {
        let scores = Floats([1, .nan, 2] + [Float](repeating: 0, count: 13))
        var peak: Float = 0, norm: Float = 0

        CausalSoftmax.forward(scores: scores.base, peak: &peak, norm: &norm, first: 2, rows: 1, stride: 16, scale: 1)

        #expect(scores.values[0..<3].allSatisfy { $0.isNaN })
    }
}

@Suite("Cross-entropy") struct CrossEntropyTests {
    @Test("losses and gradients equal the definition; a row without target has neither", arguments: awkwardSizes)
    func lossAndGradient(vocabulary: Int) {
        let rows = 4, wide = (vocabulary + 15) / 16 * 16
        let values = sample(rows * wide, seed: 1, scale: 12)
        let targets = [0, Int32(vocabulary - 1), -1, Int32(vocabulary / 2)]
        let logits = Floats(values)
        var losses = [Double](repeating: .nan, count: rows)

        CrossEntropy.rows(logits: logits.base, targets: targets, losses: &losses, rows: rows, vocabulary: vocabulary,
                          stride: wide, gradient: true)

        for r in 0..<rows {
            let row = doubles(Array(values[r * wide..<r * wide + vocabulary]))
            let found = logits.values[r * wide..<r * wide + vocabulary]
            guard targets[r] >= 0 else {
                #expect(losses[r] == 0 && found.allSatisfy { $0 == 0 })
                continue
            }
            let top = row.max()!, sum = row.reduce(0) { $0 + exp($1 - top) }, target = Int(targets[r])
            #expect(abs(losses[r] - (log(sum) + top - row[target])) < 1e-6 * max(1, losses[r]))
            var expected = row.map { exp($0 - top) / sum }
            expected[target] -= 1
            #expect(relativeError(found, expected) < 2e-6 || vocabulary == 1)
        }
        #expect(logits.isIntact)
    }

    @Test("ranks that hold some tokens each, even none, come to the loss and the gradients of one that holds all",
          arguments: awkwardSizes, [1, 2, 3])
    func divided(vocabulary: Int, parts: Int) {
        let rows = 4, wide = (vocabulary + 15) / 16 * 16, values = sample(rows * wide, seed: 1, scale: 12)
        let targets = [0, Int32(vocabulary - 1), -1, Int32(vocabulary / 2)]
        let whole = Floats(values)
        var expected = [Double](repeating: .nan, count: rows), losses = expected
        CrossEntropy.rows(logits: whole.base, targets: targets, losses: &expected, rows: rows, vocabulary: vocabulary,
                          stride: wide, gradient: true)
        let ranges = (0..<parts).map { $0 * vocabulary / parts..<($0 + 1) * vocabulary / parts }
        let logits = ranges.map { range in
            Floats((0..<rows * wide).map { $0 % wide < range.count ? values[$0 / wide * wide + range.lowerBound + $0 % wide] : .nan })
        }

        var peaks = [Float](repeating: -.infinity, count: rows)
        for (held, logits) in zip(ranges, logits) {
            var own = [Float](repeating: .nan, count: rows)
            CrossEntropy.peaks(&own, logits: logits.base, rows: rows, held: held, stride: wide)
            for r in 0..<rows { peaks[r] = max(peaks[r], own[r]) }
        }
        var totals = [Float](repeating: 0, count: rows), atTarget = totals
        for (held, logits) in zip(ranges, logits) {
            var own = [Float](repeating: .nan, count: rows), target = own
            CrossEntropy.exponentials(
                totals: &own, atTarget: &target, logits: logits.base, peaks: peaks, targets: targets, rows: rows,
                vocabulary: vocabulary, held: held, stride: wide)
            for r in 0..<rows { (totals[r], atTarget[r]) = (totals[r] + own[r], atTarget[r] + target[r]) }
        }
        for (held, logits) in zip(ranges, logits) {
            CrossEntropy.finish(
                losses: &losses, gradient: logits.base, peaks: peaks, totals: totals, atTarget: atTarget,
                targets: targets, rows: rows, held: held, stride: wide)
            #expect(logits.isIntact)
        }

        for r in 0..<rows {
            #expect(abs(losses[r] - expected[r]) <= 1e-6 * max(1, expected[r]))
            let found = zip(ranges, logits).flatMap { held, logits in logits.values[r * wide..<r * wide + held.count] }
            let row = Array(whole.values[r * wide..<r * wide + vocabulary])
            #expect(relativeError(found, doubles(row)) < 1e-6)
            if parts == 1 { #expect(losses[r] == expected[r] && found == row) }
        }
    }

    @Test("huge logits neither overflow nor lose the loss, and infinity shows")
    func extremes() {
        let logits = Floats([1e30, -1e30, 0, 0] + [Float](repeating: 0, count: 12)
            + [.infinity, 0, 0, 0] + [Float](repeating: 0, count: 12))
        var losses = [0.0, 0.0]

        CrossEntropy.rows(logits: logits.base, targets: [0, 1], losses: &losses, rows: 2, vocabulary: 4, stride: 16,
                          gradient: true)

        #expect(losses[0] == 0 && logits.values[0] == 0)
        #expect(!losses[1].isFinite)
    }
}
