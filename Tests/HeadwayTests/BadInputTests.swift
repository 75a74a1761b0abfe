import Foundation
import RunSpec
import Training
import Testing

extension HeadwayCommand {
    /// What a user may get wrong: one sentence, the right exit status, nothing left behind.
    @Suite struct BadInput {
        struct Case: CustomTestStringConvertible {
            let name: String
            let arguments: [String]
            let status: UserError.Status
            let words: [String]
            var testDescription: String { name }

            init(_ name: String, _ arguments: [String], _ status: UserError.Status, _ words: String...) {
                (self.name, self.arguments, self.status, self.words) = (name, arguments, status, words)
            }
        }

        static let cases = [
            Case("missing text", ["--text", "none.txt"], .missing, "none.txt does not exist"),
            Case("one of two texts missing", ["--text", "text", "none.txt"], .missing, "none.txt does not exist"),
            Case("folder as text", ["--text", "."], .badInput, "is a directory"),
            Case("empty text", ["--text", "empty"], .badInput, "the text is empty"),
            Case("binary with the char tokenizer", ["--text", "binary", "--set", "data.tokenizer=char"], .badInput, "binary", "UTF-8"),
            Case("text shorter than a sequence", ["--text", "short"], .badInput, "one sequence of context 32 needs 33"),
            Case("validation shorter than a sequence", ["--text", "text", "--set", "data.validation=0.001"], .badInput, "the validation part has"),
            Case("text corpus without a file", ["--set", "data.corpus=text"], .usage, "no file is named"),
            Case("microbatches that do not divide", ["--set", "batch.sequences=12"], .usage, "use 8 or 16 sequences"),
            Case("microbatches not a power of two", ["--set", "batch.microbatches=6"], .usage, "batch.microbatches 6 is not a power of two"),
            Case("more workers than microbatches", ["--workers", "9"], .usage, "--workers 9 is more than the 8 microbatches"),
            Case("no workers", ["--workers", "0"], .usage, "at least one worker"),
            Case("more workers than a host takes", ["--workers", "65", "--set", "batch.microbatches=128", "--set", "batch.sequences=128"], .usage, "at most 64 fit"),
            Case("more pinned workers than processors", ["--workers", "512", "--pin", "--set", "batch.microbatches=512", "--set", "batch.sequences=512"], .usage, "512"),
            Case("heads that do not divide", ["--set", "model.heads=3"], .usage, "model.width 32 is not a multiple of model.heads 3"),
            Case("key and value heads of a gpt2", ["--set", "model.keyValueHeads=1"], .usage, "only model.family llama"),
            Case("odd rotary heads", ["--set", "model.family=llama", "--set", "model.width=6"], .usage, "rotary positions need an even width"),
            Case("warm-up longer than the run", ["--set", "steps=3"], .usage, "schedule.warmup 5 is more than the 3 steps"),
            Case("unknown setting", ["--set", "model.layer=3"], .usage, "did you mean `model.layers`?"),
            Case("setting without a value", ["--set", "steps"], .usage, "write it as key=value"),
            Case("value out of range", ["--set", "steps=0"], .usage, "`steps` is `0`, but must be a whole number from 1"),
            Case("unknown preset", ["--preset", "tinny"], .usage, "did you mean `tiny`?"),
            Case("missing configuration", ["--config", "none.yaml"], .missing, "none.yaml"),
            Case("configuration that is not YAML", ["--config", "broken.yaml"], .badInput, "broken.yaml is not YAML"),
            Case("binary configuration", ["--config", "binary"], .missing, "binary"),
            Case("unknown setting in a configuration", ["--config", "unknown.yaml"], .usage, "unknown.yaml", "did you mean `steps`?"),
            Case("unknown preset in a configuration", ["--config", "preset.yaml"], .usage, "there is no preset `none`"),
            Case("folder below a file", ["--out", "text/run"], .unwritable, "text/run"),
            Case("folder that is a file", ["--out", "text"], .unwritable, "text"),
            Case("fault of a worker that does not exist", ["--workers", "2", "--fault", "crash worker=2 step=1"], .usage, "there is no worker 2, the 2 workers are 0 to 1"),
            Case("fault beyond the steps", ["--fault", "crash worker=0 step=50"], .usage, "the run has steps 0 to 49"),
            Case("fault that makes no sense", ["--fault", "crash worker=0"], .usage, "say when"),
            Case("respawn delay that is no number", ["--respawn-delay", "nan"], .usage, "--respawn-delay nan: seconds from 0 to 3600"),
            Case("pace that is no number", ["--pace", "nan"], .usage, "--pace nan: milliseconds above 0"),
            Case("share that is no number", ["--audit", "nan"], .usage, "--audit nan: a share from 0 to 1"),
            Case("hang limit that is no number", ["--hang-steps", "nan"], .usage, "--hang-steps nan: from 1 to 1000000"),
            Case("model too large for the memory", ["--set", "model.width=16384", "--set", "model.hidden=65536", "--set", "model.layers=64"], .system, "of shared memory", "GB"),
            Case("batch too large for the memory", ["--set", "batch.microbatches=65536", "--set", "batch.sequences=65536", "--set", "model.width=1024"], .system, "of shared memory", "65538 gradients"),
        ]

        @Test(arguments: cases)
        func `a command that cannot be is refused in one sentence and leaves nothing behind`(given: Case) throws {
            let run = try TestRun()
            for (name, bytes) in [
                ("text", Array(String(repeating: "a line of text\n", count: 200).utf8)), ("empty", []), ("short", Array("short".utf8)),
                ("binary", (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 197 | 0x80) }), ("broken.yaml", Array("model: [\n".utf8)),
                ("unknown.yaml", Array("stpes: 3\n".utf8)), ("preset.yaml", Array("preset: none\n".utf8)),
            ] { _ = try run.write(name, bytes) }
            let before = try FileManager.default.subpathsOfDirectory(atPath: run.folder).sorted()
            let preset = given.arguments.contains("--preset") || given.arguments.contains("preset.yaml") ? [] : ["--preset", "tiny"]
            let command = try run.start(["train"] + preset + given.arguments)
            run.expectRefused(command, given.status)
            for word in given.words { #expect(command.errors.contains(word), "\(command.complaint)") }
            // Without --out the run would be in runs/tiny-1.
            #expect(try FileManager.default.subpathsOfDirectory(atPath: run.folder).sorted() == before)
            #expect(command.output.isEmpty)
            run.expectNothingLeft()
        }

        @Test func `folders that were made for a run that failed are removed, and those around them`() throws {
            let run = try TestRun()
            run.expectRefused(try run.headway("train", "--preset", "tiny", "--text", "none.txt", "--out", "a/b/c"), .missing, "none.txt")
            #expect(!FileManager.default.fileExists(atPath: run.folder + "/a"))
        }

        @Test func `a used folder is refused and stays as it was`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 1))
            let before = try FileManager.default.subpathsOfDirectory(atPath: run.path).sorted()
            run.expectRefused(try run.train(workers: 1), .unwritable, "\(run.path) holds a run already")
            #expect(try FileManager.default.subpathsOfDirectory(atPath: run.path).sorted() == before)
            try run.expectVerified()
        }

        @Test func `a folder that holds no run is refused by every command that needs one`() throws {
            let run = try TestRun()
            for command in [["resume"], ["sample"], ["checkpoints"]] {
                run.expectRefused(try run.start(command + [run.path]), .missing, "holds no run")
            }
            for command in [["report"], ["verify"]] { run.expectRefused(try run.start(command + [run.path]), .missing, "there is no ledger") }
            #expect(!FileManager.default.fileExists(atPath: run.path))
        }

        @Test func `a run of another version is refused with both versions`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 1))
            let path = run.path + "/run.json"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let other = text.replacing("\"format\" : \(RunDescription.currentFormat)", with: "\"format\" : 99")
            #expect(other != text)
            try other.write(toFile: path, atomically: true, encoding: .utf8)
            for command in ["resume", "sample", "checkpoints"] {
                run.expectRefused(try run.headway(command, run.path), .badInput, "in format 99", "with format \(RunDescription.currentFormat)", "use the headway that made it")
            }
        }

        @Test(arguments: ["", "{", "{}", "null", "[1]", "{\"format\": \(RunDescription.currentFormat), \"headwayVersion\": \"0.1.0\"}"])
        func `a description that is damaged is refused`(json: String) throws {
            let run = try TestRun()
            try FileManager.default.createDirectory(atPath: run.path, withIntermediateDirectories: true)
            _ = try run.write("run/run.json", json.utf8)
            for command in ["resume", "sample", "checkpoints"] { run.expectRefused(try run.headway(command, run.path), .badInput, "run.json") }
        }

        @Test(arguments: ["ledger.sqlite", "config.yaml", "data/train.tokens"])
        func `a run that lacks a file is refused or fails with a reason`(name: String) throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "step 20: validation loss")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            try FileManager.default.removeItem(atPath: run.path + "/" + name)
            let resumed = try run.resume()
            #expect(![.exited(0), .exited(130)].contains(resumed.finish()) && { if case .exited = resumed.end { true } else { false } }())
            #expect(resumed.errors.hasPrefix("headway: ") && resumed.errors.split(separator: "\n").count == 1, "\(resumed.complaint)")
            #expect(resumed.errors.contains((name as NSString).lastPathComponent), "\(resumed.complaint)")
            run.expectNothingLeft()
        }

        @Test func `a ledger that is none is refused`() throws {
            let run = try TestRun()
            try FileManager.default.createDirectory(atPath: run.path, withIntermediateDirectories: true)
            _ = try run.write("run/ledger.sqlite", String(repeating: "not a database ", count: 500).utf8)
            for command in ["report", "verify"] { run.expectRefused(try run.headway(command, run.path), .badInput, "ledger.sqlite") }
            _ = try run.write("run/ledger.sqlite", [])
            for command in ["report", "verify"] { run.expectRefused(try run.headway(command, run.path), .badInput, "ledger.sqlite") }
        }

        @Test func `a resumed session checks workers and faults as a new one does`() throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "step 20: validation loss")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            run.expectRefused(try run.headway("resume", run.path, "--workers", "9"), .usage, "more than the 8 microbatches")
            run.expectRefused(try run.headway("resume", run.path, "--fault", "crash worker=5 step=100"), .usage, "there is no worker 5")
            run.expectRefused(try run.headway("resume", run.path, "--fault", "crash worker=0 step=240"), .usage, "steps 0 to 239")
            let last = try run.record.commits.count - 1
            let late = try run.headway("resume", run.path, "--fault", "crash worker=0 step=\(last)")
            run.expectRefused(late, .usage, "step \(last) is committed, the run goes on with step \(last + 1)")
            run.expectNothingLeft()
            try run.expectFinished(run.resume(), settings, steps: 240)
        }

        @Test(arguments: [["train", "--wokers", "2"], ["trian"], ["resume"], ["train", "--workers", "two"], ["sample", "x", "--tokens", "0"]])
        func `arguments that cannot be read end with the usage status`(arguments: [String]) throws {
            let run = try TestRun(), command = try run.start(arguments)
            #expect(command.finish() == .exited(64))
            #expect(command.errors.contains("Error: ") && command.output.isEmpty, "\(command.complaint)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.folder).isEmpty)
        }
    }
}
