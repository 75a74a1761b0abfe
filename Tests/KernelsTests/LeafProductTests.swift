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

    /// A whole update with AdamW, and again with one leaf replaced by the mean of the others.
    @Test("a leaf is asked about the update as it would have been without it", arguments: 0..<4) func leftOut(leaf: Int) {
        let count = 48, leaves = (0..<4).map { sample(count, seed: 10 + UInt64($0)) }
        let theta = sample(count, seed: 1), m = sample(count, seed: 2), v = sample(count, seed: 3).map { $0 * $0 + 0.5 }
        // The second moment all but stands still, so that the update is linear in the gradient.
        let step = AdamWStep(step: 7, learningRate: 0.01, beta1: 0.9, beta2: 0.999999, epsilon: 1e-8, weightDecay: 0, gradientNorm: 2, clip: 1)
        func mean(_ gradients: [[Float]]) -> [Float] { (0..<count).map { i in gradients.reduce(0) { $0 + $1[i] } / Float(gradients.count) } }
        func updated(_ gradient: [Float]) -> (theta: Floats, v: Floats) {
            let old = [Floats(theta), Floats(m), Floats(v)], new = [Floats(theta), Floats(m), Floats(v)]
            func pointers(_ state: [Floats]) -> StatePointers {
                StatePointers(parameters: state[0].base, firstMoment: state[1].base, secondMoment: state[2].base)
            }
            adamW(step, range: 0..<count, decays: false, gradient: gradient, from: pointers(old), into: pointers(new))
            return (new[0], new[2])
        }
        let all = updated(mean(leaves)), others = mean(leaves.indices.filter { $0 != leaf }.map { leaves[$0] })
        let without = updated(mean(leaves.indices.map { $0 == leaf ? others : leaves[$0] }))
        let direction = Floats(repeating: .nan, count: count), weight = Floats(repeating: .nan, count: count)

        leaveOneOut(direction: direction.base, weight: weight.base, step, leaves: 4, gradient: mean(leaves), old: theta, new: all.theta.base,
            secondMoment: all.v.base, count: count)
        let found = leaveOneOutProduct(leaves[leaf].map { $0 * 8 }, scale: 0.125, direction: direction.base, weight: weight.base, count: count)

        let expected = (0..<count).reduce(0.0) { $0 + Double(leaves[leaf][$1]) * (Double(without.theta.values[$1]) - Double(theta[$1])) }
        #expect(abs(found / expected - 1) < 1e-3, "\(found) for \(expected)")
        #expect(direction.isIntact && weight.isIntact)
    }
}
