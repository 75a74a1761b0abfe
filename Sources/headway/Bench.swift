import ArgumentParser
import CSystem
import Foundation
import Kernels
import Ledger
import Model
import RunSpec
import Training

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure this machine and this trainer.",
        discussion: "The machine is never quiet: read ratios, not absolute figures.", subcommands: [BenchStep.self, BenchCheckpoint.self, BenchExchange.self, BenchSharding.self, BenchInstruments.self, BenchGEMM.self])
}

struct BenchGEMM: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(commandName: "gemm", abstract: "Measure the SGEMM peak of one thread.")

    func run() throws {
        say("BLAS core \(BLASLibrary.coreName): \(String(format: "%.1f", BLASLibrary.peakFlops(repeats: 30) * 1e-9)) GFLOP/s, best of 30 products of 512 and of 1024")
    }
}

struct BenchStep: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        commandName: "step", abstract: "Measure whole training steps against the SGEMM peak of the same minute.",
        discussion: """
            Real runs in a temporary folder: worker processes, shared memory, commit records. The text is random over 65
            characters. Model FLOPs per token = 6 × matrix parameters (the output head once, embeddings looked up not at
            all) + the causal half of attention, 6 × layers × width × (T + 1).

            EXAMPLES
              headway bench step --preset char-10m                    6 layers, width 384, T 256, 16 sequences
              headway bench step --preset nanogpt-cpu --workers 1,2 --rounds 5
            """)

    @OptionGroup var model: BenchModel
    @Option(help: ArgumentHelp("Numbers of workers to compare, in turn.", valueName: "list")) var workers = "1"
    @Option(help: "Rounds over all numbers of workers.") var rounds = 3
    @Flag(help: "Print one line of JSON per run, for other programs.") var json = false

    func validate() throws {
        guard workerCounts.allSatisfy({ $0 > 0 }), !workerCounts.isEmpty else { throw ValidationError("--workers takes numbers such as 1,2.") }
        if rounds < 1 { throw ValidationError("at least 1 round.") }
    }

    private var workerCounts: [Int] { workers.split(separator: ",").map { Int($0) ?? 0 } }

    func run() throws {
        let bench = try StepBench(model)
        defer { bench.removeFolder() }
        var results: [StepBench.Measurement] = []
        for _ in 0..<rounds {
            for count in workerCounts {
                let peak = BLASLibrary.peakFlops(repeats: 10)
                let result = try bench.measure(workers: count, peakBefore: peak)
                results.append(result)
                say(json ? result.json : result.line)
            }
        }
        if !json { say(summary(results)) }
    }

    /// Medians over the rounds, and how the numbers of workers compare, round by round.
    private func summary(_ results: [StepBench.Measurement]) -> String {
        func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        var lines = [String(format: "model FLOPs per token %.4g, BLAS core %@", results[0].flopsPerToken, BLASLibrary.coreName)]
        for count in workerCounts {
            let mine = results.filter { $0.workers == count }
            lines.append(String(format: "%d worker%@ median of %d rounds: %.0f tokens/s, share of peak %.3f", count, count == 1 ? "," : "s,",
                mine.count, median(mine.map(\.tokensPerSecond)), median(mine.map(\.share))))
        }
        if let first = workerCounts.first {
            for count in workerCounts.dropFirst() {
                let ratios = zip(results.filter { $0.workers == count }, results.filter { $0.workers == first }).map { $0.tokensPerSecond / $1.tokensPerSecond }
                lines.append(String(format: "%d workers ÷ %d: median ratio %.3f of %d rounds", count, first, median(ratios), ratios.count))
            }
        }
        return lines.joined(separator: "\n")
    }
}

/// What the step benchmarks run, and for how long.
struct BenchModel: ParsableArguments {
    @Option(help: "The model and batch.") var preset = "char-10m"
    @Option(name: .long, help: ArgumentHelp("Set one setting.", valueName: "key=value")) var set: [String] = []
    @Option(help: "Steps to measure in each run.") var steps = 20
    @Option(help: "Steps before them.") var warmup = 3

    func validate() throws {
        if steps < 3 || warmup < 1 { throw ValidationError("at least 3 steps and 1 warm-up step.") }
    }
}

/// Real runs on random text in a temporary folder, timed from commit to commit.
struct StepBench {
    private let config: RunConfig, folder: String, warmup: Int

    init(_ model: BenchModel) throws {
        folder = FileManager.default.temporaryDirectory.path + "/headway-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        warmup = model.warmup
        var config = try Preset.named(model.preset).config
        try Self.randomText(folder + "/text")
        config.data.corpus = .text
        config.data.files = [folder + "/text"]
        config.data.tokenizer = .char
        config.data.validation = 0.1
        config.evaluation.tokens = 1
        config.evaluation.every = 0
        config.steps = model.steps + model.warmup
        config.schedule.warmup = 1
        config.checkpoint.every = 0
        for assignment in model.set { try config.set(assignment: assignment) }
        self.config = config
    }

    func removeFolder() { try? FileManager.default.removeItem(atPath: folder) }

    /// 65 characters, as tiny Shakespeare has.
    private static func randomText(_ path: String) throws {
        let random = Philox(key: 65)
        let letters = Array("\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        var text = letters
        for index in 0..<UInt32(400_000) { text.append(letters[Int(random.uniform(.tales, 65, 0, index: index) * Double(letters.count))]) }
        try Data(text).write(to: URL(fileURLWithPath: path))
    }

    /// One run of so many workers, timed.
    func measure(workers: Int, instrumented: Bool = true, peakBefore: Double = 0, change: (inout RunConfig) -> Void = { _ in }) throws -> Measurement {
        var config = config
        change(&config)
        let pinned = workers <= Machine.cores, folder = folder + "/run"
        var options = SessionOptions(workers: workers)
        (options.pinned, options.instrumented) = (pinned, instrumented)
        let prepared = try PreparedRun.new(config, options, folder: RunFolder(folder))
        defer { prepared.removeSegment() }
        let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        let launcher = try Launcher(prepared, executable: executablePath(), environment: environment) { _ in }
        guard try launcher.run() == .finished else { throw UserError(.interrupted, "interrupted") }
        let record = try LedgerStore.read(prepared.folder.ledgerPath)
        let times = record.commits.map { Double($0.nanoseconds) * 1e-9 }
        // The step that commit `step` + 1 closes.
        let steps = (warmup..<times.count).map { step in (step: step, seconds: times[step] - times[step - 1]) }
        let durations = steps.map(\.seconds).sorted(), median = durations[durations.count / 2]
        let probed = Set(record.probes.map(\.step))
        let typical = steps.filter { !probed.contains($0.step) && $0.seconds < 1.5 * median }.map(\.seconds)
        let peak = max(peakBefore, BLASLibrary.peakFlops(repeats: 10), Double(record.facts[RunFact.peakFlopsPerWorker] ?? "") ?? 0)
        try FileManager.default.removeItem(atPath: folder)
        return Measurement(
            workers: workers, tokensPerStep: config.tokensPerStep, medianSeconds: median, bestSeconds: durations[0],
            typicalSeconds: typical.reduce(0, +) / Double(typical.count), meanSeconds: steps.map(\.seconds).reduce(0, +) / Double(steps.count),
            commitWaitSeconds: Self.commitWait(record, from: warmup) / Double(steps.count * workers),
            checkpoints: record.checkpoints.count { $0.durableNanoseconds != nil && $0.step < config.steps },
            flopsPerToken: Transformer.flopsPerToken(prepared.config.model), peak: peak,
            allocations: Int(record.facts[RunFact.stepAllocations] ?? "") ?? -1)
    }

    /// All workers' time between a vote and the next thing they do, after the first steps, in seconds.
    private static func commitWait(_ record: RunRecord, from step: Int) -> Double {
        record.flights.values.reduce(0) { sum, events in
            zip(events, events.dropFirst()).reduce(sum) { sum, pair in
                let (event, next) = pair
                guard event.phase == .awaitCommit, Int(event.step) >= step, next.phase != .leave else { return sum }
                return sum + Double(next.nanoseconds - min(next.nanoseconds, event.nanoseconds)) * 1e-9
            }
        }
    }

    struct Measurement {
        let workers: Int, tokensPerStep: Int
        let medianSeconds: Double, bestSeconds: Double, typicalSeconds: Double, meanSeconds: Double
        /// Of a worker and step: from its own vote to the next step.
        let commitWaitSeconds: Double
        /// Before the last one, which nobody waits for.
        let checkpoints: Int
        let flopsPerToken: Double, peak: Double
        let allocations: Int

        var tokensPerSecond: Double { Double(tokensPerStep) / medianSeconds }
        var share: Double { tokensPerSecond * flopsPerToken / (Double(workers) * peak) }
        var bestShare: Double { share * medianSeconds / bestSeconds }

        var line: String {
            String(format: "%d worker%@  %8.0f tokens/s  %7.1f ms a step  %6.1f GFLOP/s = %.3f of %.1f × %d (best step %.3f)  %d allocations in steps",
                workers, workers == 1 ? " " : "s", tokensPerSecond, medianSeconds * 1e3, tokensPerSecond * flopsPerToken * 1e-9, share,
                peak * 1e-9, workers, bestShare, allocations)
        }
        var json: String {
            String(format: "{\"workers\": %d, \"tokens_per_second\": %.1f, \"milliseconds\": %.3f, \"best_milliseconds\": %.3f, \"gflops\": %.2f, \"peak_gflops\": %.2f, \"share\": %.4f, \"allocations\": %d}",
                workers, tokensPerSecond, medianSeconds * 1e3, bestSeconds * 1e3, tokensPerSecond * flopsPerToken * 1e-9, peak * 1e-9, share, allocations)
        }
    }
}

struct BenchInstruments: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        commandName: "instruments", abstract: "Measure what measuring costs: runs with and without instruments, in turn.",
        discussion: """
            Off are the flight recorders, the credits and norms of leaves, and the probes. The commit record stays. The cost
            is the ratio of the mean steps of two runs that follow each other, without steps that probe, which have a budget
            of their own, and without those the machine made half as long again. The median over the rounds counts.

            EXAMPLES
              headway bench instruments --preset nanogpt-cpu --rounds 15
            """)

    @OptionGroup var model: BenchModel
    @Option(help: "Worker processes.") var workers = 1
    @Option(help: "Pairs of runs.") var rounds = 9

    func validate() throws {
        if workers < 1 || rounds < 1 { throw ValidationError("at least 1 worker and 1 round.") }
    }

    func run() throws {
        let bench = try StepBench(model)
        defer { bench.removeFolder() }
        var ratios: [Double] = []
        for round in 0..<rounds {
            // Who goes first changes, so that a machine that warms up or slows down favours neither.
            let order = round % 2 == 0 ? [true, false] : [false, true]
            let results = try order.map { try bench.measure(workers: workers, instrumented: $0) }
            let (on, off) = round % 2 == 0 ? (results[0], results[1]) : (results[1], results[0])
            ratios.append(on.typicalSeconds / off.typicalSeconds)
            say(String(format: "with %.3f ms, without %.3f ms a step: %+.2f %%", on.typicalSeconds * 1e3, off.typicalSeconds * 1e3,
                (ratios[round] - 1) * 100))
        }
        let sorted = ratios.sorted()
        func percent(_ quarter: Int) -> Double { (sorted[(sorted.count - 1) * quarter / 4] - 1) * 100 }
        say(String(format: "instruments cost %+.2f %% of a step, quartiles %+.2f to %+.2f, over %d pairs", percent(2), percent(1), percent(3), rounds))
    }
}
