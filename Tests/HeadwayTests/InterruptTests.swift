import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    @Suite struct Interrupts {
        static let settings = ["steps=240", "evaluation.every=20"]

        @Test(arguments: [SIGINT, SIGTERM, SIGHUP], [1, 3])
        func `a signal stops at a step boundary, and any number of workers goes on to the same bits`(signal: Int32, workers: Int) throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            command.signal(signal)
            let stopped = try run.expectInterrupted(command)
            let step = stopped.commits.count
            #expect(step >= 40 && step < 240)
            let resumed = try run.resume("--workers", "\(workers)")
            let record = try run.expectFinished(resumed, Self.settings, steps: 240)
            #expect(resumed.output.contains("restored checkpoint step-\(step)\n"))
            #expect(record.sessions.map(\.startStep) == [0, step] && record.sessions.map(\.source) == ["initial", "checkpoint"])
            #expect(record.commits.count == 240)
        }

        @Test func `a run interrupted again and again, with crashes between, ends with the same bits`() throws {
            let run = try TestRun()
            var command = try run.train(workers: 2, Self.settings, faults: ["crash worker=1 step=30"])
            for (round, step) in [60, 120, 180].enumerated() {
                try command.wait(for: "step \(step): validation loss")
                command.signal(SIGINT)
                let stopped = try run.expectInterrupted(command).commits.count
                command = try run.resume("--workers", "\(round + 1)", "--fault", "crash worker=\(round) step=\(stopped + 5) point=update")
            }
            let record = try run.expectFinished(command, Self.settings, steps: 240)
            #expect(record.sessions.count == 4 && record.incidents.count == 4)
            #expect(record.faults.map(\.session) == [1, 2, 3, 4] && record.faults.allSatisfy { $0.fault == 0 && $0.firedNanoseconds != nil })
        }

        /// Stopped workers finish no step, so that the launcher still waits for it when the second signal comes.
        @Test func `a second signal stops at once, and the run goes on from what is durable`() throws {
            let run = try TestRun(), settings = Self.settings + ["checkpoint.every=25"]
            let command = try run.train(workers: 2, settings)
            try command.wait(for: "checkpoint step-25 is durable")
            for worker in run.workers { kill(worker.pid, SIGSTOP) }
            command.signal(SIGINT)
            try command.wait(for: "stopping after this step; once more to stop at once")
            command.signal(SIGINT)
            run.expectRefused(command, .interrupted, "stopped at once")
            run.expectNothingLeft()
            #expect(try run.record.facts[RunFact.outcome] == "interrupted")
            let record = try run.expectFinished(run.resume(), settings, steps: 240)
            #expect(record.sessions.count == 2 && record.sessions[1].startStep == run.startOfSecond(record))
        }

        @Test func `a second signal stops at once while the last checkpoint is written, too`() throws {
            let run = try TestRun(), held = try HeldProgram(of: run), command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            try held.hold()
            command.signal(SIGINT)
            _ = try held.stopped("checkpoint-writer")
            command.signal(SIGTERM)
            run.expectRefused(command, .interrupted, "stopped at once")
            run.expectNothingLeft()
            #expect(try run.record.facts[RunFact.outcome] == "interrupted" && run.checkpoints.isEmpty)
            try run.expectFinished(run.resume(), Self.settings, steps: 240)
        }

        @Test func `a run that was started to ignore hangups does`() throws {
            let run = try TestRun(), command = try run.train(workers: 2, Self.settings, ignoresHangup: true)
            try command.wait(for: "step 40: validation loss")
            command.signal(SIGHUP)
            try run.expectFinished(command, Self.settings, steps: 240)
        }

        @Test func `an interrupt during the closing validation leaves it to the next session`() throws {
            let run = try TestRun(), (command, replacement) = try run.trainToClosingValidation(Self.settings, steps: 240)
            command.signal(SIGINT)
            try command.wait(for: "stopping")
            kill(replacement, SIGKILL)
            let stopped = try run.expectInterrupted(command)
            #expect(stopped.commits.count == 240 && stopped.evaluations.last?.step == 220 && stopped.facts[RunFact.finalDigest] == nil)
            let record = try run.expectFinished(run.resume("--workers", "2"), Self.settings, steps: 240)
            #expect(record.commits.count == 240 && record.evaluations.map(\.step) == Array(stride(from: 0, through: 240, by: 20)))
        }

        @Test func `two signals in quick succession end the run and leave it resumable`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 20: validation loss")
            command.signal(SIGINT)
            command.signal(SIGTERM)
            #expect(command.finish(limitSeconds: 20) == .exited(130))
            run.expectNothingLeft()
            try run.expectFinished(run.resume(), Self.settings, steps: 240)
        }

        @Test func `when all workers die while the run is stopping it counts as interrupted`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings)
            try command.wait(for: "step 40: validation loss")
            let workers = run.workers
            for worker in workers { kill(worker.pid, SIGSTOP) }
            command.signal(SIGINT)
            try command.wait(for: "stopping after this step")
            for worker in workers { kill(worker.pid, SIGKILL) }
            let stopped = try run.expectInterrupted(command)
            #expect(stopped.facts[RunFact.finalDigest] == nil)
            try run.expectFinished(run.resume(), Self.settings, steps: 240)
        }

        /// As soon as the run says what it is, at once after its first view, and during its first step.
        @Test(arguments: ["parameters, vocabulary", "view 1: the run begins", "step 0: validation loss"])
        func `an interrupt at the start leaves a run that can be resumed`(moment: String) throws {
            let run = try TestRun()
            let command = try run.train(workers: 3)
            try command.wait(for: moment)
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            try run.expectFinished(run.resume())
        }

        /// Standard input that nobody closes keeps the run in its preparation.
        @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
        func `an interrupt during preparation leaves nothing behind`(signal: Int32) throws {
            let run = try TestRun(), pipe = try NamedPipe(run.folder + "/input")
            let command = try run.train(workers: 2, text: "-", input: pipe.path)
            #expect(eventually { FileManager.default.fileExists(atPath: run.path + "/lock") })
            command.signal(signal)
            let end = command.finish()
            #expect(end == .exited(130) || end == .signalled(Int(signal)))
            #expect(!FileManager.default.fileExists(atPath: run.path))
            run.expectNothingLeft()
        }

        @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
        func `an interrupt at any time leaves nothing, or a run that can be resumed`(seed: UInt64) throws {
            let run = try TestRun()
            let command = try run.train(workers: 2)
            usleep(UInt32(Philox(key: seed).uniform(.faultSchedule, 0, 0, index: 0) * 600_000))
            command.signal(SIGINT)
            command.finish()
            run.expectNothingLeft()
            guard FileManager.default.fileExists(atPath: run.path) else { return }
            if try run.record.facts[RunFact.outcome] == "finished" { return }
            try run.expectFinished(run.resume())
        }

        @Test func `a finished run is not resumed`() throws {
            let run = try TestRun()
            let before = try run.expectFinished(run.train(workers: 2))
            let command = try run.resume()
            run.expectRefused(command, .usage, "is finished: all 50 steps are committed", "headway report \(run.path)")
            run.expectNothingLeft()
            #expect(try run.record.sessions == before.sessions)
            try run.expectVerified()
        }
    }
}

extension TestRun {
    /// The newest checkpoint that was durable when the second session began.
    func startOfSecond(_ record: RunRecord) -> Int {
        record.checkpoints.filter { $0.session == 1 && $0.durableNanoseconds != nil }.map(\.step).max() ?? 0
    }
}

/// A named pipe held open for writing, so that its reader waits.
final class NamedPipe {
    let path: String
    private var descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        try #require(mkfifo(path, 0o600) == 0)
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        try #require(descriptor >= 0)
    }

    func finish(_ bytes: [UInt8]) {
        var left = bytes[...]
        while !left.isEmpty {
            let written = left.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written <= 0 { break }
            left = left.dropFirst(written)
        }
        close(descriptor)
        descriptor = -1
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
