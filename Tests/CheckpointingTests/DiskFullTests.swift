import Checkpointing
import Foundation
import Testing

@Suite struct DiskFullTests {
    /// Saves 480 beside an intact 460 and expects to be told that the disk is full, with nothing left behind.
    private func expectDiskFull(_ store: CheckpointStore, previous: Checkpoint, availableBytes: Int? = nil) throws {
        do throws(CheckpointError) {
            try store.saveSample(step: 480)
            Issue.record("the save did not fail")
        } catch {
            guard case .diskFull(480, let path, let needed, let available) = error else { throw error }
            #expect(path == store.folder)
            #expect(needed > previous.manifest.bytes && needed < previous.manifest.bytes + 8192)
            if let availableBytes { #expect(available == availableBytes) }
            let sentence = "no room for checkpoint step-480 in \(path): \(needed) bytes needed, \(available) available"
            #expect("\(error)".hasPrefix(sentence) && error.userError.status == .unwritable)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder) == ["step-0000000460"])
        #expect(try store.newestValid().checkpoint == previous)
    }

    @Test(arguments: [0, 1, 2, 9, 16, 17])
    func `a disk that fills at the nth write is reported, and nothing is left behind`(write: Int) throws {
        let run = try TemporaryFolder(), storage = FaultyStorage()
        let store = CheckpointStore(folder: run.path + "/checkpoints", storage: storage)
        let previous = try CheckpointStore(folder: store.folder).saveSample(step: 460)
        var writes = 0
        storage.fault = { _, call in
            guard case .write = call else { return nil }
            defer { writes += 1 }
            return writes == write ? ENOSPC : nil
        }
        try expectDiskFull(store, previous: previous)
        #expect(storage.faultsFired == 1)
    }

    @Test func `a disk without room is not filled first`() throws {
        let run = try TemporaryFolder(), storage = FaultyStorage()
        let store = CheckpointStore(folder: run.path + "/checkpoints", storage: storage)
        let previous = try CheckpointStore(folder: store.folder).saveSample(step: 460)
        storage.reportedAvailableBytes = 4096
        try expectDiskFull(store, previous: previous, availableBytes: 4096)
        #expect(!storage.calls.contains { if case .create = $0 { true } else { false } })
    }

    /// A file system of 6 MiB in memory, where the system lets this user mount one.
    private final class SmallDisk {
        let folder: TemporaryFolder

        init?() throws {
            folder = try TemporaryFolder()
            guard mount("none", folder.path, "tmpfs", 0, "size=6m") == 0 else { return nil }
        }
        deinit { umount2(folder.path, Int32(MNT_DETACH)) }
    }

    private static let mountable = (try? SmallDisk()) != nil

    @Test(.enabled(if: mountable, "this user may not mount a small file system"), arguments: [false, true])
    func `a file system that is really full is reported, and nothing is left behind`(written: Bool) throws {
        let disk = try #require(try SmallDisk()), storage = FaultyStorage()
        let store = CheckpointStore(folder: disk.folder.path + "/checkpoints", storage: storage)
        let previous = try store.saveSample(step: 460)
        let before = storage.calls.count
        // Once as it is, and once with room promised, so that the write itself meets the end of the disk.
        if written { storage.reportedAvailableBytes = 1 << 30 }
        try expectDiskFull(store, previous: previous)
        let wrote = storage.calls[before...].contains { if case .write = $0 { true } else { false } }
        #expect(wrote == written)
    }
}
