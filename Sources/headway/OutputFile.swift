import Foundation
import RunSpec

/// Where a command puts a result that is not for the terminal.
struct OutputFile {
    let option: String, path: String

    /// - Parameter option: the flag that named it, for messages.
    init(_ option: String, _ path: String) { (self.option, self.path) = (option, path) }

    /// Writes to the file, or to standard output for `-`. Says what was written where.
    func save(_ text: String) throws {
        if path == "-" { return say(text, terminator: "") }
        let data = Data(text.utf8)
        try replace(with: data)
        say("\(path): \(data.count) bytes")
    }

    private func refuse(_ reason: String) -> UserError { UserError(.unwritable, "\(option) \(path) cannot be written: \(reason)") }

    /// Writes a file whole or not at all; what is not a regular file, like a terminal or a pipe, is written to.
    func replace(with data: Data) throws {
        var status = stat()
        let isThere = stat(path, &status) == 0
        if isThere, status.st_mode & S_IFMT == S_IFDIR { throw refuse("it is a directory") }
        let direct = isThere && status.st_mode & S_IFMT != S_IFREG, target = direct ? path : "\(path).\(getpid()).partial"
        let fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | (direct ? 0 : O_EXCL), 0o644)
        guard fd >= 0 else { throw refuse(String(cString: strerror(errno))) }
        var failed: Int32 = 0, done = 0
        data.withUnsafeBytes { bytes in
            while done < bytes.count, failed == 0 {
                let count = write(fd, bytes.baseAddress! + done, bytes.count - done)
                if count >= 0 { done += count } else if errno != EINTR { failed = errno }
            }
        }
        if close(fd) != 0, failed == 0 { failed = errno }
        if failed == 0, !direct, rename(target, path) != 0 { failed = errno }
        guard failed == 0 else {
            if !direct { unlink(target) }
            throw refuse(String(cString: strerror(failed)))
        }
    }

    /// Makes the path a folder, if it is none yet.
    func makeFolder() throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            throw refuse("it cannot be made a folder: \(underlying.map { String(cString: strerror(Int32($0.code))) } ?? "a file is in the way")")
        }
    }
}
