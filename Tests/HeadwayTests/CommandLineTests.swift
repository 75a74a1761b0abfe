import Foundation
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    @Suite struct CommandLine {
        static let commands = [
            [], ["demo"], ["train"], ["resume"], ["scale"], ["report"], ["compare"], ["watch"], ["verify"], ["sample"], ["checkpoints"], ["data"], ["data", "tales"],
            ["faults"], ["faults", "preview"], ["faults", "kinds"], ["faults", "profiles"], ["lab"], ["lab", "run"], ["lab", "coverage"], ["lab", "gate"], ["plan"], ["presets"],
            ["import"], ["import", "hf"], ["export"], ["export", "hf"], ["bench"], ["bench", "step"], ["bench", "gemm"], ["bench", "exchange"], ["worker"], ["checkpoint-writer"],
            ["exchange-rank"],
        ]

        @Test(arguments: commands)
        func `every command has help`(command: [String]) throws {
            let run = try TestRun(), help = try run.start(command + ["--help"])
            #expect(help.finish() == .exited(0) && help.errors.isEmpty)
            #expect(help.output.contains("USAGE: headway" + command.map { " " + $0 }.joined()) && help.output.contains("OVERVIEW: "), "\(help.output)")
        }

        @Test func `the list of commands here is the program's`() throws {
            let run = try TestRun(), help = try run.headway("--help").output
            let listed = help.split(separator: "\n").drop { $0 != "SUBCOMMANDS:" }.dropFirst()
                .compactMap { $0.hasPrefix("  ") && !$0.hasPrefix("   ") ? $0.split(separator: " ").first.map { String($0) } : nil }.filter { $0 != "See" }
            let shown = Self.commands.compactMap(\.first).filter { !["worker", "checkpoint-writer", "exchange-rank"].contains($0) }
            #expect(Set(listed) == Set(shown))
            for status in ["0 success", "1 the run or a check failed", "64 usage", "65 bad input", "66 missing", "71 memory", "73 cannot write", "130 interrupted"] {
                #expect(help.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(status), "\(status)")
            }
        }

        @Test func `the version is the one that runs carry`() throws {
            #expect(try TestRun().headway("--version").output == "headway \(RunDescription.version)\n")
        }

        @Test func `presets and settings are listed and shown as YAML that trains`() throws {
            let run = try TestRun()
            let list = try run.headway("presets").output, keys = try run.headway("presets", "--keys").output
            for preset in Preset.all { #expect(list.contains(preset.name) && list.contains(preset.help)) }
            for key in ConfigKey.all { #expect(keys.contains(key.name) && keys.contains(key.help)) }
            let yaml = try run.headway("presets", "--show", "tiny").output
            let file = try run.write("my.yaml", yaml.utf8)
            let command = try run.start(["train", "--config", file, "--workers", "2", "--out", run.path])
            try run.expectFinished(command)
            run.expectRefused(try run.headway("presets", "--show", "tinny"), .usage, "did you mean `tiny`?")
        }

        @Test func `a YAML file goes over its preset, and settings go over both`() throws {
            let run = try TestRun()
            let file = try run.write("my.yaml", "preset: tiny\nsteps: 30\nschedule:\n  warmup: 3\n".utf8)
            let settings = ["steps=20", "schedule.warmup=3"]
            let command = try run.start(["train", "--config", file, "--set", "steps=20", "--workers", "2", "--out", run.path])
            try run.expectFinished(command, settings, steps: 20)
        }

        @Test func `without a folder each run gets the next number`() throws {
            let run = try TestRun()
            for number in 1...2 {
                let command = try run.headway("train", "--preset", "tiny", "--workers", "1")
                #expect(command.end == .exited(0), "\(command.complaint)")
                #expect(FileManager.default.fileExists(atPath: run.folder + "/runs/tiny-\(number)/ledger.sqlite"))
            }
        }

        static let text = Array(String(repeating: "Es war einmal: häufig, schön & grün — ein Text.\n", count: 400).utf8)

        @Test(arguments: ["byte", "char"])
        func `text from standard input trains as the same text from a file does`(tokenizer: String) throws {
            let piped = try TestRun(), file = try TestRun(), settings = ["data.tokenizer=\(tokenizer)"]
            let path = try file.write("text", Self.text)
            let first = try file.train(workers: 2, settings, text: path)
            #expect(first.finish() == .exited(0), "\(first.complaint)")
            let second = try piped.train(workers: 2, settings, text: "-", input: path)
            #expect(second.finish() == .exited(0), "\(second.complaint)")
            #expect(try piped.record.facts["final.sha256"] == file.record.facts["final.sha256"])
            piped.expectNothingLeft()
        }

        @Test(arguments: ["a, b.txt", "it's #1: {x} & y.txt", " leading.txt", "- dash.txt", "ünïcode.txt"])
        func `a text file may have any name`(name: String) throws {
            let run = try TestRun()
            _ = try run.write(name, Self.text)
            let command = try run.train(workers: 2, text: "./" + name)
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            try run.expectVerified()
        }

        @Test func `a run folder may have any name`() throws {
            let run = try TestRun(), folder = run.folder + "/my run's # folder, ünï"
            let command = try run.headway("train", "--preset", "tiny", "--workers", "2", "--out", folder)
            #expect(command.end == .exited(0), "\(command.complaint)")
            #expect(try run.headway("verify", folder).end == .exited(0))
            #expect(try run.headway("sample", folder, "--tokens", "5").end == .exited(0))
        }

        @Test func `a run that was begun by a relative path is resumed by another one`() throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20"]
            let command = try run.start(["train", "--preset", "tiny", "--set", settings[0], "--set", settings[1], "--workers", "2", "--out", "run"])
            try command.wait(for: "step 20: validation loss")
            // Orphans that do not end by themselves: the new launcher must find them.
            for worker in run.workers { kill(worker.pid, SIGSTOP) }
            command.signal(SIGKILL)
            command.finish()
            let record = try run.expectFinished(run.start(["resume", "../" + (run.folder as NSString).lastPathComponent + "/./run/"]), settings, steps: 240)
            #expect(record.sessions[1].source == "shared memory")
        }

        @Test func `tales are written to standard output, and what they hold to standard error`() throws {
            let run = try TestRun()
            let first = try run.headway("data", "tales", "--bytes", "20000", "--seed", "3")
            let again = try run.headway("data", "tales", "--bytes", "20000", "--seed", "3")
            #expect(first.end == .exited(0) && first.output.utf8.count >= 20_000 && first.output == again.output)
            #expect(first.errors.contains("\(first.output.utf8.count) bytes, ") && first.errors.contains("nats per byte"))
        }

        @Test func `output that nobody reads ends no run`() throws {
            let run = try TestRun()
            let command = try run.start(["train", "--preset", "tiny", "--workers", "2", "--out", run.path])
            command.closeOutput()
            try run.expectFinished(command)
        }
    }
}
