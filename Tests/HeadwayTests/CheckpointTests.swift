import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    @Suite struct Checkpoints {
        static let settings = ["steps=240", "evaluation.every=20"]

        private static func name(_ step: Int) -> String { String(format: "step-%010d", step) }

        private func flip(_ run: TestRun, step: Int, file: String = "weights.safetensors") throws {
            let folder = run.path + "/checkpoints"
            let path = "\(folder)/\(Self.name(step))/\(file)"
            var data = try Data(contentsOf: URL(fileURLWithPath: path))
            data[data.count - 1000] ^= 0x10
            try data.write(to: URL(fileURLWithPath: path))
        }

        @Test func `a checkpoint asked for becomes durable while training goes on, and a lost run begins from it`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            let asked = try run.headway("checkpoints", run.path, "--now")
            #expect(asked.end == .exited(0) && asked.errors.isEmpty, "\(asked.complaint)")
            let step = try #require(run.checkpoints.first)
            #expect(asked.output == "checkpoint step-\(step) is durable\n" && step >= 40)
            for process in run.processes { kill(process.pid, SIGKILL) }
            command.finish()
            #expect(unlink(try #require(run.segment)) == 0)
            let resumed = try run.resume()
            try run.expectFinished(resumed, Self.settings, steps: 240)
            #expect(resumed.output.contains("restored checkpoint step-\(step)"))
        }

        @Test func `two who ask for a checkpoint at once both get one`() throws {
            let run = try TestRun(), command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            let first = try run.start(["checkpoints", run.path, "--now"]), second = try run.start(["checkpoints", run.path, "--now"])
            for asked in [first, second] { #expect(asked.finish() == .exited(0), "\(asked.complaint)") }
            try run.expectFinished(command, Self.settings, steps: 240)
        }

        /// Steps as short as these outrun the disk: a checkpoint that falls due while another is written comes later.
        @Test(arguments: [2, 3])
        func `checkpoints fall due at their interval, and as many are kept as asked for`(keep: Int) throws {
            let run = try TestRun(), settings = ["steps=240", "checkpoint.every=20", "checkpoint.keep=\(keep)"]
            let record = try run.expectFinished(run.train(workers: 2, settings), settings, steps: 240)
            let steps = record.checkpoints.map(\.step)
            #expect(record.checkpoints.allSatisfy { $0.status == "durable" && $0.bytes > 0 && $0.step >= 20 } && steps.last == 240)
            #expect(run.checkpoints == Array(steps.reversed().prefix(keep)))
        }

        /// A run that was interrupted with at least two checkpoints on disk.
        private func interrupted(_ run: TestRun) throws -> (newest: Int, before: Int) {
            let command = try run.train(workers: 2, Self.settings + ["checkpoint.every=20"])
            try command.wait(for: "checkpoint step-20 is durable")
            try command.wait(for: "step 60: validation loss")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            try #require(run.checkpoints.count == 2)
            return (run.checkpoints[0], run.checkpoints[1])
        }

        @Test(arguments: ["weights.safetensors", "optimizer.safetensors"])
        func `with a flipped bit in the newest checkpoint a run falls back to the one before, and says so`(file: String) throws {
            let run = try TestRun(), (newest, before) = try interrupted(run)
            try flip(run, step: newest, file: file)
            let command = try run.resume()
            let record = try run.expectFinished(command, Self.settings + ["checkpoint.every=20"], steps: 240)
            #expect(record.sessions[1].startStep == before && record.sessions[1].source == "checkpoint")
            #expect(command.output.contains("restored checkpoint step-\(before); \(newest - before) committed step"), "\(command.output)")
            #expect(command.output.contains("checkpoint step-\(newest) is set aside as \(Self.name(newest)).damaged\n"), "\(command.output)")
            #expect(FileManager.default.fileExists(atPath: "\(run.path)/checkpoints/\(Self.name(newest)).damaged/\(file)"))
            let restores = record.restores.map { ($0.step, $0.damage == nil) }
            #expect(restores.count == 2 && restores[0] == (newest, false) && restores[1] == (before, true))
        }

        @Test func `with all checkpoints damaged a run begins from step 0 with clean moments`() throws {
            let run = try TestRun(), (newest, before) = try interrupted(run)
            for step in [newest, before] { try flip(run, step: step, file: "optimizer.safetensors") }
            let record = try run.expectFinished(run.resume(), Self.settings + ["checkpoint.every=20"], steps: 240)
            #expect(record.sessions[1].startStep == 0)
        }

        @Test func `a checkpoint writer that is killed costs the checkpoint and nothing else`() throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20", "checkpoint.every=40"]
            let command = try run.train(workers: 2, settings)
            var killed: Set<pid_t> = []
            let caught = eventually {
                for writer in run.processes where writer.isCheckpointWriter && kill(writer.pid, SIGKILL) == 0 { killed.insert(writer.pid) }
                return !killed.isEmpty
            }
            #expect(caught)
            let record = try run.expectFinished(command, settings, steps: 240)
            #expect(record.checkpoints.contains { $0.durableNanoseconds == nil && $0.status != "durable" } && record.checkpoints.last?.status == "durable")
            let names = try FileManager.default.contentsOfDirectory(atPath: run.path + "/checkpoints")
            #expect(!names.contains { $0.contains("tmp") }, "\(names)")
        }

        @Test func `a last checkpoint that cannot be written is an error, and the run is not lost`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            let folder = run.path + "/checkpoints"
            try FileManager.default.removeItem(atPath: folder)
            _ = try run.write("run/checkpoints", [])
            command.finish()
            #expect(command.end == .exited(Int(UserError.Status.unwritable.rawValue)), "\(command.complaint)")
            #expect(command.errors.hasPrefix("headway: ") && command.errors.split(separator: "\n").count == 1, "\(command.complaint)")
            #expect(command.errors.contains("; step 240 stays in shared memory, `headway resume"), "\(command.complaint)")
            #expect(run.processes.isEmpty)
            // Two writers tried, and nobody after them.
            #expect(try run.record.checkpoints.map(\.durableNanoseconds) == [nil, nil])
            try FileManager.default.removeItem(atPath: folder)
            try run.expectFinished(run.resume(), Self.settings, steps: 240)
        }

        /// A manifest that is whole and names another state: what a writer leaves that read memory which had changed.
        private func nameAnotherState(_ run: TestRun, step: Int) throws {
            let folder = run.path + "/checkpoints"
            let path = "\(folder)/\(Self.name(step))/manifest.json", text = try String(contentsOfFile: path, encoding: .utf8)
            let state = try #require(run.record.commits.last { $0.step == step }).stateHash
            let body = try #require(text.components(separatedBy: "\n").first).replacingOccurrences(of: state, with: String(state.reversed()))
            try #require(!text.hasPrefix(body))
            try Data("\(body)\n,\"manifestSHA256\":\"\(sha256(body.utf8))\"}\n".utf8).write(to: URL(fileURLWithPath: path))
        }

        @Test func `a checkpoint that names another state than it holds is passed over, and its run says so`() throws {
            let run = try TestRun(), (newest, before) = try interrupted(run)
            try nameAnotherState(run, step: newest)
            let command = try run.resume()
            let record = try run.expectFinished(command, Self.settings + ["checkpoint.every=20"], steps: 240)
            #expect(record.sessions[1].startStep == before && record.sessions[1].source == "checkpoint")
            #expect(command.output.contains("checkpoint step-\(newest) is damaged: its state has hash "), "\(command.output)")
            #expect(command.output.contains("; restoring step-\(before) instead\n"), "\(command.output)")
        }

        @Test func `a last checkpoint that names another state than it holds is written anew`() throws {
            let run = try TestRun(), (command, replacement) = try run.trainToClosingValidation(Self.settings, steps: 240)
            command.signal(SIGINT)
            try command.wait(for: "stopping")
            kill(replacement, SIGKILL)
            try run.expectInterrupted(command)
            try nameAnotherState(run, step: 240)
            let record = try run.expectFinished(run.resume(), Self.settings, steps: 240)
            #expect(record.sessions[1].startStep == 0 && record.checkpoints.map(\.status) == ["durable", "durable"])
        }

        @Test func `a periodic checkpoint whose writer cannot be started is booked as failed, and training goes on`() throws {
            let run = try TestRun(), settings = Self.settings + ["checkpoint.every=40"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "step 20: validation loss")
            try #require(rename(run.path + "/logs", run.path + "/away") == 0)
            try command.wait(for: "was not written: ")
            try #require(rename(run.path + "/away", run.path + "/logs") == 0)
            let record = try run.expectFinished(command, settings, steps: 240)
            let failed = record.checkpoints.filter { $0.durableNanoseconds == nil }
            #expect(!failed.isEmpty && failed.allSatisfy { $0.status.contains("cannot be started: No such file or directory") }, "\(failed)")
        }

        @Test func `a last checkpoint whose writer is killed is written by another one`() throws {
            let run = try TestRun(), held = try HeldProgram(of: run), command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            try held.hold()
            command.signal(SIGINT)
            let writer = try held.stopped("checkpoint-writer")
            try held.release()
            kill(writer, SIGKILL)
            let record = try run.expectInterrupted(command)
            #expect(record.checkpoints.map(\.status) == ["the writer was killed by signal 9", "durable"])
            try run.expectFinished(run.resume(), Self.settings, steps: 240)
        }

        @Test func `a checkpoint of a run that does not run, or is none, is refused`() throws {
            let run = try TestRun()
            run.expectRefused(try run.headway("checkpoints", run.path, "--now"), .missing, "\(run.path) holds no run (there is no run.json)")
            try run.expectFinished(run.train(workers: 1))
            run.expectRefused(try run.headway("checkpoints", run.path, "--now"), .usage, "\(run.path) is not running")
        }

        /// The lock is held from the first moment, the signal that asks for a checkpoint is taken later.
        @Test func `a checkpoint asked for while a resumed run still prepares does not end it`() throws {
            let run = try TestRun()
            let first = try run.train(workers: 2, Self.settings)
            try first.wait(for: "step 40: validation loss")
            first.signal(SIGINT)
            try run.expectInterrupted(first)
            let resumed = try run.resume()
            #expect(eventually { (try? String(contentsOfFile: run.path + "/lock", encoding: .utf8)) == "\(resumed.pid)\n" })
            let asked = try run.start(["checkpoints", run.path, "--now"])
            asked.finish()
            try run.expectFinished(resumed, Self.settings, steps: 240)
        }
    }
}
