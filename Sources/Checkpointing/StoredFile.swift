import Glibc

/// A file of a checkpoint as its manifest records it.
package struct FileRecord: Codable, Hashable, Sendable {
    package let name: String
    package let bytes: Int
    package let sha256: String
    /// CRC-32C of every MiB of the file in order, the last one possibly shorter: tells where damage is.
    package let crc32c: [UInt32]
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
