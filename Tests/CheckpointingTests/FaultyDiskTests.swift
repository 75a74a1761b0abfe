import Checkpointing
import Foundation
import RunSpec
import Testing

@Suite struct FaultyDiskTests {
    private let run: TemporaryFolder, previous: Checkpoint

    init() throws {
        let store: CheckpointStore
        (run, store) = try TemporaryFolder.withStore()
        previous = try store.saveSample(step: 460)
    }

    private func save(_ disk: FaultyDisk, progress: (SaveProgress) -> Void) throws -> CheckpointStore {
        let store = CheckpointStore(folder: run.path + "/checkpoints", storage: disk)
        try store.saveSample(step: 480, progress: progress)
        return store
    }

    /// A whole 480 was announced, and is refused when it is read.
    private func expectRefused(_ store: CheckpointStore, _ damage: CheckpointDamage) throws {
        let found = try store.newestValid()
        #expect(found.checkpoint == previous && found.rejected.map(\.damage) == [damage] && found.rejected.map(\.fallback) == [460])
    }

    @Test func `a disk of which nothing is wrong is a disk`() throws {
        let store = try save(FaultyDisk(roomBytes: 0)) { _ in }
        #expect(try store.newestValid().checkpoint?.step == 480)
    }

    @Test func `a torn file is half a file when somebody reads it`() throws {
        let disk = FaultyDisk(roomBytes: 0)
        var mechanism: Fault.Mechanism?
        let store = try save(disk) { if $0 == .rename { mechanism = disk.tear() } }
        let bytes = previous.manifest.files.first { $0.name == "optimizer.safetensors" }!.bytes
        #expect(mechanism == .file)
        try expectRefused(store, .truncated(file: "optimizer.safetensors", foundBytes: bytes / 2, expectedBytes: bytes))
    }

    @Test func `a flipped bit is in the middle of the weights`() throws {
        let disk = FaultyDisk(roomBytes: 0)
        var mechanism: Fault.Mechanism?
        let store = try save(disk) { if $0 == .rename { mechanism = disk.flip() } }
        #expect(mechanism == .file)
        try expectRefused(store, .contents(file: "weights.safetensors", mebibyte: 0, of: 2))
    }

    @Test func `nothing is torn or flipped where there is no file`() {
        let disk = FaultyDisk(roomBytes: 0)
        #expect(disk.tear() == nil && disk.flip() == nil)
    }

    /// In a thread of its own, with which its mounts go.
    @Test func `a disk that fills up fails the save in the middle of its files, and leaves nothing`() async throws {
        let path = run.path + "/checkpoints", room = previous.manifest.bytes / 2
        let (said, mechanism, wasFull) = await withCheckedContinuation { (done: CheckedContinuation<(String, Fault.Mechanism?, Bool), Never>) in
            Thread {
                let disk = FaultyDisk(roomBytes: room), store = CheckpointStore(folder: path, storage: disk)
                var mechanism: Fault.Mechanism?, said = "", written = 0
                do throws(CheckpointError) {
                    try store.saveSample(step: 480) {
                        if $0 == .files { mechanism = disk.fill() }
                        if case .writing(let bytes, _) = $0 { written = bytes }
                    }
                } catch {
                    said = "\(error)"
                }
                done.resume(returning: (said, mechanism, written > room / 2))
            }.start()
        }
        #expect(said.hasPrefix("no room for checkpoint step-480 in \(path): ") && said.contains(", 0 available;") && wasFull, "\(said)")
        #expect(mechanism == .tmpfs || mechanism == .storage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["step-0000000460"])
    }
}
