import ArgumentParser
import Checkpointing
import Foundation
import Model
import Reports
import RunSpec
import Training

struct BenchCheckpoint: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        commandName: "checkpoint", abstract: "Measure checkpoints: against the disk, and what they cost the steps.",
        discussion: """
            The disk: a checkpoint of the model, from memory to durable and back, in turn with a plain sequential write
            (fdatasync included) and read of as many bytes in the same folder. Reads come from the disk: the pages are
            dropped first. The steps: real runs with a checkpoint every --every steps and without, in turn. Blocking is what
            workers wait longer for a commit; the whole is what a step takes longer.

            EXAMPLES
              headway bench checkpoint --preset char-10m                          one worker, the writer on another core
              headway bench checkpoint --preset nanogpt-cpu --workers 2 --every 100 --steps 300
            """)

    @OptionGroup var model: BenchModel
    @Option(help: "Worker processes.") var workers = 1
    @Option(help: "Steps from one checkpoint to the next.") var every = 1
    @Option(help: "Rounds of each comparison.") var rounds = 5
    @Option(help: "Where the checkpoints go.") var folder = "."
    @Flag(help: "Leave out the runs.") var diskOnly = false
    @Flag(help: "Print one line of JSON per round, for other programs.") var json = false

    func validate() throws {
        if workers < 1 || rounds < 1 || every < 1 { throw ValidationError("at least 1 worker, 1 round and 1 step.") }
    }

    func run() throws {
        let disk = try DiskBench(model, folder: folder)
        defer { disk.removeFolder() }
        if !json { say("\(Quantity.decimal(Double(disk.bytes) / 1e6, 1)) MB a checkpoint, in \(folder)") }
        var writes: [Double] = [], reads: [Double] = []
        for round in 0..<rounds {
            let result = try disk.round(round)
            writes.append(result.plainWrite / result.save)
            reads.append(result.plainRead / result.load)
            if json {
                say(String(format: "{\"bytes\": %d, \"write_seconds\": %.6f, \"checkpoint_seconds\": %.6f, \"read_seconds\": %.6f, \"restore_seconds\": %.6f}",
                    disk.bytes, result.plainWrite, result.save, result.plainRead, result.load))
                continue
            }
            say("write \(disk.rate(result.plainWrite)), checkpoint \(disk.rate(result.save)): \(Quantity.decimal(writes[round], 3)) of it · read \(disk.rate(result.plainRead)), restore \(disk.rate(result.load)): \(Quantity.decimal(reads[round], 3)) of it")
        }
        if !json { say("to durable at \(spread(writes, 3)) of the disk's sequential write; restored at \(spread(reads, 3)) of its read") }
        if !diskOnly { try measureSteps() }
    }

    private func measureSteps() throws {
        let bench = try StepBench(model)
        defer { bench.removeFolder() }
        var blocking: [Double] = [], whole: [Double] = []
        for round in 0..<rounds {
            // Who goes first changes, so that a machine that warms up or slows down favours neither.
            let order = round % 2 == 0 ? [every, 0] : [0, every]
            let results = try order.map { interval in try bench.measure(workers: workers) { $0.checkpoint.every = .steps(interval) } }
            let (with, without) = round % 2 == 0 ? (results[0], results[1]) : (results[1], results[0])
            blocking.append((with.commitWaitSeconds - without.commitWaitSeconds) / without.meanSeconds * 100)
            whole.append((with.meanSeconds / without.meanSeconds - 1) * 100)
            if json {
                say(String(format: "{\"blocking_milliseconds\": %.4f, \"blocking_percent\": %.3f, \"slower_percent\": %.3f, \"checkpoints\": %d}",
                    (with.commitWaitSeconds - without.commitWaitSeconds) * 1e3, blocking[round], whole[round], with.checkpoints))
                continue
            }
            say("\(with.checkpoints) checkpoints in \(model.steps) steps: \(Quantity.decimal(with.meanSeconds * 1e3, 2)) after \(Quantity.decimal(without.meanSeconds * 1e3, 2)) ms a step, \(signed(whole[round])) %; waiting for commits \(Quantity.decimal(with.commitWaitSeconds * 1e3, 3)) after \(Quantity.decimal(without.commitWaitSeconds * 1e3, 3)) ms, \(signed(blocking[round])) % of a step")
        }
        if !json { say("a checkpoint every \(every) steps, \(workers) worker\(workers == 1 ? "" : "s"): blocking \(spread(blocking, 2)) % of a step, \(spread(whole, 2)) % slower in all") }
    }

    private func signed(_ value: Double) -> String { String(format: "%+.2f", value) }

    /// Median, and quartiles.
    private func spread(_ values: [Double], _ digits: Int) -> String {
        let sorted = values.sorted()
        func quarter(_ index: Int) -> String { Quantity.decimal(sorted[(sorted.count - 1) * index / 4], digits) }
        return "\(quarter(2)) (\(quarter(1)) to \(quarter(3)))"
    }
}

/// A checkpoint and as many plain bytes, written and read in turn.
private struct DiskBench {
    let bytes: Int
    private let store: CheckpointStore, plain: String, root: String
    private let layout: ParameterLayout
    private let state: UnsafeMutablePointer<Float>

    init(_ model: BenchModel, folder: String) throws {
        var config = try Preset.named(model.preset).config
        for assignment in model.set { try config.set(assignment: assignment) }
        config.model.vocabulary = 65
        layout = ParameterLayout(config.model)
        bytes = 12 * layout.count
        root = "\(folder)/headway-bench-checkpoint-\(getpid())"
        (store, plain) = (CheckpointStore(folder: root + "/checkpoints"), root + "/plain")
        do { try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true) } catch {
            throw UserError(.unwritable, "--folder \(folder): \(error.localizedDescription)")
        }
        state = .allocate(capacity: 3 * layout.count)
        // Bits that no disk can compress.
        let random = Philox(key: 5)
        for index in 0..<3 * layout.count { state[index] = Float(random.uniform(.tales, 5, 0, index: UInt32(truncatingIfNeeded: index))) }
    }

    func removeFolder() {
        try? FileManager.default.removeItem(atPath: root)
        state.deallocate()
    }

    func rate(_ seconds: Double) -> String { "\(Quantity.decimal(Double(bytes) / 1e6 / seconds, 0)) MB/s" }

    struct Result {
        var plainWrite = 0.0, save = 0.0, plainRead = 0.0, load = 0.0
    }

    func round(_ round: Int) throws -> Result {
        var result = Result()
        let measurements: [() throws -> Void] = [
            { result.plainWrite = try seconds { try writePlain() } }, { result.save = try seconds { try save(step: round) } },
        ]
        for measure in round % 2 == 0 ? measurements : measurements.reversed() {
            // What was written or freed before is no longer the disk's business.
            sync()
            try measure()
        }
        // Not the pages that were just written, but the disk.
        try dropPages(of: store.files(ofStep: round) + [plain])
        result.plainRead = try seconds { try readPlain() }
        result.load = try seconds { try load(step: round) }
        _ = try store.prune(KeepRules(last: 2))
        try DiskStorage().remove(plain)
        return result
    }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let began = MonotonicClock.nanoseconds()
        try body()
        return Double(MonotonicClock.nanoseconds() - began) * 1e-9
    }

    private func save(step: Int) throws {
        let manifest = Manifest(step: step, parent: nil, run: "bench", traits: StateTraits(model: [:], seed: 1, corpus: "", kernelCore: "", headwayVersion: ""), stateHash: String(step), createdUnixSeconds: 0)
        _ = try store.save(manifest, entries: layout.stateEntries, parameters: state, firstMoments: state + layout.count, secondMoments: state + 2 * layout.count)
    }

    private func load(step: Int) throws {
        _ = try store.load(step: step, entries: layout.stateEntries, parameters: state, firstMoments: state + layout.count, secondMoments: state + 2 * layout.count)
    }

    private static let piece = 1 << 20

    private func writePlain() throws {
        let storage = DiskStorage(), file = try storage.create(plain)
        var rest = UnsafeRawBufferPointer(start: state, count: bytes)[...]
        while !rest.isEmpty {
            let written = try storage.write(UnsafeRawBufferPointer(rebasing: rest.prefix(Self.piece)), to: file)
            rest = rest.dropFirst(written)
        }
        try storage.sync(file)
        try storage.close(file)
    }

    private func readPlain() throws {
        let descriptor = open(plain, O_RDONLY)
        guard descriptor >= 0 else { throw UserError(.missing, "\(plain) cannot be read") }
        defer { close(descriptor) }
        var at = 0
        while at < bytes {
            let count = read(descriptor, UnsafeMutableRawPointer(state) + at, min(Self.piece, bytes - at))
            guard count > 0 else { throw UserError(.missing, "\(plain) cannot be read to its end") }
            at += count
        }
    }

    private func dropPages(of paths: [String]) throws {
        for path in paths {
            let descriptor = open(path, O_RDONLY)
            guard descriptor >= 0 else { throw UserError(.missing, "\(path) cannot be read") }
            posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
            close(descriptor)
        }
    }
}
