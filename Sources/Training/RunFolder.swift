import Checkpointing
import CSystem
import Foundation
import Glibc
import RunSpec

/// What launcher and workers must agree on beyond the configuration. Written before the first worker starts, as
/// `run.json`, and again by each `resume`.
package struct RunDescription: Codable, Equatable, Sendable {
    package static let currentFormat = 6
    package var format = currentFormat
    package var headwayVersion = RunDescription.version
    /// 16 hexadecimal digits, drawn when the run is made.
    package var identity: String
    package var vocabulary: Int
    /// Of the session under way, or the last one.
    package var options: SessionOptions
    package var heldOut: HeldOutUnits
    package var blasCore: String
    /// Of the training text and the tokenizer.
    package var corpus: String
    /// In what its checkpoints may differ from the run, as the user has said.
    package var allowed: [Allowance] = []
    /// Nats per token of the validation text under the process that made it; nil when unknown.
    package var lossFloor: Double?
    /// Bytes of the validation text per token of it.
    package var bytesPerToken: Double

    package static let version = "0.1.0"

    /// The run's segment of shared memory.
    package var segmentName: String { "/headway-\(identity)" }
    /// Both sides of the shared memory compare this.
    package func identityWord(_ config: RunConfig) -> UInt64 {
        UInt64(sha256(Array((identity + config.digest).utf8)).prefix(16), radix: 16) ?? 0
    }
}

/// Where a run keeps what lasts:
/// `config.yaml` the resolved configuration, `run.json` the description, `ledger.sqlite`, `data/` token shards and
/// tokenizer, `checkpoints/`, `flights/` recorder rings, `logs/` what workers print, `lock` held while a launcher lives.
package struct RunFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    package func file(_ name: String) -> String { path + "/" + name }
    package var configPath: String { file("config.yaml") }
    package var descriptionPath: String { file("run.json") }
    package var ledgerPath: String { file("ledger.sqlite") }
    package var dataPath: String { file("data") }
    package var checkpointsPath: String { file("checkpoints") }
    package func flightPath(replica: Int) -> String { file("flights/replica-\(replica).ring") }
    package func logPath(replica: Int) -> String { file("logs/replica-\(replica).log") }

    /// The same folder wherever a process stands: how the launcher names it to its workers.
    package var absolutePath: String {
        URL(fileURLWithPath: path).standardizedFileURL.path
    }

    /// Makes the folder and what lies in it.
    /// - Returns: the folders that were not there before, outermost first.
    /// - Throws: `UserError` when it cannot be written, holds a run already, or holds anything else.
    package func create() throws -> [String] {
        if FileManager.default.fileExists(atPath: configPath) {
            throw UserError(.unwritable, "\(path) holds a run already; `headway resume \(path)` goes on with it, or choose another folder with --out")
        }
        if let held = try? FileManager.default.contentsOfDirectory(atPath: path), !held.isEmpty {
            throw UserError(.unwritable, "\(path) is not empty (\(held.sorted()[0])\(held.count > 1 ? " and \(held.count - 1) more" : "")); choose another folder with --out")
        }
        var made: [String] = []
        for folder in [path, dataPath, checkpointsPath, file("flights"), file("logs")] {
            let failed = Self.make(folder, &made)
            if failed != 0 {
                Self.remove(made)
                throw UserError(.unwritable, "the run folder \(folder) cannot be made: \(String(cString: strerror(failed))); choose another with --out")
            }
        }
        return made
    }

    /// Takes back what a failed preparation left: everything in the run's folder, then the folders that were made for it.
    package func undo(_ made: [String]) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] { try? FileManager.default.removeItem(atPath: file(name)) }
        Self.remove(made)
    }

    /// Removes empty folders, innermost first.
    private static func remove(_ made: [String]) { for folder in made.reversed() { rmdir(folder) } }

    /// Makes a folder and those it lies in, and notes which were new. 0 or errno.
    private static func make(_ folder: String, _ made: inout [String]) -> Int32 {
        let failed = makeOne(folder, &made)
        if failed == EEXIST { return FileManager.default.isDirectory(folder) ? 0 : ENOTDIR }
        guard failed == ENOENT, let slash = folder.lastIndex(of: "/"), slash > folder.startIndex else { return failed }
        let parent = String(folder[..<slash])
        let above = make(parent, &made)
        return above != 0 ? above : makeOne(folder, &made)
    }

    private static func makeOne(_ folder: String, _ made: inout [String]) -> Int32 {
        guard mkdir(folder, 0o755) == 0 else { return errno }
        made.append(folder)
        return 0
    }

    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        return String(cString: strerror(Int32(underlying?.code ?? (error as NSError).code)))
    }

    /// The next free `runs/<name>-<number>`.
    package static func next(name: String) -> RunFolder {
        var number = 1
        while FileManager.default.fileExists(atPath: "runs/\(name)-\(number)") { number += 1 }
        return RunFolder("runs/\(name)-\(number)")
    }

    /// Holds the run for this process until it ends.
    /// - Throws: `UserError` naming the process that holds it.
    package func lock() throws {
        let fd = open(file("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard fd >= 0 else { throw UserError(.unwritable, "\(path) cannot be written: \(String(cString: strerror(errno)))") }
        guard cs_lock_file(fd) == 0 else {
            let holder = (try? String(contentsOfFile: file("lock"), encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "?"
            throw UserError(.unwritable, "\(path) is in use by process \(holder); stop it first or choose another folder")
        }
        ftruncate(fd, 0)
        let text = "\(getpid())\n"
        _ = text.withCString { Glibc.write(fd, $0, strlen($0)) }
    }

    /// The process that trains in this folder now, or nil.
    package func launcher() -> pid_t? {
        let fd = open(file("lock"), O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        guard cs_lock_file(fd) != 0 else { return nil }
        return (try? String(contentsOfFile: file("lock"), encoding: .utf8)).flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    package func write(_ config: RunConfig, _ description: RunDescription) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do {
            try Data(config.yaml.utf8).write(to: URL(fileURLWithPath: configPath), options: .atomic)
            try encoder.encode(description).write(to: URL(fileURLWithPath: descriptionPath), options: .atomic)
        } catch {
            throw UserError(.unwritable, "\(path) cannot be written: \(Self.reason(error))")
        }
    }

    /// - Throws: `UserError` when there is no run, or one of another version.
    package func read() throws -> (RunConfig, RunDescription) {
        guard FileManager.default.fileExists(atPath: descriptionPath) else {
            throw UserError(.missing, "\(path) holds no run (there is no run.json); name the folder that `headway train` printed")
        }
        struct Format: Decodable { let format: Int, headwayVersion: String }
        guard let data = FileManager.default.contents(atPath: descriptionPath), let found = try? JSONDecoder().decode(Format.self, from: data) else {
            throw UserError(.badInput, "\(descriptionPath) is not a run description")
        }
        guard found.format == RunDescription.currentFormat else {
            throw UserError(.badInput, "\(path) was made by headway \(found.headwayVersion) in format \(found.format), this is \(RunDescription.version) with format \(RunDescription.currentFormat); use the headway that made it")
        }
        guard let description = try? JSONDecoder().decode(RunDescription.self, from: data) else {
            throw UserError(.badInput, "\(descriptionPath) lacks entries of a run description")
        }
        var config = RunConfig()
        guard let yaml = try? String(contentsOfFile: configPath, encoding: .utf8) else {
            throw UserError(.missing, "\(configPath) is missing or unreadable; without it the run cannot be understood")
        }
        try config.apply(yaml: yaml, file: configPath)
        config.model.vocabulary = description.vocabulary
        return (config, description)
    }
}

extension FileManager {
    fileprivate func isDirectory(_ path: String) -> Bool {
        var directory: ObjCBool = false
        return fileExists(atPath: path, isDirectory: &directory) && directory.boolValue
    }
}
