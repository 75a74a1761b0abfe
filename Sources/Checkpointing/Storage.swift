import CSystem
import Glibc
import Synchronization

/// One call to the file system that failed.
package struct StorageError: Error, Hashable, CustomStringConvertible, Sendable {
    package enum Operation: String, Sendable {
        case makeDirectory = "make the folder", create, open, read, write, sync, close, rename, remove, list
        case syncDirectory = "sync the folder", measure = "ask for the free space of"
    }
    package let operation: Operation
    package let path: String
    /// The value of `errno`.
    package let code: Int32

    package init(_ operation: Operation, _ path: String, code: Int32 = errno) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// Whether the disk, or the user's share of it, is full.
    package var isDiskFull: Bool { code == ENOSPC || code == EDQUOT }
    /// Whether there is nothing of this name.
    var isAbsence: Bool { code == ENOENT || code == ENOTDIR }
    package var description: String {
        "cannot \(operation.rawValue) \(path): \(String(cString: strerror(code)).lowercased()) (errno \(code))"
    }
}

/// A file open for writing. The descriptor means something only to the storage that made it.
package struct OpenFile: Hashable, Sendable {
    package let path: String
    package let descriptor: Int32

    package init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }
}

/// Every call by which a checkpoint changes the disk, and nothing else: a twin that records or fails these calls
/// sees all the states a crash can leave. Reading goes to the file system directly.
package protocol Storage {
    func makeDirectory(_ path: String) throws(StorageError)
    /// Opens `path` for writing, empty.
    func create(_ path: String) throws(StorageError) -> OpenFile
    /// Writes a first part of `bytes`, at least one byte of a non-empty buffer; how many were written.
    func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int
    /// Returns when the contents and the size of `file` are durable. After a failure the kernel may have dropped
    /// the pages: the file is lost, and a second call that succeeds proves nothing.
    func sync(_ file: OpenFile) throws(StorageError)
    /// `sync` of the files and `syncDirectory` of the folders, in any order or at once.
    func sync(_ files: [OpenFile], _ folders: [String]) throws(StorageError)
    func close(_ file: OpenFile) throws(StorageError)
    /// Returns when the names in the folder are durable.
    func syncDirectory(_ path: String) throws(StorageError)
    /// Atomic; replaces a file, not a folder with contents.
    func rename(_ from: String, to: String) throws(StorageError)
    /// Removes a file or a folder with all it contains. Nothing there is fine.
    func remove(_ path: String) throws(StorageError)
    /// Bytes that an unprivileged process may still write in the folder's file system.
    func availableBytes(in path: String) throws(StorageError) -> Int
}

extension Storage {
    package func sync(_ files: [OpenFile], _ folders: [String]) throws(StorageError) {
        for file in files { try sync(file) }
        for folder in folders { try syncDirectory(folder) }
    }
}

/// The file system of this machine.
package struct DiskStorage: Storage, Sendable {
    package init() {}

    package func makeDirectory(_ path: String) throws(StorageError) {
        guard mkdir(path, 0o755) == 0 else { throw StorageError(.makeDirectory, path) }
    }

    package func create(_ path: String) throws(StorageError) -> OpenFile {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StorageError(.create, path) }
        return OpenFile(path: path, descriptor: descriptor)
    }

    package func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int {
        while true {
            let written = Glibc.write(file.descriptor, bytes.baseAddress, bytes.count)
            if written > 0 || bytes.isEmpty && written == 0 {
                // The disk begins now, not when `sync` waits for it; whether it can is its own affair.
                cs_start_writeback(file.descriptor)
                return written
            }
            // No progress and no error cannot last: it is taken for a full device.
            guard written < 0 else { throw StorageError(.write, file.path, code: ENOSPC) }
            if errno != EINTR { throw StorageError(.write, file.path) }
        }
    }

    package func sync(_ file: OpenFile) throws(StorageError) {
        guard fdatasync(file.descriptor) == 0 else { throw StorageError(.sync, file.path) }
    }

    /// Each waits for the journal and for the disk to empty its cache: at once they wait for the same.
    package func sync(_ files: [OpenFile], _ folders: [String]) throws(StorageError) {
        let failure = Mutex<StorageError?>(nil)
        func noting(_ call: @escaping @Sendable () throws(StorageError) -> Void) -> SerialThread.Work {
            { do throws(StorageError) { try call() } catch { failure.withLock { $0 = $0 ?? error } } }
        }
        SerialThread.concurrently(
            files.map { file in noting { () throws(StorageError) in try sync(file) } }
                + folders.map { folder in noting { () throws(StorageError) in try syncDirectory(folder) } })
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    package func close(_ file: OpenFile) throws(StorageError) {
        guard Glibc.close(file.descriptor) == 0 else { throw StorageError(.close, file.path) }
    }

    package func syncDirectory(_ path: String) throws(StorageError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError(.syncDirectory, path) }
        defer { _ = Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw StorageError(.syncDirectory, path) }
    }

    package func rename(_ from: String, to: String) throws(StorageError) {
        guard Glibc.rename(from, to) == 0 else { throw StorageError(.rename, from) }
    }

    package func remove(_ path: String) throws(StorageError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR else { throw StorageError(.remove, path) }
        for name in try names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 else { throw StorageError(.remove, path) }
    }

    package func availableBytes(in path: String) throws(StorageError) -> Int {
        var volume = statvfs()
        guard statvfs(path, &volume) == 0 else { throw StorageError(.measure, path) }
        // Some network and user-space file systems report no sizes at all.
        return volume.f_blocks == 0 ? .max : Int(clamping: UInt64(volume.f_bavail) * UInt64(volume.f_frsize))
    }
}
