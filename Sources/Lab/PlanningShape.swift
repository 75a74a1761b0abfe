import RunSpec

/// A well-known model to plan for, with the vocabulary that no setting can name.
package struct PlanningShape: Sendable {
    package let name: String
    package let help: String
    private let change: @Sendable (inout ModelConfig) -> Void

    /// Puts the shape into a configuration, with 64 microbatches of one sequence.
    package func apply(to config: inout RunConfig) {
        config.model = ModelConfig()
        change(&config.model)
        (config.batch.sequences, config.batch.microbatches) = (64, 64)
    }

    private static func gpt2(_ name: String, _ help: String, layers: Int, width: Int, heads: Int, context: Int = 1024) -> PlanningShape {
        PlanningShape(name: name, help: help) {
            ($0.layers, $0.width, $0.heads, $0.keyValueHeads, $0.hidden) = (layers, width, heads, heads, 4 * width)
            ($0.context, $0.vocabulary) = (context, 50_257)
        }
    }

    package static let all = [
        gpt2("gpt2-small", "124 M parameters", layers: 12, width: 768, heads: 12),
        gpt2("gpt2-medium", "355 M", layers: 24, width: 1024, heads: 16),
        gpt2("gpt2-large", "774 M", layers: 36, width: 1280, heads: 20),
        gpt2("gpt2-xl", "1.6 G", layers: 48, width: 1600, heads: 25),
        gpt2("gpt3-1.3b", "1.3 G, heads of 128", layers: 24, width: 2048, heads: 16, context: 2048),
        PlanningShape(name: "llama-7b", help: "6.7 G") {
            $0.family = .llama
            ($0.layers, $0.width, $0.heads, $0.keyValueHeads, $0.hidden) = (32, 4096, 32, 32, 11_008)
            ($0.context, $0.vocabulary, $0.tied, $0.bias) = (2048, 32_000, false, false)
        },
    ]

    /// - Throws: `UserError` with the nearest name.
    package static func named(_ name: String) throws -> PlanningShape {
        if let found = all.first(where: { $0.name == name }) { return found }
        throw UserError(.usage, "there is no model `\(name)`\(suggestion(for: name, among: all.map(\.name))); there are \(all.map(\.name).joined(separator: ", "))")
    }
}
