import Checkpointing
import Corpus
import Foundation
import HuggingFace
import Model
import RunSpec
import Testing

@Suite struct HuggingFaceFolderTests {
    /// The flat vector of a folder's weights, of its model or one with a shorter context.
    private func parameters(_ folder: HuggingFaceFolder, context: Int? = nil) throws -> [Float] {
        var model = folder.model
        model.context = context ?? model.context
        let layout = ParameterLayout(model)
        var values = [Float](repeating: 0, count: layout.count)
        try folder.fill(layout, &values)
        return values
    }

    private func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

    @Test(arguments: ["tiny-gpt2", "tiny-llama"])
    func `imported weights give the logits that PyTorch computed`(fixture: String) throws {
        let foreign = try ForeignModel(fixture)
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path), model = folder.model
        let transformer = Transformer(model, sequences: foreign.sequences), values = try parameters(folder)
        transformer.forward(parameters: values, inputs: foreign.inputs, dropout: nil)
        var logits = [Float](repeating: 0, count: foreign.context * model.vocabulary)
        logits.withUnsafeMutableBufferPointer { logits in
            for row in 0..<foreign.context { transformer.logits(parameters: values, row: row, into: logits.baseAddress! + row * model.vocabulary) }
        }
        let (difference, size) = zip(logits, foreign.logits).reduce(into: (0.0, 0.0)) { sums, pair in
            sums.0 += Double(pair.0 - pair.1) * Double(pair.0 - pair.1)
            sums.1 += Double(pair.1) * Double(pair.1)
        }
        #expect(logits.count == foreign.logits.count && (difference / size).squareRoot() < 1e-4)
    }

    @Test(arguments: ["tiny-gpt2", "tiny-llama"])
    func `weights that come in go out again bit for bit`(fixture: String) throws {
        let foreign = try ForeignModel(fixture)
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path), out = foreign.beside("out"), values = try parameters(folder)
        try HuggingFaceExport(folder.model, folder.tokenizer, parameters: values, provenance: ["run": "it"]).write(to: out)

        let written = try ForeignModel.read(out + "/model.safetensors")
        for (name, tensor) in foreign.tensors { #expect(written[name]?.shape == tensor.shape && written[name]?.bytes == tensor.bytes, "\(name)") }
        // Transformers' GPT-2 has biases, and the fixture's has none.
        for (name, tensor) in written where foreign.tensors[name] == nil { #expect(name.hasSuffix(".bias") && tensor.floats.allSatisfy { $0 == 0 }, "\(name)") }
        let again = try HuggingFaceFolder(out)
        #expect(again.model == folder.model && again.tokenizer == folder.tokenizer)
        #expect(bits(try parameters(again)) == bits(values))
        #expect(try FileManager.default.contentsOfDirectory(atPath: foreign.beside("")).sorted() == ["model", "out"])
    }

    @Test func `shards, and a GPT-2 without its prefix and with its masks, are read like one file`() throws {
        let foreign = try ForeignModel("tiny-gpt2")
        try foreign.write()
        let whole = try parameters(HuggingFaceFolder(foreign.path))
        foreign.tensors = Dictionary(uniqueKeysWithValues: foreign.tensors.map { ($0.key.replacingOccurrences(of: "transformer.", with: ""), $0.value) })
        foreign.tensors["h.0.attn.bias"] = .init(type: "U8", shape: [1, 1, 2, 2], bytes: Data([1, 0, 1, 1]))
        try FileManager.default.removeItem(atPath: foreign.path + "/model.safetensors")
        try foreign.write(shards: ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
        #expect(bits(try parameters(HuggingFaceFolder(foreign.path))) == bits(whole))
    }

    @Test(arguments: ["F16", "BF16"])
    func `half-width weights are widened exactly`(type: String) throws {
        let foreign = try ForeignModel("tiny-llama"), name = "model.norm.weight"
        let values: [Float] = [1, -2, 0.5, 65_280, -0.0, 6.103515625e-05, 1.5, 0.0009765625] + Array(repeating: 3, count: 8)
        let narrow = values.map { type == "F16" ? Float16($0).bitPattern : UInt16($0.bitPattern >> 16) }
        foreign.tensors[name] = .init(type: type, shape: [16], bytes: narrow.withUnsafeBytes { Data($0) })
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path), slot = ParameterLayout(folder.model)[name]
        #expect(bits(Array(try parameters(folder)[slot.offset..<slot.offset + 16])) == bits(values))
    }

    @Test func `a shorter context takes the first positions`() throws {
        let foreign = try ForeignModel("tiny-gpt2")
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path), whole = try parameters(folder), short = try parameters(folder, context: 5)
        let (wide, narrow) = (ParameterLayout(folder.model)["wpe.weight"], 5 * folder.model.width)
        #expect(bits(Array(whole[wide.offset..<wide.offset + narrow])) == bits(Array(short[wide.offset..<wide.offset + narrow])))
    }

    @Test func `a configuration may change how the weights are trained and nothing of what they are`() throws {
        let foreign = try ForeignModel("tiny-llama")
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path)
        var config = try Preset.named("tiny").config
        folder.shape(&config)
        (config.steps, config.model.dropout, config.model.context) = (7, 0.5, 9)
        try folder.check(config)
        for (setting, words) in [("model.width=8", "model.width cannot be 8: the weights in \(foreign.path) were made with 16"),
            ("model.context=18", "model.context cannot be 18"), ("data.tokenizer=byte", "data.tokenizer cannot be byte"), ("model.tied=false", "model.tied")] {
            var other = config
            try other.set(assignment: setting)
            #expect { try folder.check(other) } throws: { ($0 as? UserError)?.status == .usage && "\($0)".contains(words) }
        }
    }

    @Test func `without a tokenizer of ours text becomes bytes if the vocabulary has room for them`() throws {
        let foreign = try ForeignModel("tiny-llama")
        try FileManager.default.removeItem(atPath: foreign.path + "/headway-tokenizer.json")
        try foreign.write()
        #expect { try HuggingFaceFolder(foreign.path) } throws: { "\($0)".contains("a `vocab_size` of 19 is too small for bytes, which need 256") }
        foreign.config["vocab_size"] = 300
        foreign.tensors["model.embed_tokens.weight"] = .init(shape: [300, 16], [Float](repeating: 0.25, count: 4800))
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path)
        #expect(folder.tokenizer == .byte && folder.remarks.contains { $0.contains("ids 0 to 255 of 300") })
    }

    struct Refusal: CustomTestStringConvertible, Sendable {
        let name: String, words: [String]
        let change: @Sendable (ForeignModel) throws -> Void
        var testDescription: String { name }

        init(_ name: String, _ words: String..., change: @escaping @Sendable (ForeignModel) throws -> Void) { (self.name, self.words, self.change) = (name, words, change) }
    }

    static let gpt2Refusals = [
        Refusal("another model", "`model_type` is \"bert\"", "\"gpt2\" and \"llama\"") { $0.config["model_type"] = "bert" },
        Refusal("no model", "`model_type` is missing") { $0.config["model_type"] = nil },
        Refusal("another head", "`architectures` is GPT2ForTokenClassification") { $0.config["architectures"] = ["GPT2ForTokenClassification"] },
        Refusal("another activation", "`activation_function` is \"relu\"", "\"gelu_new\"") { $0.config["activation_function"] = "relu" },
        Refusal("exact GELU", "`activation_function` is \"gelu\"") { $0.config["activation_function"] = "gelu" },
        Refusal("unscaled attention", "`scale_attn_weights` is false") { $0.config["scale_attn_weights"] = false },
        Refusal("attention scaled by layer", "`scale_attn_by_inverse_layer_idx` is true") { $0.config["scale_attn_by_inverse_layer_idx"] = true },
        Refusal("cross-attention", "`add_cross_attention` is true") { $0.config["add_cross_attention"] = true },
        Refusal("quantised", "`quantization_config` is", "must be absent") { $0.config["quantization_config"] = ["bits": 4] },
        Refusal("missing size", "`n_embd` is missing") { $0.config["n_embd"] = nil },
        Refusal("null size", "`n_layer` is missing") { $0.config["n_layer"] = NSNull() },
        Refusal("size that is no number", "`n_head` is \"3\", but must be a whole number") { $0.config["n_head"] = "3" },
        Refusal("too many layers", "n_layer: `model.layers` is `300`") { $0.config["n_layer"] = 300 },
        Refusal("heads that do not divide", "`n_embd` is 18, not a multiple of n_head 4") { $0.config["n_head"] = 4 },
        Refusal("huge vocabulary", "`vocab_size` is 9223372036854775807") { $0.config["vocab_size"] = Int.max },
        Refusal("missing tensor", "has no tensor transformer.h.1.mlp.c_fc.weight") { $0.tensors["transformer.h.1.mlp.c_fc.weight"] = nil },
        Refusal("untied head that is not there", "has no tensor lm_head.weight") { $0.tensors["lm_head.weight"] = nil },
        Refusal("a layer too many", "model.safetensors holds the tensor transformer.h.1.attn.c_attn.weight, which a gpt2 model") { $0.config["n_layer"] = 1 },
        Refusal("wrong shape", "transformer.h.0.mlp.c_fc.weight with shape [18, 33], and by config.json it has [18, 34]") { $0.config["n_inner"] = 34 },
        Refusal("wide floats", "transformer.ln_f.weight as F64; F32, F16 and BF16 can be read") {
            $0.tensors["transformer.ln_f.weight"] = .init(type: "F64", shape: [18], bytes: Data(count: 144))
        },
        Refusal("not a number", "value 2 of transformer.ln_f.weight is nan") {
            $0.tensors["transformer.ln_f.weight"] = .init(shape: [18], [1, 1, .nan] + [Float](repeating: 1, count: 15))
        },
        Refusal("biases of a model without", "transformer.ln_f.bias is not zero, though `bias` in config.json is false") {
            $0.tensors["transformer.ln_f.bias"] = .init(shape: [18], [Float](repeating: 1, count: 18))
        },
        Refusal("tied head that differs", "lm_head.weight is not the token embedding, though `tie_word_embeddings`") { $0.config["tie_word_embeddings"] = true },
    ]

    static let llamaRefusals = [
        Refusal("another activation", "`hidden_act` is \"gelu\"") { $0.config["hidden_act"] = "gelu" },
        Refusal("attention biases", "`attention_bias` is true") { $0.config["attention_bias"] = true },
        Refusal("feed-forward biases", "`mlp_bias` is true") { $0.config["mlp_bias"] = true },
        Refusal("sliding window", "`sliding_window` is 4096") { $0.config["sliding_window"] = 4096 },
        Refusal("scaled rotary positions", "rope_scaling: `rope_type` is \"llama3\"") { $0.config["rope_scaling"] = ["rope_type": "llama3", "factor": 8.0] as [String: Any] },
        Refusal("scaled rotary positions of old", "rope_scaling: `type` is \"linear\"") { $0.config["rope_scaling"] = ["type": "linear", "factor": 2.0] as [String: Any] },
        Refusal("scaled rotary positions of late", "rope_parameters: `rope_type` is \"yarn\"") { $0.config["rope_parameters"] = ["rope_type": "yarn", "rope_theta": 10_000.0] as [String: Any] },
        Refusal("part of a head turned", "rope_parameters: `partial_rotary_factor` is 0.5") { $0.config["rope_parameters"] = ["rope_type": "default", "partial_rotary_factor": 0.5] as [String: Any] },
        Refusal("heads of another width", "`head_dim` is 8", "hidden_size / num_attention_heads, 4") { $0.config["head_dim"] = 8 },
        Refusal("groups that do not divide", "`num_attention_heads` is 4, not a multiple of num_key_value_heads 3") { $0.config["num_key_value_heads"] = 3 },
        Refusal("odd rotary heads", "heads of odd width 1") { $0.config["num_attention_heads"] = 16 },
        Refusal("a bias", "holds the tensor model.layers.0.self_attn.q_proj.bias") { $0.tensors["model.layers.0.self_attn.q_proj.bias"] = .init(shape: [16], [Float](repeating: 0, count: 16)) },
        Refusal("tokenizer larger than the vocabulary", "has 3 ids, and `vocab_size` in config.json is 2") {
            $0.config["vocab_size"] = 2
            $0.tensors["model.embed_tokens.weight"] = .init(shape: [2, 16], [Float](repeating: 0, count: 32))
        },
    ]

    private func check(_ fixture: String, _ refusal: Refusal) throws {
        let foreign = try ForeignModel(fixture)
        try refusal.change(foreign)
        try foreign.write()
        #expect { try parameters(HuggingFaceFolder(foreign.path)) } throws: { error in
            guard (error as? UserError)?.status == .badInput || (error as? UserError)?.status == .usage else { return false }
            let said = "\(error)", missing = refusal.words.filter { !said.contains($0) }
            if !missing.isEmpty { Issue.record("\(said)") }
            return missing.isEmpty && !said.contains("\n") && said.contains(foreign.path)
        }
    }

    @Test(arguments: gpt2Refusals) func `what a GPT-2 cannot be here is refused by the field's name`(refusal: Refusal) throws { try check("tiny-gpt2", refusal) }

    @Test(arguments: llamaRefusals) func `what a Llama cannot be here is refused by the field's name`(refusal: Refusal) throws { try check("tiny-llama", refusal) }

    @Test func `files that are not there are named`() throws {
        let foreign = try ForeignModel("tiny-gpt2")
        func refusal() -> String { do { _ = try HuggingFaceFolder(foreign.path) } catch { return "\((error as? UserError)?.status ?? .runFailed) \(error)" }; return "" }
        #expect(refusal().hasPrefix("missing \(foreign.path)/config.json does not exist"))
        try foreign.write()
        try FileManager.default.removeItem(atPath: foreign.path + "/model.safetensors")
        #expect(refusal().hasPrefix("missing \(foreign.path) has no model.safetensors and no model.safetensors.index.json; weights in another format"))
        try foreign.write(shards: ["a.safetensors", "b.safetensors"])
        try FileManager.default.removeItem(atPath: foreign.path + "/b.safetensors")
        #expect(refusal() == "missing \(foreign.path)/b.safetensors does not exist, though model.safetensors.index.json names it")
        try Data(#"{"weight_map": {"a": "../a.safetensors"}}"#.utf8).write(to: URL(fileURLWithPath: foreign.path + "/model.safetensors.index.json"))
        #expect(refusal().contains("`weight_map` names ../a.safetensors, which is not a file of its own folder"))
        try Data("[]".utf8).write(to: URL(fileURLWithPath: foreign.path + "/config.json"))
        #expect(refusal() == "badInput \(foreign.path)/config.json is not a JSON object")
    }

    @Test func `an export goes to a new or empty folder, whole or not at all`() throws {
        let foreign = try ForeignModel("tiny-llama")
        try foreign.write()
        let folder = try HuggingFaceFolder(foreign.path), values = try parameters(folder)
        let export = HuggingFaceExport(folder.model, folder.tokenizer, parameters: values, provenance: [:])
        #expect { try export.write(to: foreign.path) } throws: { "\($0)".contains("is not empty (config.json and 2 more)") }
        for name in ["none/out", "model/config.json/out", "model/config.json"] {
            #expect { try export.write(to: foreign.beside(name)) } throws: { ($0 as? UserError)?.status == .unwritable && "\($0)".contains("was not written: cannot ") }
        }
        try FileManager.default.createDirectory(atPath: foreign.beside("empty"), withIntermediateDirectories: false)
        try export.write(to: foreign.beside("empty/"))
        #expect(try FileManager.default.subpathsOfDirectory(atPath: foreign.beside("")).sorted() == [
            "empty", "empty/config.json", "empty/headway-tokenizer.json", "empty/model.safetensors", "empty/tokenizer.json", "empty/tokenizer_config.json",
            "model", "model/config.json", "model/headway-tokenizer.json", "model/model.safetensors",
        ])
    }
}
