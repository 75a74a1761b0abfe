import CSystem
import RunSpec

/// Reads a file of a checkpoint once, front to back, and compares it with its record on the way: each MiB as soon
/// as it is complete, the whole at the end. What was read is to be believed only after `finish`.
struct VerifiedFile: ~Copyable {
    private let file: ReadableFile
    private let record: FileRecord
    private var position = 0
    private var sha256 = SHA256Stream()
    private var crc32c: UInt32 = 0

    /// Opens the file and compares its size.
    init(folder: String, _ record: FileRecord) throws(CheckpointDamage) {
        let file = try Self.open("\(folder)/\(record.name)", absent: .fileMissing(record.name))
        if file.size < record.bytes {
            throw .truncated(file: record.name, foundBytes: file.size, expectedBytes: record.bytes)
        }
        if file.size > record.bytes {
            throw .tooLong(file: record.name, foundBytes: file.size, expectedBytes: record.bytes)
        }
        self.file = file
        self.record = record
    }

    static func open(_ path: String, absent: CheckpointDamage) throws(CheckpointDamage) -> ReadableFile {
        do throws(StorageError) {
            return try ReadableFile(path)
        } catch {
            throw error.isAbsence ? absent : .unreadable(error)
        }
    }

    /// The next bytes of the file, as many as `target` holds.
    mutating func read(into target: UnsafeMutableRawBufferPointer) throws(CheckpointDamage) {
        var rest = target[...]
        while !rest.isEmpty {
            let part = rest.prefix(FileWriter.pieceBytes - position % FileWriter.pieceBytes)
            try readWithinPiece(UnsafeMutableRawBufferPointer(rebasing: part))
            rest = rest.dropFirst(part.count)
        }
    }

    private mutating func readWithinPiece(_ part: UnsafeMutableRawBufferPointer) throws(CheckpointDamage) {
        let count: Int
        do throws(StorageError) { count = try file.read(into: part, at: position) } catch { throw .unreadable(error) }
        guard count == part.count else {
            throw .truncated(file: record.name, foundBytes: position + count, expectedBytes: record.bytes)
        }
        sha256.update(UnsafeRawBufferPointer(part))
        crc32c = cs_crc32c(crc32c, part.baseAddress, part.count)
        position += part.count
        if position % FileWriter.pieceBytes == 0 || position == record.bytes {
            let piece = (position - 1) / FileWriter.pieceBytes
            guard crc32c == record.crc32c[piece] else {
                throw .contents(file: record.name, mebibyte: piece, of: record.crc32c.count)
            }
            crc32c = 0
        }
    }

    mutating func skip(_ count: Int) throws(CheckpointDamage) {
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(count, FileWriter.pieceBytes), alignment: MemoryLayout<UInt64>.alignment)
        defer { scratch.deallocate() }
        var rest = count
        while rest > 0 {
            let part = min(rest, scratch.count)
            try read(into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<part]))
            rest -= part
        }
    }

    /// The header of a safetensors file, read from its start; the data comes next.
    mutating func header() throws(CheckpointDamage) -> Safetensors.Header {
        precondition(position == 0, "the header of \(record.name) at byte \(position)")
        let prefix = try bytes(min(Safetensors.prefixBytes, record.bytes)), size = record.bytes
        let length = try inFormat { () throws(SafetensorsError) in
            try Safetensors.headerLength(prefix: prefix, fileBytes: size)
        }
        let json = try bytes(length)
        return try inFormat { () throws(SafetensorsError) in try Safetensors.Header(json: json, fileBytes: size) }
    }

    private func inFormat<Value>(_ body: () throws(SafetensorsError) -> Value) throws(CheckpointDamage) -> Value {
        do throws(SafetensorsError) { return try body() } catch { throw .format(file: record.name, error) }
    }

    private mutating func bytes(_ count: Int) throws(CheckpointDamage) -> [UInt8] {
        try byteArray(count) { buffer throws(CheckpointDamage) in try read(into: buffer) }
    }

    /// Ends the reading, for which every byte must have been read or skipped.
    consuming func finish() throws(CheckpointDamage) {
        precondition(position == record.bytes, "\(record.name) read up to \(position) of \(record.bytes) bytes")
        let name = record.name, expected = record.sha256, found = sha256.finish()
        guard found == expected else { throw .digest(file: name, found: found, expected: expected) }
    }
}
