import RunSpec

/// One parameter tensor, or a rank's share of one, and its place in the flat vector.
package struct ParameterSlot: Sendable {
    /// What a parameter is before the first step.
    package enum Initialisation: Hashable, Sendable {
        case zeros, ones
        case normal(standardDeviation: Double)
    }

    /// The Hugging Face name.
    package let name: String
    /// Matrices are [out, in]. Of a table of tokens a rank may have one row more than it has tokens: padding.
    package let shape: [Int]
    /// Floats before it in the flat vector: a multiple of 16, except inside a packed run (see `ParameterLayout`).
    package let offset: Int
    package let initialisation: Initialisation
    /// Whether Hugging Face stores the transpose: the linear layers of its GPT-2 are [in, out].
    package let transposedInHuggingFace: Bool
    /// The tensor of the whole model: its shape, and its offset in the vector of the whole model.
    package let whole: (shape: [Int], offset: Int)
    /// Which rows and columns of that tensor this is, rows one range after the other. A vector is one column.
    package let rows: [Range<Int>], columns: Range<Int>

    /// Whether every rank has the whole tensor: all have the same values, and get the same gradient.
    package var isReplicated: Bool { shape == whole.shape && rows == [0..<shape[0]] }
    package var count: Int { shape.reduce(1, *) }
    /// Its parameters, without the padding of a table of tokens.
    package var filled: Int { rows.reduce(0) { $0 + $1.count } * columns.count }
    /// Weight decay applies to matrices and embeddings, not to gains and biases.
    package var decays: Bool { shape.count == 2 }
}

/// The order, shape and place of every parameter: the only such list in the program. Gradients, moments, chunks,
/// shards and checkpoint entries derive from it.
///
/// Every tensor starts on a multiple of 16 floats and the floats up to the next one are padding, always zero. The
/// exception is a packed run: query, key and value matrices, and gate and up matrices, follow one another without
/// padding, so that one matrix product serves them all; then only the run's start is aligned.
///
/// With tensor parallelism every rank has such a layout of its own, with the same names. Heads and the feed-forward part's
/// inner width are divided, so matrices that read the residual stream are cut by rows and those that write to it by
/// columns (Shoeybi et al. 2019); the tables of tokens are cut by rows; norms, positions and the biases of what writes to
/// the residual stream are everywhere.
package struct ParameterLayout: Sendable {
    package private(set) var slots: [ParameterSlot] = []
    /// Floats in the flat vector, padding included, a multiple of 16.
    package private(set) var count = 0
    /// The flat vector cut in order and without gaps: embedding tables; layer 0 … layer L − 1; final norm and, if it is
    /// not tied, head. What a pass reads together and is gathered, sent and released together.
    package private(set) var blocks: [Range<Int>] = []
    /// Parameters of the model, padding not included. A tied head counts once.
    package var parameterCount: Int { slots.reduce(0) { $0 + $1.filled } }

    /// The token table: what a tied head reads too.
    package var tokenTable: Range<Int> { slots[0].offset..<slots[0].offset + slots[0].count }

    let share: Share
    private var index: [String: Int] = [:]
    /// Floats so far in the vector of the whole model.
    private var wholeCount = 0

    package init(_ config: ModelConfig, rank: Int = 0, degree: Int = 1) {
        config.checkShapes()
        share = Share(config, rank: rank, degree: degree)
        switch config.family {
        case .gpt2: addGPT2(config)
        case .llama: addLlama(config)
        }
    }

    private mutating func endBlock() { blocks.append((blocks.last?.upperBound ?? 0)..<count) }

    /// The slot called `name`; asking for one that does not exist is a programmer's error.
    package subscript(name: String) -> ParameterSlot {
        guard let slot = slot(named: name) else { preconditionFailure("no parameter is called \(name)") }
        return slot
    }

    /// The slot called `name`, if there is one.
    package func slot(named name: String) -> ParameterSlot? { index[name].map { slots[$0] } }

    // The initialisation is GPT-2's: 0.02 for all matrices, divided by sqrt(2 · layers) for the two that write to the
    // residual stream, so that its variance does not grow with depth (Radford et al. 2019, section 2.3).
    private static let standardDeviation = 0.02

    private mutating func addGPT2(_ config: ModelConfig) {
        let (C, F) = (config.width, config.hidden)
        addMatrix("wte.weight", [config.vocabulary, C], .tokens, transposed: false)
        addMatrix("wpe.weight", [config.context, C], .none, transposed: false)
        endBlock()
        for l in 0..<config.layers {
            addNorm("h.\(l).ln_1", C, bias: config.bias)
            addLinear("h.\(l).attn.c_attn", [3 * C, C], .rows(parts: 3), bias: config.bias)
            addLinear("h.\(l).attn.c_proj", [C, C], .columns, bias: config.bias, residualOf: config)
            addNorm("h.\(l).ln_2", C, bias: config.bias)
            addLinear("h.\(l).mlp.c_fc", [F, C], .rows(parts: 1), bias: config.bias)
            addLinear("h.\(l).mlp.c_proj", [C, F], .columns, bias: config.bias, residualOf: config)
            endBlock()
        }
        addNorm("ln_f", C, bias: config.bias)
        if !config.tied { addMatrix("lm_head.weight", [config.vocabulary, C], .tokens, transposed: false) }
        endBlock()
    }

    private mutating func addLlama(_ config: ModelConfig) {
        let (C, F, KV) = (config.width, config.hidden, config.keyValueHeads * config.headWidth)
        addMatrix("model.embed_tokens.weight", [config.vocabulary, C], .tokens, transposed: false)
        endBlock()
        for l in 0..<config.layers {
            let layer = "model.layers.\(l)"
            addNorm("\(layer).input_layernorm", C, bias: false)
            addMatrix("\(layer).self_attn.q_proj.weight", [C, C], .rows(parts: 1), transposed: false, packed: true)
            addMatrix("\(layer).self_attn.k_proj.weight", [KV, C], .rows(parts: 1), transposed: false, packed: true)
            addMatrix("\(layer).self_attn.v_proj.weight", [KV, C], .rows(parts: 1), transposed: false)
            addMatrix("\(layer).self_attn.o_proj.weight", [C, C], .columns, transposed: false, residualOf: config)
            addNorm("\(layer).post_attention_layernorm", C, bias: false)
            addMatrix("\(layer).mlp.gate_proj.weight", [F, C], .rows(parts: 1), transposed: false, packed: true)
            addMatrix("\(layer).mlp.up_proj.weight", [F, C], .rows(parts: 1), transposed: false)
            addMatrix("\(layer).mlp.down_proj.weight", [C, F], .columns, transposed: false, residualOf: config)
            endBlock()
        }
        addNorm("model.norm", C, bias: false)
        if !config.tied { addMatrix("lm_head.weight", [config.vocabulary, C], .tokens, transposed: false) }
        endBlock()
    }

    private mutating func addNorm(_ name: String, _ width: Int, bias: Bool) {
        add("\(name).weight", [width], .none, .ones)
        if bias { add("\(name).bias", [width], .none, .zeros) }
    }

    private mutating func addLinear(
        _ name: String, _ shape: [Int], _ division: Division, bias: Bool, residualOf config: ModelConfig? = nil
    ) {
        addMatrix("\(name).weight", shape, division, transposed: true, residualOf: config)
        // A bias goes with the rows.
        if bias { add("\(name).bias", [shape[0]], division == .columns ? .none : division, .zeros) }
    }

    /// - Parameter config: given for a matrix that writes to the residual stream.
    private mutating func addMatrix(
        _ name: String, _ shape: [Int], _ division: Division, transposed: Bool, residualOf config: ModelConfig? = nil,
        packed: Bool = false
    ) {
        let divisor = config.map { Double(2 * $0.layers).squareRoot() } ?? 1
        add(name, shape, division, .normal(standardDeviation: Self.standardDeviation / divisor),
            transposed: transposed, packed: packed)
    }

    /// How ranks share a tensor. `rows` cuts each of `parts` equal parts of the rows, so that a rank gets its own heads'
    /// queries, keys and values.
    private enum Division: Equatable { case none, rows(parts: Int), columns, tokens }

    /// - Parameters:
    ///   - whole: the shape in the whole model.
    ///   - packed: whether the next tensor follows without padding.
    private mutating func add(
        _ name: String, _ whole: [Int], _ division: Division, _ initialisation: ParameterSlot.Initialisation,
        transposed: Bool = false, packed: Bool = false
    ) {
        var shape = whole, rows = [0..<whole[0]], columns = 0..<whole.dropFirst().reduce(1, *)
        switch division {
        case .rows(let parts) where share.degree > 1:
            let part = whole[0] / parts, size = part / share.degree
            shape[0] = whole[0] / share.degree
            rows = (0..<parts).map { $0 * part + share.rank * size..<$0 * part + (share.rank + 1) * size }
        case .columns:
            shape[1] = whole[1] / share.degree
            columns = share.rank * shape[1]..<(share.rank + 1) * shape[1]
        case .tokens:
            shape[0] = share.tableRows
            rows = [share.tokens]
        case .none, .rows: break
        }
        let slot = ParameterSlot(
            name: name, shape: shape, offset: count, initialisation: initialisation,
            transposedInHuggingFace: transposed, whole: (whole, wholeCount), rows: rows, columns: columns)
        index[name] = slots.count
        slots.append(slot)
        count += slot.count
        wholeCount += whole.reduce(1, *)
        if !packed {
            count = (count + 15) & ~15
            wholeCount = (wholeCount + 15) & ~15
        }
    }
}

extension ModelConfig {
    /// Whether the sizes fit one another. A user's mistakes are found where the configuration is read; what gets here
    /// wrong is a programmer's.
    func checkShapes() {
        precondition(layers > 0 && heads > 0 && width > 0 && hidden > 0 && context > 0 && vocabulary > 0,
                     "a model with a size that is not positive: \(self)")
        precondition(width % heads == 0, "width \(width) is not a multiple of \(heads) heads")
        switch family {
        case .gpt2:
            precondition(keyValueHeads == heads, "gpt2 has as many key heads as heads, not \(keyValueHeads)")
        case .llama:
            precondition(keyValueHeads > 0 && heads % keyValueHeads == 0,
                         "\(heads) heads cannot share \(keyValueHeads) key heads evenly")
            precondition(headWidth % 2 == 0, "rotary positions need an even head width, not \(headWidth)")
        }
    }
}
