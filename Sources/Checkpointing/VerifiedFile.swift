import Dispatch

/// Reads a file of a checkpoint once, front to back, and compares it with its record: what was read is to be believed
/// only after `finish`, and may not be changed or freed before it.
struct VerifiedFile: ~Copyable {
    private let file: ReadableFile
    private let record: FileRecord
    private var position = 0
    private let hasher = PieceHasher()
    /// Where what is skipped goes: pieces in turn, each free again once it is hashed.
    private var scratch: UnsafeMutableRawBufferPointer?, nextPiece = 0
    private let free = DispatchSemaphore(value: 0)
    private static let scratchPieces = 4

    init(folder: String, _ record: FileRecord) throws(CheckpointDamage) {
        file = try Self.open(folder: folder, record)
        self.record = record
    }

    deinit {
        hasher.wait()
        scratch?.deallocate()
    }

    /// Opens the file and compares its size.
    static func open(folder: String, _ record: FileRecord) throws(CheckpointDamage) -> ReadableFile {
        let file = try open("\(folder)/\(record.name)", absent: .fileMissing(record.name))
        if file.size < record.bytes {
            throw .truncated(file: record.name, foundBytes: file.size, expectedBytes: record.bytes)
        }
        if file.size > record.bytes {
            throw .tooLong(file: record.name, foundBytes: file.size, expectedBytes: record.bytes)
        }
        return file
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
            let part = UnsafeMutableRawBufferPointer(rebasing: rest.prefix(PieceHasher.pieceBytes))
            try fill(part)
            // Hashed while the next part is read.
            hasher.add(UnsafeRawBufferPointer(part))
            rest = rest.dropFirst(part.count)
        }
    }

    private mutating func fill(_ part: UnsafeMutableRawBufferPointer) throws(CheckpointDamage) {
        let count: Int
        do throws(StorageError) { count = try file.read(into: part, at: position) } catch { throw .unreadable(error) }
        guard count == part.count else {
            throw .truncated(file: record.name, foundBytes: position + count, expectedBytes: record.bytes)
        }
        position += part.count
    }

    mutating func skip(_ count: Int) throws(CheckpointDamage) {
        var rest = count
        while rest > 0 {
            let part = UnsafeMutableRawBufferPointer(rebasing: freePiece().prefix(rest))
            try fill(part)
            hasher.add(UnsafeRawBufferPointer(part)) { [free] in free.signal() }
            rest -= part.count
        }
    }

    /// The next piece of the scratch memory; waits until it is free.
    private mutating func freePiece() -> UnsafeMutableRawBufferPointer {
        if scratch == nil {
            scratch = .allocate(byteCount: Self.scratchPieces * PieceHasher.pieceBytes, alignment: 4096)
            for _ in 0..<Self.scratchPieces { free.signal() }
        }
        free.wait()
        defer { nextPiece = (nextPiece + 1) % Self.scratchPieces }
        return UnsafeMutableRawBufferPointer(rebasing: scratch![nextPiece * PieceHasher.pieceBytes..<(nextPiece + 1) * PieceHasher.pieceBytes])
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
        try byteArray(count) { buffer throws(CheckpointDamage) in
            // The array goes where it likes.
            defer { hasher.wait() }
            try read(into: buffer)
        }
    }

    /// Ends the reading, for which every byte must have been read or skipped.
    consuming func finish() throws(CheckpointDamage) {
        precondition(position == record.bytes, "\(record.name) read up to \(position) of \(record.bytes) bytes")
        let found = hasher.finish()
        if let piece = record.crc32c.indices.first(where: { found.crc32c[$0] != record.crc32c[$0] }) {
            throw .contents(file: record.name, mebibyte: piece, of: record.crc32c.count)
        }
        guard found.sha256 == record.sha256 else { throw .digest(file: record.name, found: found.sha256, expected: record.sha256) }
    }
}
