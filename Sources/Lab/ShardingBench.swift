import CSystem
import Foundation
import Ledger
import RunSpec

/// Runs sharding choices for real: rounds over all of them, each round in another order, so that a machine that warms up or
/// slows down favours none.
package struct ShardingBench {
    package struct Conditions: Sendable {
        package var config: RunConfig
        /// What `headway train` is told of the model and the batch.
        package var settings: [String]
        package var workers: Int, warmup: Int, rounds: Int
        package var seed: UInt64 = 1
        package var choices: [Sharding]
        /// nil: loopback.
        package var link: Link?
        /// Of faults, as `headway train` takes them.
        package var faults: [String] = []
        /// What a microbatch takes on a virtual device.
        package var paceMilliseconds: Double?

        package init(config: RunConfig, settings: [String], workers: Int, warmup: Int, rounds: Int, choices: [Sharding]) {
            (self.config, self.settings, self.workers, self.warmup, self.rounds, self.choices) = (config, settings, workers, warmup, rounds, choices)
        }
    }

    private let conditions: Conditions
    private let child: ChildRun, folder: String
    private static let limitSeconds = 1_800.0

    /// - Parameter folder: an empty one; each run's own is in it while it goes on.
    package init(_ conditions: Conditions, folder: String, program: String) {
        (self.conditions, child) = (conditions, ChildRun(program: program))
        self.folder = URL(fileURLWithPath: folder).standardizedFileURL.path
    }

    /// - Parameter say: gets a line per run.
    /// - Throws: `UserError` when a run fails, or somebody interrupts; the network is gone then, too.
    package func run(_ say: (String) -> Void) throws -> ShardingSummary {
        cs_note_interrupts()
        let network = try conditions.link.map { try ShapedNetwork(workers: conditions.workers, link: $0, folder: folder) }
        defer { network?.remove() }
        if let network { try Data(network.hosts.utf8).write(to: URL(fileURLWithPath: folder + "/hosts")) }
        let all: [ShardingRun.Choice] = [.single, .shared] + conditions.choices.map { .messages($0) }
        let total = all.count * conditions.rounds, began = MonotonicClock.nanoseconds()
        var runs: [ShardingRun] = [], vocabulary = 0
        for round in 0..<conditions.rounds {
            for choice in Self.order(all, seed: conditions.seed, round: round) {
                let (run, found) = try run(choice)
                runs.append(run)
                vocabulary = found
                let passed = Double(MonotonicClock.nanoseconds() - began) / 1e9, left = passed / Double(runs.count) * Double(total - runs.count)
                say("[\(runs.count)/\(total)] round \(round + 1) \(choice): \(duration(run.stepSeconds)) a step\(run.failures > 0 ? ", \(run.failures) failures" : ""); \(duration(left)) left")
            }
        }
        var config = conditions.config
        config.model.vocabulary = vocabulary
        return ShardingSummary(ShardedModel(config), conditions, network: network?.words ?? "over loopback", runs: runs)
    }

    /// Drawn anew for each round.
    static func order(_ choices: [ShardingRun.Choice], seed: UInt64, round: Int) -> [ShardingRun.Choice] {
        let random = Philox(key: seed)
        let drawn = choices.enumerated().map { (key: random.uniform(.sampling, UInt32(round), 0, index: UInt32($0.offset)), choice: $0.element) }
        return drawn.sorted { $0.key < $1.key }.map(\.choice)
    }

    private func run(_ choice: ShardingRun.Choice) throws -> (ShardingRun, vocabulary: Int) {
        let path = folder + "/run", log = folder + "/run.log", workers = choice == .single ? 1 : conditions.workers
        for stale in [path, log] { try? FileManager.default.removeItem(atPath: stale) }
        var arguments = ["train"] + conditions.settings + ["--workers", "\(workers)", "--out", path]
        if workers <= Int(cs_available_cores()) { arguments.append("--pin") }
        if let pace = conditions.paceMilliseconds { arguments += ["--pace", "\(pace)"] }
        if choice != .single { arguments += conditions.faults }
        if case .messages = choice {
            arguments += ["--transport", "gloo", "--sharding", "\(choice)"]
            if let link = conditions.link { arguments += ["--hosts", folder + "/hosts"] + (link.microseconds > 0 ? ["--link-us", "\(Int(link.microseconds))"] : []) }
        }
        let end = try child.run(arguments, log: log, limitSeconds: Self.limitSeconds)
        if end != .exited(0) { ChildRun.cleanUp(path) }
        switch end {
        case .exited(0): break
        case .interrupted: throw UserError(.interrupted, "interrupted; nothing is left of the benchmark")
        default:
            let said = (try? String(contentsOfFile: log, encoding: .utf8))?.split(separator: "\n").last { $0.hasPrefix("headway: ") }
            throw UserError(.runFailed, "the run of \(choice) failed: \(said.map { String($0.dropFirst("headway: ".count)) } ?? "\(end)")")
        }
        struct Description: Decodable { let vocabulary: Int }
        let description = FileManager.default.contents(atPath: path + "/run.json").flatMap { try? JSONDecoder().decode(Description.self, from: $0) }
        let run = ShardingRun(choice, try LedgerStore.read(path + "/ledger.sqlite"), warmup: conditions.warmup)
        try FileManager.default.removeItem(atPath: path)
        return (run, description?.vocabulary ?? 0)
    }
}
