import Checkpointing
import Foundation
import RunSpec
import Testing

/// A folder in Hugging Face's format, made from one of the fixtures, that a test may change before it is read.
final class ForeignModel {
    struct Tensor {
        var type = "F32"
        var shape: [Int]
        var bytes: Data

        init(type: String = "F32", shape: [Int], bytes: Data) { (self.type, self.shape, self.bytes) = (type, shape, bytes) }

        init(shape: [Int], _ floats: [Float]) { self.init(shape: shape, bytes: floats.withUnsafeBytes { Data($0) }) }

        var floats: [Float] { bytes.withUnsafeBytes { raw in (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) } } }
    }

    let path: String
    var config: [String: Any]
    var tensors: [String: Tensor] = [:]
    let logits: [Float], inputs: [Int32], sequences: Int, context: Int
    private let parent: String

    private static let fixtures = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")

    init(_ fixture: String) throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/hugging-face-XXXXXX").utf8CString)
        parent = String(cString: try #require(mkdtemp(&template)))
        path = parent + "/model"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let json = try JSONSerialization.jsonObject(with: Data(contentsOf: Self.fixtures.appending(path: fixture + ".json"))) as! [String: Any]
        config = json["config"] as! [String: Any]
        config["model_type"] = json["family"]
        (sequences, context) = (json["B"] as! Int, json["T"] as! Int)
        if fixture.hasSuffix("llama") { config["max_position_embeddings"] = context }
        let file = try SafetensorsFile(Self.fixtures.appending(path: fixture + ".safetensors").path)
        var all: [String: Tensor] = [:]
        for tensor in file.header.tensors {
            let block = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.bytes.count, alignment: 8)
            defer { block.deallocate() }
            try file.read(tensor.name, type: tensor.type, shape: tensor.shape, into: block.baseAddress!)
            all[tensor.name] = Tensor(type: tensor.type.rawValue, shape: tensor.shape, bytes: Data(block))
        }
        logits = all["logits0"]!.floats
        inputs = all["inputs"]!.floats.map { Int32(bitPattern: $0.bitPattern) }
        tensors = all.filter { name, _ in !name.hasPrefix("grad.") && !name.hasPrefix("after10.") && !["inputs", "targets", "logits0"].contains(name) }
        // Transformers does not save the flag under one name, but a tied head has no tensor of its own.
        config["tie_word_embeddings"] = tensors["lm_head.weight"] == nil
        // The tokenizer is not what most of these tests are about.
        try Data(#"{"format": "headway-tokenizer", "version": 1, "kind": "char", "scalars": [10, 32, 97]}"#.utf8)
            .write(to: URL(fileURLWithPath: path + "/headway-tokenizer.json"))
    }

    deinit { try? FileManager.default.removeItem(atPath: parent) }

    /// A name beside the folder, where nothing is.
    func beside(_ name: String) -> String { parent + "/" + name }

    /// - Parameter shards: names of the files that the tensors go to in turn; one is not a shard.
    func write(shards: [String] = ["model.safetensors"]) throws {
        try JSONSerialization.data(withJSONObject: config).write(to: URL(fileURLWithPath: path + "/config.json"))
        let names = tensors.keys.sorted()
        for (number, shard) in shards.enumerated() {
            try write(names.enumerated().filter { $0.offset % shards.count == number }.map(\.element), to: shard)
        }
        guard shards.count > 1 else { return }
        let map = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($0.element, shards[$0.offset % shards.count]) })
        try JSONSerialization.data(withJSONObject: ["metadata": ["total_size": 0], "weight_map": map] as [String: Any])
            .write(to: URL(fileURLWithPath: path + "/model.safetensors.index.json"))
    }

    private func write(_ names: [String], to file: String) throws {
        var header: [String: Any] = [:], data = Data()
        for name in names {
            let tensor = tensors[name]!
            header[name] = ["dtype": tensor.type, "shape": tensor.shape, "data_offsets": [data.count, data.count + tensor.bytes.count]] as [String: Any]
            data += tensor.bytes
        }
        let json = try JSONSerialization.data(withJSONObject: header)
        let length = Data((0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) })
        try (length + json + data).write(to: URL(fileURLWithPath: path + "/" + file))
    }

    /// Every tensor of a safetensors file of float32.
    static func read(_ path: String) throws -> [String: Tensor] {
        let file = try SafetensorsFile(path)
        var found: [String: Tensor] = [:]
        for tensor in file.header.tensors {
            var floats = [Float](repeating: .nan, count: tensor.shape.reduce(1, *))
            try file.read(tensor.name, shape: tensor.shape, into: &floats)
            found[tensor.name] = Tensor(shape: tensor.shape, floats)
        }
        return found
    }
}
