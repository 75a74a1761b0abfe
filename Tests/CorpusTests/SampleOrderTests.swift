import Corpus
import Testing

@Suite struct SampleOrderTests {
    /// An order with `n` samples an epoch.
    private func order(n: Int, context: Int = 4, seed: UInt64 = 3) -> SampleOrder {
        let order = SampleOrder(seed: seed, tokenCount: (n + 1) * context, context: context)
        #expect(order.samplesPerEpoch == n)
        return order
    }

    @Test func everyEpochIsABijectionForSmallCounts() {
        for n in 1...200 {
            let order = order(n: n)
            for epoch in 0..<3 {
                let windows = (0..<n).map { order.window(at: $0, ofEpoch: epoch) }
                #expect(windows.sorted() == Array(0..<n), "n \(n), epoch \(epoch)")
            }
        }
    }

    @Test(arguments: [1023, 1024, 1025, 65_537, 300_000])
    func everyEpochIsABijectionForLargeCounts(n: Int) {
        let order = order(n: n)
        var isSeen = [Bool](repeating: false, count: n)
        for place in 0..<n { isSeen[order.window(at: place, ofEpoch: 1)] = true }
        #expect(isSeen.allSatisfy { $0 })
    }

    @Test func epochsAndSeedsDiffer() {
        let n = 1000, order = order(n: n), other = self.order(n: n, seed: 4)
        let first = (0..<n).map { order.window(at: $0, ofEpoch: 0) }
        for (name, windows) in [
            ("next epoch", (0..<n).map { order.window(at: $0, ofEpoch: 1) }),
            ("epoch 2^32", (0..<n).map { order.window(at: $0, ofEpoch: 1 << 32) }),
            ("other seed", (0..<n).map { other.window(at: $0, ofEpoch: 0) }),
            ("identity", Array(0..<n)),
        ] {
            // Two independent permutations agree in one place on average; in ten with probability 1e-7.
            #expect(zip(first, windows).count { $0 == $1 } < 10, "\(name)")
        }
    }

    @Test func placesAndWindowsAreUnrelated() {
        // The mean of |window(p) − p| / n over a random permutation is 1/3, with a standard error below 0.0024.
        let n = 10_000, order = order(n: n)
        let mean = (0..<n).reduce(0.0) { $0 + Double(abs(order.window(at: $1, ofEpoch: 0) - $1)) } / Double(n * n)
        #expect(abs(mean - 1.0 / 3) < 0.01)
    }

    @Test func smallCountsReachEveryArrangement() {
        // 2 has 2 arrangements, 3 has 6: all appear within 200 epochs.
        for (n, expected) in [(2, 2), (3, 6)] {
            let order = order(n: n)
            let arrangements = Set((0..<200).map { epoch in (0..<n).map { order.window(at: $0, ofEpoch: epoch) } })
            #expect(arrangements.count == expected)
        }
    }

    @Test func everyTokenIsATargetAtMostOnceAnEpochAndNoneIsOutside() {
        for context in 1...9 {
            for tokenCount in (context + 1)...(context + 60) {
                let order = SampleOrder(seed: 11, tokenCount: tokenCount, context: context)
                for epoch in 0..<4 {
                    var uses = [Int](repeating: 0, count: tokenCount)
                    for place in 0..<order.samplesPerEpoch {
                        let start = order.start(ofSample: epoch * order.samplesPerEpoch + place)
                        for target in start + 1...start + context { uses[target] += 1 }
                    }
                    #expect(uses.max() == 1, "T \(context), N \(tokenCount), epoch \(epoch)")
                    #expect(uses.reduce(0, +) == order.samplesPerEpoch * context)
                }
            }
        }
    }

    @Test func everyOffsetOccursAndTheLastTokenIsReached() {
        let order = SampleOrder(seed: 5, tokenCount: 40, context: 8)
        #expect(order.samplesPerEpoch == 4 && order.offsetCount == 8)
        let offsets = (0..<500).map { order.offset(ofEpoch: $0) }
        #expect(Set(offsets) == Set(0..<8))
        #expect((0..<500).map { order.offset(ofEpoch: $0) + 4 * 8 }.max() == 39)
        let tight = SampleOrder(seed: 5, tokenCount: 9, context: 8)
        #expect(tight.samplesPerEpoch == 1 && tight.offsetCount == 1 && tight.start(ofSample: 77) == 0)
    }

    @Test func theOrderIsPinned() {
        let order = SampleOrder(seed: 1, tokenCount: 1_003_854, context: 64)
        #expect(order.samplesPerEpoch == 15_684)
        #expect((0..<6).map { order.start(ofSample: $0) } == goldenStarts)
        #expect((0..<4).map { order.start(ofSample: 15_684 + $0) } == goldenSecondEpoch)
    }

    private let goldenStarts = [70_362, 169_498, 98_842, 824_538, 480_218, 496_922]
    private let goldenSecondEpoch = [756_100, 286_468, 996_356, 826_436]

    @Test func aMicrobatchHoldsTheSamplesOfItsLeaf() throws {
        let folder = try TemporaryFolder()
        let tokens = try shard(folder, count: 1000)
        let order = SampleOrder(seed: 2, tokenCount: 1000, context: 16)
        let b = 3, T = 16, M = 4
        var inputs = [Int32](repeating: -7, count: b * T), targets = inputs
        for (step, leaf) in [(0, 0), (0, 3), (5, 1), (40, 2)] {
            order.fill(
                from: tokens, step: step, leaf: leaf, microbatches: M, sequences: b, inputs: &inputs,
                targets: &targets)
            for row in 0..<b {
                let start = order.start(ofSample: step * M * b + leaf * b + row)
                #expect(Array(inputs[row * T..<(row + 1) * T]) == (start..<start + T).map { Int32($0) })
                #expect(Array(targets[row * T..<(row + 1) * T]) == (start + 1...start + T).map { Int32($0) })
            }
        }
    }

    @Test(arguments: [2, 16, 17, 18, 33, 48, 49, 100])
    func evaluationVisitsEveryTargetOnceInOrder(count: Int) throws {
        let folder = try TemporaryFolder()
        let tokens = try shard(folder, count: count)
        let windows = EvaluationWindows(tokenCount: count, context: 16)
        #expect(windows.count == (count - 1) / 16 + ((count - 1) % 16 > 0 ? 1 : 0))
        let b = 2
        var inputs = [Int32](repeating: -7, count: b * 16), targets = inputs, seen: [Int32] = []
        for unit in 0..<windows.units(sequences: b) {
            let judged = windows.fillEvaluation(
                from: tokens, unit: unit, sequences: b, inputs: &inputs, targets: &targets)
            #expect(judged == targets.count { $0 != EvaluationWindows.ignoredTarget })
            for (input, target) in zip(inputs, targets) {
                #expect(target == -1 ? input == 0 : target == input + 1)
            }
            seen += targets.filter { $0 >= 0 }
        }
        #expect(seen == (1..<Int32(count)).map { $0 })
    }

    /// A shard whose token i is i.
    private func shard(_ folder: TemporaryFolder, count: Int) throws -> TokenShard {
        var writer = try TokenShardWriter(folder.file("t.tokens"), vocabulary: count)
        for token in 0..<UInt32(count) { try writer.append(token) }
        try writer.finish()
        try writer.commit()
        return try TokenShard(folder.file("t.tokens"))
    }
}
