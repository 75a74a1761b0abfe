import Model
import RunSpec
import Testing

/// GPT-2 small as published: 124M parameters.
private var gpt2Small: ModelConfig {
    var config = ModelConfig()
    (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden) = (12, 12, 12, 768, 3072)
    (config.context, config.vocabulary) = (1024, 50_257)
    return config
}

/// A Llama whose packed matrices are no multiples of 16 floats.
private var oddLlama: ModelConfig {
    var config = ModelConfig()
    config.family = .llama
    (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden) = (2, 3, 1, 18, 25)
    (config.context, config.vocabulary, config.bias) = (9, 11, false)
    return config
}

@Suite("Parameter layout") struct ParameterLayoutTests {
    @Test("GPT-2 small has the published number of parameters and names") func publishedModel() {
        let layout = ParameterLayout(gpt2Small)

        #expect(layout.parameterCount == 124_439_808)
        #expect(layout.slots.count == 2 + 12 * 12 + 2)
        #expect(layout["h.11.attn.c_attn.weight"].shape == [2304, 768])
        #expect(layout["h.11.attn.c_attn.weight"].transposedInHuggingFace)
        #expect(!layout["wte.weight"].transposedInHuggingFace)
        #expect(layout.slot(named: "lm_head.weight") == nil)
    }

    @Test("without biases and with an own head exactly those slots change") func biasAndHead() {
        var config = gpt2Small
        config.bias = false
        config.tied = false

        let layout = ParameterLayout(config)

        #expect(!layout.slots.contains { $0.name.hasSuffix("bias") })
        #expect(layout["lm_head.weight"].shape == [50_257, 768])
        #expect(layout.parameterCount == 124_439_808 - 12 * (2 * 768 + 2304 + 768 + 3072 + 768) - 768 + 50_257 * 768)
    }

    @Test("slots follow one another without overlap, each on a cache line unless packed with the one before",
          arguments: [gpt2Small, oddLlama])
    func placement(config: ModelConfig) {
        let layout = ParameterLayout(config)

        var end = 0
        for slot in layout.slots {
            let packed = ["k_proj", "v_proj", "up_proj"].contains { slot.name.contains($0) }
            #expect(slot.offset == (packed ? end : (end + 15) / 16 * 16), "\(slot.name)")
            end = slot.offset + slot.count
        }
        #expect(layout.count % 16 == 0 && layout.count >= end && layout.count < end + 16)
    }

    @Test("blocks cut the vector in order and without gaps: tables, layers, final norm and head",
          arguments: [gpt2Two, oddLlama])
    func blocks(config: ModelConfig) {
        for tied in [true, false] {
            var config = config
            config.tied = tied
            let layout = ParameterLayout(config)

            #expect(layout.blocks.count == config.layers + 2)
            #expect(layout.blocks.first?.lowerBound == 0 && layout.blocks.last?.upperBound == layout.count)
            #expect(zip(layout.blocks, layout.blocks.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
            for slot in layout.slots {
                let layer = (0..<config.layers).first { slot.name.contains("h.\($0).") || slot.name.contains("layers.\($0).") }
                let isTable = ["wte.", "wpe.", "embed_tokens."].contains { slot.name.contains($0) }
                let block = layout.blocks[layer.map { $0 + 1 } ?? (isTable ? 0 : config.layers + 1)]
                #expect(block.contains(slot.offset) && slot.offset + slot.count <= block.upperBound, "\(slot.name)")
            }
        }
    }

    @Test("matrices decay, gains and biases do not") func decay() {
        for slot in ParameterLayout(gpt2Small).slots {
            #expect(slot.decays == !(slot.name.hasSuffix("bias") || slot.name.contains("ln_")), "\(slot.name)")
        }
    }

    @Test("initialisation is a function of the seed; padding is zero", arguments: [gpt2Two, oddLlama])
    func initialisation(config: ModelConfig) {
        let layout = ParameterLayout(config)
        func values(_ seed: UInt64) -> [Float] {
            var values = [Float](repeating: .nan, count: layout.count)
            layout.initialise(into: &values, seed: seed)
            return values
        }

        let first = values(1)

        #expect(first == values(1) && first != values(2))
        var covered = Set<Int>()
        for slot in layout.slots {
            let found = first[slot.offset..<slot.offset + slot.count]
            covered.formUnion(found.indices)
            switch slot.initialisation {
            case .zeros: #expect(found.allSatisfy { $0 == 0 }, "\(slot.name)")
            case .ones: #expect(found.allSatisfy { $0 == 1 }, "\(slot.name)")
            case .normal(let deviation):
                let square = found.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(slot.count)
                let mean = found.reduce(0.0) { $0 + Double($1) } / Double(slot.count)
                // Five standard errors.
                let error = abs(square.squareRoot() / deviation - 1)
                #expect(error < 5 / Double(2 * slot.count).squareRoot(), "\(slot.name)")
                #expect(abs(mean) < 5 * deviation / Double(slot.count).squareRoot(), "\(slot.name)")
            }
        }
        #expect(first.indices.allSatisfy { covered.contains($0) || first[$0] == 0 })
    }

    @Test("what writes to the residual stream starts smaller with depth") func residualProjections() {
        let layout = ParameterLayout(gpt2Small)

        #expect(layout["h.0.mlp.c_fc.weight"].initialisation == .normal(standardDeviation: 0.02))
        for name in ["h.0.attn.c_proj.weight", "h.3.mlp.c_proj.weight"] {
            #expect(layout[name].initialisation == .normal(standardDeviation: 0.02 / 24.0.squareRoot()))
        }
    }

    @Test("floating-point operations per token follow the stated formula") func flops() {
        var config = ModelConfig()
        (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden) = (6, 6, 6, 384, 1536)
        (config.context, config.vocabulary) = (256, 65)

        let matrices = 6 * 12 * 384 * 384 + 65 * 384
        #expect(Transformer.flopsPerToken(config) == Double(6 * matrices + 6 * 6 * 384 * 257))
        config.tied = false
        #expect(Transformer.flopsPerToken(config) == Double(6 * matrices + 6 * 6 * 384 * 257))
        config.family = .llama
        (config.keyValueHeads, config.hidden) = (2, 1024)
        let llama = 6 * (384 * (384 + 2 * 128) + 384 * 384 + 3 * 384 * 1024) + 65 * 384
        #expect(Transformer.flopsPerToken(config) == Double(6 * llama + 6 * 6 * 384 * 257))
        #expect(Transformer.headFlopsPerToken(config) == Double(6 * 65 * 384))
        #expect(Transformer.layerFlopsPerToken(config) == Double(llama - 65 * 384 + 6 * 384 * 257))
    }
}

/// Two small layers with biases.
private var gpt2Two: ModelConfig {
    var config = ModelConfig()
    (config.layers, config.width, config.hidden, config.vocabulary, config.context) = (2, 36, 50, 33, 7)
    return config
}
