import RunSpec

/// Writes one file in pieces, from memory that must stay as it is while the writer lives. Its hashes are those of the
/// memory, taken on another thread meanwhile; several files are written side by side, so that each has such a thread.
package final class FileWriter {
    private static let pieceBytes = PieceHasher.pieceBytes
    let file: OpenFile, bytes: Int
    private(set) var written = 0
    private let storage: any Storage
    private let head: UnsafeMutableRawBufferPointer
    /// What is still to be written.
    private var rest: ArraySlice<UnsafeRawBufferPointer>
    private let hasher = PieceHasher()
    private var isOpen = true

    /// Creates `path`. The contents are `head`, which is copied, and the parts; parts that adjoin in memory are one.
    init(_ path: String, _ head: [UInt8], _ parts: [UnsafeRawBufferPointer] = [], on storage: any Storage) throws(StorageError) {
        file = try storage.create(path)
        self.storage = storage
        self.head = .allocate(byteCount: head.count, alignment: 16)
        self.head.copyBytes(from: head)
        bytes = parts.reduce(head.count) { $0 + $1.count }
        var joined = [UnsafeRawBufferPointer(self.head)]
        for part in parts {
            if let last = joined.last, joined.count > 1, last.baseAddress! + last.count == part.baseAddress {
                joined[joined.count - 1] = UnsafeRawBufferPointer(start: last.baseAddress, count: last.count + part.count)
            } else {
                joined.append(part)
            }
        }
        rest = joined.filter { !$0.isEmpty }[...]
    }

    deinit {
        hasher.wait()
        head.deallocate()
        if isOpen { try? storage.close(file) }
    }

    /// Writes the next piece of the file of which least is written, until all of all is. Durable it is not.
    static func write(_ files: [FileWriter], progress: (_ bytes: Int) -> Void = { _ in }) throws(StorageError) {
        func share(_ file: FileWriter) -> Double { Double(file.written) / Double(file.bytes) }
        while let next = files.filter({ !$0.rest.isEmpty }).min(by: { share($0) < share($1) }) {
            try next.writePiece()
            progress(files.reduce(0) { $0 + $1.written })
        }
    }

    private func writePiece() throws(StorageError) {
        // To the next MiB of the file: a page that is on its way to the disk is not touched again.
        let part = rest.removeFirst(), piece = UnsafeRawBufferPointer(rebasing: part.prefix(Self.pieceBytes - written % Self.pieceBytes))
        if piece.count < part.count { rest.insert(UnsafeRawBufferPointer(rebasing: part.dropFirst(piece.count)), at: rest.startIndex) }
        // Hashed while it is written.
        hasher.add(piece)
        var done = 0
        while done < piece.count { done += try storage.write(UnsafeRawBufferPointer(rebasing: piece[done...]), to: file) }
        written += piece.count
    }

    func close() throws(StorageError) {
        isOpen = false
        try storage.close(file)
    }

    /// Of what was written, once that is all. Waits for its hashes.
    func record() -> FileRecord {
        precondition(rest.isEmpty, "\(written) of \(bytes) bytes of \(file.path) are written")
        let name = file.path.split(separator: "/").last ?? "", hashes = hasher.finish()
        return FileRecord(name: String(name), bytes: bytes, sha256: hashes.sha256, crc32c: hashes.crc32c)
    }
}

extension FileWriter {
    /// Makes the file and returns when its contents are durable. Its name is durable only after its folder is synced.
    /// After a failure the file may be there in part.
    func writeDurably() throws(StorageError) -> FileRecord {
        try Self.write([self])
        try storage.sync(file)
        try close()
        return record()
    }

    package static func write(_ bytes: [UInt8], to path: String, storage: any Storage = DiskStorage()) throws(StorageError) {
        _ = try FileWriter(path, bytes, on: storage).writeDurably()
    }
}
