import RunSpec

extension ModelConfig {
    /// `config.json` of the model: every field on which what Transformers computes depends, whatever its defaults.
    var exportedConfig: JSONValue {
        // Its defaults for these are GPT-2's and Llama's own tokens, which this vocabulary may not have.
        let common: [(key: String, value: JSONValue)] = [
            ("vocab_size", .integer(vocabulary)), ("tie_word_embeddings", .flag(tied)), ("bos_token_id", .null), ("eos_token_id", .null),
            ("torch_dtype", "float32"),
        ]
        switch family {
        case .gpt2:
            return .object([
                ("model_type", "gpt2"), ("architectures", .list(["GPT2LMHeadModel"])), ("n_layer", .integer(layers)), ("n_head", .integer(heads)),
                ("n_embd", .integer(width)), ("n_inner", .integer(hidden)), ("n_positions", .integer(context)),
                ("activation_function", "gelu_new"), ("layer_norm_epsilon", .real(normEpsilon)),
                ("embd_pdrop", .real(dropout)), ("resid_pdrop", .real(dropout)), ("attn_pdrop", .real(0)),
                ("scale_attn_weights", .flag(true)), ("scale_attn_by_inverse_layer_idx", .flag(false)),
                // Not Transformers': its GPT-2 always has biases, and those of a model without are zero there.
                ("bias", .flag(bias)),
            ] + common)
        case .llama:
            return .object([
                ("model_type", "llama"), ("architectures", .list(["LlamaForCausalLM"])), ("num_hidden_layers", .integer(layers)),
                ("num_attention_heads", .integer(heads)), ("num_key_value_heads", .integer(keyValueHeads)), ("hidden_size", .integer(width)),
                ("head_dim", .integer(headWidth)), ("intermediate_size", .integer(hidden)), ("max_position_embeddings", .integer(context)),
                ("hidden_act", "silu"), ("rms_norm_eps", .real(normEpsilon)),
                // The first is for Transformers before version 5, the second for later ones.
                ("rope_theta", .real(ropeTheta)), ("rope_parameters", .object([("rope_type", "default"), ("rope_theta", .real(ropeTheta))])),
                ("attention_bias", .flag(false)), ("mlp_bias", .flag(false)), ("attention_dropout", .real(0)),
            ] + common)
        }
    }

    /// The model that a `config.json` describes; its context is all the positions it has.
    /// - Throws: `UserError` naming the field that is missing, impossible, or asks for what is not computed here.
    init(_ file: ConfigFile, remarks: inout [String]) throws {
        self.init()
        switch file["model_type"]?.text {
        case "\"gpt2\"": try readGPT2(file, &remarks)
        case "\"llama\"": try readLlama(file, &remarks)
        case let other: throw file.refuse("model_type", "is \(other ?? "missing"); the models that can be imported are \"gpt2\" and \"llama\"")
        }
        try file.require("quantization_config")
        vocabulary = try file.integer("vocab_size")
        tied = try file.flag("tie_word_embeddings", default: family == .gpt2)
    }

    private mutating func readGPT2(_ file: ConfigFile, _ remarks: inout [String]) throws {
        family = .gpt2
        try Self.check(architectures: "GPT2LMHeadModel", "GPT2Model", in: file)
        try file.require("activation_function", "\"gelu_new\"", "\"gelu_pytorch_tanh\"", "\"gelu_fast\"")
        try file.require("scale_attn_weights", "true")
        try file.require("scale_attn_by_inverse_layer_idx", "false")
        try file.require("add_cross_attention", "false")
        width = try file.integer("n_embd")
        try readSizes(file, layers: "n_layer", heads: "n_head", hidden: "n_inner", width: "n_embd", positions: "n_positions", epsilon: "layer_norm_epsilon")
        keyValueHeads = heads
        bias = try file.flag("bias", default: true)
        dropout = try file.real("resid_pdrop", default: 0.1)
        try Self.checked("model.dropout", dropout, file, "resid_pdrop")
        let (embedding, attention) = (try file.real("embd_pdrop", default: 0.1), try file.real("attn_pdrop", default: 0.1))
        if dropout > 0 || embedding > 0 || attention > 0 {
            remarks.append("dropout is \(dropout), the resid_pdrop of \(file.path), in the embedding too; attention's own attn_pdrop \(attention) is not applied; --set model.dropout=0 switches it off")
        }
    }

    private mutating func readLlama(_ file: ConfigFile, _ remarks: inout [String]) throws {
        family = .llama
        try Self.check(architectures: "LlamaForCausalLM", in: file)
        try file.require("hidden_act", "\"silu\"", "\"swish\"")
        for name in ["attention_bias", "mlp_bias", "use_sliding_window"] { try file.require(name, "false") }
        try file.require("pretraining_tp", "1")
        try file.require("sliding_window")
        width = try file.integer("hidden_size")
        try readSizes(file, layers: "num_hidden_layers", heads: "num_attention_heads", hidden: "intermediate_size", width: "hidden_size",
            positions: "max_position_embeddings", epsilon: "rms_norm_eps")
        keyValueHeads = try file.integer("num_key_value_heads", default: heads)
        guard heads % keyValueHeads == 0 else { throw file.refuse("num_attention_heads", "is \(heads), not a multiple of num_key_value_heads \(keyValueHeads)") }
        guard headWidth % 2 == 0 else { throw file.refuse("hidden_size", "gives heads of odd width \(headWidth), and rotary positions need an even one") }
        guard try file.integer("head_dim", default: headWidth) == headWidth else {
            throw file.refuse("head_dim", "is \(file["head_dim"]!.text), which headway does not compute; it must be hidden_size / num_attention_heads, \(headWidth)")
        }
        ropeTheta = try file.real("rope_theta", default: ropeTheta)
        try file.require("partial_rotary_factor", "1", "1.0")
        // `rope_scaling` until version 4 of Transformers, and there without the base; `rope_parameters` since.
        for name in ["rope_scaling", "rope_parameters"] {
            let rope = try file.object(name)
            try rope.require("type", "\"default\"")
            try rope.require("rope_type", "\"default\"")
            try rope.require("partial_rotary_factor", "1", "1.0")
            ropeTheta = try rope.real("rope_theta", default: ropeTheta)
        }
        try Self.checked("model.ropeTheta", ropeTheta, file, "rope_theta")
        if let attention = file["attention_dropout"], try file.real("attention_dropout", default: 0) > 0 {
            remarks.append("the attention_dropout \(attention.text) of \(file.path) is not applied")
        }
    }

    private mutating func readSizes(
        _ file: ConfigFile, layers: String, heads: String, hidden: String, width: String, positions: String, epsilon: String
    ) throws {
        try Self.checked("model.width", self.width, file, width)
        self.layers = try Self.checked("model.layers", file.integer(layers), file, layers)
        self.heads = try Self.checked("model.heads", file.integer(heads), file, heads)
        self.hidden = try Self.checked("model.hidden", file.integer(hidden, default: family == .gpt2 ? 4 * self.width : nil), file, hidden)
        normEpsilon = try Self.checked("model.normEpsilon", file.real(epsilon, default: family == .gpt2 ? 1e-5 : 1e-6), file, epsilon)
        context = try file.integer(positions)
        guard self.width % self.heads == 0 else { throw file.refuse(width, "is \(self.width), not a multiple of \(heads) \(self.heads)") }
    }

    /// The value, if the setting `key` may have it.
    @discardableResult
    private static func checked<Value: CustomStringConvertible>(_ key: String, _ value: Value, _ file: ConfigFile, _ field: String) throws -> Value {
        var config = RunConfig()
        try config.set(key, to: value.description, where: "\(file.path), \(field)")
        return value
    }

    private static func check(architectures known: String..., in file: ConfigFile) throws {
        let found = file.texts("architectures")
        guard found.isEmpty || found.contains(where: known.contains) else {
            throw file.refuse("architectures", "is \(found.joined(separator: ", ")); what can be imported is \(known.joined(separator: " or "))")
        }
    }
}
