import Checkpointing
import Foundation
import Testing

/// Checkpoints 440, 460 and 480 of a few pages, small enough to damage everywhere.
@Suite struct SmallDamageTests {
    let run: TemporaryFolder
    let store: CheckpointStore

    init() throws {
        (run, store) = try TemporaryFolder.withStore(inMemory: true)
        for step in [440, 460, 480] { try store.saveSmall(step, "state-\(step)") }
    }

    /// Both ways of restoring take `step`, and say in place of which others.
    private func expectFallback(to step: Int = 460, from damaged: [Int] = [480], _ note: Comment? = nil) throws {
        let search = try store.newestValid(), (restored, bits) = try store.restoreSmall()
        #expect(search.checkpoint?.step == step && restored.checkpoint == search.checkpoint, note)
        #expect(search.rejected.map(\.step) == damaged && restored.rejected.map(\.step) == damaged, note)
        #expect(search.rejected.allSatisfy { $0.description.hasSuffix("; restoring step-\(step) instead") }, note)
        #expect(bits == SmallState("state-\(step)").bits, note)
    }

    @Test(arguments: CheckpointDamageTests.files)
    func `a flipped bit in any byte is found`(name: String) throws {
        let url = store.file(name, step: 480), whole = try Data(contentsOf: url)
        // Every byte of the headers and most of the manifest, then a sample that meets every place in a word.
        for place in whole.indices where place < 400 || place % 29 == 0 {
            var bytes = whole
            bytes[place] ^= 1 << (place % 8)
            try bytes.write(to: url)
            try expectFallback("byte \(place) of \(name)")
        }
        try whole.write(to: url)
        try expectFallback(to: 480, from: [])
    }

    @Test(arguments: CheckpointDamageTests.files)
    func `an end at, before or after any page is found`(name: String) throws {
        let url = store.file(name, step: 480), whole = try Data(contentsOf: url)
        let pages = stride(from: 0, through: whole.count + 4096, by: 4096).flatMap { [$0 - 1, $0, $0 + 1] }
        for count in Set(pages + [whole.count - 1, whole.count + 1]) where count >= 0 && count != whole.count {
            try (whole.prefix(count) + Data(count: max(0, count - whole.count))).write(to: url)
            try expectFallback("\(count) of \(whole.count) bytes of \(name)")
        }
    }

    @Test func `every set of missing files is found, an empty folder too`() throws {
        for mask in 1..<8 {
            for (bit, name) in CheckpointDamageTests.files.enumerated() where mask >> bit & 1 == 1 {
                try FileManager.default.removeItem(at: store.file(name, step: 480))
            }
            try expectFallback("missing \(mask)")
            try store.saveSmall(480, "state-480")
        }
        try expectFallback(to: 480, from: [])
    }

    @Test func `a copy under another step's name is damage, and the original is restored`() throws {
        let folder = store.folder + "/step-0000000"
        try FileManager.default.copyItem(atPath: folder + "480", toPath: folder + "500")
        try expectFallback(to: 480, from: [500])
        try store.saveSmall(500, "state-500")
        try expectFallback(to: 500, from: [])
    }

    @Test(arguments: CheckpointDamageTests.files)
    func `files swapped between two checkpoints damage both`(name: String) throws {
        let one = store.file(name, step: 460), other = store.file(name, step: 480)
        let (first, second) = (try Data(contentsOf: one), try Data(contentsOf: other))
        try second.write(to: one)
        try first.write(to: other)
        try expectFallback(to: 440, from: [480, 460])
    }

    @Test(arguments: CheckpointDamageTests.files)
    func `a link that leads nowhere, a loop and a named pipe in the place of a file are damage`(name: String) throws {
        let path = store.file(name, step: 480).path
        let makers: [() -> Int32] = [{ symlink("nowhere", path) }, { symlink(path, path) }, { mkfifo(path, 0o644) }]
        for (kind, make) in makers.enumerated() {
            try DiskStorage().remove(path)
            #expect(make() == 0)
            try expectFallback("kind \(kind)")
        }
    }

    @Test func `a link to another checkpoint, and one that leads nowhere, are no checkpoint and are replaced`() throws {
        let path = store.folder + "/step-0000000500"
        #expect(symlink("step-0000000480", path) == 0)
        try expectFallback(to: 480, from: [500])
        try DiskStorage().remove(path)
        #expect(symlink("nowhere", path) == 0)
        try expectFallback(to: 480, from: [])
        try store.saveSmall(500, "state-500")
        try expectFallback(to: 500, from: [])
    }

    @Test func `a file and an empty folder with the name of a checkpoint are damage and are replaced`() throws {
        let path = store.folder + "/step-0000000500"
        for make in [{ mkdir(path, 0o755) }, { close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o644)) }] {
            #expect(make() == 0)
            try expectFallback(to: 480, from: [500])
            try store.saveSmall(500, "state-500")
            try expectFallback(to: 500, from: [])
            try DiskStorage().remove(path)
        }
    }

    @Test(.enabled(if: geteuid() != 0, "root may read everything"), arguments: CheckpointDamageTests.files)
    func `a file that may not be read is passed over`(name: String) throws {
        #expect(chmod(store.file(name, step: 480).path, 0) == 0)
        try expectFallback()
    }
}
