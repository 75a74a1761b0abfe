import Corpus
import Foundation
import HuggingFace
import Ledger
import Model
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    /// Models that go to Hugging Face Transformers and come from there: with the real library, where the Python on the path
    /// has it, and with folders of our own everywhere.
    @Suite struct HuggingFaceModels {
        // MARK: With Transformers

        static func python(_ script: String, _ arguments: String...) throws -> (status: Int32, text: String) {
            let process = Process(), pipe = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["python3", "-c", script] + arguments
            process.environment = ProcessInfo.processInfo.environment.merging(["HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"]) { $1 }
            process.standardOutput = pipe
            process.standardError = pipe
            try process.run()
            let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            return (process.terminationStatus, text)
        }

        static let available = (try? python("import torch, transformers, safetensors").status) == 0
        static let skipped: Comment = "python3 on the path has no torch and transformers"

        static let models = [
            ["model.bias=true", "model.dropout=0.1", "data.tokenizer=char"],
            ["model.bias=false", "model.tied=false", "model.hidden=100", "model.normEpsilon=0.0001"],
            ["model.family=llama", "model.keyValueHeads=1", "model.ropeTheta=500", "data.tokenizer=char"],
            ["model.family=llama", "model.tied=false", "model.hidden=90", "model.normEpsilon=0.000001"],
        ]

        /// Loads a model and its tokenizer, saves the model again, and writes the logits of a text.
        private static let load = """
            import sys, torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            folder, again, text, out = sys.argv[1:]
            model, loading = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
            assert not any(loading.values()), loading
            tokenizer = AutoTokenizer.from_pretrained(folder)
            text = open(text, encoding="utf-8", newline="").read()
            ids = tokenizer(text).input_ids
            assert tokenizer.decode(ids) == text, tokenizer.decode(ids)
            with torch.no_grad():
                logits = model.eval()(torch.tensor([ids[:model.config.max_position_embeddings]])).logits[0]
            open(out, "wb").write(logits.numpy().tobytes())
            open(out + ".ids", "w").write(" ".join(map(str, ids)))
            model.save_pretrained(again)
            """

        @Test(.enabled(if: available, skipped), arguments: models)
        func `Transformers loads an exported model with its parameters, tokens and logits`(settings: [String]) throws {
            let run = try TestRun(), isByte = !settings.contains("data.tokenizer=char")
            // One and the same character to Unicode's eyes, and two to a tokenizer: Å and the ångström sign.
            let text = isByte ? "Once upon  a time,\r\n\tit's “ünï” \u{1F600}.\n\n" : "b a\u{212B}\u{C5}\r\n\u{301}  \"\\\u{1F600}.\n\n A"
            let file = try run.write("text", String(repeating: text, count: 300).utf8), sample = try run.write("sample", text.utf8)
            let command = try run.train(workers: 2, settings, text: file)
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            let export = try run.headway("export", "hf", "run", "model")
            try #require(export.end == .exited(0), "\(export.complaint)")
            let loaded = try Self.python(Self.load, run.folder + "/model", run.folder + "/again", sample, run.folder + "/logits")
            try #require(loaded.status == 0, "\(loaded.text)")

            let weights = try RunWeights(RunFolder(run.path)), model = weights.config.model, layout = ParameterLayout(model)
            let ids = try weights.tokenizer.encode(text)
            #expect(try String(contentsOfFile: run.folder + "/logits.ids", encoding: .utf8) == ids.map(String.init).joined(separator: " "))

            // Transformers does not save what it does not know.
            try FileManager.default.copyItem(atPath: run.folder + "/model/headway-tokenizer.json", toPath: run.folder + "/again/headway-tokenizer.json")
            let again = try HuggingFaceFolder(run.folder + "/again")
            var parameters = [Float](repeating: 0, count: layout.count), shaped = model
            // Dropout in attention is none of ours, and Llama's elsewhere none of theirs.
            shaped.dropout = again.model.dropout
            #expect(again.model == shaped)
            try again.fill(layout, &parameters)
            let own = UnsafeBufferPointer(start: weights.parameters.base, count: layout.count)
            let isEqual = zip(parameters, own).allSatisfy { $0.bitPattern == $1.bitPattern }
            #expect(isEqual, "the parameters that Transformers has are not the run's")

            let transformer = Transformer(model, sequences: 1), rows = min(ids.count, model.context)
            let inputs = Array(ids.prefix(rows)) + Array(repeating: 0, count: model.context - rows)
            transformer.forward(parameters: weights.parameters.base, inputs: inputs, dropout: nil)
            var logits = [Float](repeating: 0, count: model.vocabulary), difference = 0.0, size = 0.0
            let expected = try Data(contentsOf: URL(fileURLWithPath: run.folder + "/logits"))
            try #require(expected.count == 4 * rows * model.vocabulary)
            for row in 0..<rows {
                transformer.logits(parameters: weights.parameters.base, row: row, into: &logits)
                for (i, found) in logits.enumerated() {
                    let wanted = expected.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4 * (row * model.vocabulary + i), as: Float.self) }
                    difference += Double(found - wanted) * Double(found - wanted)
                    size += Double(wanted) * Double(wanted)
                }
            }
            // Both round every float32 product and sum, in other orders: some 1e-6.
            #expect((difference / size).squareRoot() < 1e-4)
        }

        /// Saves a model with random weights, and no biases that are zero.
        private static let make = """
            import sys, torch
            from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig
            folder, family, dtype, shard = sys.argv[1:]
            torch.manual_seed(7)
            config = (GPT2Config(vocab_size=300, n_positions=32, n_embd=24, n_layer=2, n_head=3, resid_pdrop=0.0) if family == "gpt2" else
                LlamaConfig(vocab_size=256, hidden_size=32, intermediate_size=50, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                            max_position_embeddings=32, initializer_range=0.2))
            model = AutoModelForCausalLM.from_config(config)
            with torch.no_grad():
                for p in model.parameters(): p.add_(0.1 * torch.randn_like(p))
            model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
            """

        /// The mean loss over a text's tokens in windows of 32, and whether two folders hold the same parameters.
        private static let judge = """
            import sys, torch
            from transformers import AutoModelForCausalLM
            folder, exported, tokens = sys.argv[1:]
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            other = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).state_dict()
            assert model.state_dict().keys() == other.keys()
            for name, p in model.state_dict().items():
                assert torch.equal(p.contiguous().view(torch.int32), other[name].contiguous().view(torch.int32)), name
            tokens, total = torch.tensor(list(map(int, open(tokens).read().split()))), 0.0
            with torch.no_grad():
                for start in range(0, len(tokens) - 1, 32):
                    x = tokens[start:start + 33]
                    total += torch.nn.functional.cross_entropy(model(x[None, :-1]).logits[0].double(), x[1:], reduction="sum").item()
            print(total / (len(tokens) - 1))
            """

        @Test(.enabled(if: available, skipped), arguments: [
            ["gpt2", "float32", "5GB"], ["gpt2", "float16", "20KB"], ["llama", "float32", "20KB"], ["llama", "bfloat16", "5GB"],
        ])
        func `a model that Transformers saved begins with the loss it has there, and goes back as it was`(given: [String]) throws {
            let run = try TestRun(), model = run.folder + "/model"
            let made = try Self.python(Self.make, model, given[0], given[1], given[2])
            try #require(made.status == 0, "\(made.text)")
            let isSharded = FileManager.default.fileExists(atPath: model + "/model.safetensors.index.json")
            #expect(isSharded == (given[2] == "20KB"))
            let command = try run.headway("import", "hf", "model", "--preset", "tiny", "--out", run.path, "--workers", "2", "--set", "steps=5",
                "--set", "data.talesBytes=30000", "--set", "evaluation.tokens=0")
            try #require(command.end == .exited(0), "\(command.complaint)")
            #expect(command.output.contains("has no headway-tokenizer.json: text becomes bytes"))
            try run.expectVerified()
            let first = try #require(run.record.evaluations.first)
            #expect(first.step == 0)

            let exported = try run.headway("export", "hf", "run", "exported", "--step", "0")
            try #require(exported.end == .exited(0), "\(exported.complaint)")
            let shard = try TokenShard(run.path + "/data/val.tokens"), tokens = (0..<shard.count).map { String(shard[$0]) }.joined(separator: " ")
            let judged = try Self.python(Self.judge, model, run.folder + "/exported", try run.write("tokens", tokens.utf8))
            try #require(judged.status == 0, "\(judged.text)")
            let expected = try #require(judged.text.split(separator: "\n").last.flatMap { Double($0) }, "\(judged.text)")
            #expect(first.tokens == shard.count - 1 && abs(first.lossSum / Double(first.tokens) / expected - 1) < 1e-5)
        }

        // MARK: Everywhere

        /// A run of the tiny preset, exported to `model`.
        private func exported(_ settings: [String] = []) throws -> TestRun {
            let run = try TestRun(), command = try run.train(workers: 2, settings)
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            let export = try run.headway("export", "hf", "run", "model")
            #expect(export.end == .exited(0) && export.output.hasPrefix("model: "), "\(export.complaint)")
            return run
        }

        private static let importing = ["import", "hf", "model", "--preset", "tiny", "--workers", "2", "--set", "steps=40"]

        @Test func `an imported run comes back to its first state, whoever dies`() throws {
            let run = try exported()
            let undisturbed = try run.start(Self.importing + ["--out", "undisturbed"])
            try #require(undisturbed.finish() == .exited(0), "\(undisturbed.complaint)")
            #expect(undisturbed.output.contains("the weights in model"))
            let digest = try #require(try LedgerStore.read(run.folder + "/undisturbed/ledger.sqlite").facts[RunFact.finalDigest])

            let restarted = try run.start(Self.importing + ["--out", "restarted", "--policy", "restart", "--fault", "crash worker=1 step=20"])
            try #require(restarted.finish() == .exited(0), "\(restarted.complaint)")
            let record = try LedgerStore.read(run.folder + "/restarted/ledger.sqlite")
            // The twenty that were lost, and all forty from the first state on.
            #expect(record.incidents.count == 1 && record.commits.map(\.step) == Array(1...20) + Array(1...40))
            #expect(record.facts[RunFact.finalDigest] == digest)
            #expect(try run.headway("verify", "restarted", "--against", "undisturbed").end == .exited(0))

            let killed = try run.start(Self.importing + ["--out", "killed", "--pace", "5"])
            try killed.wait(for: "step 0: validation loss")
            for process in run.processes { kill(process.pid, SIGKILL) }
            killed.finish()
            struct Description: Decodable { let identity: String }
            let description = try JSONDecoder().decode(Description.self, from: Data(contentsOf: URL(fileURLWithPath: run.folder + "/killed/run.json")))
            #expect(unlink("/dev/shm/headway-" + description.identity) == 0)
            let resumed = try run.headway("resume", "killed")
            try #require(resumed.end == .exited(0), "\(resumed.complaint)")
            #expect(resumed.output.contains("restored checkpoint step-0"))
            #expect(try LedgerStore.read(run.folder + "/killed/ledger.sqlite").facts[RunFact.finalDigest] == digest)
        }

        @Test func `an imported model keeps its characters, whatever the new text`() throws {
            let run = try exported(["data.tokenizer=char"])
            let before = try RunWeights(RunFolder(run.path))
            let text = try run.write("text", String(repeating: "the fox sat on a hat.\n", count: 200).utf8)
            let command = try run.start(Self.importing + ["--out", "next", "--text", text])
            try #require(command.finish() == .exited(0), "\(command.complaint)")
            #expect(try RunWeights(RunFolder(run.folder + "/next")).tokenizer == before.tokenizer)
            let first = try RunWeights(RunFolder(run.folder + "/next"), step: 0), count = ParameterLayout(before.config.model).count
            #expect(memcmp(first.parameters.base, before.parameters.base, 4 * count) == 0)

            let foreign = try run.write("foreign", String(repeating: "dаs ist 7 mal schön.\n", count: 200).utf8)
            run.expectRefused(try run.start(Self.importing + ["--out", "none", "--text", foreign]), .badInput, "the text has the character", "not among the")
            #expect(!FileManager.default.fileExists(atPath: run.folder + "/none"))
        }

        @Test func `what cannot be imported or exported is refused in one sentence and leaves nothing behind`() throws {
            let run = try exported(), before = try FileManager.default.contentsOfDirectory(atPath: run.folder).sorted()
            run.expectRefused(try run.headway("export", "hf", "run", "model"), .unwritable, "model is not empty (config.json and 4 more)")
            run.expectRefused(try run.headway("export", "hf", "run", "other", "--step", "7"), .missing, "there is no checkpoint step-7")
            run.expectRefused(try run.headway("export", "hf", "none", "other"), .missing, "none holds no run")
            run.expectRefused(try run.headway("export", "hf", "run", "none/other"), .unwritable, "none/other was not written: cannot make")
            run.expectRefused(try run.start(Self.importing + ["--out", "next", "--set", "model.width=64"]), .usage, "model.width cannot be 64")
            run.expectRefused(try run.start(["import", "hf", "none"]), .missing, "none/config.json does not exist")
            run.expectRefused(try run.start(["import", "hf", "run"]), .missing, "run/config.json does not exist")
            // The header is whole, and a value is not: found when the run's folder is there already.
            let weights = URL(fileURLWithPath: run.folder + "/model/model.safetensors")
            var data = try Data(contentsOf: weights)
            data.replaceSubrange(data.count - 4..<data.count, with: [0, 0, 0xC0, 0x7F])
            try data.write(to: weights)
            run.expectRefused(try run.start(Self.importing + ["--out", "next"]), .badInput, "is nan; a run cannot begin from it")
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.folder).sorted() == before)
        }
    }
}
