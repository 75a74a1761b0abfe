import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// What the ledger says of a run, and whether its checks find what is wrong.
    @Suite struct Record {
        /// The one bound on time in these tests: a crash is known within 10 ms. A busy machine delays a single
        /// detection now and then, so it is the median of ten that counts.
        @Test func `injected crashes are detected within 10 ms and cost a microbatch each at most`() throws {
            let run = try TestRun(), settings = ["steps=300"]
            let points = [FaultPoint.forward, .backward, .leafDone, .publish, .reduce, .update, .vote, .commit]
            let faults = (0..<10).map { "crash worker=\($0 % 2) step=\(20 + 25 * $0) point=\(points[$0 % points.count])" }
            let record = try run.expectFinished(run.train(workers: 2, settings, faults: faults), settings, steps: 300)
            let bills = RunAccount(record).incidents
            #expect(bills.count == 10 && bills.allSatisfy { $0.incident.onsetIsExact && $0.microbatchesLost <= 1 })
            let detections = bills.map(\.detectionNanoseconds).sorted()
            #expect(detections[0] >= 0 && detections[5] < 10_000_000, "\(detections) ns")
            for bill in bills {
                // In the hands of the dead worker between the start of forward and the publication, and only there.
                let point = try Fault(faults[#require(bill.incident.fault)]).point
                #expect((bill.microbatchesLost == 1) == [.forward, .backward, .leafDone].contains(point), "\(point)")
                #expect(bill.incident.description.contains("killed by signal 9 at \(point) of step"))
            }
        }

        @Test func `runs with and without faults verify against each other, a run of another seed does not`() throws {
            let run = try TestRun(), calm = try TestRun(), other = try TestRun()
            try run.expectFinished(run.train(workers: 3, faults: ["crash worker=1 step=10", "crash worker=2 step=20 point=reduce"]))
            try calm.expectFinished(calm.train(workers: 1))
            try other.expectFinished(other.train(workers: 1, ["seed=2"]), ["seed=2"])
            for (a, b) in [(run, calm), (calm, run)] {
                let command = try a.headway("verify", a.path, "--against", b.path)
                #expect(command.end == .exited(0) && command.output.contains("equal state hashes in all 50 steps"), "\(command.output)")
            }
            let command = try run.headway("verify", run.path, "--against", other.path)
            run.expectRefused(command, .runFailed, exit: Check.Topic.states.rawValue, "1 of ", " checks failed: same weights as \(other.path)")
            #expect(command.output.contains("the states differ from step 1 on"))
        }

        @Test func `a shorter run does not verify against a longer one`() throws {
            let run = try TestRun(), longer = try TestRun()
            // A constant rate after the same warm-up: the first 20 steps are the same.
            let settings = ["schedule.kind=constant", "steps=20"], more = ["schedule.kind=constant", "steps=30"]
            try run.expectFinished(run.train(workers: 2, settings), settings, steps: 20)
            try longer.expectFinished(longer.train(workers: 1, more), more, steps: 30)
            let command = try run.headway("verify", run.path, "--against", longer.path)
            run.expectRefused(command, .runFailed, exit: Check.Topic.states.rawValue)
            #expect(command.output.contains("equal in all 20 common steps, but this run ends at step 20, the other at step 30"))
        }

        @Test func `a commit that is changed afterwards fails the checks`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2))
            let ledger = try LedgerStore(writing: run.path + "/ledger.sqlite")
            var row = try run.record.commits[49]
            (row.step, row.parentHash) = (51, row.parentHash)
            try ledger.append(row)
            let command = try run.headway("verify", run.path)
            run.expectRefused(command, .runFailed, exit: Check.Topic.lineage.rawValue | Check.Topic.figures.rawValue, "checks failed")
        }

        @Test func `a report can be read while the run goes on, and does not disturb it`() throws {
            let run = try TestRun(), settings = ["steps=400", "evaluation.every=100"]
            let command = try run.train(workers: 2, settings, faults: ["crash worker=1 step=90"])
            for step in [100, 200, 300] {
                try command.wait(for: "step \(step): validation loss")
                let report = try run.headway("report", run.path)
                #expect(report.end == .exited(0) && report.errors.isEmpty, "\(report.complaint)")
                #expect(report.output.contains("P1   productive compute") && report.output.contains("worker 1 killed by signal 9 at backward of step 90"))
            }
            try run.expectFinished(command, settings, steps: 400)
        }

        @Test func `a death nobody planned is recorded with what the worker was doing`() throws {
            let run = try TestRun(), settings = ["steps=400", "evaluation.every=100"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "step 100: validation loss")
            let victim = try #require(run.workers.first)
            kill(victim.pid, SIGABRT)
            let record = try run.expectFinished(command, settings, steps: 400)
            let incident = try #require(record.incidents.first)
            #expect(record.incidents.count == 1 && incident.kind == .crash && !incident.onsetIsExact && incident.fault == nil)
            #expect(incident.description.contains("killed by signal 6 in ") && incident.description.hasSuffix("of step \(incident.step)"))
            #expect(record.replicas.first { $0.pid == Int(victim.pid) }?.exitCode == 6)
        }

        @Test func `what is printed names the faults, the incidents and the checkpoint`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, faults: ["crash worker=1 step=10 point=reduce"])
            try run.expectFinished(command)
            for words in [
                "fault       crash worker=1 step=10 point=reduce", "worker 1 killed by signal 9 at reduce of step 10; 0 microbatches moved; 1 worker in view 2",
                "view 1: the run begins; 2 of 2 workers", "step 0: validation loss", "step 50: validation loss", "checkpoint step-50 is durable",
            ] { #expect(command.output.contains(words), "\(words): \(command.output)") }
            #expect(command.errors.isEmpty && !command.output.contains("\u{1B}") && !command.output.contains("\r"))
        }

        @Test func `on a terminal the live line is gone when a run ends with an error`() throws {
            let run = try TestRun(), command = try run.train(workers: 1, ["steps=5000"], onTerminal: true)
            try command.wait(for: "step 0: validation loss")
            for worker in run.workers { kill(worker.pid, SIGSTOP) }
            command.signal(SIGINT)
            let clearing = "\r\u{1B}[K"
            try command.wait(for: "once more to stop at once\r\n" + clearing + "step ")
            command.signal(SIGINT)
            run.expectRefused(command, .interrupted, "stopped at once")
            #expect(command.output.hasSuffix(clearing), "\(command.output.suffix(200))")
        }

        @Test func `the same seed samples the same text, another seed another`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2))
            func sample(_ arguments: String...) throws -> String {
                let command = try run.start(["sample", run.path, "--prompt", "The ", "--tokens", "60"] + arguments)
                #expect(command.finish() == .exited(0), "\(command.complaint)")
                #expect(command.output.hasPrefix("The "))
                return command.output
            }
            let first = try sample("--seed", "3")
            #expect(try sample("--seed", "3") == first && sample("--seed", "4") != first)
            #expect(try sample("--temperature", "0", "--seed", "3") == sample("--top-k", "1", "--seed", "4"))
            run.expectNothingLeft()
        }
    }
}
