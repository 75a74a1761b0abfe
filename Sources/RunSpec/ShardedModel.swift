/// What a planner must know of a model and its batch.
package struct ShardedModel: Hashable, Sendable {
    /// Floats of a part of the parameter vector whose gradient is complete at one moment of the backward pass.
    package struct Block: Hashable, Sendable {
        /// On every tensor-parallel rank: gains, the biases of sums over ranks, padding.
        package var whole: Int
        /// By heads and columns: divided evenly.
        package var split: Int
        /// Of each row of a table of tokens; the rows are divided, the first ranks have one more where they must.
        package var perToken: Int

        package init(whole: Int = 0, split: Int = 0, perToken: Int = 0) { (self.whole, self.split, self.perToken) = (whole, split, perToken) }
    }

    /// Floats of a microbatch's activations, likewise `whole` on every tensor-parallel rank and `split` among them.
    package struct Activations: Hashable, Sendable {
        package var whole: Int, split: Int
        package init(whole: Int = 0, split: Int = 0) { (self.whole, self.split) = (whole, split) }
        func bytes(tensor: Int) -> Int { 4 * (whole + (split + tensor - 1) / tensor) }
    }

    package var config: ModelConfig
    /// M, and b.
    package var leaves: Int, sequences: Int
    package var embedding: Block, layers: [Block], head: Block
    /// Floating-point operations per token, forward and backward, of one layer and of the head.
    package var layerFlops: Double, headFlops: Double
    /// Those of the layer's that make the gradients of its matrices.
    package var layerWeightFlops: Double
    /// Of each microbatch under way: what a layer keeps for its backward pass, and more where the gradients of its matrices are put
    /// off; what the last norm keeps. Scratch of all layers, and the head's.
    package var kept: Activations, later: Activations, norm: Activations, shared: Activations, logits: Activations

    package init(
        config: ModelConfig, leaves: Int, sequences: Int, embedding: Block, layers: [Block], head: Block, layerFlops: Double = 0,
        layerWeightFlops: Double = 0, headFlops: Double = 0, kept: Activations = Activations(), later: Activations = Activations(),
        norm: Activations = Activations(), shared: Activations = Activations(), logits: Activations = Activations()
    ) {
        precondition(layers.count == config.layers && leaves > 0 && sequences > 0, "\(layers.count) layers, \(leaves) × \(sequences) sequences")
        (self.config, self.leaves, self.sequences) = (config, leaves, sequences)
        (self.embedding, self.layers, self.head) = (embedding, layers, head)
        (self.layerFlops, self.layerWeightFlops, self.headFlops) = (layerFlops, layerWeightFlops, headFlops)
        (self.kept, self.later, self.norm, self.shared, self.logits) = (kept, later, norm, shared, logits)
    }

    /// P: all floats.
    package var floats: Int { ([embedding] + layers + [head]).reduce(0) { $0 + floats($1, tensor: 1, rank: 0) } }
    /// b·T, and the floats of one activation, b·T·C.
    package var rows: Int { sequences * config.context }
    package var activation: Int { rows * config.width }
    package var tokensPerStep: Int { leaves * rows }

    /// Floats of a block on rank `rank` of `tensor`.
    package func floats(_ block: Block, tensor: Int, rank: Int) -> Int {
        block.whole + block.split / tensor + block.perToken * tokens(tensor: tensor, rank: rank)
    }

    /// Rows of the vocabulary on a rank.
    package func tokens(tensor: Int, rank: Int) -> Int {
        config.vocabulary / tensor + (rank < config.vocabulary % tensor ? 1 : 0)
    }

    /// Floats of the token table on a rank.
    package func table(tensor: Int, rank: Int) -> Int { config.width * tokens(tensor: tensor, rank: rank) }
}

extension ModelConfig {
    /// Layers of a pipeline stage: equal but for one. The last one, which has the head besides, has one of the smaller shares.
    package func layers(stage: Int, of stages: Int) -> Range<Int> { ShardingCosts.cut(layers, among: stages, stage) }
}
