import CSystem
import Dispatch
import RunSpec

/// Hashes the bytes of one file on another thread: whoever writes or reads them goes on meanwhile. Called from one
/// thread; what the other one needs is read after it is done.
final class PieceHasher: @unchecked Sendable {
    static let pieceBytes = 1 << 20

    private let queue = DispatchQueue(label: "headway.hash")
    // The queue's own.
    private var sha256: SHA256Stream? = SHA256Stream()
    private var crc32c: [UInt32] = [], current: UInt32 = 0, hashed = 0

    /// The next bytes of the file, which must stay as they are until `finish` or `wait`.
    /// - Parameter done: called on the other thread once they are hashed.
    func add(_ bytes: UnsafeRawBufferPointer, done: (@Sendable () -> Void)? = nil) {
        nonisolated(unsafe) let bytes = bytes
        queue.async { [self] in
            update(bytes)
            done?()
        }
    }

    /// Returns when everything that was added is hashed.
    func wait() { queue.sync {} }

    /// The file's SHA-256 and the CRC-32C of each of its MiB.
    func finish() -> (sha256: String, crc32c: [UInt32]) {
        queue.sync {
            if hashed % Self.pieceBytes != 0 { crc32c.append(current) }
            return (sha256.take()!.finish(), crc32c)
        }
    }

    private func update(_ bytes: UnsafeRawBufferPointer) {
        sha256!.update(bytes)
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.pieceBytes - hashed % Self.pieceBytes))
            current = cs_crc32c(current, part.baseAddress, part.count)
            hashed += part.count
            rest = rest.dropFirst(part.count)
            if hashed % Self.pieceBytes == 0 {
                crc32c.append(current)
                current = 0
            }
        }
    }
}
