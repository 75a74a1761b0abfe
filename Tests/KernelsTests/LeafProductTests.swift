import Kernels
import Testing

@Suite("Leaf products") struct LeafProductTests {
    @Test("products along a direction and of a gradient with itself", arguments: [16, 32, 48, 3072]) func along(count: Int) {
        let g = sample(count, seed: 1), d = sample(count, seed: 2), movedTo = sample(count, seed: 3)
        let difference = Floats(repeating: .nan, count: count)

        let found = products(g, d, count: count)
        Kernels.difference(difference.base, movedTo, d, count: count)

        let along = zip(doubles(g), doubles(d)).reduce(0) { $0 + $1.0 * $1.1 }, square = doubles(g).reduce(0) { $0 + $1 * $1 }
        #expect(abs(found.along - along) < 1e-5 * square && abs(found.square / square - 1) < 1e-6)
        #expect(difference.values == zip(movedTo, d).map { $0 - $1 } && difference.isIntact)
    }

    private struct State {
        let parameters, first, second: Floats

        init(_ parameters: [Float], _ first: [Float], _ second: [Float]) {
            (self.parameters, self.first, self.second) = (Floats(parameters), Floats(first), Floats(second))
        }

        var pointers: StatePointers { StatePointers(parameters: parameters.base, firstMoment: first.base, secondMoment: second.base) }
    }

    /// A whole update with AdamW, and again with one leaf replaced by the mean of the others. Leaves differ by little, so
    /// that the update is linear in what they differ by.
    @Test("a leaf is asked about the update as it would have been without it", arguments: 0..<4, [0.9, 0.99]) func leftOut(leaf: Int, beta2: Double) {
        let count = 48, common = sample(count, seed: 9)
        let leaves = (0..<4).map { leaf in zip(common, sample(count, seed: 10 + UInt64(leaf))).map { $0 + 0.03 * $1 } }
        let old = State(sample(count, seed: 1), sample(count, seed: 2), sample(count, seed: 3).map { $0 * $0 + 0.5 })
        let step = AdamWStep(step: 7, learningRate: 0.01, beta1: 0.9, beta2: beta2, epsilon: 1e-8, weightDecay: 0, gradientNorm: 2, clip: 1)
        func mean(_ gradients: [[Float]]) -> [Float] { (0..<count).map { i in gradients.reduce(0) { $0 + $1[i] } / Float(gradients.count) } }
        func updated(_ gradient: [Float]) -> State {
            let new = State(old.parameters.values, old.first.values, old.second.values)
            adamW(step, range: 0..<count, decays: false, gradient: gradient, from: old.pointers, into: new.pointers)
            return new
        }
        let new = updated(mean(leaves)), others = mean(leaves.indices.filter { $0 != leaf }.map { leaves[$0] })
        let without = updated(mean(leaves.indices.map { $0 == leaf ? others : leaves[$0] }))
        let direction = Floats(repeating: .nan, count: count), weight = Floats(repeating: .nan, count: count)

        leaveOneOut(direction: direction.base, weight: weight.base, step, leaves: 4, gradient: mean(leaves), from: old.pointers, into: new.pointers, range: 0..<count)
        let found = leaveOneOutProduct(leaves[leaf].map { $0 * 8 }, scale: 0.125, direction: direction.base, weight: weight.base, count: count)

        func along(_ state: State) -> Double {
            (0..<count).reduce(0.0) { $0 + Double(leaves[leaf][$1]) * (Double(state.parameters.values[$1]) - Double(old.parameters.values[$1])) }
        }
        // The difference that leaving it out makes, to a few per cent of itself.
        #expect(abs((found - along(new)) / (along(without) - along(new)) - 1) < 0.05, "\(found - along(new)) for \(along(without) - along(new))")
        #expect(direction.isIntact && weight.isIntact)
    }

    @Test("at the first step of all a leaf's own share is nothing: Adam steps by the sign") func firstStep() {
        let count = 32, zero = [Float](repeating: 0, count: count), gradient = sample(count, seed: 4)
        let old = State(sample(count, seed: 1), zero, zero), new = State(zero, zero, zero)
        let step = AdamWStep(step: 0, learningRate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 0, weightDecay: 0, gradientNorm: 1, clip: 0)
        let direction = Floats(repeating: .nan, count: count), weight = Floats(repeating: .nan, count: count)

        adamW(step, range: 0..<count, decays: false, gradient: gradient, from: old.pointers, into: new.pointers)
        leaveOneOut(direction: direction.base, weight: weight.base, step, leaves: 4, gradient: gradient, from: old.pointers, into: new.pointers, range: 0..<count)

        // Against lr / |ḡ|, what it would be if the second moment stood still.
        #expect((0..<count).allSatisfy { abs(weight.values[$0] * gradient[$0]) < 1e-4 * 0.01 })
    }
}
