import ArgumentParser
import Foundation
import Lab
import RunSpec

struct BenchSharding: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        commandName: "sharding", abstract: "Run sharding choices for real and compare them with what `headway plan` says.",
        discussion: """
            Real runs on generated text, one after the other: a single worker; all workers in shared memory, which says how fast
            they compute side by side; and each choice over messages. Rounds go over all of them in another order each. With
            --link-gbps each worker gets a network namespace of its own and a shaped link, which takes root and iproute2. With
            faults it also says what a failure costs. More workers than processors share them: keep them apart with --pace. A
            choice may be a mesh, as pp=2, tp=2 or dp=2,tp=2.

            EXAMPLES
              headway bench sharding --preset char-10m --link-gbps 1 --html sharding.html
              headway bench sharding --preset char-10m --choice zero1 --choice zero1+shadow --steps 30 \\
                  --fault 'crash worker=1 step=12'
              headway bench sharding --preset demo --workers 4 --pace 100 --link-gbps 0.2 --link-us 200 --json sharding.json
            """)

    private static let usual = ["ddp", "zero1", "zero1+shadow", "zero2", "zero3"]

    @Option(help: "The model and batch.") var preset = "char-10m"
    @Option(name: .long, help: ArgumentHelp("Set one setting.", valueName: "key=value")) var set: [String] = []
    @Option(help: "Worker processes.") var workers = 2
    @Option(help: "Steps to measure in each run.") var steps = 12
    @Option(help: "Steps before them.") var warmup = 3
    @Option(help: "Rounds over all choices.") var rounds = 3
    @Option(help: "Of the order of the runs, and of faults by chance.") var seed: UInt64 = 1
    @Option(help: ArgumentHelp("A choice (default: \(usual.joined(separator: ", "))). May be given several times.", valueName: "choice")) var choice: [String] = []
    @Option(help: ArgumentHelp("Shape each worker's link to so many Gbit/s, each way.", valueName: "rate")) var linkGbps: Double?
    @Option(help: "Let messages that are waited for count as arrived so many microseconds later.") var linkUs: Int?
    @Option(help: ArgumentHelp("A fault to inject into each run of several workers, as `headway train` takes it.", valueName: "fault")) var fault: [String] = []
    @Option(help: ArgumentHelp("A plan of faults, likewise.", valueName: "plan.yaml")) var faults: String?
    @Option(help: ArgumentHelp("Each microbatch takes this long on a virtual device of the worker.", valueName: "milliseconds")) var pace: Double?
    @Option(help: ArgumentHelp("Write the table as CSV to this file.", valueName: "file")) var csv: String?
    @Option(help: ArgumentHelp("Write all figures as one JSON document to this file.", valueName: "file")) var json: String?
    @Option(help: ArgumentHelp("Write a page.", valueName: "file")) var html: String?

    func validate() throws {
        if !(2...16 ~= workers) { throw ValidationError("--workers must be from 2 to 16.") }
        if !(3...100_000 ~= steps) || !(1...1_000 ~= warmup) || !(1...1_000 ~= rounds) { throw ValidationError("at least 3 steps, 1 warm-up step and 1 round.") }
        if let linkGbps, !(0.001...100 ~= linkGbps) { throw ValidationError("--link-gbps must be from 0.001 to 100.") }
        if linkUs != nil, linkGbps == nil { throw ValidationError("--link-us goes with --link-gbps.") }
        if let linkUs, !(0...999_999 ~= linkUs) { throw ValidationError("--link-us must be from 0 to 999999.") }
        if let pace, !(0.001...60_000 ~= pace) { throw ValidationError("--pace must be from 0.001 to 60000 milliseconds.") }
    }

    func run() throws {
        let isHit = !fault.isEmpty || faults != nil
        // What only one has comes back from a checkpoint when it is lost.
        let settings = [
            "data.corpus=tales", "steps=\(steps + warmup)", "schedule.warmup=1", "evaluation.every=0", "evaluation.tokens=1", "probe.budget=0", "checkpoint.every=\(isHit ? 5 : 0)",
        ] + set
        var config = try Preset.named(preset).config
        for setting in settings { try config.set(assignment: setting) }
        try config.validate()
        let choices = try (choice.isEmpty ? Self.usual : choice).map { text in
            let sharding = try Sharding(text, workers: workers, place: "--choice")
            if let obstacle = sharding.obstacle(ShardedModel(config), workers: workers) { throw UserError(.usage, "--choice \(text): \(obstacle)") }
            return sharding
        }
        var conditions = ShardingBench.Conditions(
            config: config, settings: ["--preset", preset] + settings.flatMap { ["--set", $0] }, workers: workers, warmup: warmup, rounds: rounds, choices: choices)
        conditions.seed = seed
        conditions.link = linkGbps.map { Link(gigabitsPerSecond: $0, microseconds: Double(linkUs ?? 0)) }
        conditions.faults = fault.flatMap { ["--fault", $0] } + (faults.map { ["--faults", URL(fileURLWithPath: $0).path] } ?? [])
        conditions.paceMilliseconds = pace
        let folder = FileManager.default.temporaryDirectory.path + "/headway-sharding-\(getpid())"
        do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) } catch {
            throw UserError(.unwritable, "\(folder) cannot be made: \(error.localizedDescription)")
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let summary = try ShardingBench(conditions, folder: folder, program: executablePath()).run { say($0) }
        say("\n" + summary.text)
        if let csv { try OutputFile("--csv", csv).save(summary.table.csv) }
        if let json { try OutputFile("--json", json).save(summary.json) }
        if let html { try OutputFile("--html", html).save(ShardingPage.page(summary)) }
        if !summary.strays.isEmpty { throw UserError(.runFailed, "\(summary.strays.count) runs ended with other weights: \(summary.strays.joined(separator: ", "))") }
    }
}
