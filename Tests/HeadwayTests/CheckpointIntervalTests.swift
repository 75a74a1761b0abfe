import Foundation
import Ledger
import Testing
import Training

extension HeadwayCommand {
    @Suite struct CheckpointIntervals {
        @Test func `auto chooses anew after checkpoints and failures, says from what, and changes no bit`() throws {
            let run = try TestRun(), settings = ["steps=160", "checkpoint.every=auto", "evaluation.every=50"]
            let faults = ["crash worker=1 step=60", "crash worker=0 step=110 point=update"]
            let command = try run.train(workers: 2, settings, faults: faults, options: ["--policy", "restart", "--pace", "4"])
            let record = try run.expectFinished(command, settings, steps: 160)
            #expect(record.faults.allSatisfy { $0.firedNanoseconds != nil })
            #expect(record.intervals.count { $0.cause == .failure } == 2 && record.intervals.contains { $0.cause == .checkpoint })
            let last = try #require(record.intervals.last).choice
            #expect(last.rate.failures == 2 && last.persist > 0 && last.restart > 0 && last.rate.exposureSeconds > 0 && last.workers == 2)
            #expect(record.intervals.allSatisfy { ($0.choice.leastSteps...$0.choice.mostSteps).contains($0.choice.steps) })
            // What a failure threw away is at most the longest interval and what had not been written.
            #expect(record.checkpoints.count { $0.durableNanoseconds != nil } > 5)
            #expect(command.output.contains("a checkpoint every ") && command.output.contains("  interval     auto, "), "\(command.output)")
            let json = try run.headway("report", run.path, "--json", "-")
            #expect(json.output.contains("\"young_seconds\"") && json.output.contains("\"checkpoint.every\": \"auto\""), "\(json.complaint)")
        }

        @Test func `under elastic the death of the launcher is what counts`() throws {
            let run = try TestRun(), settings = ["steps=160", "checkpoint.every=auto", "evaluation.every=0"]
            let command = try run.train(workers: 2, settings, faults: ["crash worker=1 step=20", "crash launcher step=90 point=vote"], options: ["--pace", "4"])
            command.finish()
            #expect(command.end == .signalled(Int(SIGKILL)))
            let before = try #require(run.record.intervals.last).choice.rate
            #expect(before.failures == 0)
            let record = try run.expectFinished(run.resume(), settings, steps: 160)
            let after = try #require(record.intervals.last { $0.session == 2 }).choice.rate
            #expect(after.failures == 1 && after.exposureSeconds > before.exposureSeconds)
        }

        @Test func `after a checkpoint that failed the next is tried steps later, not an interval`() throws {
            let run = try TestRun(), settings = ["steps=160", "checkpoint.every=60", "evaluation.every=0"]
            let faults = ["crash writer step=60", "crash writer step=61", "crash writer step=62", "crash writer step=120"]
            let record = try run.expectFinished(run.train(workers: 2, settings, faults: faults, options: ["--pace", "4"]), settings, steps: 160)
            let failed = record.checkpoints.filter { $0.durableNanoseconds == nil }.map(\.step), durable = record.checkpoints.filter { $0.durableNanoseconds != nil }.map(\.step)
            #expect(failed.count == 4 && failed[0] == 60 && failed[3] == 120, "\(failed)")
            // Twice a step apart and once two, and what the writers took.
            #expect(failed[1] > 60 && failed[2] > failed[1] + 1 && durable[0] > failed[2] + 3 && durable[0] < 120, "\(failed) \(durable)")
            #expect((121..<160).contains(durable[1]) && durable[2...] == [160], "\(durable)")
        }

        @Test func `whoever takes the state from memory counts the interval from the newest checkpoint`() throws {
            let run = try TestRun(), settings = ["steps=160", "checkpoint.every=30", "evaluation.every=0"]
            let command = try run.train(workers: 2, settings, faults: ["crash launcher step=80 point=commit"], options: ["--pace", "4"])
            #expect(command.finish() == .signalled(Int(SIGKILL)))
            #expect(eventually { run.processes.isEmpty })
            let newest = try #require(run.checkpoints.first)
            // OpenBLAS has chosen this process's core by itself, the program its own by the processor's features.
            let prepared = try PreparedRun.resume(RunFolder(run.path), allowing: [.core]) { before, _ in SessionOptions(workers: before.workers) }
            prepared.removeSegment()
            #expect(prepared.start.source == "shared memory" && prepared.start.step == 81 && prepared.start.checkpointStep == newest && newest < 81)
        }

        /// A second or more to write, two and a half to train: checkpoints fall due all the time.
        @Test func `a writer held to a bandwidth stands back, and what falls due meanwhile waits, is merged and is counted`() throws {
            let run = try TestRun(), settings = ["steps=200", "checkpoint.every=5", "evaluation.every=0", "checkpoint.bandwidth=0.4", "checkpoint.nice=12"]
            let command = try run.train(workers: 2, settings, options: ["--pace", "3"])
            var nice: Int?
            let seen = eventually {
                guard let writer = run.processes.first(where: \.isCheckpointWriter) else { return false }
                nice = Self.nice(writer.pid)
                return nice == 12
            }
            #expect(seen, "\(String(describing: nice))")
            let record = try run.expectFinished(command, settings, steps: 200)
            let paced = record.checkpoints.dropLast(), last = try #require(record.checkpoints.last)
            for row in paced {
                let took = Double(try #require(row.durableNanoseconds) - row.requestedNanoseconds) / 1e9
                #expect(took >= Double(row.bytes) / 0.4e6 * 0.99, "\(row)")
            }
            #expect(record.checkpoints.contains { $0.lateNanoseconds > 0 && $0.merged > 0 })
            #expect(command.output.components(separatedBy: "the disk is slower than the interval of checkpoints").count == 2, "\(command.output)")
            #expect(command.output.contains(": the disk is slower than the"), "\(command.output)")
            // The closing one waits for the one before it, which is back-pressure; it is held to nothing itself.
            let wait = try #require(record.launcherSpans.first { $0.category == .backPressure })
            #expect(last.lateNanoseconds > 0 && wait.incident == nil && RunAccount(record).accounts.nanoseconds(.backPressure) > 0)
        }

        private static func nice(_ pid: pid_t) -> Int? {
            guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
            // Counted from the state, which follows the name: the 17th.
            return text.split(separator: ")").last.map { $0.split(separator: " ") }.flatMap { $0.count > 16 ? Int($0[16]) : nil }
        }
    }
}
