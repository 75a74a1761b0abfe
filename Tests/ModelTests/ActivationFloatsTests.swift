import Model
import RunSpec
import Testing

@Suite("Memory of activations") struct ActivationFloatsTests {
    /// Every size that is carved is a multiple of 16, for up to four ranks: no rounding.
    private static func even(_ family: ModelConfig.Family, dropout: Double) -> ModelConfig {
        var config = ModelConfig()
        config.family = family
        (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden) = (6, 8, 8, 128, 256)
        if family == .llama { config.keyValueHeads = 4 }
        (config.context, config.vocabulary, config.bias, config.dropout) = (32, 64, family == .gpt2, dropout)
        return config
    }
    private static let sequences = 20

    @Test("what is foretold is what an instance allocates, whole, as a stage and as a rank",
          arguments: ModelConfig.Family.allCases, [0, 0.1])
    func foretold(family: ModelConfig.Family, dropout: Double) throws {
        for config in [Self.even(family, dropout: dropout), small(family, dropout: dropout)] {
            var parts = try ModelPart.stages(min(3, config.layers), of: config)
            for degree in config.tensorDegrees { parts.append(.whole(config, rank: degree - 1, degree: degree)) }
            for part in parts {
                for putsOff in [false, true] {
                    let model = Transformer(config, sequences: Self.sequences, part: part, putsOffWeightGradients: putsOff)
                    #expect(Transformer.activationFloats(config, sequences: Self.sequences, part: part, putsOffWeightGradients: putsOff) == model.activationFloats)
                    #expect(Transformer(sharingScratchOf: model).activationFloats == model.activationFloats)
                }
            }
        }
    }

    @Test("a layer keeps its two residual streams, its packed rows, its attention's output and what goes into the activation",
          arguments: ModelConfig.Family.allCases, [1, 2, 4])
    func formula(family: ModelConfig.Family, degree: Int) {
        let config = Self.even(family, dropout: 0), R = Self.sequences * config.context
        let (C, F, H, KV) = (128, 256 / degree, 8 / degree, config.keyValueHeads / degree), D = 16
        let perRow = family == .gpt2 ? 2 * C + 4 + (H + 2 * KV) * D + H * D + 2 * H + F
            : 2 * C + 2 + (H + 2 * KV) * D + H * D + 2 * H + 2 * F
        let end = family == .gpt2 ? C + 2 : C + 1
        func kept(_ layers: Range<Int>, putsOff: Bool = false) -> Int {
            Transformer.activationFloats(
                config, sequences: Self.sequences, part: ModelPart(layers: layers, rank: degree - 1, degree: degree), putsOffWeightGradients: putsOff).kept
        }

        #expect(kept(0..<6) == R * (C + 6 * perRow + end))
        #expect(kept(0..<2) == R * (C + 2 * perRow))
        #expect(kept(2..<5) == R * (C + 3 * perRow))
        #expect(kept(5..<6) == R * (C + perRow + end))
        #expect(kept(2..<5, putsOff: true) - kept(2..<5) == R * 3 * (2 * C + F))
    }
}
