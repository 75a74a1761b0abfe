import ArgumentParser
import Corpus
import Kernels
import Lab
import Reports
import RunSpec

struct PlanCommand: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Predict what each sharding choice sends, keeps, takes and loses.",
        discussion: """
            Workers have memory of their own and a network between them. A choice is a
            sharding of the state, what it is doubled by, and a mesh of data-parallel,
            tensor-parallel and pipeline workers:

              ddp            everybody has θ, m, v and the reduced gradient
              zero1          m and v only of the range that one owns
              zero2          and gradients; they travel microbatch by microbatch
              zero3          and θ, gathered for each microbatch
              zero1+shadow   a partner keeps a second copy of m and v
              zero1+parity   XOR of all ranges instead, a stripe with each of the others
              dp=2,tp=2,pp=2 ranks and stages, with ddp or zero1

            Nothing is run, and every time is a prediction: --json has the constants
            behind it. A failure is the loss of one worker; what has no second copy goes
            back to a checkpoint.

            EXAMPLES
              headway plan --preset char-10m --workers 8
              headway plan --preset demo --choice zero1 --choice zero1+shadow --mtbf 2
              headway plan --model gpt2-small --gflops 20000 --memory-gbs 800 --memory 8GB
              headway plan --model gpt3-1.3b --workers 64 --fleet rsc-1 --csv plan.csv
              headway plan --preset char-10m --workers 8 --choice dp=2,tp=2,pp=2

            MODELS
            \(PlanningShape.all.map { "  \($0.name)".padded(17) + $0.help }.joined(separator: "\n"))
            """)

    private static let workersMaximum = 1024
    /// Of a char tokenizer, as tiny Shakespeare has.
    private static let characters = 65

    @OptionGroup var settings: RunSettings
    @Option(help: ArgumentHelp("A well-known model in place of a preset's; 64 microbatches of one sequence.", valueName: "name")) var model: String?
    @Option(help: "Rows of the token table (default: 256, with a char tokenizer 65, or as --model has).") var vocabulary: Int?
    @Option(help: "Workers.") var workers = 8
    @Option(help: "Rate of each worker's link, both ways at once, in Gbit/s.") var linkGbps = 10.0
    @Option(help: "Time that a message takes on its sender's link, in microseconds.") var linkUs = 20.0
    @Option(help: ArgumentHelp("What each worker computes in whole microbatches (default: \(Calibration().peakShare) of the SGEMM peak, measured here).", valueName: "GFLOP/s")) var gflops: Double?
    @Option(help: ArgumentHelp("What each worker's memory reads and writes in sums and updates (default: \(Int(Calibration().memoryBytesPerSecond * 1e-9))).", valueName: "GB/s")) var memoryGbs: Double?
    @Option(help: ArgumentHelp("Memory of each worker; what needs more is refused.", valueName: "16GB")) var memory: String?
    @Option(help: ArgumentHelp("Of each worker.", valueName: "rate")) var failuresPerHour: Double?
    @Option(help: ArgumentHelp("Mean time between failures of each worker.", valueName: "hours")) var mtbf: Double?
    @Option(help: ArgumentHelp("Failures as a published fleet's; `headway faults profiles` lists them.", valueName: "name")) var fleet: String?
    @Option(help: ArgumentHelp("Steps between checkpoints (default: the setting checkpoint.every, else the best).", valueName: "steps")) var checkpointEvery: Int?
    @Option(help: ArgumentHelp("Until a replacement is there; 0: one stands ready.", valueName: "seconds")) var respawnDelay = 0.0
    @Option(help: ArgumentHelp("A choice, as in zero2+shadow or dp=2,tp=4 (default: all). May be given several times.", valueName: "choice")) var choice: [String] = []
    @Flag(help: "Show all choices, not only the best.") var all = false
    @Option(help: ArgumentHelp("Write all figures as one JSON document to this file instead; - is here.", valueName: "file")) var json: String?
    @Option(help: ArgumentHelp("Write the table as CSV to this file instead; - is here.", valueName: "file")) var csv: String?

    func validate() throws {
        func need(_ value: Double?, _ range: ClosedRange<Double>, _ option: String, _ words: String) throws {
            if let value, !range.contains(value) { throw ValidationError("\(option) must be from \(words).") }
        }
        if workers < 1 || workers > Self.workersMaximum { throw ValidationError("--workers must be from 1 to \(Self.workersMaximum).") }
        try need(linkGbps, 1e-3...1e6, "--link-gbps", "0.001 to 1000000")
        try need(linkUs, 0...1e6, "--link-us", "0 to 1000000")
        try need(gflops, 1e-3...1e9, "--gflops", "0.001 to 1000000000")
        try need(memoryGbs, 1e-3...1e6, "--memory-gbs", "0.001 to 1000000")
        try need(failuresPerHour, 0...1e6, "--failures-per-hour", "0 to 1000000")
        try need(mtbf, 1e-6...1e9, "--mtbf", "0.000001 to 1000000000 hours")
        try need(respawnDelay, 0...1e6, "--respawn-delay", "0 to 1000000 seconds")
        if let vocabulary, vocabulary < 1 || vocabulary > 10_000_000 { throw ValidationError("--vocabulary must be from 1 to 10000000.") }
        if let checkpointEvery, checkpointEvery < 1 || checkpointEvery > 1_000_000 { throw ValidationError("--checkpoint-every must be from 1 to 1000000 steps.") }
        let rates = [failuresPerHour.map { _ in "--failures-per-hour" }, mtbf.map { _ in "--mtbf" }, fleet.map { _ in "--fleet" }].compactMap { $0 }
        if rates.count > 1 { throw ValidationError("\(rates[0]) and \(rates[1]) exclude each other.") }
        if json != nil, csv != nil { throw ValidationError("--json and --csv exclude each other.") }
        if model != nil, settings.preset != nil { throw ValidationError("--model and --preset exclude each other.") }
        if !settings.text.isEmpty { throw ValidationError("a plan reads no text; --vocabulary says what it would have.") }
    }

    func run() throws {
        let config = try configuration()
        var conditions = ClusterPlan.Conditions(workers: workers, link: Link(gigabitsPerSecond: linkGbps, microseconds: linkUs), flops: 0)
        conditions.memory = try memory.map(Self.bytes)
        conditions.failuresPerHour = try failureRate()
        conditions.recovery.startSeconds = respawnDelay
        if case .steps(let every) = config.checkpoint.every, every > 0 { conditions.checkpointSteps = every }
        if let checkpointEvery { conditions.checkpointSteps = checkpointEvery }
        if let memoryGbs { conditions.calibration.memoryBytesPerSecond = memoryGbs * 1e9 }
        let choices = try choice.map { try Sharding($0, workers: workers, place: "--choice") }
        conditions.flops = gflops.map { $0 * 1e9 } ?? BLASLibrary.peakFlops(repeats: 10) * conditions.calibration.peakShare
        let plan = ClusterPlan(ShardedModel(config), conditions, choices: choices)
        if let json { return try OutputFile("--json", json).save(plan.json) }
        if let csv { return try OutputFile("--csv", csv).save(plan.table.csv) }
        say(plan.text(complete: all))
    }

    private func configuration() throws -> RunConfig {
        let shape = try model.map { try PlanningShape.named($0) }
        var (config, _) = try settings.resolve { shape?.apply(to: &$0) }
        if let vocabulary {
            config.model.vocabulary = vocabulary
        } else if shape == nil {
            config.model.vocabulary = config.data.tokenizer == .char ? Self.characters : Tokenizer.byte.vocabulary
        }
        // No text is read.
        config.data.corpus = .tales
        try config.validate()
        return config
    }

    private func failureRate() throws -> Double {
        if let mtbf { return 1 / mtbf }
        guard let fleet else { return failuresPerHour ?? 0 }
        guard let rate = try FleetProfile.named(fleet, place: "--fleet").failuresPerAcceleratorHour else {
            throw UserError(.usage, "--fleet \(fleet): no rate of failures is published; pass --mtbf")
        }
        return rate
    }

    /// `16GB`, `64 GiB`, `900MB`.
    private static func bytes(_ text: String) throws -> Int {
        let units = ["MB": 1e6, "GB": 1e9, "TB": 1e12, "MiB": 0x1p20, "GiB": 0x1p30, "TiB": 0x1p40]
        let number = text.prefix { $0.isNumber || $0 == "." }, unit = text.dropFirst(number.count).filter { $0 != " " }
        guard let value = Double(number), let scale = units[unit], 1e6...1e15 ~= value * scale else {
            throw UserError(.usage, "--memory \(text): write it as 16GB, 900MB or 64GiB")
        }
        return Int(value * scale)
    }
}
