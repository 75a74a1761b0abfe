import RunSpec

/// What one instance holds of a model: consecutive layers, as a stage of a pipeline has them, and of each of them a share,
/// as a rank of a tensor-parallel group has it. The stage of the first layer has the embedding too, that of the last one
/// the final norm, the head and the loss.
package struct ModelPart: Hashable, Sendable {
    package let layers: Range<Int>
    /// Which of the `degree` equal shares of every layer, of the embedding and of the head.
    package let rank: Int, degree: Int

    package init(layers: Range<Int>, rank: Int = 0, degree: Int = 1) {
        precondition(rank >= 0 && rank < degree, "rank \(rank) of \(degree)")
        self.layers = layers
        self.rank = rank
        self.degree = degree
    }

    /// All layers.
    package static func whole(_ config: ModelConfig, rank: Int = 0, degree: Int = 1) -> ModelPart {
        ModelPart(layers: 0..<config.layers, rank: rank, degree: degree)
    }

    package var isFirst: Bool { layers.lowerBound == 0 }
    package func isLast(of config: ModelConfig) -> Bool { layers.upperBound == config.layers }

    /// A pipeline of `count` stages, in order.
    package static func stages(_ count: Int, of config: ModelConfig) throws(UserError) -> [ModelPart] {
        guard (1...config.layers).contains(count) else {
            throw UserError(
                .usage, "\(count) stages cannot share model.layers \(config.layers): choose 1 to \(config.layers) stages")
        }
        return (0..<count).map { ModelPart(layers: config.layers(stage: $0, of: count)) }
    }
}

extension ModelConfig {
    /// The degrees of tensor parallelism that cut heads, key and value heads and the feed-forward part into equal shares.
    package var tensorDegrees: [Int] {
        (1...keyValueHeads).filter {
            heads % $0 == 0 && keyValueHeads % $0 == 0 && hidden % $0 == 0 && $0 <= vocabulary
        }
    }

    /// - Throws: if the model has no `degree` equal shares; says which it has.
    package func checkTensorDegree(_ degree: Int) throws(UserError) {
        let possible = tensorDegrees
        guard !possible.contains(degree) else { return }
        let choice = possible.count == 1 ? "this model cannot be divided"
            : "choose " + possible.dropLast().map(String.init).joined(separator: ", ") + " or \(possible.last!)"
        throw UserError(.usage, """
            tensor parallelism needs a degree that divides model.heads \(heads), model.keyValueHeads \
            \(keyValueHeads) and model.hidden \(hidden) and is at most model.vocabulary \(vocabulary), not \(degree): \
            \(choice)
            """)
    }
}

/// The sizes of one rank's share of a layer, of the embedding and of the head; the model's own where nothing is divided.
struct Share {
    let rank: Int, degree: Int
    /// C, which nobody divides.
    let width: Int
    let heads: Int, keyValueHeads: Int, headWidth: Int
    /// F: inner width of the feed-forward part.
    let hidden: Int
    /// The tokens whose rows of the embedding and of the head it has.
    let tokens: Range<Int>
    /// Rows of those tables, the same on all ranks: some have one more than they have tokens.
    let tableRows: Int

    init(_ config: ModelConfig, rank: Int, degree: Int) {
        precondition(config.tensorDegrees.contains(degree), "\(degree) ranks for \(config)")
        (self.rank, self.degree) = (rank, degree)
        width = config.width
        heads = config.heads / degree
        keyValueHeads = config.keyValueHeads / degree
        headWidth = config.headWidth
        hidden = config.hidden / degree
        tokens = rank * config.vocabulary / degree..<(rank + 1) * config.vocabulary / degree
        tableRows = (config.vocabulary + degree - 1) / degree
    }

    /// A: width of the attention's output.
    var attendedWidth: Int { heads * headWidth }
    /// P: width of the packed query, key and value rows.
    var packedWidth: Int { (heads + 2 * keyValueHeads) * headWidth }
}
