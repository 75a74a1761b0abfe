import Checkpointing
import Foundation
import RunSpec
import Testing

@Suite struct CheckpointStoreTests {
    let run: TemporaryFolder
    let store: CheckpointStore

    init() throws {
        (run, store) = try TemporaryFolder.withStore()
    }

    @Test func `a run without checkpoints has none to list, restore, prune or clean`() throws {
        #expect(try store.list().isEmpty && store.steps().isEmpty)
        let found = try store.newestValid()
        #expect(found.checkpoint == nil && found.rejected.isEmpty)
        #expect(try store.prune(KeepRules(last: 1)).isEmpty && store.removeAbandoned().isEmpty)
        #expect(throws: CheckpointError.missing(step: 5, folder: store.folder)) { try store.loadSample(step: 5) }
        #expect(try run.names.isEmpty)
    }

    @Test func `a saved state loads bit for bit, and floats between tensors are left alone`() throws {
        let saved = try store.saveSample(step: 480)
        #expect(try store.loadSample(step: 480).bits == SampleState(step: 480).bits)
        #expect(saved.path == store.folder + "/step-0000000480")
        let names = try FileManager.default.contentsOfDirectory(atPath: saved.path).sorted()
        #expect(names == ["manifest.json", "optimizer.safetensors", "weights.safetensors"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder) == ["step-0000000480"])
    }

    @Test func `weights alone load without the moments`() throws {
        try store.saveSample(step: 480)
        try store.damage("optimizer.safetensors", step: 480) { $0[$0.count / 2] ^= 1 }
        var parameters = SampleState().parameters
        _ = try store.load(step: 480, entries: SampleState.entries, parameters: &parameters)
        #expect(parameters.map(\.bitPattern) == SampleState(step: 480).bits[0])
    }

    @Test func `the manifest is JSON that records identity, sizes and hashes`() throws {
        let saved = try store.saveSample(step: 480)
        let data = try Data(contentsOf: store.file("manifest.json", step: 480))
        let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(json["step"] as? Int == 480 && json["parent"] as? Int == 460)
        #expect(json["run"] as? String == "run-1" && json["stateHash"] as? String == "state-480")
        let traits = try #require(json["traits"] as? [String: Any])
        #expect(traits["kernelCore"] as? String == "SkylakeX" && traits["seed"] as? UInt64 == .max && json["format"] as? Int == 3)
        for record in saved.manifest.files {
            let bytes = try Data(contentsOf: store.file(record.name, step: 480))
            #expect(record.bytes == bytes.count && record.sha256 == sha256(bytes))
        }
        #expect(saved.manifest.files.map(\.crc32c.count) == [2, 3])
        #expect(saved.manifest.pastUpdates.updates.map(\.step) == Array(449...480))
        let listing = try #require(try store.list(.hashes).first)
        #expect(listing.step == 480 && listing.damage == nil && listing.manifest == saved.manifest)
        #expect(saved.manifest.bytes > 3 * 4 * 300_000 && saved.manifest.createdUnixSeconds == 1_700_000_480)
    }

    @Test func `progress counts the bytes up and names the other phases`() throws {
        var seen: [SaveProgress] = []
        let saved = try store.saveSample(step: 480) { seen.append($0) }
        #expect(seen.first == .files && seen.suffix(3) == [.manifest, .rename, .durable])
        let bytes = seen.compactMap { if case .writing(let bytes, saved.manifest.bytes) = $0 { bytes } else { nil } }
        #expect(bytes == bytes.sorted() && bytes.last == saved.manifest.bytes && bytes.count == seen.count - 4)
    }

    // MARK: Another model

    @Test func `a model with another shape or name is told what differs`() throws {
        try store.saveSample(step: 480)
        var entries = SampleState.entries
        func mismatch() -> CheckpointMismatch? {
            do throws(CheckpointError) {
                _ = try store.loadSample(step: 480, entries: entries)
            } catch {
                if case .mismatch(480, let mismatch) = error { return mismatch }
            }
            return nil
        }
        #expect(mismatch() == nil)
        let w = entries.removeLast()
        #expect(mismatch() == .unknownTensor("w"))
        entries.append(StateEntry(name: "w", shape: [5, 3], offset: w.offset, count: 15))
        #expect(mismatch() == .shape(name: "w", found: [3, 5], expected: [5, 3]))
        entries[3] = w
        entries.append(StateEntry(name: "head", shape: [1], offset: 0, count: 1))
        #expect(mismatch() == .missingTensor("head"))
        #expect("\(CheckpointError.mismatch(step: 480, mismatch()!))"
            == "checkpoint step-480 has no tensor head, which this model needs")
    }

    @Test func `a mismatch does not fall back to an older checkpoint`() throws {
        try store.saveSample(step: 460)
        try store.saveSample(step: 480)
        let state = SampleState()
        #expect(throws: CheckpointError.mismatch(step: 480, .run(found: "run-1", expected: "run-2"))) {
            try store.restoreNewest(entries: SampleState.entries, parameters: &state.parameters) {
                .run(found: $0.run, expected: "run-2")
            }
        }
    }

    // MARK: The same step again

    @Test func `saving the same state of a step again returns what is there`() throws {
        let first = try store.saveSample(step: 480)
        let inode = try FileManager.default.attributesOfItem(atPath: first.path)[.systemFileNumber] as? Int
        #expect(try store.saveSample(step: 480) == first)
        #expect(try FileManager.default.attributesOfItem(atPath: first.path)[.systemFileNumber] as? Int == inode)
    }

    @Test func `saving another state of a step is refused and changes nothing`() throws {
        let first = try store.saveSample(step: 480)
        #expect(throws: CheckpointError.otherState(step: 480, found: "state-480", given: "other")) {
            try store.saveSample(step: 480, stateHash: "other")
        }
        #expect(try store.newestValid().checkpoint == first)
    }

    @Test(arguments: ["weights.safetensors", "manifest.json"])
    func `saving a step whose checkpoint is damaged replaces it`(name: String) throws {
        try store.saveSample(step: 480)
        try store.damage(name, step: 480) { $0[$0.count / 2] ^= 1 }
        try store.saveSample(step: 480)
        #expect(try store.loadSample(step: 480).bits == SampleState(step: 480).bits)
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder) == ["step-0000000480"])
    }

    // MARK: Removal

    @Test func `prune keeps the newest, and never fewer than two`() throws {
        for step in [20, 40, 60, 80, 100] { try store.saveSample(step: step) }
        #expect(try store.prune(KeepRules(last: 4)) == [20])
        #expect(try store.prune(KeepRules(last: 4)).isEmpty)
        #expect(try store.prune(KeepRules(last: 0)) == [60, 40])
        #expect(try store.steps() == [100, 80])
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder).count == 2)
    }

    @Test func `prune does not count a truncated checkpoint as one of the two`() throws {
        for step in [20, 40, 60, 80] { try store.saveSample(step: step) }
        try store.damage("optimizer.safetensors", step: 80) { $0.removeLast() }
        try FileManager.default.removeItem(at: store.file("manifest.json", step: 20))
        #expect(try store.prune(KeepRules(last: 2)) == [20])
        #expect(try store.steps() == [80, 60, 40])
    }

    @Test func `temporary folders are ignored, and those of ended processes are removed`() throws {
        try store.saveSample(step: 480)
        let ended = Process()
        ended.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        ended.arguments = ["true"]
        try ended.run()
        ended.waitUntilExit()
        let names = [
            "step-0000000500.tmp-\(ended.processIdentifier)", "step-0000000500.tmp-\(getpid())",
            "step-0000000460.old.tmp-\(ended.processIdentifier)", "step-0000000500.tmp-\(getppid())",
            "step-0000000500.tmp-x", "notes.tmp-\(ended.processIdentifier)", "step-0000000500.tmp-0",
        ]
        for name in names {
            let nested = store.folder + "/\(name)/nested"
            try FileManager.default.createDirectory(atPath: nested, withIntermediateDirectories: true)
            try Data([1]).write(to: URL(fileURLWithPath: nested + "/weights.safetensors"))
        }
        #expect(try store.steps() == [480] && store.newestValid().rejected.isEmpty)
        #expect(try Set(store.removeAbandoned()) == Set(names[0...2]))
        #expect(try Set(FileManager.default.contentsOfDirectory(atPath: store.folder))
            == Set(["step-0000000480"] + names[3...]))
    }

    @Test func `removing a temporary folder does not follow links out of it`() throws {
        try store.saveSample(step: 480)
        let outside = run.path + "/outside"
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: false)
        try Data([1]).write(to: URL(fileURLWithPath: outside + "/kept"))
        let temporary = store.folder + "/step-0000000500.tmp-\(getpid())"
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: false)
        try FileManager.default.createSymbolicLink(atPath: temporary + "/link", withDestinationPath: outside)
        try store.removeAbandoned()
        #expect(FileManager.default.fileExists(atPath: outside + "/kept"))
        #expect(!FileManager.default.fileExists(atPath: temporary))
    }
}
