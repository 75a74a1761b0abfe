import Checkpointing
import Foundation
import RunSpec
import Testing

/// Checkpoints 460 and 480, of which 480 is then damaged.
@Suite struct CheckpointDamageTests {
    static let files = ["weights.safetensors", "optimizer.safetensors", "manifest.json"]
    let run: TemporaryFolder
    let store: CheckpointStore

    init() throws {
        (run, store) = try TemporaryFolder.withStore()
        try store.saveSample(step: 460)
        try store.saveSample(step: 480)
    }

    /// Both ways of restoring take 460 instead of the damaged 480; the damage.
    private func fallback() throws -> CheckpointDamage? {
        let search = try store.newestValid(), state = SampleState()
        let restored = try store.restoreNewest(
            entries: SampleState.entries, parameters: &state.parameters, firstMoments: &state.firstMoments,
            secondMoments: &state.secondMoments)
        #expect(search.checkpoint?.step == 460 && search.checkpoint == restored.checkpoint)
        #expect(search.rejected.count == 1 && restored.rejected.map(\.step) == [480])
        #expect(state.bits == SampleState(step: 460).bits)
        return search.rejected.first?.damage
    }

    @Test func `the newest whole checkpoint wins`() throws {
        let search = try store.newestValid()
        #expect(search.checkpoint?.step == 480 && search.rejected.isEmpty)
        try store.saveSample(step: 1000)
        #expect(try store.newestValid().checkpoint?.step == 1000)
    }

    @Test func `a truncated file is reported with its sizes, and the one before is restored`() throws {
        let whole = try store.inspect(480, .sizes).manifest.files[1].bytes
        try store.damage("optimizer.safetensors", step: 480) { $0 = $0.prefix(1000) }
        _ = try fallback()
        let sentence = try store.newestValid().rejected.map(\.description)
        #expect(sentence == [
            "checkpoint step-480 is truncated: 1000 of \(whole) bytes in optimizer.safetensors; "
                + "restoring step-460 instead"
        ])
        let damage = try store.list().map(\.damage)
        #expect(damage == [.truncated(file: "optimizer.safetensors", foundBytes: 1000, expectedBytes: whole), nil])
        #expect(try store.list()[0].manifest != nil)
    }

    @Test func `a truncated manifest is refused at every length`() throws {
        let whole = try Data(contentsOf: store.file("manifest.json", step: 480))
        for count in stride(from: 0, to: whole.count, by: 13) {
            try whole.prefix(count).write(to: store.file("manifest.json", step: 480))
            #expect(try store.list().map { $0.damage == nil } == [false, true], "\(count) bytes")
        }
    }

    @Test(arguments: files, [0.0, 0.0001, 0.5, 1])
    func `a flipped bit anywhere is found, and the one before is restored`(name: String, place: Double) throws {
        try store.damage(name, step: 480) { $0[Int(place * Double($0.count - 1))] ^= 0x10 }
        #expect(try fallback() != nil)
        // The cheap check reads no data: it sees only the manifest's own damage.
        #expect(try (store.list(.sizes)[0].damage != nil) == (name == "manifest.json"))
        #expect(try store.list(.hashes)[0].damage != nil)
    }

    @Test func `a flipped bit is reported with the MiB it is in`() throws {
        try store.damage("optimizer.safetensors", step: 480) { $0[(1 << 20) + 5] ^= 1 }
        #expect(try fallback() == .contents(file: "optimizer.safetensors", mebibyte: 1, of: 3))
        #expect(try store.newestValid().rejected[0].description.hasPrefix(
            "checkpoint step-480 is damaged: MiB 2 of 3 of optimizer.safetensors does not have its recorded CRC-32C"))
    }

    @Test func `a flipped bit in a tensor's name is damage, not another model`() throws {
        try store.damage("weights.safetensors", step: 480) { data in
            let name = data.range(of: Data("wte".utf8))!
            data[name.lowerBound] ^= 1
        }
        #expect(try fallback() == .contents(file: "weights.safetensors", mebibyte: 0, of: 2))
    }

    @Test(arguments: files)
    func `a missing file is reported by name, and the one before is restored`(name: String) throws {
        try FileManager.default.removeItem(at: store.file(name, step: 480))
        #expect(try fallback() == (name == "manifest.json" ? .manifestMissing : .fileMissing(name)))
    }

    @Test(arguments: files)
    func `a folder in the place of a file is damage`(name: String) throws {
        try FileManager.default.removeItem(at: store.file(name, step: 480))
        try FileManager.default.createDirectory(at: store.file(name, step: 480), withIntermediateDirectories: false)
        guard case .unreadable? = try fallback() else { Issue.record("no damage"); return }
    }

    @Test func `a checkpoint under the name of another step is damage`() throws {
        let path = store.folder + "/step-00000004"
        try FileManager.default.moveItem(atPath: path + "80", toPath: path + "90")
        let search = try store.newestValid()
        #expect(search.checkpoint?.step == 460)
        #expect(search.rejected.map(\.damage) == [.manifest("it belongs to step 480")])
    }

    @Test func `an intact manifest of another format is told from damage, and nothing older is taken in its place`() throws {
        let found = try #require(Self.resealed(
            store.file("manifest.json", step: 480), replacing: "\"format\":3", with: "\"format\":2"))
        try found.write(to: store.file("manifest.json", step: 480))
        let refused = CheckpointError.damaged(step: 480, .otherFormat(2))
        #expect(throws: refused) { try store.newestValid() }
        #expect("\(refused)" == "checkpoint step-480 is of format 2, and this headway reads format 3; use the headway that wrote it")
        #expect(try store.list().map(\.damage) == [.otherFormat(2), nil])
    }

    @Test func `a file that fits its checksums but not its digest is damage`() throws {
        let record = try store.inspect(480, .sizes).manifest.files[0]
        let wrong = String(record.sha256.reversed())
        let found = try #require(Self.resealed(
            store.file("manifest.json", step: 480), replacing: record.sha256, with: wrong))
        try found.write(to: store.file("manifest.json", step: 480))
        #expect(try fallback() == .digest(file: "weights.safetensors", found: record.sha256, expected: wrong))
    }

    @Test func `a checkpoint with another state than its manifest names is passed over`() throws {
        let state = SampleState()
        func restore(_ stateHash: @escaping (Int) -> String) throws -> Restoration {
            try store.restoreNewest(entries: SampleState.entries, parameters: &state.parameters, stateHash: stateHash)
        }
        #expect(try restore { "state-\($0)" }.checkpoint?.step == 480)
        let fallen = try restore { $0 == 480 ? "another" : "state-\($0)" }
        #expect(fallen.checkpoint?.step == 460 && fallen.rejected.map(\.damage) == [.state(found: "another", expected: "state-480")])
        #expect(fallen.rejected[0].description
            == "checkpoint step-480 is damaged: its state has hash another, and its manifest says state-480; restoring step-460 instead")
        #expect(state.bits[0] == SampleState(step: 460).bits[0])
        #expect(try restore { _ in "another" }.checkpoint == nil)
    }

    @Test func `a checkpoint that is set aside is in nobody's way`() throws {
        for _ in 0..<2 {
            try store.setAside(480, as: .damaged)
            #expect(try store.steps() == [460] && store.prune(KeepRules(last: 2)).isEmpty)
            try store.saveSample(step: 480, stateHash: "other")
        }
        #expect(try store.newestValid().checkpoint?.manifest.stateHash == "other" && store.removeAbandoned().isEmpty)
        let names = try FileManager.default.contentsOfDirectory(atPath: store.folder).sorted()
        #expect(names == ["step-0000000460", "step-0000000480", "step-0000000480.damaged", "step-0000000480.damaged-2"])
    }

    @Test func `stray files are ignored`() throws {
        for name in ["notes.txt", "step-480", "step-0000000480x", "step-00000000500", "latest"] {
            try Data("480".utf8).write(to: URL(fileURLWithPath: store.folder + "/" + name))
        }
        try Data([1]).write(to: store.file(".note", step: 480))
        #expect(try store.steps() == [480, 460] && store.newestValid().checkpoint?.step == 480)
    }

    @Test func `when none is whole each is reported and nothing is restored`() throws {
        try store.damage("weights.safetensors", step: 480) { $0.append(0) }
        try FileManager.default.removeItem(at: store.file("manifest.json", step: 460))
        let search = try store.newestValid()
        #expect(search.checkpoint == nil)
        #expect(search.rejected.map(\.step) == [480, 460])
        #expect(search.rejected[1].description == "checkpoint step-460 has no manifest; no older checkpoint is whole")
    }
}

extension CheckpointDamageTests {
    /// The manifest with a changed field and the digest that fits it.
    static func resealed(_ url: URL, replacing old: String, with new: String) -> Data? {
        guard let text = try? String(contentsOf: url, encoding: .utf8), text.contains(old),
            let end = text.range(of: "\n,\"manifestSHA256\"")
        else { return nil }
        let body = text[..<end.lowerBound].replacingOccurrences(of: old, with: new)
        return Data("\(body)\n,\"manifestSHA256\":\"\(sha256(body.utf8))\"}\n".utf8)
    }
}
