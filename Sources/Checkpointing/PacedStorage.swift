import Glibc
import RunSpec

/// A disk with a limit on the bytes a second that are handed to it, so that writing takes no more than a
/// part of its bandwidth, nor of the memory's. The disk must begin with what it is given at once, as
/// `DiskStorage` has it do: else the kernel would keep it, and the sync would hand it over in one go.
package struct PacedStorage: Storage {
    private let disk: any Storage
    private let bytesPerSecond: Double

    /// - Parameter bytesPerSecond: 0 for no limit.
    package init(_ disk: any Storage = DiskStorage(), bytesPerSecond: Double) { (self.disk, self.bytesPerSecond) = (disk, bytesPerSecond) }

    package func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int {
        let began = MonotonicClock.nanoseconds(), written = try disk.write(bytes, to: file)
        guard bytesPerSecond > 0 else { return written }
        MonotonicClock.sleep(until: began + UInt64(Double(written) / bytesPerSecond * 1e9))
        return written
    }

    package func makeDirectory(_ path: String) throws(StorageError) { try disk.makeDirectory(path) }
    package func create(_ path: String) throws(StorageError) -> OpenFile { try disk.create(path) }
    package func sync(_ file: OpenFile) throws(StorageError) { try disk.sync(file) }
    package func sync(_ files: [OpenFile], _ folders: [String]) throws(StorageError) { try disk.sync(files, folders) }
    package func close(_ file: OpenFile) throws(StorageError) { try disk.close(file) }
    package func syncDirectory(_ path: String) throws(StorageError) { try disk.syncDirectory(path) }
    package func rename(_ from: String, to: String) throws(StorageError) { try disk.rename(from, to: to) }
    package func remove(_ path: String) throws(StorageError) { try disk.remove(path) }
    package func availableBytes(in path: String) throws(StorageError) -> Int { try disk.availableBytes(in: path) }
}
