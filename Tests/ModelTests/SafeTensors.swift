import Foundation

/// A read-only view of a safetensors file: 8 bytes little-endian header length, a JSON header that gives each tensor's
/// dtype, shape and byte range behind the header, then the bytes. Enough for the reference values; no validation.
struct SafeTensors {
    struct Tensor {
        let shape: [Int]
        let bytes: Data

        var floats: [Float] { integers.map { Float(bitPattern: UInt32(bitPattern: $0)) } }
        var integers: [Int32] {
            bytes.withUnsafeBytes { raw in
                (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
            }
        }
    }
    let tensors: [String: Tensor]

    init(_ file: URL) throws {
        let data = try Data(contentsOf: file)
        let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let header = try JSONSerialization.jsonObject(with: data.subdata(in: 8..<8 + length)) as! [String: Any]
        var tensors: [String: Tensor] = [:]
        for (name, entry) in header {
            guard let entry = entry as? [String: Any], let range = entry["data_offsets"] as? [Int] else { continue }
            tensors[name] = Tensor(
                shape: entry["shape"] as! [Int],
                bytes: data.subdata(in: 8 + length + range[0]..<8 + length + range[1]))
        }
        self.tensors = tensors
    }

    subscript(name: String) -> Tensor {
        guard let tensor = tensors[name] else { preconditionFailure("no tensor \(name)") }
        return tensor
    }
}
