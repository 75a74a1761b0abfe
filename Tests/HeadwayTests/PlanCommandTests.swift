import Foundation
import RunSpec
import Testing

extension HeadwayCommand {
    @Suite struct PlanCommandTests {
        private let fixed = ["--gflops", "50", "--workers", "4"]

        @Test func `a plan ranks choices, and says the same each time`() throws {
            let run = try TestRun()
            let arguments = ["plan", "--preset", "demo", "--memory", "200MB", "--mtbf", "5"] + fixed
            let command = try run.start(arguments), again = try run.start(arguments)
            #expect(command.finish() == .exited(0) && again.finish() == .exited(0) && command.output == again.output)
            #expect(command.output.hasPrefix("llama of ") && command.output.contains("zero1+shadow dp=4") && command.output.contains("a failure every 1 h 15 min"), "\(command.output)")
        }

        @Test func `JSON and CSV go to a file or to standard output`() throws {
            let run = try TestRun()
            let json = try run.start(["plan", "--model", "gpt2-small", "--choice", "zero3", "--choice", "tp=3", "--json", "-"] + fixed)
            #expect(json.finish() == .exited(0), "\(json.complaint)")
            let document = try #require(try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            #expect((document["choices"] as? [[String: Any]])?.map { $0["choice"] as? String } == ["zero3 dp=4"])
            #expect((document["refused"] as? [[String: Any]])?.map { $0["choice"] as? String } == ["tp=3"])
            let csv = try run.start(["plan", "--preset", "tiny", "--set", "batch.microbatches=16", "--csv", "plan.csv"] + fixed)
            #expect(csv.finish() == .exited(0) && csv.output.hasPrefix("plan.csv: "), "\(csv.complaint)")
            let table = try String(contentsOfFile: run.folder + "/plan.csv", encoding: .utf8)
            #expect(table.hasPrefix("choice,state,redundancy,dp,tp,pp,sent_bytes_max,") && table.contains("\r\nddp dp=4,ddp,none,4,1,1,"))
        }

        static let refusals: [([String], UserError.Status, String)] = [
            (["--choice", "zero4"], .usage, "--choice: `zero4` is no sharding; did you mean `zero1`?"),
            (["--choice", "dp=2,dp=2"], .usage, "--choice: `dp` is given twice"),
            (["--memory", "lots"], .usage, "--memory lots: write it as 16GB, 900MB or 64GiB"),
            (["--model", "gpt2-smal"], .usage, "there is no model `gpt2-smal`; did you mean `gpt2-small`?"),
            (["--fleet", "byterobust"], .usage, "--fleet byterobust: no rate of failures is published; pass --mtbf"),
            (["--fleet", "lama3"], .usage, "--fleet: there is no profile `lama3`"),
            (["--set", "model.heads=3"], .usage, "model.width 128 is not a multiple of model.heads 3"),
            (["--config", "none.yaml"], .missing, "none.yaml"),
            (["--csv", "/none/plan.csv", "--gflops", "1"], .unwritable, "--csv /none/plan.csv cannot be written"),
        ]

        @Test(arguments: refusals)
        func `what cannot be planned is refused in a sentence`(arguments: [String], status: UserError.Status, words: String) throws {
            let run = try TestRun(), command = try run.start(["plan"] + arguments)
            run.expectRefused(command, status, words)
        }

        @Test(arguments: [
            (["--workers", "0"], "--workers must be from 1 to 1024."), (["--link-gbps", "0"], "--link-gbps must be from 0.001 to 1000000."),
            (["--mtbf", "1", "--failures-per-hour", "1"], "--failures-per-hour and --mtbf exclude each other."),
            (["--text", "book.txt"], "a plan reads no text; --vocabulary says what it would have."),
            (["--json", "-", "--csv", "-"], "--json and --csv exclude each other."), (["--model", "gpt2-small", "--preset", "tiny"], "--model and --preset exclude each other."),
        ])
        func `options that cannot be are refused with the usage`(arguments: [String], words: String) throws {
            let run = try TestRun(), command = try run.start(["plan"] + arguments)
            #expect(command.finish() == .exited(64) && command.errors.contains("Error: \(words)"), "\(command.complaint)")
        }
    }
}
