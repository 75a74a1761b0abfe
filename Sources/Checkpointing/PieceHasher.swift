import CSystem
import Dispatch
import RunSpec

/// Hashes the bytes of one file, piece by piece, on another thread: whoever writes or reads them goes on meanwhile.
/// Called from one thread; what the other one needs is read after it is done.
final class PieceHasher: @unchecked Sendable {
    static let pieceBytes = 1 << 20
    /// Pieces that may wait to be hashed.
    private static let depth = 4

    private let queue = DispatchQueue(label: "headway.hash")
    private let free = DispatchSemaphore(value: 0)
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: depth * pieceBytes, alignment: 4096)
    private var next = 0
    // The queue's own.
    private var sha256: SHA256Stream? = SHA256Stream()
    private var crc32c: [UInt32] = [], current: UInt32 = 0, hashed = 0

    init() { for _ in 0..<Self.depth { free.signal() } }

    deinit { memory.deallocate() }

    /// A MiB of memory that is free until it is given to `add(own:)`; waits until there is one.
    func buffer() -> UnsafeMutableRawBufferPointer {
        free.wait()
        defer { next = (next + 1) % Self.depth }
        return UnsafeMutableRawBufferPointer(rebasing: memory[next * Self.pieceBytes..<(next + 1) * Self.pieceBytes])
    }

    /// A first part of the last `buffer` is the next part of the file; the buffer is free again once it is hashed.
    func add(own bytes: UnsafeRawBufferPointer) {
        nonisolated(unsafe) let bytes = bytes
        queue.async { [self] in
            update(bytes)
            free.signal()
        }
    }

    /// The next bytes of the file, which must stay as they are until `finish` or `wait`.
    func add(_ bytes: UnsafeRawBufferPointer) {
        nonisolated(unsafe) let bytes = bytes
        queue.async { [self] in update(bytes) }
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
