import Foundation
import GRDB
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// What other programs read of a run, runs side by side, and a ledger that is not what it should be.
    @Suite struct Exports {
        static let readme = (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent } + "/README.md"

        @Test func `the queries and the schema of the README are those of a fresh ledger`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2, faults: ["crash worker=1 step=10"]))
            let readme = try String(contentsOfFile: Self.readme, encoding: .utf8)
            let queries = readme.components(separatedBy: "```sql\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
            #expect(queries.count >= 4)
            let database = try DatabaseQueue(path: run.path + "/ledger.sqlite")
            try database.read { db in
                for query in queries {
                    let rows = try Row.fetchAll(db, sql: query)
                    #expect(!rows.isEmpty && rows.allSatisfy { !($0[0] as DatabaseValue).isNull }, "\(query)")
                }
                let documented = readme.split(separator: "\n").filter { $0.hasPrefix("| `") }
                let tables = try String.fetchAll(db, sql: "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
                for table in tables {
                    let line = try #require(documented.first { $0.hasPrefix("| `\(table)` |") }, "the README lacks table \(table)")
                    for column in try db.columns(in: table).map(\.name) { #expect(line.contains("`\(column)`"), "\(table).\(column)") }
                }
            }
        }

        @Test func `a run comes as one document and as tables`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2, faults: ["crash worker=1 step=10"]))
            let printed = try run.headway("report", run.path, "--json", "-")
            let document = try #require(JSONSerialization.jsonObject(with: Data(printed.output.utf8)) as? [String: Any])
            #expect(printed.end == .exited(0) && document["caveats"] as? [String] == [])
            let file = run.folder + "/report.json"
            #expect(try run.headway("report", run.path, "--json", file).output == "\(file): \(printed.output.utf8.count) bytes\n")
            #expect(try String(contentsOfFile: file, encoding: .utf8) == printed.output)

            let folder = run.folder + "/deep/figures"
            for _ in 0..<2 { #expect(try run.headway("report", run.path, "--csv", folder).output.hasPrefix("\(folder): categories.csv ")) }
            let table = try run.headway("report", run.path, "--table", "steps").output
            #expect(try String(contentsOfFile: folder + "/steps.csv", encoding: .utf8) == table && table.split(separator: "\r\n").count == 51)

            run.expectRefused(try run.headway("report", run.path, "--csv", file), .unwritable, "--csv \(file)", "a file is in the way")
            run.expectRefused(try run.headway("report", run.path, "--json", run.folder), .unwritable, "it is a directory")
            for (arguments, words) in [(["--table", "stesp"], "did you mean `steps`?"), (["--json", "-", "--html", "-"], "exclude each other"), (["--csv", "-"], "--csv takes a folder")] {
                let command = try run.start(["report", run.path] + arguments)
                #expect(command.finish() == .exited(64) && command.errors.contains(words), "\(command.complaint)")
            }
        }

        @Test func `runs stand side by side, and what cannot be compared is said`() throws {
            let calm = try TestRun(), faulty = try TestRun(), other = try TestRun(), stopped = try TestRun()
            try calm.expectFinished(calm.train(workers: 1))
            try faulty.expectFinished(faulty.train(workers: 3, faults: ["crash worker=1 step=10"]))
            let settings = ["data.talesSeed=5", "schedule.peak=0.002"]
            try other.expectFinished(other.train(workers: 1, settings), settings)
            let long = try stopped.train(workers: 1, ["steps=240", "evaluation.every=20"])
            try long.wait(for: "step 20: validation loss")
            long.signal(SIGINT)
            try stopped.expectInterrupted(long)

            let command = try calm.headway("compare", calm.path, faulty.path, other.path, stopped.path)
            #expect(command.end == .exited(0), "\(command.complaint)")
            for words in [
                "4 runs, against the first", "the same weights as A after each of 50 common steps", "other weights than A from step 1 on",
                "another validation text than \(calm.path)", "interrupted after ", "  schedule.peak ", "  injected faults ", "  compute goodput ", "  P1  productive compute",
            ] { #expect(command.output.contains(words), "\(words): \(command.output)") }
            let tooWide = command.output.split(separator: "\n").filter { $0.count > 100 && !$0.contains(calm.folder) && !$0.contains(other.folder) }
            #expect(tooWide.isEmpty)
            let json = try calm.headway("compare", calm.path, faulty.path, "--json", "-")
            let document = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
            #expect((document["runs"] as? [[String: Any]])?[1]["states"] as? String == "equal")
            calm.expectRefused(try calm.headway("compare", calm.path, calm.folder + "/none"), .missing, "there is no ledger")
            #expect(try calm.headway("compare", calm.path).end == .exited(64))
        }

        /// Runs SQL on a copy of the run's folder.
        private func edited(_ run: TestRun, _ sql: String) throws -> String {
            let copy = run.folder + "/edited"
            try? FileManager.default.removeItem(atPath: copy)
            try FileManager.default.copyItem(atPath: run.path, toPath: copy)
            try DatabaseQueue(path: copy + "/ledger.sqlite").write { db in try db.execute(sql: sql) }
            return copy
        }

        @Test func `a ledger with impossible values is refused, one with missing or changed rows is reported with what is wrong`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2, faults: ["crash worker=1 step=10"]))
            for (sql, words) in [
                ("UPDATE commits SET lossSum = 'x' WHERE number = 7", "in table commits, number 7, `lossSum` is"), ("UPDATE commits SET ns = -1 WHERE number = 7", "`ns` is -1"),
                ("UPDATE slots SET closedNs = 9000000000000000000", "`closedNs` is 9000000000000000000"), ("UPDATE probes SET audit = x'00'", "`audit` is"),
                ("UPDATE facts SET value = 'many' WHERE name = 'steps'", "the fact `steps` is `many`"), ("DROP TABLE views", "no such table: views"),
                ("ALTER TABLE commits RENAME COLUMN tokens TO words", "`tokens` is missing"), ("UPDATE facts SET value = '2' WHERE name = 'ledger.version'", "written in format 2"),
            ] {
                let copy = try edited(run, sql)
                for command in [["report", copy], ["report", copy, "--json", "-"], ["verify", copy], ["compare", run.path, copy]] {
                    run.expectRefused(try run.start(command), .badInput, words, "ledger.sqlite")
                }
            }
            for (sql, words) in [
                ("DELETE FROM slots WHERE slot = 1", "lived in slot 1"), ("DELETE FROM flights WHERE number = 1", "have no recorded execution"),
                ("DELETE FROM commits WHERE step = 50", "last commit is of step 49"), ("DELETE FROM commits WHERE step = 20", "says its parent is"),
                ("DELETE FROM incidents", "incident 1 of 1 has no row"), ("DELETE FROM evaluations WHERE step = 25", "validation pass of step 25 has no row"),
                ("DELETE FROM checkpoints", "checkpoint of step 50 is durable"), ("UPDATE facts SET value = '99' WHERE name = 'cost.workerHour'", "by the configuration it is"),
                ("UPDATE commits SET tokens = 5000 WHERE step = 3", "step 3 has 5000 tokens of 512"), ("UPDATE commits SET learningRate = 1 WHERE step = 3", "step 3 has learning rate 1"),
            ] {
                let copy = try edited(run, sql), verify = try run.headway("verify", copy), report = try run.headway("report", copy)
                #expect(verify.end != .exited(0) && verify.output.contains("FAILED"), "\(sql)")
                let said = report.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                #expect(report.end == .exited(0) && said.contains("CAUTION") && said.contains(words), "\(sql): \(said.prefix(1500))")
                #expect(try run.headway("watch", copy, "--once").output.contains("CAUTION: see `headway report`"), "\(sql)")
            }
        }

        @Test func `a ledger cut off or overwritten never ends in a crash`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2))
            let path = run.path + "/ledger.sqlite", whole = try Data(contentsOf: URL(fileURLWithPath: path))
            let seed = UInt64.random(in: 0...(.max)), random = Philox(key: seed)
            for round in 0..<20 {
                var bytes = whole
                if round < 8 { bytes = bytes.prefix(whole.count * round / 8 + (round % 2)) } else {
                    for index in 0..<50 { bytes[Int(random.uniform(.tales, UInt32(round), 0, index: UInt32(index)) * Double(whole.count))] ^= UInt8(1 + index) }
                }
                try bytes.write(to: URL(fileURLWithPath: path))
                for arguments in [["report", run.path], ["verify", run.path], ["report", run.path, "--json", "-"], ["watch", run.path, "--once"]] {
                    let command = try run.start(arguments)
                    command.finish()
                    guard case .exited(let status) = command.end, status < 128 else {
                        Issue.record("\(arguments) ended with \(command.end!) in round \(round) of seed \(seed): \(command.complaint)")
                        continue
                    }
                }
            }
        }

        @Test func `a program that holds the ledger for a second stops nobody`() throws {
            let run = try TestRun(), settings = ["steps=400", "evaluation.every=100"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "step 100: validation loss")
            try DatabaseQueue(path: run.path + "/ledger.sqlite").writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    // A clock's second, not a condition: the launcher must wait for as long as a person with a tool takes.
                    usleep(1_000_000)
                    return .commit
                }
            }
            try run.expectFinished(command, settings, steps: 400)
        }
    }

    /// `headway watch`.
    @Suite struct Following {
        @Test func `a run is followed to its end, and what is over is said to be`() throws {
            let run = try TestRun(), settings = ["steps=1200", "evaluation.every=200"]
            let command = try run.train(workers: 2, settings, faults: ["crash worker=1 step=700"])
            try command.wait(for: "step 200: validation loss")
            let watch = try run.start(["watch", run.path])
            let once = try run.headway("watch", run.path, "--once")
            #expect(once.end == .exited(0) && once.output.split(separator: "\n").count == 1, "\(once.output)\(once.complaint)")
            for words in ["/1,200", " loss ", " tok/s", "goodput ", ", all ", "/2 workers"] { #expect(once.output.contains(words), "\(words): \(once.output)") }
            command.finish()
            #expect(watch.finish() == .exited(0), "\(watch.complaint)")
            try run.expectFinished(command, settings, steps: 1200)
            for words in ["worker 1 killed by signal 9 at backward of step 700", "view 3: worker 1 joined", "step 1200: validation loss", "checkpoint step-1200 is durable"] {
                #expect(watch.output.contains(words), "\(words): \(watch.output)")
            }
            let last = watch.output.split(separator: "\n").last ?? ""
            #expect(last.hasPrefix("finished after 1,200 of 1,200 steps") && last.hasSuffix("1 incident"), "\(last)")
            let after = try run.headway("watch", run.path)
            #expect(after.end == .exited(0) && after.output == last + "\n")
        }

        @Test func `a launcher that died is noticed, with what to do`() throws {
            let run = try TestRun(), settings = ["steps=5000", "evaluation.every=100"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "step 100: validation loss")
            let watch = try run.start(["watch", run.path])
            try watch.wait(for: "step ")
            command.signal(SIGKILL)
            command.finish()
            run.expectRefused(watch, .runFailed, "the launcher of \(run.path) died at step ", "`headway resume \(run.path)` goes on")
            #expect(watch.output.contains("left by its launcher after "))
            run.expectRefused(try run.headway("watch", run.path, "--once"), .runFailed, "died at step")
            let report = try run.headway("report", run.path)
            #expect(report.end == .exited(0) && report.output.contains("CAUTION      the launcher died without a word"), "\(report.output)")
            // The end of its log is torn: commits are lost that the workers had.
            let log = run.path + "/ledger.sqlite-wal"
            #expect(eventually { run.workers.isEmpty })
            if let size = try? FileManager.default.attributesOfItem(atPath: log)[.size] as? Int { truncate(log, off_t(size / 2)) }
            let torn = try run.headway("report", run.path)
            #expect(torn.end == .exited(0) && torn.output.contains("CAUTION"), "\(torn.complaint)")
        }

        @Test func `an interrupted run, and what is none`() throws {
            let run = try TestRun()
            run.expectRefused(try run.headway("watch", run.path), .missing, "there is no folder")
            run.expectRefused(try run.headway("watch", run.folder), .missing, "holds no run")
            let command = try run.train(workers: 1, ["steps=5000", "evaluation.every=100"])
            try command.wait(for: "step 100: validation loss")
            let watch = try run.start(["watch", run.path], input: "/dev/null")
            try watch.wait(for: "step ")
            command.signal(SIGINT)
            command.finish()
            run.expectRefused(watch, .interrupted, "was interrupted at step ", "`headway resume \(run.path)` goes on")
            try run.expectInterrupted(command)
        }
    }
}
