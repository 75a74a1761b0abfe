import Foundation
import RunSpec
import Testing

/// Which updates are left out, given the norms of their gradients.
@Suite struct PastUpdatesTests {
    /// Steps that are vetoed, each norm judged by what came before it. nil: no number.
    private func vetoed(_ norms: [Double?], factor: Double = 8, from past: inout PastUpdates) -> [Int] {
        let first = (past.updates.last?.step ?? 0) + 1
        return norms.enumerated().filter { index, norm in
            let isVetoed = norm.map { past.isSpike($0, factor: factor) } ?? true
            past.note(PastUpdates.Update(step: first + index, norm: norm, isVetoed: isVetoed))
            return isVetoed
        }.map { first + $0.offset }
    }

    private func vetoed(_ norms: [Double?], factor: Double = 8) -> [Int] {
        var past = PastUpdates()
        return vetoed(norms, factor: factor, from: &past)
    }

    private func level(_ norm: Double, _ count: Int) -> [Double?] { Array(repeating: norm, count: count) }

    @Test func `the first sixteen are not judged, and one far from the usual is left out after them`() {
        #expect(vetoed(level(1, 15) + [9, 1, 9, 1, 9]) == [18, 20])
        #expect(vetoed(level(1, 16) + [8, 8.1]) == [18])
        #expect(vetoed(level(1, 16) + [1e9], factor: 0).isEmpty)
    }

    @Test(arguments: [8.1, 20, 1e6])
    func `a lasting change of level costs three updates, and what is far from the new one is left out at once`(height: Double) {
        #expect(vetoed(level(1, 40) + level(height, 40)) == [41, 42, 43])
        #expect(vetoed(level(1, 40) + level(height, 4) + [9 * height] + level(height, 4) + [9 * height]) == [41, 42, 43, 45, 50])
        #expect(vetoed(level(1, 40) + level(height, 40) + level(1, 40) + level(height, 40)) == [41, 42, 43, 121, 122, 123])
    }

    @Test func `three far ones that go by do not change what is usual`() {
        #expect(vetoed(level(1, 40) + level(100, 3) + level(1, 1) + level(100, 3) + level(1, 1) + [9]) == [41, 42, 43, 45, 46, 47, 49])
    }

    @Test func `what is no number counts for itself, and neither kind begins the other's count anew`() {
        var past = PastUpdates()
        #expect(vetoed(level(1, 20) + [nil, 9, nil, 9, 9, nil], from: &past) == [21, 22, 23, 24, 25, 26])
        #expect(past.spikesInARow == 3 && past.nonFiniteInARow == 3)
        #expect(vetoed([9] + level(9, 30), from: &past).isEmpty)
        #expect(past.spikesInARow == 0 && past.nonFiniteInARow == 0)
    }

    @Test func `whoever goes on from what a checkpoint has of it decides alike`() throws {
        let seed: UInt64 = 11, draws = Philox(key: seed)
        // Levels that change, spikes and no numbers among them.
        let norms: [Double?] = (0..<600).map { index in
            func draw(_ word: UInt32) -> Double { draws.uniform(.audit, word, 0, index: UInt32(index)) }
            if draw(0) < 0.03 { return nil }
            return pow(2, Double(index / 50 % 4)) * (0.8 + 0.4 * draw(1)) * (draw(2) < 0.05 ? 5 : 1)
        }
        for factor in [1.05, 1.5, 3] {
            var past = PastUpdates()
            let all = vetoed(norms, factor: factor, from: &past)
            #expect(all.count > 20)
            for cut in stride(from: 1, to: 599, by: 7) {
                var before = PastUpdates()
                _ = vetoed(Array(norms[..<cut]), factor: factor, from: &before)
                var restored = try #require(PastUpdates(json: before.json))
                #expect(restored == before && restored.updates.count == min(cut, PastUpdates.remembered))
                #expect(vetoed(Array(norms[cut...]), factor: factor, from: &restored) == all.filter { $0 > cut }, "seed \(seed), factor \(factor), after \(cut)")
            }
        }
    }

    @Test(arguments: ["", "{}", "{\"updates\":[{\"step\":2,\"isVetoed\":false},{\"step\":2,\"isVetoed\":false}]}"])
    func `what is no such value is none`(json: String) {
        #expect(PastUpdates(json: json) == nil)
    }
}
