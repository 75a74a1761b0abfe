/// The shape of a transformer. All sizes are counts of floats, heads, layers or positions.
package struct ModelConfig: Hashable, Sendable {
    /// gpt2: LayerNorm, learned positions, tanh GELU. llama: RMSNorm, rotary positions in the Hugging Face
    /// half-rotation form, SwiGLU, grouped-query attention.
    package enum Family: String, CaseIterable, Sendable { case gpt2, llama }

    package var family = Family.gpt2
    package var layers = 4
    package var heads = 4
    /// Key and value heads (llama only); `heads` is a multiple of it.
    package var keyValueHeads = 4
    package var width = 128
    /// Inner width of the feed-forward part.
    package var hidden = 512
    /// Positions per sequence, T.
    package var context = 64
    package var vocabulary = 256
    /// Biases on the linear layers and LayerNorms (gpt2 only; llama never has them).
    package var bias = true
    /// Whether the output head is the transposed token embedding.
    package var tied = true
    /// Probability of dropping in the embedding and the two residual branches of a block.
    package var dropout = 0.0
    package var normEpsilon = 1e-5
    package var ropeTheta = 10_000.0

    package init() {}

    package var headWidth: Int { width / heads }
    /// Width of the packed query, key and value rows.
    package var packedWidth: Int { width + 2 * keyValueHeads * headWidth }
}
