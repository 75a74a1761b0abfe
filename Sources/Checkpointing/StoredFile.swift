import CSystem
import Glibc
import RunSpec

/// A file of a checkpoint as its manifest records it.
package struct FileRecord: Codable, Hashable, Sendable {
    package let name: String
    package let bytes: Int
    package let sha256: String
    /// CRC-32C of every MiB of the file in order, the last one possibly shorter: tells where damage is.
    package let crc32c: [UInt32]
}

/// Writes one file in pieces of 1 MiB. Its hashes are those of the bytes handed to the disk, also if the source
/// changed meanwhile.
package struct FileWriter: ~Copyable {
    static let pieceBytes = PieceHasher.pieceBytes
    private let storage: any Storage
    private let file: OpenFile
    private let hasher = PieceHasher()
    /// The piece that is being filled.
    private var piece: UnsafeMutableRawBufferPointer, filled = 0
    private(set) var bytes = 0

    /// Creates `path`, lets `fill` append, and returns when the contents are durable. The name is durable only
    /// after its folder is synced. After a failure the file may be there in part.
    static func write(
        _ path: String, to storage: any Storage, fill: (inout FileWriter) throws(StorageError) -> Void
    ) throws(StorageError) -> FileRecord {
        let file = try storage.create(path)
        let record: FileRecord
        do throws(StorageError) {
            var writer = FileWriter(storage: storage, file: file)
            try fill(&writer)
            try writer.flush()
            try storage.sync(file)
            record = writer.finish()
        } catch {
            try? storage.close(file)
            throw error
        }
        try storage.close(file)
        return record
    }

    /// `write` of bytes that are all there.
    package static func write(_ bytes: [UInt8], to path: String, storage: any Storage = DiskStorage()) throws(StorageError) {
        _ = try write(path, to: storage) { writer throws(StorageError) in
            try bytes.span.withUnsafeBytes { bytes throws(StorageError) in try writer.append(bytes) }
        }
    }

    private init(storage: any Storage, file: OpenFile) {
        self.storage = storage
        self.file = file
        piece = hasher.buffer()
    }

    mutating func append(_ source: UnsafeRawBufferPointer) throws(StorageError) {
        bytes += source.count
        var rest = source[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.pieceBytes - filled)
            piece[filled...].copyBytes(from: part)
            filled += part.count
            rest = rest.dropFirst(part.count)
            if filled == Self.pieceBytes { try flush() }
        }
    }

    private mutating func flush() throws(StorageError) {
        if filled == 0 { return }
        let all = UnsafeRawBufferPointer(rebasing: piece[..<filled])
        // Hashed while it is written.
        hasher.add(own: all)
        var written = 0
        while written < filled { written += try storage.write(UnsafeRawBufferPointer(rebasing: all[written...]), to: file) }
        (piece, filled) = (hasher.buffer(), 0)
    }

    private consuming func finish() -> FileRecord {
        let name = file.path.split(separator: "/").last ?? "", hashes = hasher.finish()
        return FileRecord(name: String(name), bytes: bytes, sha256: hashes.sha256, crc32c: hashes.crc32c)
    }
}

/// A file open for reading, closed at the end of its life.
struct ReadableFile: ~Copyable {
    let path: String
    let size: Int
    private let descriptor: Int32

    init(_ path: String) throws(StorageError) {
        // Without O_NONBLOCK the wait for a named pipe's writer has no end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw StorageError(.open, path) }
        var status = stat()
        let found = fstat(descriptor, &status) == 0, kind = status.st_mode & S_IFMT
        guard found, kind == S_IFREG else {
            let error = found ? StorageError(.read, path, code: kind == S_IFDIR ? EISDIR : EINVAL) : StorageError(.open, path)
            close(descriptor)
            throw error
        }
        self.path = path
        size = status.st_size
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Fills `buffer` from byte `offset` on. How many bytes were read: fewer only where the file ends.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(StorageError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, offset + done)
            if count == 0 { break }
            if count > 0 { done += count } else if errno != EINTR { throw StorageError(.read, path) }
        }
        return done
    }
}

/// `count` bytes that `fill` writes.
func byteArray<Failure: Error>(
    _ count: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count), span = bytes.mutableSpan
    try span.withUnsafeMutableBytes(fill)
    return bytes
}

/// Names in the folder, without "." and "..", in no order.
func names(in path: String) throws(StorageError) -> [String] {
    guard let directory = opendir(path) else { throw StorageError(.list, path) }
    defer { closedir(directory) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = readdir(directory) else { break }
        let bytes = UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
        let name = String(cString: bytes.assumingMemoryBound(to: CChar.self))
        if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw StorageError(.list, path) }
    return names
}
