import Collectives
import Foundation
import Ledger
import Model
import RunSpec
import Synchronization
import Testing
import Training

/// A temporary folder with one run of the tiny preset in it. Everything in it goes with the test.
final class TestRun {
    struct Process {
        let pid: pid_t
        let words: [String]
        var isWorker: Bool { words.dropFirst().first == "worker" }
        var isCheckpointWriter: Bool { words.dropFirst().first == "checkpoint-writer" }
    }

    let folder: String
    /// What `train` starts.
    var program = Command.program
    var path: String { folder + "/run" }
    private let segmentsBefore = TestRun.segments()

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path + "/headway-test-XXXXXX").utf8CString)
        folder = String(cString: try #require(mkdtemp(&template)))
    }

    deinit {
        for process in processes { kill(process.pid, SIGKILL) }
        if let segment { unlink(segment) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Commands

    /// Runs a command in the folder, to its end.
    func headway(_ arguments: String..., input: String = "/dev/null") throws -> Command {
        let command = try Command(arguments, in: folder, input: input)
        command.finish()
        return command
    }

    func start(_ arguments: [String], input: String = "/dev/null") throws -> Command { try Command(arguments, in: folder, input: input) }

    /// `train` with the tiny preset into `path`, not waited for.
    func train(
        workers: Int, _ settings: [String] = [], faults: [String] = [], options: [String] = [], text: String? = nil, input: String = "/dev/null",
        ignoresHangup: Bool = false, onTerminal: Bool = false
    ) throws -> Command {
        try Command(
            ["train", "--preset", "tiny", "--out", path, "--workers", "\(workers)"] + settings.flatMap { ["--set", $0] }
                + faults.flatMap { ["--fault", $0] } + options + (text.map { ["--text", $0] } ?? []), in: folder, input: input,
            program: program, ignoresHangup: ignoresHangup, onTerminal: onTerminal)
    }

    /// `train` until all steps are committed and its only worker is gone; the replacement that is to compute the closing
    /// validation has stopped before its first instruction.
    func trainToClosingValidation(_ settings: [String], steps: Int) throws -> (command: Command, replacement: pid_t) {
        let held = try HeldProgram(of: self)
        let command = try train(workers: 1, settings, faults: ["crash worker=0 step=\(steps - 1) point=commit"])
        try command.wait(for: "view 1: the run begins")
        try held.hold()
        let replacement = try held.stopped("worker")
        try held.release()
        return (command, replacement)
    }

    func resume(_ arguments: String...) throws -> Command { try start(["resume", path] + arguments) }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: folder + "/" + name))
        return folder + "/" + name
    }

    // MARK: What there is

    var record: RunRecord { get throws { try LedgerStore.read(path + "/ledger.sqlite") } }

    /// Processes of the run, zombies aside: all commands, and what they start, work in the folder.
    var processes: [Process] {
        let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
        return pids.compactMap { pid in
            guard (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) == folder,
                let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"), !line.isEmpty else { return nil }
            return Process(pid: pid, words: line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
        }
    }

    var workers: [Process] { processes.filter(\.isWorker) }

    /// The file of the run's shared memory, there or not; nil before the run has a name.
    var segment: String? {
        struct Description: Decodable { let identity: String }
        guard let data = FileManager.default.contents(atPath: path + "/run.json"),
            let description = try? JSONDecoder().decode(Description.self, from: data) else { return nil }
        return "/dev/shm/headway-" + description.identity
    }

    private static func segments() -> Set<String> {
        Set(((try? FileManager.default.contentsOfDirectory(atPath: "/dev/shm")) ?? []).filter { $0.hasPrefix("headway-") && !$0.hasPrefix("headway-test-") })
    }

    /// Segments that appeared since the test began and that no process maps: nobody will remove them.
    var strandedSegments: Set<String> {
        let new = Self.segments().subtracting(segmentsBefore)
        guard !new.isEmpty else { return [] }
        let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).filter { Int($0) != nil }
        let maps = pids.map { String(decoding: FileManager.default.contents(atPath: "/proc/\($0)/maps") ?? Data(), as: UTF8.self) }
        return new.filter { name in FileManager.default.fileExists(atPath: "/dev/shm/\(name)") && !maps.contains { $0.contains(name) } }
    }

    /// Steps of checkpoints on disk, newest first.
    var checkpoints: [Int] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints")) ?? [])
            .compactMap { $0.hasPrefix("step-") ? Int($0.dropFirst(5)) : nil }.sorted(by: >)
    }

    /// The run's shared memory, mapped for as long as `body` takes.
    func withSharedState(_ body: (SharedState) throws -> Void) throws {
        let (config, description) = try RunFolder(path).read()
        let layout = SharedLayout(
            parameterFloats: ParameterLayout(config.model).count, leaves: config.batch.microbatches, heldOut: description.heldOut,
            sequences: config.sequencesPerMicrobatch, transport: description.options.transport)
        let shared = try SharedState(opening: description.segmentName, layout: layout, identity: description.identityWord(config))
        try withExtendedLifetime(shared) { try body(shared) }
    }

    // MARK: What must hold

    /// No process of the run and nothing in shared memory is left.
    func expectNothingLeft(at location: SourceLocation = #_sourceLocation) {
        #expect(processes.map(\.words).isEmpty, sourceLocation: location)
        if let segment {
            #expect(!FileManager.default.fileExists(atPath: segment), "\(segment)", sourceLocation: location)
        } else {
            expectNoSegmentStranded(at: location)
        }
    }

    /// For runs that never got a name. What another program has just made is mapped a moment later.
    func expectNoSegmentStranded(at location: SourceLocation = #_sourceLocation) {
        var stranded: Set<String> = []
        let none = eventually(limitSeconds: 1) {
            stranded = strandedSegments
            return stranded.isEmpty
        }
        #expect(none, "\(stranded)", sourceLocation: location)
    }

    /// The session ends well: exit status 0, each step committed, checks pass, nothing left, the bits are those of
    /// an undisturbed run of one worker.
    @discardableResult
    func expectFinished(_ command: Command, _ settings: [String] = [], steps: Int = 50, at location: SourceLocation = #_sourceLocation) throws -> RunRecord {
        try #require(command.finish(at: location) == .exited(0), "\(command.complaint)", sourceLocation: location)
        expectNothingLeft(at: location)
        let record = try record, committed = RunAccount(record).commits.map(\.step)
        #expect(record.facts[RunFact.outcome] == "finished", sourceLocation: location)
        let isWhole = committed == Array(1...steps)
        #expect(isWhole, "\(committed.count) steps in the lineage, the last is \(committed.last ?? 0)", sourceLocation: location)
        #expect(checkpoints.first == steps, sourceLocation: location)
        let digest = try Self.reference(settings)
        #expect(record.facts[RunFact.finalDigest] == digest, "the weights differ from the undisturbed run's", sourceLocation: location)
        try expectVerified(at: location)
        return record
    }

    func expectVerified(at location: SourceLocation = #_sourceLocation) throws {
        let verify = try headway("verify", path), lines = verify.output.split(separator: "\n")
        let failed = lines.indices.filter { lines[$0].contains("FAILED") }.map { lines[$0...].prefix(3).joined(separator: " ") }
        #expect(verify.end == .exited(0), "\(failed)\(verify.complaint)", sourceLocation: location)
    }

    /// The session was interrupted in order: exit status 130, one sentence, a checkpoint of the last committed step.
    @discardableResult
    func expectInterrupted(_ command: Command, at location: SourceLocation = #_sourceLocation) throws -> RunRecord {
        try #require(command.finish(at: location) == .exited(130), "\(command.complaint)", sourceLocation: location)
        #expect(command.errors == "headway: interrupted; `headway resume \(path)` goes on\n", sourceLocation: location)
        expectNothingLeft(at: location)
        let record = try record
        #expect(record.facts[RunFact.outcome] == "interrupted", sourceLocation: location)
        #expect(checkpoints.first == record.commits.last?.step ?? 0, sourceLocation: location)
        try expectVerified(at: location)
        return record
    }

    /// Refused: the exit status, one line on standard error that contains `words`, nothing left.
    func expectRefused(_ command: Command, _ status: UserError.Status, exit: Int32? = nil, _ words: String..., at location: SourceLocation = #_sourceLocation) {
        #expect(command.finish(at: location) == .exited(Int(exit ?? status.rawValue)), "\(command.complaint)", sourceLocation: location)
        let said = command.errors, isOneLine = said.hasPrefix("headway: ") && said.hasSuffix("\n") && said.split(separator: "\n").count == 1
        #expect(isOneLine, "\(command.complaint)", sourceLocation: location)
        let missing = words.filter { !said.contains($0) }
        #expect(missing.isEmpty, "\(command.complaint)", sourceLocation: location)
        if segment == nil { expectNoSegmentStranded(at: location) }
    }

    // MARK: Undisturbed twins

    private static let references = Mutex<[[String]: String]>([:])

    /// SHA-256 of the state after an undisturbed run of one worker with these settings.
    static func reference(_ settings: [String] = []) throws -> String {
        if let known = references.withLock({ $0[settings] }) { return known }
        let run = try TestRun(), command = try run.train(workers: 1, settings)
        #expect(command.finish() == .exited(0), "\(command.complaint)")
        let record = try run.record
        let digest = try #require(record.facts[RunFact.finalDigest])
        #expect(digest.count == 64 && record.incidents.isEmpty)
        references.withLock { $0[settings] = digest }
        return digest
    }
}

/// The program of a run, in a place of the run's own: while it is held, every process the launcher starts stops before
/// its first instruction.
final class HeldProgram {
    private let run: TestRun, path: String

    init(of run: TestRun) throws {
        self.run = run
        path = run.folder + "/headway"
        try FileManager.default.copyItem(atPath: Command.program, toPath: path)
        run.program = path
    }

    func hold() throws {
        let script = try run.write("held", "#!/bin/sh\nkill -STOP $$\nexec \(Command.program) \"$@\"\n".utf8)
        try #require(chmod(script, 0o755) == 0 && rename(path, run.folder + "/away") == 0 && rename(script, path) == 0)
    }

    /// Who is started from now on runs; who has stopped stays so.
    func release() throws { try #require(rename(run.folder + "/away", path) == 0) }

    /// The process started for `command` (`worker`, `checkpoint-writer`) that has stopped, once there is one.
    func stopped(_ command: String) throws -> pid_t {
        var found: pid_t?
        _ = eventually {
            found = run.processes.first { $0.words.dropFirst(2).first == command && Self.hasStopped($0.pid) }?.pid
            return found != nil
        }
        return try #require(found, "no \(command) was started")
    }

    private static func hasStopped(_ pid: pid_t) -> Bool {
        String(decoding: FileManager.default.contents(atPath: "/proc/\(pid)/stat") ?? Data(), as: UTF8.self).contains(") T ")
    }
}

/// Looks again and again until `condition` holds, for what has no event to wait for.
func eventually(limitSeconds: Double = 20, _ condition: () -> Bool) -> Bool {
    let deadline = MonotonicClock.nanoseconds() + UInt64(limitSeconds * 1e9)
    while !condition() {
        if MonotonicClock.nanoseconds() > deadline { return false }
        usleep(1_000)
    }
    return true
}

/// Everything here starts processes, so that nothing runs beside anything else of it.
@Suite("headway", .serialized) struct HeadwayCommand {}

extension RunRecord {
    /// Everybody went back once, to the newest checkpoint that was durable then, or to one whose writer was just about to say so.
    func expectOneReturn(at location: SourceLocation = #_sourceLocation) {
        let newest = setbacks.first.flatMap { setback in checkpoints.filter { $0.durableNanoseconds ?? .max < setback.nanoseconds }.map(\.step).max() }
        let started = Set(checkpoints.map(\.step) + [0]), step = setbacks.first?.toStep ?? -1
        #expect(setbacks.map(\.kind) == [.rewind] && step >= newest ?? 0 && started.contains(step), sourceLocation: location)
    }
}
