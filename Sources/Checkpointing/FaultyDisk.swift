import CSystem
import Glibc
import RunSpec

/// The disk of one checkpoint writer with what can be wrong with a disk. It is a sound one until it is told otherwise.
package final class FaultyDisk: Storage {
    /// A slow disk takes its bytes in so many portions a second: whoever watches the process sees it move.
    private static let portionsPerSecond = 20.0

    private let disk: any Storage
    private let roomBytes: Int
    /// The folder made last: the checkpoint's temporary one, once its files are written.
    private var folder = ""
    private var isMounted = false, isFull = false
    /// What a disk that fills up without the kernel's help still takes.
    private var leftBytes: Int?
    private var bytesPerSecond: Double?

    /// - Parameter roomBytes: what goes into the checkpoint's folder before the disk is full, if it fills up.
    package init(_ disk: any Storage = DiskStorage(), roomBytes: Int) { (self.disk, self.roomBytes) = (disk, roomBytes) }

    // MARK: What can go wrong

    /// The folder gets a file system of its own, too small for the checkpoint, in mounts that only this thread sees and that
    /// go with it. Where that is refused, writes fail without the kernel.
    package func fill() -> Fault.Mechanism {
        isMounted = cs_own_mounts() == 0 && cs_mount_tmpfs(folder, roomBytes) == 0
        if isMounted { return .tmpfs }
        leftBytes = roomBytes
        return .storage
    }

    package func slow(to bytesPerSecond: Double) -> Fault.Mechanism {
        self.bytesPerSecond = bytesPerSecond
        return .storage
    }

    /// Cuts off the second half of a file that was synced, as a disk does that only says it wrote. nil when it cannot.
    package func tear() -> Fault.Mechanism? {
        let path = "\(folder)/\(CheckpointFile.optimizer.rawValue)"
        guard let bytes = try? ReadableFile(path).size, truncate(path, bytes / 2) == 0 else { return nil }
        return .file
    }

    /// Turns over one bit in the middle of a file. nil when it cannot.
    package func flip() -> Fault.Mechanism? {
        let descriptor = open("\(folder)/\(CheckpointFile.weights.rawValue)", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = Glibc.close(descriptor) }
        let place = lseek(descriptor, 0, SEEK_END) / 2
        var byte: UInt8 = 0
        guard pread(descriptor, &byte, 1, place) == 1 else { return nil }
        byte ^= 1 << 4
        return pwrite(descriptor, &byte, 1, place) == 1 ? .file : nil
    }

    // MARK: Storage

    package func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int {
        let began = MonotonicClock.nanoseconds()
        var most = bytes.count
        if let leftBytes { most = min(most, leftBytes) }
        if let bytesPerSecond { most = min(most, max(1, Int(bytesPerSecond / Self.portionsPerSecond))) }
        do throws(StorageError) {
            if most == 0 && !bytes.isEmpty { throw StorageError(.write, file.path, code: ENOSPC) }
            let written = try disk.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(most)), to: file)
            if let leftBytes { self.leftBytes = leftBytes - written }
            if let bytesPerSecond { MonotonicClock.sleep(until: began + UInt64(Double(written) / bytesPerSecond * 1e9)) }
            return written
        } catch {
            if error.isDiskFull { isFull = true }
            throw error
        }
    }

    package func makeDirectory(_ path: String) throws(StorageError) {
        try disk.makeDirectory(path)
        folder = path
    }

    package func remove(_ path: String) throws(StorageError) {
        // What was mounted on has its files elsewhere, and cannot be removed.
        if isMounted && path == folder { isMounted = cs_unmount(path) != 0 }
        try disk.remove(path)
    }

    package func availableBytes(in path: String) throws(StorageError) -> Int { isFull ? 0 : try disk.availableBytes(in: path) }

    package func create(_ path: String) throws(StorageError) -> OpenFile { try disk.create(path) }
    package func sync(_ file: OpenFile) throws(StorageError) { try disk.sync(file) }
    package func sync(_ files: [OpenFile], _ folders: [String]) throws(StorageError) { try disk.sync(files, folders) }
    package func close(_ file: OpenFile) throws(StorageError) { try disk.close(file) }
    package func syncDirectory(_ path: String) throws(StorageError) { try disk.syncDirectory(path) }
    package func rename(_ from: String, to: String) throws(StorageError) { try disk.rename(from, to: to) }
}
