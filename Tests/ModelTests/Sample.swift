import COpenBLAS
import Model
import RunSpec

/// Sizes that are no multiples of 16; a head of 6 or 9 floats.
func small(_ family: ModelConfig.Family, context: Int = 21, dropout: Double = 0) -> ModelConfig {
    var config = ModelConfig()
    config.family = family
    (config.layers, config.heads, config.width, config.hidden) = (2, 3, 18, 35)
    config.keyValueHeads = family == .llama ? 1 : 3
    (config.context, config.vocabulary, config.bias) = (context, 37, family == .gpt2)
    config.dropout = dropout
    return config
}

/// Heads and inner width that four ranks can share, a vocabulary that they cannot share evenly; llama with grouped queries.
func divisible(_ family: ModelConfig.Family, tied: Bool, dropout: Double = 0) -> ModelConfig {
    var config = small(family, dropout: dropout)
    (config.heads, config.keyValueHeads) = family == .llama ? (8, 4) : (4, 4)
    (config.width, config.hidden, config.tied) = (32, 36, tied)
    return config
}

/// A model with parameters, inputs and targets, all functions of the seed.
struct Sample {
    let config: ModelConfig, model: Transformer
    var parameters: [Float]
    var inputs: [Int32], targets: [Int32]

    /// - Parameter tokenSeed: nil if the tokens have the parameters' seed.
    init(_ config: ModelConfig, sequences: Int, seed: UInt64 = 1, tokenSeed: UInt64? = nil) {
        openblas_set_num_threads(1)
        self.config = config
        model = Transformer(config, sequences: sequences)
        parameters = Array(repeating: 0, count: model.layout.count)
        model.layout.initialise(into: &parameters, seed: seed)
        // Ten times as large as real ones: otherwise a fresh model's attention is nearly uniform and hides mistakes.
        for slot in model.layout.slots where slot.decays {
            for i in slot.offset..<slot.offset + slot.count { parameters[i] *= 10 }
        }
        let generator = Philox(key: tokenSeed ?? seed)
        func tokens(_ stream: UInt32) -> [Int32] {
            (0..<sequences * config.context).map {
                Int32(generator.uniform(.tales, stream, 0, index: UInt32($0)) * Double(config.vocabulary))
            }
        }
        (inputs, targets) = (tokens(1), tokens(2))
    }

    func run(_ dropout: DropoutKey? = nil) -> (loss: Double, gradient: [Float]) {
        var gradient = [Float](repeating: .nan, count: model.layout.count)
        model.forward(parameters: parameters, inputs: inputs, dropout: dropout)
        let loss = model.backward(parameters: parameters, targets: targets, gradient: &gradient)
        return (loss, gradient)
    }
}
