import Checkpointing
import Corpus
import Foundation
import Model
import RunSpec

/// A model as a folder that Hugging Face Transformers loads.
package struct HuggingFaceExport {
    private let model: ModelConfig, layout: ParameterLayout, tokenizer: Tokenizer
    private let parameters: UnsafePointer<Float>
    private let metadata: [String: String]

    /// - Parameters:
    ///   - parameters: a flat vector of the model's layout; must stay as it is until `write` returns.
    ///   - provenance: what the weights file says of where it comes from.
    package init(_ model: ModelConfig, _ tokenizer: Tokenizer, parameters: UnsafePointer<Float>, provenance: [String: String]) {
        (self.model, self.tokenizer, self.parameters) = (model, tokenizer, parameters)
        layout = ParameterLayout(model)
        metadata = Safetensors.standardMetadata.merging(provenance) { $1 }
    }

    /// Makes `folder`, which must not exist or be empty. It appears whole, durable, or not at all.
    package func write(to folder: String) throws(UserError) {
        let path = URL(fileURLWithPath: folder).standardizedFileURL.path
        if let held = try? FileManager.default.contentsOfDirectory(atPath: path), !held.isEmpty {
            throw UserError(.unwritable, "\(folder) is not empty (\(held.sorted()[0])\(held.count > 1 ? " and \(held.count - 1) more" : "")); name a new folder")
        }
        let disk = DiskStorage(), temporary = "\(path).tmp-\(getpid())"
        do throws(StorageError) {
            try disk.makeDirectory(temporary)
            try writeFiles(temporary)
            try disk.syncDirectory(temporary)
            try disk.rename(temporary, to: path)
            try disk.syncDirectory((path as NSString).deletingLastPathComponent)
        } catch {
            try? disk.remove(temporary)
            throw UserError(.unwritable, "\(folder) was not written: \(error)")
        }
    }

    private func writeFiles(_ folder: String) throws(StorageError) {
        func write(_ text: String, _ name: String) throws(StorageError) { try FileWriter.write(Array((text + "\n").utf8), to: "\(folder)/\(name)") }
        try write(model.exportedConfig.text, HuggingFaceFolder.configName)
        try write(tokenizer.exported.text, "tokenizer.json")
        try write(Tokenizer.exportedConfig(context: model.context).text, "tokenizer_config.json")
        try FileWriter.write(tokenizer.fileContent(), to: "\(folder)/\(HuggingFaceFolder.tokenizerName)")

        let turned = UnsafeMutablePointer<Float>.allocate(capacity: layout.count)
        // Biases of a model that has none.
        let zeros = UnsafeMutablePointer<Float>.allocate(capacity: max(3 * model.width, model.hidden))
        zeros.initialize(repeating: 0, count: max(3 * model.width, model.hidden))
        defer {
            turned.deallocate()
            zeros.deallocate()
        }
        var whole = model
        whole.bias = model.family == .gpt2
        let tensors = ParameterLayout(whole).slots.map { slot -> Safetensors.Tensor in
            let values: UnsafePointer<Float>
            if let own = layout.slot(named: slot.name) {
                if own.transposedInHuggingFace { own.transpose(turned + own.offset, parameters + own.offset, rows: own.shape[0]) }
                values = own.transposedInHuggingFace ? UnsafePointer(turned) + own.offset : parameters + own.offset
            } else {
                values = UnsafePointer(zeros)
            }
            return Safetensors.Tensor(name: slot.exportName, shape: slot.exportShape, data: values)
        }
        try Safetensors.write(tensors, metadata: metadata, to: "\(folder)/\(ForeignWeights.fileName)")
    }
}
