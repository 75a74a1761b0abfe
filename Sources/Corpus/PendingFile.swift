import Foundation
import RunSpec

/// A file that appears whole or not at all: it is written under a temporary name in its folder, flushed to the
/// disk, and renamed. Dropped before `commit`, it removes what it wrote.
struct PendingFile: ~Copyable {
    let path: String
    private let temporary: String
    private let descriptor: Int32
    private var isFlushed = false
    private var isCommitted = false

    /// Opens the temporary file; `.unwritable` if the folder does not take it.
    init(_ path: String) throws(UserError) {
        self.path = path
        temporary = "\(path).tmp-\(getpid())"
        descriptor = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw Self.failure("create", path) }
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(temporary) }
    }

    /// Writes all of `bytes` at byte `offset`.
    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(UserError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, offset + done)
            if count >= 0 { done += count } else if errno != EINTR { throw Self.failure("write", path) }
        }
        isFlushed = false
    }

    mutating func write(_ bytes: [UInt8], at offset: Int) throws(UserError) {
        var failure: UserError?
        bytes.withUnsafeBytes { buffer in
            do throws(UserError) { try write(buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Forces the content to the disk. A failure is final: the kernel may have dropped the pages.
    mutating func flush() throws(UserError) {
        guard fsync(descriptor) == 0 else { throw Self.failure("flush", path) }
        isFlushed = true
    }

    /// Gives the flushed file its name, in place of an older file of that name.
    mutating func commit() throws(UserError) {
        precondition(isFlushed, "commit of \(path) before flush")
        guard rename(temporary, path) == 0 else { throw Self.failure("rename", path) }
        isCommitted = true
    }

    /// Makes renames in `folder` durable.
    static func flushFolder(_ folder: String) throws(UserError) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("flush", folder) }
    }

    static func failure(_ action: String, _ path: String) -> UserError {
        let reason = TextFile.errorText()
        return UserError(
            .unwritable, "cannot \(action) \(path): \(reason); check free space and permissions, or use another folder")
    }
}
