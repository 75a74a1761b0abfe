import CSystem
import Model
import RunSpec
import Testing

@Suite("Transformer") struct TransformerTests {
    private static let families = ModelConfig.Family.allCases

    @Test("along random directions the loss changes as the gradient says, with dropout too",
          arguments: families, [0, 0.3])
    func directionalDerivative(family: ModelConfig.Family, dropout: Double) {
        var sample = Sample(small(family, dropout: dropout), sequences: 2)
        let key = DropoutKey(seed: 3, step: 5, leaf: 1), (_, gradient) = sample.run(key)
        let start = sample.parameters, generator = Philox(key: 9)

        for (number, slot) in sample.model.layout.slots.enumerated() where !slot.name.hasSuffix("c_attn.bias") {
            let range = slot.offset..<slot.offset + slot.count
            let direction = range.map { generator.uniform(.tales, UInt32(number), 1, index: UInt32($0)) * 2 - 1 }
            // Towards the gradient, so that the change stands out from float32 noise of some 1e-5 in the loss.
            let size = range.reduce(0.0) { $0 + Double(gradient[$1]) * Double(gradient[$1]) }.squareRoot()
            let along = zip(range, direction).map {
                Double(gradient[$0]) / size + 0.1 * $1 / Double(slot.count).squareRoot()
            }
            let expected = zip(range, along).reduce(0.0) { $0 + Double(gradient[$1.0]) * $1.1 }
            func loss(_ step: Double) -> Double {
                for (i, a) in zip(range, along) { sample.parameters[i] = start[i] + Float(step * a) }
                defer { sample.parameters = start }
                return sample.run(key).loss
            }
            // Four points: the error falls with the fourth power of the step, so the step can stay large.
            let h = 0.02
            let found = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)
            #expect(abs(found / expected - 1) < 5e-3, "\(slot.name): \(found) instead of \(expected)")
        }
    }

    @Test("the gradient of a microbatch is the sum over its sequences, however many go together",
          arguments: families, [1, 12, 30])
    func sumOverSequences(family: ModelConfig.Family, sequences: Int) {
        // 30 sequences of 21 tokens are worked through in several slices.
        let whole = Sample(small(family), sequences: sequences)
        let (loss, gradient) = whole.run()
        var one = Sample(small(family), sequences: 1), lossSum = 0.0
        var sum = [Double](repeating: 0, count: gradient.count)

        for b in 0..<sequences {
            one.inputs = Array(whole.inputs[b * 21..<(b + 1) * 21])
            one.targets = Array(whole.targets[b * 21..<(b + 1) * 21])
            let (loss, gradient) = one.run()
            lossSum += loss
            for i in gradient.indices { sum[i] += Double(gradient[i]) }
        }

        #expect(abs(loss / lossSum - 1) < 1e-6)
        for slot in whole.model.layout.slots where !slot.name.hasSuffix("c_attn.bias") {
            let range = slot.offset..<slot.offset + slot.count
            #expect(relativeError(gradient[range], sum[range].map { Float($0) }) < 1e-5, "\(slot.name)")
        }
    }

    @Test("a vocabulary too large for one chunk of logits changes nothing") func chunkedHead() {
        var config = small(.gpt2, context: 50)
        config.vocabulary = 90_000          // 186 rows of logits at a time, of 200
        let whole = Sample(config, sequences: 4), (loss, gradient) = whole.run()
        var one = Sample(config, sequences: 1), lossSum = 0.0
        var sum = [Float](repeating: 0, count: gradient.count), losses = [0.0, 0.0, 0.0, 0.0]

        for b in 0..<4 {
            one.inputs = Array(whole.inputs[b * 50..<(b + 1) * 50])
            one.targets = Array(whole.targets[b * 50..<(b + 1) * 50])
            let (loss, gradient) = one.run()
            lossSum += loss
            for i in gradient.indices { sum[i] += gradient[i] }
        }
        whole.model.losses(parameters: whole.parameters, targets: whole.targets, into: &losses)

        #expect(abs(loss / lossSum - 1) < 1e-6 && abs(losses.reduce(0, +) / loss - 1) < 1e-12)
        let head = whole.model.layout["wte.weight"]
        #expect(relativeError(gradient[head.offset..<head.offset + head.count],
                              sum[head.offset..<head.offset + head.count]) < 1e-5)
    }

    @Test("the same inputs give the same bits in another instance and at other addresses", arguments: families)
    func sameBits(family: ModelConfig.Family) {
        let config = small(family, dropout: 0.2), key = DropoutKey(seed: 1, step: 2, leaf: 3)
        let first = Sample(config, sequences: 16), (loss, gradient) = first.run(key)
        let hold = [Float](repeating: 0, count: 1001)      // moves the next allocations
        let second = Sample(config, sequences: 16)
        let count = first.parameters.count
        let shifted = UnsafeMutablePointer<Float>.allocate(capacity: 2 * count + 5)
        defer { shifted.deallocate() }
        let (parameters, found) = (shifted + 1, shifted + count + 4)
        parameters.initialize(from: first.parameters, count: count)

        second.model.forward(parameters: parameters, inputs: first.inputs, dropout: key)
        let again = second.model.backward(parameters: parameters, targets: first.targets, gradient: found)

        #expect(again == loss && hold.count == 1001)
        #expect((0..<count).allSatisfy { found[$0].bitPattern == gradient[$0].bitPattern })
        #expect(first.run(key).gradient == gradient)
    }

    @Test("a position sees nothing of what comes later", arguments: families)
    func causality(family: ModelConfig.Family) {
        var sample = Sample(small(family), sequences: 2)
        func logits(_ row: Int) -> [Float] {
            var logits = [Float](repeating: .nan, count: sample.config.vocabulary)
            sample.model.forward(parameters: sample.parameters, inputs: sample.inputs, dropout: nil)
            sample.model.logits(parameters: sample.parameters, row: row, into: &logits)
            return logits
        }
        let before = (0..<42).map(logits)

        sample.inputs[10] = (sample.inputs[10] + 1) % 37

        for row in 0..<42 {
            // The row itself and the later ones of its sequence; not the other sequence.
            #expect((logits(row) != before[row]) == (10..<21).contains(row), "row \(row)")
        }
    }

    @Test("rows without target give no loss and no gradient", arguments: families)
    func maskedTargets(family: ModelConfig.Family) {
        var sample = Sample(small(family), sequences: 2), losses = [0.0, 0.0]
        for row in 10..<42 { sample.targets[row] = -1 }
        let (loss, gradient) = sample.run()
        sample.model.losses(parameters: sample.parameters, targets: sample.targets, into: &losses)

        // What follows the last target, and the second sequence, may be anything.
        for row in 10..<42 { sample.inputs[row] = (sample.inputs[row] + 5) % 37 }
        let changed = sample.run()

        #expect(losses[0] == loss && losses[1] == 0)
        #expect(changed.loss == loss && changed.gradient == gradient)
        sample.targets = sample.targets.map { _ in -1 }
        let none = sample.run()
        #expect(none.loss == 0 && none.gradient.allSatisfy { $0 == 0 })
    }

    @Test("losses per sequence add up to the loss that backward returns", arguments: families)
    func lossesAddUp(family: ModelConfig.Family) {
        let sample = Sample(small(family), sequences: 3), (loss, _) = sample.run()
        var losses = [Double](repeating: .nan, count: 3)

        sample.model.losses(parameters: sample.parameters, targets: sample.targets, into: &losses)

        #expect(abs(losses.reduce(0, +) / loss - 1) < 1e-12)
    }

    @Test("dropout depends on its key, and without a key nothing is dropped", arguments: families)
    func dropout(family: ModelConfig.Family) {
        let sample = Sample(small(family, dropout: 0.2), sequences: 2), plain = Sample(small(family), sequences: 2)
        let key = DropoutKey(seed: 1, step: 2, leaf: 3)

        let (loss, gradient) = sample.run(key)

        #expect(sample.run(key).gradient == gradient)
        #expect(sample.run(DropoutKey(seed: 1, step: 3, leaf: 3)).loss != loss)
        #expect(sample.run(DropoutKey(seed: 1, step: 2, leaf: 4)).loss != loss)
        #expect(sample.run(nil).gradient == plain.run().gradient)
        #expect(plain.run(key).gradient == plain.run().gradient)
    }

    @Test("a parameter that is not a number shows in the loss", arguments: families)
    func notANumber(family: ModelConfig.Family) {
        var sample = Sample(small(family), sequences: 1)
        sample.parameters[sample.model.layout.slots[3].offset] = .nan

        #expect(!sample.run().loss.isFinite)
    }

    @Test("a step allocates nothing after the first", arguments: families, [0, 0.1])
    func allocations(family: ModelConfig.Family, dropout: Double) {
        var config = small(family, dropout: dropout)
        // OpenBLAS's own AVX-512 kernels for small matrices allocate where sizes are odd.
        (config.width, config.hidden, config.context, config.vocabulary) = (48, 64, 32, 64)
        let sample = Sample(config, sequences: 30), model = sample.model
        let key = DropoutKey(seed: 1, step: 1, leaf: 0)
        var gradient = [Float](repeating: 0, count: model.layout.count), losses = [Double](repeating: 0, count: 30)
        var logits = [Float](repeating: 0, count: sample.config.vocabulary)
        func step() {
            model.forward(parameters: sample.parameters, inputs: sample.inputs, dropout: key)
            _ = model.backward(parameters: sample.parameters, targets: sample.targets, gradient: &gradient)
            model.losses(parameters: sample.parameters, targets: sample.targets, into: &losses)
            model.logits(parameters: sample.parameters, row: 5, into: &logits)
        }
        step()

        let before = cs_allocation_count()
        for _ in 0..<3 { step() }
        let after = cs_allocation_count()

        #expect(before > 0, "the counting allocator is not linked in")
        #expect(after == before)
    }
}
