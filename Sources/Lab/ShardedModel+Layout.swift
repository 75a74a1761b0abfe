import Model
import RunSpec

extension ShardedModel {
    /// What a planner must know of the model of a configuration.
    package init(_ config: RunConfig) {
        let model = config.model, blocks = Self.blocks(ParameterLayout(model), model)
        self.init(
            config: model, leaves: config.batch.microbatches, sequences: config.sequencesPerMicrobatch, embedding: blocks[0],
            layers: Array(blocks[1...model.layers]), head: blocks[model.layers + 1], layerFlops: Transformer.layerFlopsPerToken(model),
            layerWeightFlops: Transformer.layerWeightFlopsPerToken(model), headFlops: Transformer.headFlopsPerToken(model))
        (kept, later, norm, shared, logits) = activations
    }

    /// Embedding, layers, head: their floats with the padding that follows each tensor, by how tensor-parallel ranks divide
    /// them. Attention goes by heads, the feed-forward part by columns, tables of tokens by rows.
    static func blocks(_ layout: ParameterLayout, _ model: ModelConfig) -> [Block] {
        var blocks = [Block](repeating: Block(), count: model.layers + 2), at = 0
        for (number, slot) in layout.slots.enumerated() {
            let words = slot.name.split(separator: ".")
            // `h.3.…`, `model.layers.3.…`; what follows the last layer belongs to the head.
            if let layer = words.lazy.compactMap({ Int($0) }).first { at = layer + 1 } else if at > 0 { at = model.layers + 1 }
            let end = number + 1 < layout.slots.count ? layout.slots[number + 1].offset : layout.count
            switch (words.suffix(2).joined(separator: "."), slot.decays) {
            case ("wte.weight", _), ("embed_tokens.weight", _), ("lm_head.weight", _): blocks[at].perToken += model.width
            case ("wpe.weight", _): blocks[at].whole += slot.count
            case ("c_attn.bias", _), ("c_fc.bias", _), (_, true): blocks[at].split += slot.count
            default: blocks[at].whole += slot.count
            }
            blocks[at].whole += end - slot.offset - slot.count
        }
        return blocks
    }

    /// Of one microbatch; see `GPT2Block`, `LlamaBlock`, `Later`, `Scratch`, `Attention` and `Head` for the windows. Blocks' scratch is that
    /// of a slice of rows, at most a sequence or 1024 rows.
    private var activations: (kept: Activations, later: Activations, norm: Activations, shared: Activations, logits: Activations) {
        let m = config, R = rows, isLlama = m.family == .llama, up = m.hidden * (isLlama ? 2 : 1)
        // x, mid and the norms' statistics; queries, keys, values, the attention's output, two statistics a head, the hidden row
        let kept = Activations(whole: R * (2 * m.width + (isLlama ? 2 : 4)), split: R * (m.packedWidth + m.width + 2 * m.heads + up))
        let later = Activations(whole: R * 2 * m.width, split: R * m.hidden)
        let slice = min(R, max(m.context, 1024))
        let norm = Activations(whole: R * (m.width + (isLlama ? 1 : 2)))
        // dX; a norm's output and a branch's gradient, and what is as wide as the attention's rows and the hidden ones
        let whole = R * m.width + slice * 2 * m.width, split = slice * (m.packedWidth + m.hidden + up)
        let line = (m.vocabulary + 15) / 16 * 16, logitRows = min(R, max(16, (1 << 24) / line))
        return (kept, later, norm, Activations(whole: whole, split: split), Activations(whole: R * m.width, split: logitRows * line))
    }
}
