import RunSpec

/// What one instance holds of a model: consecutive layers, as a stage of a pipeline has them. The stage of the first layer
/// has the embedding too, that of the last one the final norm, the head and the loss.
package struct ModelPart: Hashable, Sendable {
    package let layers: Range<Int>

    package init(layers: Range<Int>) {
        self.layers = layers
    }

    package var isFirst: Bool { layers.lowerBound == 0 }
    package func isLast(of config: ModelConfig) -> Bool { layers.upperBound == config.layers }

    package static func whole(_ config: ModelConfig) -> ModelPart { ModelPart(layers: 0..<config.layers) }

    /// A pipeline of `count` stages that differ by at most one layer, in order; later stages, which hold fewer microbatches
    /// at a time, have the larger shares.
    package static func stages(_ count: Int, of config: ModelConfig) throws(UserError) -> [ModelPart] {
        guard (1...config.layers).contains(count) else {
            throw UserError(.usage, "\(count) stages cannot share model.layers \(config.layers): choose 1 to \(config.layers) stages")
        }
        return (0..<count).map {
            ModelPart(layers: $0 * config.layers / count..<($0 + 1) * config.layers / count)
        }
    }
}
