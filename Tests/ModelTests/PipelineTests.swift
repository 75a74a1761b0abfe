import Model
import RunSpec
import Testing

@Suite("Pipeline stages") struct PipelineTests {
    @Test("a chain of stages with several microbatches in flight gives the whole model's bits",
          arguments: ModelConfig.Family.allCases, [(2, 4), (3, 4), (4, 4), (2, 6), (3, 6), (4, 6)])
    func chain(family: ModelConfig.Family, shape: (stages: Int, layers: Int)) throws {
        for (tied, dropout) in [(true, 0.2), (true, 0), (false, 0.2)] {
            var config = small(family, dropout: dropout)
            (config.layers, config.tied) = (shape.layers, tied)
            // Two slices a microbatch.
            let microbatches = (0..<5).map { Sample(config, sequences: 30, seed: 1, tokenSeed: UInt64(10 + $0)) }
            let pipeline = try Pipeline(microbatches, stages: shape.stages)

            pipeline.run()

            for (leaf, sample) in microbatches.enumerated() {
                let (loss, gradient) = sample.run(Pipeline.key(leaf))
                #expect(pipeline.losses[leaf] == loss)
                #expect(pipeline.gradient(leaf).map(\.bitPattern) == gradient.map(\.bitPattern), "microbatch \(leaf)")
            }
            #expect(pipeline.mostInFlight == Array(repeating: shape.stages, count: shape.stages))
        }
    }

    @Test("stages differ by at most a layer, and more stages than layers are refused in a sentence") func cutting() throws {
        var config = ModelConfig()
        for layers in 1...9 {
            config.layers = layers
            for count in 1...layers {
                let stages = try ModelPart.stages(count, of: config), sizes = stages.map(\.layers.count)
                #expect(sizes.max()! - sizes.min()! <= 1 && sizes.reduce(0, +) == layers)
                #expect(stages.flatMap { Array($0.layers) } == Array(0..<layers))
                #expect(stages.map(\.isFirst) == (0..<count).map { $0 == 0 })
                #expect(stages.map { $0.isLast(of: config) } == (0..<count).map { $0 == count - 1 })
            }
        }
        config.layers = 4
        for count in [0, 5] {
            let refusal = #expect(throws: UserError.self) { try ModelPart.stages(count, of: config) }
            #expect(refusal?.description == "\(count) stages cannot share model.layers 4: choose 1 to 4 stages")
        }
    }
}

/// The stages of one model, each with memory of its own in which everything that is not its business is not a number, run
/// one pass at a time in the order of `PipelineSchedule`.
private final class Pipeline {
    let microbatches: [Sample], config: ModelConfig, layout: ParameterLayout
    /// Per stage: an instance for each microbatch that can be in flight, and the parameters it may read.
    private let stages: [[Transformer]], parameters: [[Float]]
    /// Per stage and microbatch.
    private var gradients: [[[Float]]]
    /// Per stage and microbatch, once there: what the stage before sends forward and the one after sends back.
    private var activations: [[Int: [Float]]], residualGradients: [[Int: [Float]]]
    private(set) var losses: [Double], mostInFlight: [Int]

    static func key(_ leaf: Int) -> DropoutKey { DropoutKey(seed: 5, step: 7, leaf: UInt32(leaf)) }

    init(_ microbatches: [Sample], stages count: Int) throws {
        self.microbatches = microbatches
        let whole = microbatches[0].model
        (config, layout) = (whole.config, whole.layout)
        let (layout, config, values) = (layout, config, microbatches[0].parameters)
        let parts = try ModelPart.stages(count, of: config)
        stages = parts.enumerated().map { number, part in
            let first = Transformer(config, sequences: whole.sequences, part: part, putsOffWeightGradients: PipelineSchedule.putsOffWeights(stage: number))
            return [first] + (1..<PipelineSchedule.inFlight(of: count, microbatches: microbatches.count)).map { _ in Transformer(sharingScratchOf: first) }
        }
        parameters = parts.map { part in
            var own = [Float](repeating: .nan, count: layout.count)
            var ranges = part.layers.map { layout.blocks[1 + $0] }
            if part.isFirst { ranges.append(layout.blocks[0]) }
            if part.isLast(of: config) { ranges += [layout.blocks.last!] + (config.tied ? [layout.tokenTable] : []) }
            for range in ranges { own.replaceSubrange(range, with: values[range]) }
            return own
        }
        let empty = [Float](repeating: .nan, count: layout.count)
        gradients = Array(repeating: Array(repeating: empty, count: microbatches.count), count: count)
        activations = Array(repeating: [:], count: count)
        residualGradients = activations
        losses = Array(repeating: .nan, count: microbatches.count)
        mostInFlight = Array(repeating: 0, count: count)
    }

    func run() {
        var left = stages.indices.map { ArraySlice(PipelineSchedule.passes(stage: $0, of: stages.count, microbatches: microbatches.count)) }
        var inFlight = stages.map { _ in 0 }, progress = true
        while progress {
            progress = false
            for stage in stages.indices {
                guard let (pass, leaf) = left[stage].first, perform(pass, leaf, stage) else { continue }
                if pass == .forward { inFlight[stage] += 1 }
                if pass == (stages[stage][0].putsOffWeightGradients ? .weights : .backward) { inFlight[stage] -= 1 }
                mostInFlight[stage] = max(mostInFlight[stage], inFlight[stage])
                left[stage].removeFirst()
                progress = true
            }
        }
        #expect(left.allSatisfy { $0.isEmpty })
    }

    /// False if what the pass needs is not there yet.
    private func perform(_ pass: PipelineSchedule.Pass, _ leaf: Int, _ stage: Int) -> Bool {
        let model = stages[stage][leaf % stages[stage].count]
        let isFirst = stage == 0, isLast = stage == stages.count - 1, size = microbatches[0].model.rows * config.width
        switch pass {
        case .forward:
            if !isFirst {
                guard let received = activations[stage].removeValue(forKey: leaf) else { return false }
                model.input.update(from: received, count: size)
            }
            microbatches[leaf].inputs.withUnsafeBufferPointer {
                model.forward(parameters: parameters[stage], inputs: isFirst ? $0.baseAddress : nil, dropout: Self.key(leaf))
            }
            if !isLast { activations[stage + 1][leaf] = Array(UnsafeBufferPointer(start: model.output, count: size)) }
        case .backward:
            if !isLast {
                guard let received = residualGradients[stage].removeValue(forKey: leaf) else { return false }
                model.residualGradient.update(from: received, count: size)
                if isFirst && config.tied {
                    let table = layout.tokenTable
                    gradients[0][leaf].replaceSubrange(table, with: gradients[stages.count - 1][leaf][table])
                }
            }
            let loss = microbatches[leaf].targets.withUnsafeBufferPointer {
                model.backward(parameters: parameters[stage], targets: isLast ? $0.baseAddress : nil,
                               gradient: &gradients[stage][leaf])
            }
            if isLast { losses[leaf] = loss } else { #expect(loss == 0) }
            if !isFirst {
                residualGradients[stage - 1][leaf] = Array(UnsafeBufferPointer(start: model.residualGradient, count: size))
            }
        case .weights:
            model.weightGradients(parameters: parameters[stage], gradient: &gradients[stage][leaf])
        }
        return true
    }

    /// The microbatch's gradient put together from those of the stages, which have written their own blocks and no more.
    func gradient(_ leaf: Int) -> [Float] {
        var whole = [Float](repeating: .nan, count: layout.count)
        for (stage, instances) in stages.enumerated() {
            let part = instances[0].part
            for (number, range) in layout.blocks.enumerated() {
                let own = part.layers.contains(number - 1) || part.isFirst && number == 0
                    || part.isLast(of: config) && number == config.layers + 1
                if own {
                    whole.replaceSubrange(range, with: gradients[stage][leaf][range])
                } else {
                    let share = part.isLast(of: config) && config.tied && number == 0 ? layout.tokenTable : 0..<0
                    #expect(range.allSatisfy { share.contains($0) || gradients[stage][leaf][$0].isNaN })
                }
            }
        }
        return whole
    }
}
