import Kernels
import RunSpec

/// What one microbatch's forward pass keeps for its backward pass, and that for the gradients that are put off.
struct Activations {
    /// (R, C): the first layer's input and the last layer's output.
    let input, output: UnsafeMutablePointer<Float>
    /// Layer by layer, the slices of each in order. One of the two is empty.
    let gpt2: [GPT2Block], llama: [LlamaBlock]
    /// Nil before the last stage.
    let finalNorm: FinalNorm?

    init(
        _ config: ModelConfig, _ layout: ParameterLayout, _ part: ModelPart, sequences: Int, putsOff: Bool,
        _ workspace: Workspace, arena: Arena
    ) {
        let rows = sequences * config.context, size = rows * config.width
        input = arena.carve(size)
        var x = input, gpt2: [GPT2Block] = [], llama: [LlamaBlock] = []
        for layer in part.layers {
            let next = arena.carve(size)
            for slice in Slice.of(config, sequences: sequences) {
                let at = slice.firstRow * config.width
                if let rotary = workspace.rotary {
                    llama.append(LlamaBlock(
                        config, layout, layer: layer, slice: slice, x: x + at, next: next + at,
                        attention: workspace.attention, rotary: rotary, residual: workspace.residual,
                        scratch: workspace.scratch, putsOff: putsOff, arena: arena))
                } else {
                    gpt2.append(GPT2Block(
                        config, layout, layer: layer, slice: slice, x: x + at, next: next + at,
                        attention: workspace.attention, residual: workspace.residual, scratch: workspace.scratch,
                        putsOff: putsOff, arena: arena))
                }
            }
            x = next
        }
        (self.gpt2, self.llama, output) = (gpt2, llama, x)
        finalNorm = part.isLast(of: config) ? FinalNorm(config, layout, rows: rows, arena: arena) : nil
    }
}

/// What holds nothing between two passes, so that all microbatches in flight can share it.
struct Workspace {
    let scratch: Scratch, attention: Attention, residual: ResidualSum
    /// For llama only.
    let rotary: LlamaBlock.Rotary?
    /// Nil before the last stage.
    let head: Head?

    init(_ config: ModelConfig, _ share: Share, _ part: ModelPart, sequences: Int, arena: Arena) {
        let rows = sequences * config.context, slice = Slice.of(config, sequences: sequences)[0]
        scratch = Scratch(share, config.family, rows: rows, sliceRows: slice.rows, arena: arena)
        attention = Attention(share, context: config.context, sequences: slice.sequences, arena: arena)
        residual = ResidualSum(share, drops: config.dropout > 0, rows: slice.rows, arena: arena)
        rotary = config.family == .llama ? LlamaBlock.Rotary(share, context: config.context, arena: arena) : nil
        head = part.isLast(of: config) ? Head(share, vocabulary: config.vocabulary, rows: rows, arena: arena) : nil
    }
}
