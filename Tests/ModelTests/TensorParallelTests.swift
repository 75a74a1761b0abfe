import Model
import RunSpec
import Testing

@Suite("Tensor parallelism") struct TensorParallelTests {
    private static let families = ModelConfig.Family.allCases
    /// Two slices.
    private static let sequences = 30
    private static let key = DropoutKey(seed: 5, step: 7, leaf: 1)

    /// What one rank is left with.
    private struct Outcome: Sendable {
        var loss = 0.0
        var losses: [Double], gradient: [Float]
    }

    /// One forward and backward pass by `degree` ranks, each of which runs all `stages` of a pipeline in turn.
    private func run(_ sample: Sample, degree: Int, stages: Int = 1) -> [Outcome] {
        let (config, sequences) = (sample.config, sample.model.sequences), size = sample.model.rows * config.width
        let (whole, inputs, targets) = (sample.parameters, sample.inputs, sample.targets)
        return RankGroup(degree: degree).run { peers in
            let layout = ParameterLayout(config, rank: peers.rank, degree: degree)
            var parameters = [Float](repeating: .nan, count: layout.count)
            layout.takeShard(&parameters, from: whole)
            var outcome = Outcome(
                losses: Array(repeating: .nan, count: sequences), gradient: Array(repeating: .nan, count: layout.count))
            let models = try! ModelPart.stages(stages, of: config).enumerated().map { stage, part in
                Transformer(config, sequences: sequences, part: ModelPart(layers: part.layers, rank: peers.rank, degree: degree),
                            putsOffWeightGradients: stage > 0)
            }
            inputs.withUnsafeBufferPointer { inputs in
                for (stage, model) in models.enumerated() {
                    if stage > 0 { model.input.update(from: models[stage - 1].output, count: size) }
                    model.forward(parameters: parameters, inputs: stage == 0 ? inputs.baseAddress : nil,
                                  dropout: Self.key, peers: peers)
                }
            }
            models[stages - 1].losses(parameters: parameters, targets: targets, into: &outcome.losses, peers: peers)
            targets.withUnsafeBufferPointer { targets in
                for stage in models.indices.reversed() {
                    let isLast = stage == stages - 1
                    if !isLast {
                        models[stage].residualGradient.update(from: models[stage + 1].residualGradient, count: size)
                    }
                    outcome.loss += models[stage].backward(
                        parameters: parameters, targets: isLast ? targets.baseAddress : nil,
                        gradient: &outcome.gradient, peers: peers)
                }
            }
            for model in models.dropFirst() { model.weightGradients(parameters: parameters, gradient: &outcome.gradient) }
            return outcome
        }
    }

    /// Float32 sums in another order: of each tensor's gradient, ‖difference‖ is within 1e-5 of ‖gradient‖.
    @Test("loss and gradients are the whole model's but for rounding, and what all ranks have is the same everywhere",
          arguments: families, [2, 4])
    func equalsWhole(family: ModelConfig.Family, degree: Int) {
        for (tied, dropout) in [(true, 0), (false, 0), (true, 0.2)] {
            var sample = Sample(divisible(family, tied: tied, dropout: dropout), sequences: Self.sequences)
            for row in 30..<70 { sample.targets[row] = -1 }
            let layout = sample.model.layout, (loss, gradient) = sample.run(Self.key)
            var losses = [Double](repeating: .nan, count: Self.sequences)
            sample.model.losses(parameters: sample.parameters, targets: sample.targets, into: &losses)

            let outcomes = run(sample, degree: degree)

            var found = [Float](repeating: 0, count: layout.count)
            for (rank, outcome) in outcomes.enumerated() {
                #expect(outcome.loss == outcomes[0].loss && outcome.losses == outcomes[0].losses)
                let own = ParameterLayout(sample.config, rank: rank, degree: degree)
                own.putShard(outcome.gradient, into: &found)
                var covered = Set<Int>()
                for slot in own.slots {
                    let range = slot.offset..<slot.offset + slot.filled
                    covered.formUnion(range)
                    if slot.isReplicated {
                        let bits = [outcome, outcomes[0]].map { $0.gradient[range].map(\.bitPattern) }
                        #expect(bits[0] == bits[1], "\(slot.name)")
                    }
                }
                #expect(outcome.gradient.indices.allSatisfy { covered.contains($0) || outcome.gradient[$0] == 0 }, "padding")
            }
            #expect(abs(outcomes[0].loss / loss - 1) < 1e-6)
            for (a, b) in zip(outcomes[0].losses, losses) { #expect(abs(a - b) < 1e-5 * abs(b) + 1e-6) }
            for slot in layout.slots {
                let range = slot.offset..<slot.offset + slot.count
                let error = relativeError(found[range], gradient[range])
                #expect(error < 1e-5, "\(slot.name): \(error)")
            }
        }
    }

    @Test("the same call gives the same bits again, and stages change none", arguments: families)
    func sameBits(family: ModelConfig.Family) {
        let sample = Sample(divisible(family, tied: true, dropout: 0.2), sequences: Self.sequences)
        let first = run(sample, degree: 2)

        for stages in [1, 1, 2] {
            for (outcome, expected) in zip(run(sample, degree: 2, stages: stages), first) {
                #expect(outcome.loss == expected.loss && outcome.losses == expected.losses)
                #expect(outcome.gradient.map(\.bitPattern) == expected.gradient.map(\.bitPattern))
            }
        }
    }

    @Test("a vocabulary too large for one chunk of logits is shared too") func chunkedHead() {
        var config = divisible(.gpt2, tied: true)
        (config.context, config.vocabulary) = (100, 180_001)         // 186 rows of logits at a time, of 200
        let sample = Sample(config, sequences: 2), (loss, gradient) = sample.run()

        let outcomes = run(sample, degree: 2)

        var found = [Float](repeating: 0, count: gradient.count)
        for (rank, outcome) in outcomes.enumerated() {
            ParameterLayout(config, rank: rank, degree: 2).putShard(outcome.gradient, into: &found)
        }
        #expect(abs(outcomes[0].loss / loss - 1) < 1e-6)
        let table = sample.model.layout.tokenTable
        #expect(relativeError(found[table], gradient[table]) < 1e-5)
    }

    @Test("a degree that does not cut the model evenly is refused, and the sentence says which do") func degrees() throws {
        var config = divisible(.llama, tied: true)
        #expect(config.tensorDegrees == [1, 2, 4])
        for degree in [1, 2, 4] { try config.checkTensorDegree(degree) }
        for degree in [0, 3, 8] {
            let refusal = #expect(throws: UserError.self) { try config.checkTensorDegree(degree) }
            #expect(refusal?.description == """
                tensor parallelism needs a degree that divides model.heads 8, model.keyValueHeads 4 and model.hidden \
                36 and is at most model.vocabulary 37, not \(degree): choose 1, 2 or 4
                """)
        }
        config.hidden = 35
        let refusal = #expect(throws: UserError.self) { try config.checkTensorDegree(2) }
        #expect(refusal?.description == """
            tensor parallelism needs a degree that divides model.heads 8, model.keyValueHeads 4 and model.hidden 35 \
            and is at most model.vocabulary 37, not 2: this model cannot be divided
            """)
    }
}

@Suite("Shards of a parameter layout") struct ShardTests {
    private static var cases: [(ModelConfig, Int)] {
        [(divisible(.gpt2, tied: true), 2), (divisible(.gpt2, tied: false), 4), (divisible(.llama, tied: false), 2),
         (divisible(.llama, tied: true), 4), (small(.gpt2), 1)]
    }

    @Test("shards put back together are the whole vector, and what all ranks have comes from rank 0", arguments: cases)
    func roundTrip(config: ModelConfig, degree: Int) {
        let whole = ParameterLayout(config), generator = Philox(key: 3)
        var values = [Float](repeating: 0, count: whole.count)
        for slot in whole.slots {
            for i in slot.offset..<slot.offset + slot.count { values[i] = Float(generator.uniform(.tales, 9, 0, index: UInt32(i))) }
        }
        var found = [Float](repeating: 0, count: whole.count), pieces = found, count = 0
        // Last rank first: its copies of what all have must not win.
        for rank in (0..<degree).reversed() {
            let layout = ParameterLayout(config, rank: rank, degree: degree)
            var shard = [Float](repeating: .nan, count: layout.count)
            layout.takeShard(&shard, from: values)
            for slot in layout.slots where slot.isReplicated && rank > 0 {
                for i in slot.offset..<slot.offset + slot.count { shard[i] = -1 }
            }
            layout.putShard(shard, into: &found)
            for first in stride(from: 0, to: layout.count, by: 48) { layout.putShard(shard, first..<min(first + 48, layout.count), into: &pieces) }
            for range in layout.repeated { #expect(range.lowerBound % 16 == 0 && range.upperBound % 16 == 0 && shard[range].allSatisfy { $0 == -1 || $0 == 0 }) }
            #expect(layout.repeated.count == (rank == 0 ? 0 : layout.slots.count(where: \.isReplicated)))
            count += layout.slots.reduce(0) { $0 + (rank == 0 || !$1.isReplicated ? $1.filled : 0) }
        }
        #expect(found == values && pieces == values && count == whole.parameterCount)
    }

    @Test("a rank's slots are the rows and columns that they name, and all ranks' vectors have the same length", arguments: cases)
    func places(config: ModelConfig, degree: Int) {
        let whole = ParameterLayout(config)
        // Each entry its own number.
        let values = (0..<whole.count).map(Float.init)
        for rank in 0..<degree {
            let layout = ParameterLayout(config, rank: rank, degree: degree)
            var shard = [Float](repeating: .nan, count: layout.count)
            layout.takeShard(&shard, from: values)

            #expect(layout.count == ParameterLayout(config, rank: 0, degree: degree).count)
            #expect(layout.slots.map(\.name) == whole.slots.map(\.name))
            #expect(layout.blocks.last?.upperBound == layout.count && layout.blocks.count == whole.blocks.count)
            for (slot, original) in zip(layout.slots, whole.slots) {
                #expect(slot.whole.shape == original.shape && slot.whole.offset == original.offset, "\(slot.name)")
                let lead = original.shape.count == 2 ? original.shape[1] : 1
                let expected = slot.rows.flatMap { rows in
                    rows.flatMap { row in slot.columns.map { Float(original.offset + row * lead + $0) } }
                }
                #expect(Array(shard[slot.offset..<slot.offset + slot.filled]) == expected, "\(slot.name)")
                #expect(shard[slot.offset + slot.filled..<slot.offset + slot.count].allSatisfy { $0 == 0 })
            }
        }
    }

    @Test("a rank begins with its share of the whole model's first state", arguments: cases)
    func initialisation(config: ModelConfig, degree: Int) {
        let whole = ParameterLayout(config)
        var values = [Float](repeating: .nan, count: whole.count)
        whole.initialise(into: &values, seed: 7)
        for rank in 0..<degree {
            let layout = ParameterLayout(config, rank: rank, degree: degree)
            var taken = [Float](repeating: .nan, count: layout.count), made = taken
            layout.takeShard(&taken, from: values)
            layout.initialise(into: &made, seed: 7)

            #expect(made == taken)
        }
    }
}
