import COpenBLAS
import Foundation
import Model
import RunSpec

/// One model's values as PyTorch computed them: a safetensors file of tensors under their Hugging Face names and a JSON
/// file of scalars, laid out as make_fixtures.py says.
struct Reference {
    let tensors: SafeTensors
    let json: [String: Any]
    let config: ModelConfig
    let sequences: Int
    let layout: ParameterLayout

    static let packageRoot = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let fixtures = packageRoot.appending(path: "Tests/Fixtures")
    /// Larger models, kept outside the repository; tests that want them are skipped where they are absent.
    static let golden = packageRoot.appending(path: "../shared/golden").standardizedFileURL

    static func exists(_ name: String, in folder: URL) -> Bool {
        FileManager.default.fileExists(atPath: folder.appending(path: "\(name).safetensors").path)
    }

    init(_ name: String, in folder: URL) throws {
        // One thread: these models are small, and tests run side by side.
        openblas_set_num_threads(1)
        tensors = try SafeTensors(folder.appending(path: "\(name).safetensors"))
        json = try JSONSerialization.jsonObject(
            with: Data(contentsOf: folder.appending(path: "\(name).json"))) as! [String: Any]
        sequences = json["B"] as! Int
        let values = json["config"] as! [String: Any]
        var config = ModelConfig()
        config.context = json["T"] as! Int
        config.vocabulary = values["vocab_size"] as! Int
        if json["family"] as! String == "gpt2" {
            config.family = .gpt2
            config.layers = values["n_layer"] as! Int
            config.heads = values["n_head"] as! Int
            config.keyValueHeads = config.heads
            config.width = values["n_embd"] as! Int
            config.hidden = values["n_inner"] as? Int ?? 4 * config.width
            config.normEpsilon = values["layer_norm_epsilon"] as! Double
            config.bias = values["bias"] as? Bool ?? true
        } else {
            config.family = .llama
            config.layers = values["num_hidden_layers"] as! Int
            config.heads = values["num_attention_heads"] as! Int
            config.keyValueHeads = values["num_key_value_heads"] as! Int
            config.width = values["hidden_size"] as! Int
            config.hidden = values["intermediate_size"] as! Int
            config.normEpsilon = values["rms_norm_eps"] as! Double
            config.ropeTheta = (values["rope_parameters"] as! [String: Any])["rope_theta"] as! Double
            config.bias = false
        }
        // Transformers does not save the flag under one name, but a tied head has no tensor of its own.
        config.tied = tensors.tensors["lm_head.weight"] == nil
        self.config = config
        layout = ParameterLayout(config)
    }

    var inputs: [Int32] { tensors["inputs"].integers }
    var targets: [Int32] { tensors["targets"].integers }
    /// Targets that are not −1.
    var tokens: Int { targets.count { $0 >= 0 } }
    var loss: Double { json["loss"] as! Double }

    /// The tensor for `slot` whose name begins with `prefix`, as [out, in].
    func values(_ slot: ParameterSlot, prefix: String = "") -> [Float] {
        let withBase = "\(prefix)transformer.\(slot.name)"
        let tensor = tensors[tensors.tensors[withBase] == nil ? prefix + slot.name : withBase]
        let stored = tensor.floats
        guard slot.transposedInHuggingFace && slot.shape.count == 2 else { return stored }
        precondition(tensor.shape == slot.shape.reversed(), "\(slot.name) has shape \(tensor.shape)")
        let (rows, columns) = (slot.shape[0], slot.shape[1])
        return (0..<rows * columns).map { stored[$0 % columns * rows + $0 / columns] }
    }

    /// The flat vector of all tensors whose names begin with `prefix`.
    func flat(prefix: String = "") -> [Float] {
        var flat = [Float](repeating: 0, count: layout.count)
        for slot in layout.slots {
            flat.replaceSubrange(slot.offset..<slot.offset + slot.count, with: values(slot, prefix: prefix))
        }
        return flat
    }
}

/// ‖found − expected‖ / ‖expected‖, the error of a whole tensor: an absolute bound per entry would hide a wrong small
/// gradient. Absolute where the expected values are all zero.
func relativeError(_ found: some Collection<Float>, _ expected: some Collection<Float>) -> Double {
    precondition(found.count == expected.count, "\(found.count) and \(expected.count) values")
    var difference = 0.0, size = 0.0
    for (a, b) in zip(found, expected) {
        difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
        size += Double(b) * Double(b)
    }
    return size == 0 ? difference.squareRoot() : (difference / size).squareRoot()
}
