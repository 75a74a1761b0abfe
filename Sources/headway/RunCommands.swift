import ArgumentParser
import Checkpointing
import Corpus
import Foundation
import Ledger
import Reports
import RunSpec
import Training

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that the ledger closes, the lineage is whole and every figure follows from the raw record.",
        discussion: """
            EXAMPLES
              headway verify runs/demo-1
              headway verify runs/with-faults --against runs/without      equal states, step by step

            EXIT STATUS
              0 when every check passed, else the sum of what failed: 1 the accounts, 2 the lineage, 4 the data,
              8 the figures, 16 the faults, 32 the comparison with the other run. From 64 on as everywhere.
            """)

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String

    @Option(help: ArgumentHelp("Another run that must have the same state after each step.", valueName: "run"))
    var against: String?

    func run() throws {
        let account = RunAccount(try RunFolder(folder).record())
        var verification: Verification
        if let against {
            let other = RunAccount(try RunFolder(against).record())
            verification = Verification(account, against: other, named: against)
        } else {
            verification = Verification(account)
        }
        verification.add(TokenAudit.check(account, RunFolder(folder)))
        say(TextReport.checks(verification))
        let failed = verification.failures
        if !failed.isEmpty {
            throw UserError(.runFailed, "\(failed.count) of \(verification.checks.count) checks failed: \(failed.map(\.name).joined(separator: ", "))", exitStatus: verification.exitStatus)
        }
    }
}

struct Sample: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        abstract: "Generate text with a run's newest checkpoint.",
        discussion: "EXAMPLE\n  headway sample runs/demo-1 --prompt 'Once upon a time' --tokens 300 --temperature 0.7 --seed 3")

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String
    @Option(help: "Text to go on from.") var prompt = "\n"
    @Option(help: "Tokens to generate.") var tokens = 400
    @Option(help: "Divides the logits; 0 always takes the likeliest.") var temperature = 0.8
    @Option(help: "Draw among the K likeliest tokens only; 0 for all.") var topK = 0
    @Option(help: "Of the draws: the same seed gives the same text.") var seed: UInt64 = 1

    func validate() throws {
        if tokens < 1 || tokens > 1_000_000 { throw ValidationError("--tokens must be from 1 to 1000000.") }
        if !(0...100).contains(temperature) { throw ValidationError("--temperature must be from 0 to 100.") }
        if topK < 0 { throw ValidationError("--top-k must not be negative.") }
    }

    func run() throws {
        try Sampler(RunFolder(folder)).write(prompt: prompt, count: tokens, temperature: temperature, topK: topK, seed: seed)
    }
}

extension Sampler {
    /// Prints the prompt and its continuation as it comes.
    func write(prompt: String, count: Int, temperature: Double, topK: Int, seed: UInt64) throws {
        for remark in remarks { printToStandardError(remark) }
        say(prompt, terminator: "")
        try continuation(of: prompt, count: count, temperature: temperature, topK: topK, seed: seed) {
            try? FileHandle.standardOutput.write(contentsOf: Data($0))
        }
        say("")
    }
}

struct PresetsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "presets", abstract: "List presets and settings.",
        discussion: "EXAMPLES\n  headway presets\n  headway presets --keys\n  headway presets --show char-10m > my.yaml")

    @Flag(help: "List every setting with its default.") var keys = false
    @Option(help: ArgumentHelp("Print a preset as YAML.", valueName: "preset")) var show: String?

    func run() throws {
        if let show {
            say(try Preset.named(show).config.yaml, terminator: "")
        } else if keys {
            let config = RunConfig()
            for key in ConfigKey.all {
                say("\(key.name.padding(toLength: 26, withPad: " ", startingAt: 0)) \(key.read(config).padding(toLength: 9, withPad: " ", startingAt: 0)) \(key.help)")
            }
        } else {
            for preset in Preset.all { say("\(preset.name.padding(toLength: 14, withPad: " ", startingAt: 0)) \(preset.help)") }
        }
    }
}

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "data", abstract: "Make a corpus.", subcommands: [TalesCommand.self])
}

struct TalesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tales", abstract: "Write the generated corpus of small stories to standard output.",
        discussion: "EXAMPLE\n  headway data tales --bytes 1000000 --seed 7 > tales.txt\nThe exact information of the text, the least loss a model can reach on it, goes to standard error.")

    @Option(help: "At least this many bytes; the last story is whole.") var bytes = 1_000_000
    @Option(help: "The same seed gives the same stories.") var seed: UInt64 = 1

    func validate() throws {
        if bytes < 1 || bytes > 2_000_000_000 { throw ValidationError("--bytes must be from 1 to 2000000000.") }
    }

    func run() throws {
        let tales = Tales(seed: seed).generate(bytes: bytes)
        try FileHandle.standardOutput.write(contentsOf: Data(tales.text))
        let nats = String(format: "%.4f", tales.informationPerByte), bits = String(format: "%.4f", tales.bits / Double(tales.text.count))
        printToStandardError("\(tales.text.count) bytes, \(nats) nats per byte (\(bits) bits)")
    }
}

struct WorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "worker", abstract: "A worker process; started by the launcher.", shouldDisplay: false)
    @Argument var folder: String
    @Option var slot: Int
    @Option var replica: Int
    @Option var doorbell: Int32
    @Option var launcher: Int32
    @Option var step: Int
    @Flag var measurePeak = false

    func run() throws {
        try Worker(folder: RunFolder(folder), slot: slot, replica: replica, doorbell: doorbell, launcher: launcher, step: step, measuresPeak: measurePeak).run()
    }
}

struct CheckpointWriterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "checkpoint-writer", abstract: "Writes a pinned generation; started by the launcher.", shouldDisplay: false)
    @Argument var folder: String
    @Option var step: Int
    @Option var generation: Int
    @Option var stateHash: String
    @Option var pastUpdates: String
    @Option var launcher: Int32
    @Flag var alone = false

    func run() throws {
        do {
            guard let past = PastUpdates(json: pastUpdates) else { throw UserError(.usage, "--past-updates '\(pastUpdates)' is not what a launcher says") }
            try CheckpointWriter.run(folder: RunFolder(folder), step: step, generation: generation, stateHash: stateHash, pastUpdates: past, launcher: launcher, alone: alone)
        } catch let error as CheckpointError {
            throw error.userError
        }
    }
}
