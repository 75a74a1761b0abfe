import CSystem
import RunSpec

/// Hashes the bytes of one file on another thread: whoever writes or reads them goes on meanwhile. Called from one
/// thread; what the other one needs is read after it is done.
final class PieceHasher: @unchecked Sendable {
    static let pieceBytes = 1 << 20
    /// What stays in a core's own cache from one hash to the other.
    private static let blockBytes = 1 << 17

    /// From the first piece on that is worth one.
    private var thread: SerialThread?
    // The other thread's own, once there is one.
    private var sha256: SHA256Stream? = SHA256Stream()
    private var crc32c: [UInt32] = [], current: UInt32 = 0, hashed = 0

    /// The next bytes of the file, which must stay as they are until `finish` or `wait`.
    /// - Parameter done: called once they are hashed, perhaps on the other thread.
    func add(_ bytes: UnsafeRawBufferPointer, done: (@Sendable () -> Void)? = nil) {
        if thread == nil, bytes.count < Self.blockBytes {
            update(bytes)
            done?()
            return
        }
        let thread = thread ?? SerialThread()
        self.thread = thread
        nonisolated(unsafe) let bytes = bytes
        thread.add { [self] in
            update(bytes)
            done?()
        }
    }

    /// Returns when everything that was added is hashed.
    func wait() { thread?.wait() }

    /// The file's SHA-256 and the CRC-32C of each of its MiB.
    func finish() -> (sha256: String, crc32c: [UInt32]) {
        wait()
        if hashed % Self.pieceBytes != 0 { crc32c.append(current) }
        return (sha256.take()!.finish(), crc32c)
    }

    private func update(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(min(Self.blockBytes, Self.pieceBytes - hashed % Self.pieceBytes)))
            sha256!.update(part)
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
