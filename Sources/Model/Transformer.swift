import Kernels
import RunSpec

/// A transformer of the GPT-2 or the Llama family for microbatches of one fixed shape: forward and backward, written
/// out. It owns activations and scratch, all allocated at the start; parameters and gradients are the caller's, flat
/// vectors in the order of `layout`. The same inputs give the same bits, whatever the addresses. Not thread-safe.
///
/// Legend: B sequences, T positions each (the configuration's context), R = B·T rows, C width, V vocabulary.
package final class Transformer {
    package let config: ModelConfig
    package let layout: ParameterLayout
    /// B.
    package let sequences: Int
    /// R.
    package let rows: Int

    /// Bytes of activations and scratch.
    package var bytes: Int { 4 * arena.count }

    /// Owns what the windows point to.
    private let arena: Arena
    private let windows: Windows
    /// (R): the loss at every row.
    private let rowLosses: UnsafeMutablePointer<Double>
    /// (R): the inputs of the last forward pass, for the gradient of the embedding.
    private let inputs: UnsafeMutablePointer<Int32>
    /// Dropout of the last forward pass; the backward pass makes the same masks.
    private var dropping: Dropping?

    // Places in the flat vector.
    private let tokenTable: Int, positionTable: Int?, finalNorm: Int, finalNormBias: Int?, headMatrix: Int

    /// Allocates everything for microbatches of `sequences` × `config.context` tokens.
    package init(_ config: ModelConfig, sequences: Int) {
        precondition(sequences > 0, "a microbatch of \(sequences) sequences")
        let layout = ParameterLayout(config)
        self.config = config
        self.layout = layout
        self.sequences = sequences
        rows = sequences * config.context
        (arena, windows) = Arena.carving { Windows(config, layout, sequences: sequences, arena: $0) }
        windows.rotary?.fill(base: config.ropeTheta)
        rowLosses = .allocate(capacity: rows)
        rowLosses.initialize(repeating: 0, count: rows)
        inputs = .allocate(capacity: rows)
        inputs.initialize(repeating: 0, count: rows)
        switch config.family {
        case .gpt2:
            tokenTable = layout["wte.weight"].offset
            positionTable = layout["wpe.weight"].offset
            finalNorm = layout["ln_f.weight"].offset
        case .llama:
            tokenTable = layout["model.embed_tokens.weight"].offset
            positionTable = nil
            finalNorm = layout["model.norm.weight"].offset
        }
        finalNormBias = layout.slot(named: "ln_f.bias")?.offset
        headMatrix = config.tied ? tokenTable : layout["lm_head.weight"].offset
    }

    deinit {
        rowLosses.deallocate()
        inputs.deallocate()
    }

    /// Runs the blocks on `inputs` (B, T) and keeps what the other functions need.
    /// - Parameters:
    ///   - parameters: `layout.count` floats.
    ///   - dropout: nil evaluates without dropout; ignored if the configuration's probability is 0.
    package func forward(
        parameters: UnsafePointer<Float>, inputs: UnsafePointer<Int32>, dropout: DropoutKey?
    ) {
        let (R, C) = (rows, config.width)
        dropping = config.dropout > 0 ? dropout.map { Dropping(key: $0, probability: config.dropout) } : nil
        self.inputs.update(from: inputs, count: R)
        Embedding.forward(
            out: windows.embedded, tokens: inputs, table: parameters + tokenTable,
            positions: parameters.at(positionTable), rows: R, width: C, vocabulary: config.vocabulary,
            context: config.context)
        dropping?.mask(.embedding).apply(windows.embedded, base: nil, windows.embedded, first: 0, count: R * C)
        for block in windows.gpt2 { block.forward(parameters, dropping) }
        for block in windows.llama { block.forward(parameters, dropping) }
        switch config.family {
        case .gpt2:
            LayerNorm.forward(
                out: windows.normed, mean: windows.mean, rstd: windows.rstd, next: nil, nextBias: nil,
                x: windows.last, gain: parameters + finalNorm, bias: parameters.at(finalNormBias), rows: R, width: C,
                epsilon: Float(config.normEpsilon))
        case .llama:
            RMSNorm.forward(
                out: windows.normed, rstd: windows.rstd, next: nil, x: windows.last, gain: parameters + finalNorm,
                rows: R, width: C, epsilon: Float(config.normEpsilon))
        }
    }

    /// After `forward` with the same parameters: the sum of the token losses, and its gradient (the sum's, not the
    /// mean's) in `gradient` (`layout.count` floats), which is overwritten, padding with zeros.
    /// - Parameter targets: (B, T); −1 means no target: no loss and no gradient from that row.
    package func backward(
        parameters: UnsafePointer<Float>, targets: UnsafePointer<Int32>, gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        let (R, C) = (rows, config.width), (dX, dNormed) = (windows.scratch.dX, windows.dNormed)
        for range in windows.accumulated {
            (gradient + range.lowerBound).update(repeating: 0, count: range.count)
        }
        windows.head.backward(
            losses: rowLosses, dX: dNormed, dW: gradient + headMatrix, x: windows.normed, w: parameters + headMatrix,
            targets: targets)
        dX.update(repeating: 0, count: R * C)
        switch config.family {
        case .gpt2:
            LayerNorm.backward(
                dX: dX, dGain: gradient + finalNorm, dBias: gradient.at(finalNormBias), out: windows.normed,
                dOut: dNormed, x: windows.last, mean: windows.mean, rstd: windows.rstd, gain: parameters + finalNorm,
                bias: parameters.at(finalNormBias), rows: R, width: C)
        case .llama:
            RMSNorm.backward(
                dX: dX, dGain: gradient + finalNorm, out: windows.normed, dOut: dNormed, x: windows.last,
                rstd: windows.rstd, gain: parameters + finalNorm, rows: R, width: C)
        }
        for block in windows.gpt2.reversed() { block.backward(parameters, gradient, dropping) }
        for block in windows.llama.reversed() { block.backward(parameters, gradient, dropping) }
        dropping?.mask(.embedding).apply(dX, base: nil, dX, first: 0, count: R * C)
        // A tied head has already written its share to the token table's gradient.
        Embedding.addTokenGradient(gradient + tokenTable, tokens: inputs, dOut: dX, rows: R, width: C)
        if let positionTable {
            Embedding.positionGradient(
                gradient + positionTable, dOut: dX, sequences: sequences, context: config.context, width: C)
        }
        return sum(rowLosses, R)
    }

    /// After `forward` with the same parameters: the summed token losses of each sequence, `into` (B).
    /// - Parameter targets: (B, T); −1 means no target.
    package func losses(
        parameters: UnsafePointer<Float>, targets: UnsafePointer<Int32>, into: UnsafeMutablePointer<Double>
    ) {
        windows.head.forward(losses: rowLosses, x: windows.normed, w: parameters + headMatrix, targets: targets)
        for sequence in 0..<sequences { into[sequence] = sum(rowLosses + sequence * config.context, config.context) }
    }

    /// After `forward` with the same parameters: the V logits of row `row` = sequence · T + position.
    package func logits(parameters: UnsafePointer<Float>, row: Int, into: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows, "row \(row) of \(rows)")
        windows.head.logits(out: into, x: windows.normed + row * config.width, w: parameters + headMatrix)
    }

    /// Floating-point operations of forward and backward per token, a multiplication and an addition counted as two:
    /// 6 · N + 6 · L · C · (T + 1).
    ///
    /// N counts the entries of all matrices that multiply a row: those of the blocks and the head (tied or not), not
    /// the embedding tables, which are looked up. Attention: a query sees (T + 1) / 2 keys on average, each costs 2 · C
    /// for the score and 2 · C for the sum of values, and the backward pass costs twice the forward pass:
    /// 3 · 4 · C · (T + 1) / 2 per layer. What the program computes twice or masks does not count.
    package static func flopsPerToken(_ config: ModelConfig) -> Double {
        let (C, F, P) = (config.width, config.hidden, config.packedWidth)
        let feedForward = (config.family == .llama ? 3 : 2) * C * F
        let matrices = config.layers * (C * P + C * C + feedForward) + config.vocabulary * C
        return 6 * Double(matrices) + 6 * Double(config.layers * C * (config.context + 1))
    }

    private func sum(_ values: UnsafePointer<Double>, _ count: Int) -> Double {
        var sum = 0.0
        for i in 0..<count { sum += values[i] }
        return sum
    }
}

/// Every buffer of a transformer: what `forward` keeps, and scratch.
private struct Windows {
    /// (R, C): the first block's input and the last block's output.
    let embedded, last: UnsafeMutablePointer<Float>
    /// (R, C) after the last norm, and the gradient with respect to it; (R) the norm's statistics.
    let normed, dNormed, mean, rstd: UnsafeMutablePointer<Float>
    /// Layer by layer, the slices of each in order. One of the two is empty.
    let gpt2: [GPT2Block], llama: [LlamaBlock]
    let head: Head, scratch: Scratch, rotary: LlamaBlock.Rotary?
    /// The ranges of the flat gradient that nobody overwrites: padding, gains and biases, the token table if the head
    /// is not tied to it.
    let accumulated: [Range<Int>]

    init(_ config: ModelConfig, _ layout: ParameterLayout, sequences: Int, arena: Arena) {
        let rows = sequences * config.context, size = rows * config.width
        let slices = Slice.of(config, sequences: sequences), sliceRows = slices[0].rows
        embedded = arena.carve(size)
        scratch = Scratch(config, rows: rows, sliceRows: sliceRows, arena: arena)
        let attention = Attention(config, sequences: slices[0].sequences, arena: arena)
        let residual = ResidualSum(
            rows: sliceRows, width: config.width,
            branch: arena.carve(config.dropout > 0 ? sliceRows * config.width : 0))
        var x = embedded, gpt2: [GPT2Block] = [], llama: [LlamaBlock] = []
        let rotary = config.family == .llama ? LlamaBlock.Rotary(config, arena: arena) : nil
        for layer in 0..<config.layers {
            let next = arena.carve(size)
            for slice in slices {
                let at = slice.firstRow * config.width
                if let rotary {
                    llama.append(LlamaBlock(
                        config, layout, layer: layer, slice: slice, x: x + at, next: next + at, attention: attention,
                        rotary: rotary, residual: residual, scratch: scratch, arena: arena))
                } else {
                    gpt2.append(GPT2Block(
                        config, layout, layer: layer, slice: slice, x: x + at, next: next + at, attention: attention,
                        residual: residual, scratch: scratch, arena: arena))
                }
            }
            x = next
        }
        (self.gpt2, self.llama, self.rotary, last) = (gpt2, llama, rotary, x)
        normed = arena.carve(size)
        dNormed = arena.carve(size)
        mean = arena.carve(rows)
        rstd = arena.carve(rows)
        head = Head(config, rows: rows, arena: arena)
        var accumulated: [Range<Int>] = [], end = 0
        for (number, slot) in layout.slots.enumerated() {
            if end < slot.offset { accumulated.append(end..<slot.offset) }
            end = slot.offset + slot.count
            if slot.shape.count == 1 || number == 0 && !config.tied { accumulated.append(slot.offset..<end) }
        }
        if end < layout.count { accumulated.append(end..<layout.count) }
        self.accumulated = accumulated
    }
}
