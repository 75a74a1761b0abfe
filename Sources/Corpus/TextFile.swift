import Foundation
import RunSpec

/// Whole files and standard input as bytes.
enum TextFile {
    /// The path that stands for standard input.
    static let standardInput = "-"

    /// How messages name a path.
    static func name(_ path: String) -> String { path == standardInput ? "standard input" : path }

    /// All bytes of the file at `path`, or of standard input for "-". `.missing` if it does not exist,
    /// `.badInput` if it is a directory or cannot be read. `role` says what the file is for: "text file".
    static func bytes(of path: String, called role: String) throws(UserError) -> [UInt8] {
        if path == standardInput { return try readAll(STDIN_FILENO, role: role, path: path) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR {
                throw UserError(.missing, "\(role) \(path) does not exist; check the path")
            }
            throw UserError(.badInput, "cannot open \(role) \(path): \(errorText()); check its permissions")
        }
        defer { close(descriptor) }
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            throw UserError(.badInput, "\(role) \(path) is a directory; name the files in it")
        }
        return try readAll(descriptor, role: role, path: path)
    }

    private static func readAll(_ descriptor: Int32, role: String, path: String) throws(UserError) -> [UInt8] {
        let blockBytes = 1 << 20
        var bytes: [UInt8] = [], block = [UInt8](repeating: 0, count: blockBytes)
        while true {
            let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, blockBytes) }
            if count > 0 {
                bytes.append(contentsOf: block[..<count])
            } else if count == 0 {
                return bytes
            } else if errno == EINTR {
                // Only a signal that the program has asked to be told of comes here.
                throw UserError(.interrupted, "interrupted while reading \(name(path))")
            } else {
                throw UserError(.badInput, "cannot read \(role) \(name(path)) at byte \(bytes.count): \(errorText())")
            }
        }
    }

    /// The C library's words for `errno`, in lower case.
    static func errorText() -> String { String(cString: strerror(errno)).lowercased() }
}
