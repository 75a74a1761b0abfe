import Foundation
import RunSpec
import Testing
import Training

/// A folder of its own for each test, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/training-XXXXXX").utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { get throws { try FileManager.default.subpathsOfDirectory(atPath: path).sorted() } }
}

@Suite struct RunFolderTests {
    let temporary: TemporaryFolder
    let folder: RunFolder

    init() throws {
        temporary = try TemporaryFolder()
        folder = RunFolder(temporary.path + "/run")
    }

    private func description(_ identity: String = "0123456789abcdef") throws -> RunDescription {
        let json = """
            {"format": \(RunDescription.currentFormat), "headwayVersion": "0.1.0", "identity": "\(identity)", "vocabulary": 71, "options": {"workers": 3, "spares": 1, "policy": "discard", "faults": ["crash worker=1 step=5"],
             "respawnSeconds": 0.5, "hangSteps": 2, "leafMilliseconds": 4, "auditShare": 0.1, "pinned": true, "instrumented": true, "transport": "gloo", "sharding": "zero1",
             "redundancy": "shadow", "stages": 1},
             "heldOut": {"validation": 9, "probe": 4, "probeWindow": 50}, "blasCore": "Haswell", "corpus": "71-a", "allowed": ["core"], "lossFloor": 1.25, "bytesPerToken": 1.5}
            """
        return try JSONDecoder().decode(RunDescription.self, from: Data(json.utf8))
    }

    private func refusal(_ body: () throws -> Void) -> UserError? {
        do { try body() } catch { return error as? UserError }
        return nil
    }

    @Test func `a configuration and a description read back as they were written`() throws {
        var config = try Preset.named("llama-mini").config
        config.cost.currency = "€: 'new'"
        _ = try folder.create()
        try folder.write(config, try description())
        let (found, read) = try folder.read()
        config.model.vocabulary = 71
        #expect(try found == config && read == description())
    }

    @Test func `a folder is made with those around it, once`() throws {
        let deep = RunFolder(temporary.path + "/a/b/c")
        let made = try deep.create()
        #expect(made.prefix(3) == [temporary.path + "/a", temporary.path + "/a/b", temporary.path + "/a/b/c"] && made.count == 7)
        #expect(try temporary.names == ["a", "a/b", "a/b/c", "a/b/c/checkpoints", "a/b/c/data", "a/b/c/flights", "a/b/c/logs"])
        try deep.write(RunConfig(), try description())
        let error = try #require(refusal { _ = try deep.create() })
        #expect(error.status == .unwritable && error.description.contains("holds a run already"))
    }

    @Test func `a folder that holds anything is refused and left as it is, and what was made for nothing is removed`() throws {
        try FileManager.default.createDirectory(atPath: folder.path + "/data", withIntermediateDirectories: true)
        let error = try #require(refusal { _ = try folder.create() })
        #expect(error.status == .unwritable && error.description.contains("is not empty (data)"))
        #expect(try temporary.names == ["run", "run/data"])
        let deep = RunFolder(temporary.path + "/a/b")
        deep.undo(try deep.create())
        #expect(try temporary.names == ["run", "run/data"])
    }

    @Test func `a folder below a file cannot be made`() throws {
        try Data().write(to: URL(fileURLWithPath: temporary.path + "/file"))
        let error = try #require(refusal { _ = try RunFolder(temporary.path + "/file/run").create() })
        #expect(error.status == .unwritable && error.description.contains("\(temporary.path)/file/run"))
        #expect(try temporary.names == ["file"])
    }

    @Test func `a folder is held by one at a time, and says by whom`() throws {
        _ = try folder.create()
        #expect(folder.launcher() == nil)
        try folder.lock()
        #expect(folder.launcher() == getpid())
        let error = try #require(refusal { try folder.lock() })
        #expect(error.status == .unwritable && error.description.contains("is in use by process \(getpid())"))
        #expect(folder.launcher() == getpid())
    }

    @Test func `a lock file that nobody holds counts for nothing`() throws {
        _ = try folder.create()
        try Data("1\n".utf8).write(to: URL(fileURLWithPath: folder.path + "/lock"))
        #expect(folder.launcher() == nil)
        try folder.lock()
        #expect(folder.launcher() == getpid())
    }

    @Test func `both sides of shared memory know a run by its identity and its configuration`() throws {
        var config = RunConfig()
        let description = try description(), word = description.identityWord(config)
        #expect(try self.description("fedcba9876543210").identityWord(config) != word)
        #expect(description.identityWord(RunConfig()) == word)
        config.seed = 2
        #expect(description.identityWord(config) != word)
        #expect(description.segmentName == "/headway-0123456789abcdef")
    }
}
