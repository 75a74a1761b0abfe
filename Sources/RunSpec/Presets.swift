/// A named configuration to start from.
package struct Preset {
    package let name: String
    package let help: String
    private let change: (inout RunConfig) -> Void

    package var config: RunConfig {
        var config = RunConfig()
        change(&config)
        return config
    }

    package static var all: [Preset] {
        [
            Preset(name: "demo", help: "a Llama of 0.8 M parameters on the generated corpus, about a minute on two cores") {
                $0.steps = 1_600
                $0.model.family = .llama
                $0.model.hidden = 352
                $0.model.context = 128
                $0.data.tokenizer = .char
                $0.data.validation = 0.02
                $0.batch.sequences = 8
                $0.schedule.peak = 4e-3
                $0.schedule.minimum = 2e-4
                $0.evaluation.every = 400
            },
            Preset(name: "nanogpt-cpu", help: "nanoGPT's CPU configuration: 4 layers, width 128, context 64, batch 12, 2,000 steps") {
                $0.steps = 2_000
                $0.model.bias = false
                $0.data.corpus = .text
                $0.data.tokenizer = .char
                $0.batch.sequences = 12
                $0.batch.microbatches = 4
                $0.schedule.warmup = 100
            },
            Preset(name: "char-10m", help: "10.7 M parameters: 6 layers, width 384, context 256, 16 sequences a step") {
                $0.steps = 2_000
                $0.model.layers = 6
                $0.model.heads = 6
                $0.model.keyValueHeads = 6
                $0.model.width = 384
                $0.model.hidden = 1_536
                $0.model.context = 256
                $0.model.bias = false
                $0.data.tokenizer = .char
                $0.batch.sequences = 16
                $0.batch.microbatches = 4
                $0.schedule.warmup = 100
                $0.checkpoint.every = 100
            },
            Preset(name: "llama-mini", help: "a Llama of 0.8 M parameters: RMSNorm, rotary positions, SwiGLU, shared key and value heads") {
                $0.model.family = .llama
                $0.model.keyValueHeads = 2
                $0.model.hidden = 352
                $0.model.normEpsilon = 1e-6
            },
            Preset(name: "tiny", help: "a model of 34 thousand parameters, for trying things out in seconds") {
                $0.steps = 50
                $0.model.layers = 2
                $0.model.heads = 2
                $0.model.keyValueHeads = 2
                $0.model.width = 32
                $0.model.hidden = 128
                $0.model.context = 32
                $0.data.talesBytes = 100_000
                $0.schedule.warmup = 5
                $0.evaluation.every = 25
                $0.evaluation.tokens = 4_096
            },
        ]
    }

    /// - Throws: `UserError` with the nearest name.
    package static func named(_ name: String) throws -> Preset {
        if let found = all.first(where: { $0.name == name }) { return found }
        throw UserError(.usage, "there is no preset `\(name)`\(suggestion(for: name, among: all.map(\.name))); there are \(all.map(\.name).joined(separator: ", "))")
    }
}
