import Collectives
import CSystem
import Foundation
import GRDB
import Ledger
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    @Suite struct LauncherDeath {
        static let settings = ["steps=240", "evaluation.every=15"]
        /// So that a checkpoint is durable before so many steps are.
        static let pace = ["--pace", "4"]

        /// A run whose launcher was killed after step `step`; its workers have ended by themselves.
        private func orphaned(_ run: TestRun, _ settings: [String], step: Int, workers: Int = 3, options: [String] = []) throws {
            let command = try run.train(workers: workers, settings, options: options)
            try command.wait(for: "step \(step): validation loss")
            let descriptors = run.workers.map { cs_pidfd_open($0.pid) }
            defer { for descriptor in descriptors { close(descriptor) } }
            #expect(descriptors.count == workers)
            command.signal(SIGKILL)
            #expect(command.finish() == .signalled(9))
            for descriptor in descriptors {
                var ended = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                #expect(poll(&ended, 1, 10_000) == 1, "a worker outlives its launcher by 10 s")
            }
            // A checkpoint that is being written is finished first.
            #expect(eventually { run.processes.isEmpty })
        }

        /// Generations of the state take turns: an odd and an even step lie in different ones.
        @Test(arguments: [1, 3, 5], [45, 60])
        func `workers end by themselves, and a new launcher takes the state from shared memory`(workers: Int, step: Int) throws {
            let run = try TestRun()
            try orphaned(run, Self.settings, step: step)
            let committed = try run.record.commits.count
            let late = try run.headway("resume", run.path, "--workers", "\(workers)", "--fault", "crash worker=0 step=\(committed - 1)")
            run.expectRefused(late, .usage, "step \(committed - 1) is committed, the run goes on with step \(committed)")
            let command = try run.resume("--workers", "\(workers)")
            let record = try run.expectFinished(command, Self.settings, steps: 240)
            #expect(record.sessions.map(\.source) == ["initial", "shared memory"] && record.sessions[1].startStep == committed)
            #expect(record.commits.count == 240, "no committed step is computed again")
            #expect(command.output.contains("step \(committed) is still in shared memory and its hashes hold: nothing is lost"))
        }

        @Test(.enabled(if: Messages.areAvailable, "built without Gloo"))
        func `what lies in shared memory alone is not given up for another transport`() throws {
            let run = try TestRun(), settings = Self.settings + ["checkpoint.every=0"]
            try orphaned(run, settings, step: 45)
            let committed = try run.record.commits.count
            let other = try run.headway("resume", run.path, "--transport", "gloo")
            #expect(other.end == .exited(Int(UserError.Status.usage.rawValue)) && other.errors.contains("the state after step \(committed) is in memory only") && other.errors.contains("without the option takes it up"), "\(other.complaint)")
            let record = try run.expectFinished(run.resume(), settings, steps: 240)
            #expect(record.sessions.map(\.source) == ["initial", "shared memory"])
        }

        /// It is ready and waits for a step boundary, which does not come: of the two others, one has stopped.
        @Test func `a worker that waits to be admitted ends at once with its launcher, and one in a step later`() throws {
            let run = try TestRun(), command = try run.train(workers: 3, Self.settings)
            try command.wait(for: "step 30: validation loss")
            let workers = run.workers.map(\.pid)
            kill(workers[0], SIGSTOP)
            kill(workers[1], SIGKILL)
            #expect(eventually { (try? run.record.replicas.count { $0.readyNanoseconds != nil }) == 4 })
            let waiting = try #require(run.record.replicas.last)
            try #require(waiting.replica == 4 && waiting.admittedNanoseconds == nil)
            var ends = [pid_t(waiting.pid), workers[2]].map { pollfd(fd: cs_pidfd_open($0), events: Int16(POLLIN), revents: 0) }
            defer { for end in ends { close(end.fd) } }
            command.signal(SIGKILL)
            #expect(command.finish() == .signalled(9))
            #expect(poll(&ends, 2, 10_000) == 1 && ends[0].revents != 0, "\(ends.map(\.revents))")
            let record = try run.expectFinished(run.resume(), Self.settings, steps: 240)
            #expect(record.replicas.map(\.replica) == Array(1...7) && record.sessions[1].source == "shared memory")
        }

        /// Between the row and the process: what cannot be started leaves the same as a launcher that died there.
        @Test func `a worker is in the ledger before its process is, and its number is not used again`() throws {
            let run = try TestRun(), command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 30: validation loss")
            try #require(rename(run.path + "/logs", run.path + "/away") == 0)
            kill(try #require(run.workers.first).pid, SIGKILL)
            run.expectRefused(command, .system, "process cannot be started: No such file or directory", "stays in shared memory")
            let row = try #require(run.record.replicas.last)
            #expect(row.replica == 3 && row.pid == 0 && row.exit == "not started" && row.reapedNanoseconds != nil)
            #expect(try run.record.facts[RunFact.outcome] == "failed")
            try #require(rename(run.path + "/away", run.path + "/logs") == 0)
            let record = try run.expectFinished(run.resume(), Self.settings, steps: 240)
            #expect(record.replicas.map(\.replica) == [1, 2, 3, 4, 5] && record.replicas.suffix(2).allSatisfy { $0.pid > 0 })
        }

        /// Its units are still published in the memory that is taken over.
        @Test func `a validation pass that was recorded is not recorded again by a new launcher`() throws {
            let run = try TestRun(), held = try HeldProgram(of: run)
            let command = try run.train(workers: 1, Self.settings, faults: ["crash worker=0 step=60 point=leafDone"])
            try command.wait(for: "view 1: the run begins")
            try held.hold()
            try command.wait(for: "step 60: validation loss")
            _ = try held.stopped("worker")
            command.signal(SIGKILL)
            #expect(command.finish() == .signalled(9))
            let record = try run.expectFinished(run.resume(), Self.settings, steps: 240)
            #expect(record.sessions[1].source == "shared memory" && record.sessions[1].startStep == 60)
            #expect(record.evaluations.map(\.step) == Array(stride(from: 0, through: 240, by: 15)))
        }

        /// The writer is started by hand, as a launcher would.
        @Test func `a checkpoint writer refuses a generation that is not the state it was told, and makes the ledger durable first`() throws {
            let run = try TestRun()
            try orphaned(run, Self.settings, step: 45)
            let last = try #require(run.record.commits.last)
            try run.withSharedState { shared in
                // The launcher may have died between the record and the announcement.
                let generation = shared.committedStep == last.step ? shared.currentGeneration : shared.nextGeneration
                func write() throws -> Command {
                    try run.headway("checkpoint-writer", run.path, "--step", "\(last.step)", "--generation", "\(generation)",
                        "--state-hash", last.stateHash, "--past-updates", "{\"updates\":[]}", "--launcher", "\(getpid())")
                }
                let element = shared.state(generation: generation, part: 1) + 1234
                element.pointee = Float(bitPattern: element.pointee.bitPattern ^ 1)
                run.expectRefused(try write(), .runFailed, "generation \(generation) of shared memory", "not the committed one")
                #expect(run.checkpoints.isEmpty)
                element.pointee = Float(bitPattern: element.pointee.bitPattern ^ 1)
                // Nor is anything durable before the ledger is.
                let log = run.path + "/ledger.sqlite-wal", away = run.folder + "/away"
                let isThere = rename(log, away) == 0
                try #require(symlink(log, log) == 0)
                run.expectRefused(try write(), .unwritable, "ledger.sqlite-wal cannot be made durable")
                #expect(run.checkpoints.isEmpty)
                try #require(unlink(log) == 0)
                if isThere { try #require(rename(away, log) == 0) }
                #expect(try write().end == .exited(0))
                #expect(run.checkpoints == [last.step])
            }
            try run.expectFinished(run.resume(), Self.settings, steps: 240)
        }

        @Test func `a checkpoint is durable though older ones could not be removed`() throws {
            let run = try TestRun(), settings = Self.settings + ["checkpoint.keep-best=1"]
            try orphaned(run, settings, step: 45)
            let last = try #require(run.record.commits.last), ledger = try DatabaseQueue(path: run.path + "/ledger.sqlite")
            // Which ones are best cannot be read.
            try ledger.write { db in try db.execute(sql: "INSERT INTO evaluations VALUES (1, 7, 1, 'x', 1)") }
            try run.withSharedState { shared in
                let generation = shared.committedStep == last.step ? shared.currentGeneration : shared.nextGeneration
                let writer = try run.headway("checkpoint-writer", run.path, "--step", "\(last.step)", "--generation", "\(generation)",
                    "--state-hash", last.stateHash, "--past-updates", "{\"updates\":[]}", "--launcher", "\(getpid())")
                #expect(writer.end == .exited(0) && writer.errors.hasPrefix("older checkpoints were not removed: "), "\(writer.complaint)")
            }
            #expect(run.checkpoints == [last.step])
            try ledger.write { db in try db.execute(sql: "DELETE FROM evaluations WHERE step = 7") }
            try run.expectFinished(run.resume(), settings, steps: 240)
        }

        @Test func `a new launcher that comes at once ends the workers of the old one first`() throws {
            let run = try TestRun()
            let old = try run.train(workers: 3, Self.settings)
            try old.wait(for: "step 60: validation loss")
            let workers = run.workers
            for worker in workers { kill(worker.pid, SIGSTOP) }
            old.signal(SIGKILL)
            #expect(old.finish() == .signalled(9))
            let record = try run.expectFinished(run.resume("--workers", "2"), Self.settings, steps: 240)
            #expect(record.sessions.map(\.source) == ["initial", "shared memory"])
            #expect(record.replicas.count { $0.exit == "orphaned" } == 3)
        }

        @Test func `launchers that die again and again lose no step`() throws {
            let run = try TestRun()
            var command = try run.train(workers: 2, Self.settings)
            for step in [45, 60, 105, 135, 180] {
                try command.wait(for: "step \(step): validation loss")
                command.signal(SIGKILL)
                #expect(command.finish() == .signalled(9))
                command = try run.resume("--workers", "\(1 + step / 15 % 3)")
            }
            let record = try run.expectFinished(command, Self.settings, steps: 240)
            #expect(record.sessions.count == 6 && record.sessions.dropFirst().allSatisfy { $0.source == "shared memory" })
            #expect(record.commits.count == 240)
        }

        @Test func `without the memory a new launcher begins from the newest checkpoint`() throws {
            let run = try TestRun(), settings = Self.settings + ["checkpoint.every=30"]
            try orphaned(run, settings, step: 105, options: Self.pace)
            #expect(unlink(try #require(run.segment)) == 0)
            let newest = try #require(run.checkpoints.first), committed = try run.record.commits.count
            #expect(newest >= 30 && newest <= committed)
            let record = try run.expectFinished(run.resume(), settings, steps: 240)
            #expect(record.sessions.map(\.source) == ["initial", "checkpoint"] && record.sessions[1].startStep == newest)
            #expect(record.commits.count == 240 + committed - newest)
        }

        @Test func `without memory and checkpoint a new launcher begins from step 0`() throws {
            let run = try TestRun()
            try orphaned(run, Self.settings, step: 45)
            #expect(unlink(try #require(run.segment)) == 0)
            let command = try run.resume()
            let record = try run.expectFinished(command, Self.settings, steps: 240)
            #expect(record.sessions[1].startStep == 0 && record.sessions[1].source == "initial")
            #expect(command.output.contains("there is no checkpoint; starting again from step 0"))
        }


        @Test(arguments: 0..<3)
        func `memory with a single flipped bit is not taken`(part: Int) throws {
            let run = try TestRun(), settings = Self.settings + ["checkpoint.every=30"]
            try orphaned(run, settings, step: 105, options: Self.pace)
            let last = try #require(run.record.commits.last)
            try run.withSharedState { shared in
                // The launcher may have died between the record and the announcement.
                let generation = shared.committedStep == last.step ? shared.currentGeneration : shared.nextGeneration
                let element = shared.state(generation: generation, part: part) + 1234
                element.pointee = Float(bitPattern: element.pointee.bitPattern ^ 1)
            }
            let newest = try #require(run.checkpoints.first)
            let record = try run.expectFinished(run.resume(), settings, steps: 240)
            #expect(record.sessions[1].source == "checkpoint" && record.sessions[1].startStep == newest)
        }

        /// The launcher may die between the record, which counts, and the announcement.
        @Test(arguments: [45, 60])
        func `a commit that was recorded and not announced counts`(step: Int) throws {
            let run = try TestRun()
            try orphaned(run, Self.settings, step: step)
            let record = try run.record, last = try #require(record.commits.last), schedule = try RunFolder(run.path).read().0.schedule, ledger = try LedgerStore(writing: run.path + "/ledger.sqlite")
            // The workers finished the step that was under way: all that lacks is its record.
            try run.withSharedState { shared in
                #expect(shared.committedStep == last.step && shared.updates.allDone(turn: shared.turn))
                try ledger.append(CommitRow(
                    session: last.session, step: last.step + 1, view: last.view, nanoseconds: MonotonicClock.nanoseconds(), lossSum: shared.stepLoss.nats,
                    tokens: shared.stepLoss.tokens, gradientNorm: shared.gradientNorm, learningRate: schedule.rate(step: last.step, of: 240), parentHash: last.stateHash,
                    stateHash: Launcher.stateHash(step: last.step + 1, fingerprints: shared.fingerprints(generation: shared.nextGeneration)),
                    leafReplicas: (0..<8).map { shared.leafReplica($0) }))
            }
            let finished = try run.expectFinished(run.resume(), Self.settings, steps: 240)
            #expect(finished.sessions[1].source == "shared memory" && finished.sessions[1].startStep == last.step + 1)
            #expect(finished.commits.count == 240)
        }

        /// A worker that dies while it makes its flight recorder leaves a file without a header, or a piece of one.
        @Test(arguments: [0, 40, 4096])
        func `a flight recorder that was not finished costs the record of its worker and no more`(bytes: Int) throws {
            let run = try TestRun()
            try orphaned(run, Self.settings, step: 60)
            #expect(truncate(run.path + "/flights/replica-2.ring", off_t(bytes)) == 0)
            let command = try run.resume()
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            #expect(try run.record.facts[RunFact.finalDigest] == TestRun.reference(Self.settings))
            run.expectNothingLeft()
        }

        @Test func `workers that were killed with their launcher leave a state that is taken up`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 3, Self.settings)
            try command.wait(for: "step 60: validation loss")
            for process in run.processes { kill(process.pid, SIGKILL) }
            #expect(command.finish() == .signalled(9))
            let record = try run.expectFinished(run.resume(), Self.settings, steps: 240)
            #expect(record.sessions[1].source == "shared memory")
        }
    }

    /// Two launchers and one folder, and folders that hold other things.
    @Suite struct Ownership {
        @Test func `a second launcher is refused and the first goes on undisturbed`() throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20"]
            let first = try run.train(workers: 2, settings)
            try first.wait(for: "step 20: validation loss")
            let resume = try run.resume()
            run.expectRefused(resume, .unwritable, "\(run.path) is in use by process \(first.pid)")
            let train = try run.train(workers: 2, settings)
            run.expectRefused(train, .unwritable, "\(run.path) holds a run already", "headway resume \(run.path)")
            try run.expectFinished(first, settings, steps: 240)
        }

        /// Standard input that nobody closes keeps the first launcher in its preparation.
        @Test func `a second launcher is refused while the first still prepares, and takes nothing from it`() throws {
            let run = try TestRun(), pipe = try NamedPipe(run.folder + "/input")
            let first = try run.train(workers: 2, text: "-", input: pipe.path)
            #expect(eventually { (try? String(contentsOfFile: run.path + "/lock", encoding: .utf8)) == "\(first.pid)\n" })
            let second = try run.train(workers: 2)
            run.expectRefused(second, .unwritable, run.path, "choose another folder")
            pipe.finish(Array(String(repeating: "the quick brown fox jumps over the lazy dog\n", count: 400).utf8))
            #expect(first.finish() == .exited(0), "\(first.complaint)")
            run.expectNothingLeft()
            try run.expectVerified()
        }

        @Test func `of two launchers that start together on one folder, one trains and the other is refused`() throws {
            for _ in 0..<5 {
                let run = try TestRun()
                let launchers = try [run.train(workers: 1), run.train(workers: 1)]
                for launcher in launchers { launcher.finish() }
                let refused = try #require(launchers.first { $0.end != .exited(0) })
                #expect(refused.end == .exited(Int(UserError.Status.unwritable.rawValue)), "\(refused.complaint)")
                try run.expectFinished(try #require(launchers.first { $0.end == .exited(0) }))
            }
        }

        @Test func `a folder that holds other things is refused and left as it is`() throws {
            let run = try TestRun()
            for name in ["data", "logs", "checkpoints"] {
                try FileManager.default.createDirectory(atPath: run.path + "/" + name, withIntermediateDirectories: true)
                _ = try run.write("run/\(name)/mine.txt", "mine".utf8)
            }
            run.expectRefused(try run.train(workers: 2), .unwritable, "\(run.path) is not empty")
            #expect(try FileManager.default.subpathsOfDirectory(atPath: run.path).sorted() ==
                ["checkpoints", "checkpoints/mine.txt", "data", "data/mine.txt", "logs", "logs/mine.txt"])
        }

        @Test func `an empty folder is used, and is empty again after a failure`() throws {
            let run = try TestRun()
            try FileManager.default.createDirectory(atPath: run.path, withIntermediateDirectories: true)
            run.expectRefused(try run.train(workers: 2, text: run.folder + "/missing.txt"), .missing, "missing.txt")
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.path).isEmpty)
            try run.expectFinished(run.train(workers: 2))
        }
    }
}
