extension Safetensors {
    /// What a file is to hold, in memory that must stay as it is until it is written.
    struct Contents {
        let head: [UInt8], data: [UnsafeRawBufferPointer], bytes: Int

        /// The tensors in the order given.
        init(_ tensors: [Tensor], metadata: [String: String]) {
            precondition(Set(tensors.map(\.name) + [metadataKey]).count == tensors.count + 1, "tensor names collide")
            head = encodeHeader(tensors, metadata: metadata)
            data = tensors.map { UnsafeRawBufferPointer(UnsafeBufferPointer(start: $0.data, count: $0.count)) }
            bytes = data.reduce(head.count) { $0 + $1.count }
        }
    }

    /// Writes the tensors in the order given and returns when the contents are durable. After a failure the file may be
    /// there in part.
    @discardableResult
    package static func write(
        _ tensors: [Tensor], metadata: [String: String] = standardMetadata, to path: String
    ) throws(StorageError) -> FileRecord {
        let contents = Contents(tensors, metadata: metadata)
        return try FileWriter(path, contents.head, contents.data, on: DiskStorage()).writeDurably()
    }
}

/// A safetensors file on disk, its header validated, its data read on demand. The format has no checksums:
/// whoever needs them compares with a manifest.
package struct SafetensorsFile: ~Copyable {
    package let header: Safetensors.Header
    private let file: ReadableFile

    package init(_ path: String) throws(SafetensorsError) {
        let file = try Self.open(path)
        let prefix = try Self.bytes(of: file, count: min(Safetensors.prefixBytes, file.size), at: 0)
        let length = try Safetensors.headerLength(prefix: prefix, fileBytes: file.size)
        let json = try Self.bytes(of: file, count: length, at: Safetensors.prefixBytes)
        header = try Safetensors.Header(json: json, fileBytes: file.size)
        self.file = file
    }

    private static func open(_ path: String) throws(SafetensorsError) -> ReadableFile {
        do throws(StorageError) { return try ReadableFile(path) } catch { throw .storage(error) }
    }

    /// Reads the tensor `name`, which must have this shape and type, into `product(shape)` values at `destination`.
    package func read(
        _ name: String, type: Safetensors.ValueType = .f32, shape: [Int], into destination: UnsafeMutableRawPointer
    ) throws(SafetensorsError) {
        guard let tensor = header.tensors.first(where: { $0.name == name }) else { throw .missing(name: name) }
        guard tensor.shape == shape else { throw .shape(name: name, found: tensor.shape, expected: shape) }
        guard tensor.type == type else { throw .type(name: name, found: tensor.type, expected: type) }
        let target = UnsafeMutableRawBufferPointer(start: destination, count: tensor.bytes.count)
        try Self.fill(target, from: file, at: header.dataOffset + tensor.bytes.lowerBound)
    }

    /// Reads the tensor `name` of this shape into floats: float32 bit for bit, float16 and bfloat16 widened, which is exact.
    package func readFloats(
        _ name: String, shape: [Int], into floats: UnsafeMutablePointer<Float>
    ) throws(SafetensorsError) {
        guard let type = header.tensors.first(where: { $0.name == name })?.type, type == .f16 || type == .bf16 else {
            return try read(name, shape: shape, into: floats)
        }
        let count = shape.reduce(1, *)
        // The narrow values lie in the second half of the wide ones, and each is read before it is overwritten.
        let narrow = UnsafeMutableRawPointer(floats) + 2 * count
        try read(name, type: type, shape: shape, into: narrow)
        for i in 0..<count {
            let bits = narrow.load(fromByteOffset: 2 * i, as: UInt16.self)
            floats[i] = type == .f16 ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 16)
        }
    }

    private static func bytes(
        of file: borrowing ReadableFile, count: Int, at offset: Int
    ) throws(SafetensorsError) -> [UInt8] {
        try byteArray(count) { buffer throws(SafetensorsError) in try fill(buffer, from: file, at: offset) }
    }

    private static func fill(
        _ target: UnsafeMutableRawBufferPointer, from file: borrowing ReadableFile, at offset: Int
    ) throws(SafetensorsError) {
        let count: Int
        do throws(StorageError) { count = try file.read(into: target, at: offset) } catch { throw .storage(error) }
        // The size was checked when the file was opened: it has shrunk since.
        guard count == target.count else { throw .truncated(foundBytes: offset + count, expectedBytes: file.size) }
    }
}
