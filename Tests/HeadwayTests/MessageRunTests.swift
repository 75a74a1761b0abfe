import Collectives
import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// Workers with memory of their own, that exchange messages.
    @Suite(.enabled(if: Messages.areAvailable, "built without Gloo")) struct MessageRuns {
        private func options(_ sharding: String) -> [String] { ["--transport", "gloo", "--sharding", sharding] }

        @Test(arguments: 1...5, ["ddp", "zero1", "zero2", "zero3"])
        func `any number of workers ends with the bits of shared memory`(workers: Int, sharding: String) throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: workers, options: options(sharding)))
            #expect(record.incidents.isEmpty && record.replicas.count == workers)
        }

        @Test(arguments: [["model.dropout=0.1", "batch.microbatches=16"], Bits.llama + ["optimizer.clip=0.1", "model.tied=false"]])
        func `other variants end with the bits of shared memory, too`(settings: [String]) throws {
            for sharding in ["zero1", "zero3"] {
                let run = try TestRun()
                try run.expectFinished(run.train(workers: 3, settings, options: options(sharding)), settings)
            }
        }

        @Test(arguments: [FaultPoint.forward, .backward, .reduce, .update, .vote], ["zero2+shadow", "zero3+shadow", "zero2+parity", "zero3+parity"])
        func `where gradients are sharded a crash costs the attempt and leaves no trace`(point: FaultPoint, sharding: String) throws {
            let run = try TestRun()
            let faults = ["crash worker=0 step=3 point=\(point)", "crash worker=1 step=25 point=\(point)"]
            let record = try run.expectFinished(run.train(workers: 3, faults: faults, options: options(sharding)))
            #expect(record.incidents.map(\.kind) == [.crash, .crash])
            #expect(record.setbacks.allSatisfy { $0.kind == .discard })
        }

        @Test(arguments: ["zero1", "zero3", "zero1+parity"])
        func `whoever leaves in order hands over what only he has`(sharding: String) throws {
            let run = try TestRun(), settings = ["checkpoint.every=0"]
            let record = try run.expectFinished(run.train(workers: 3, settings, faults: ["preempt worker=1 step=13"], options: options(sharding)), settings)
            #expect(record.incidents.map(\.kind) == [.preempt] && record.setbacks.isEmpty)
            #expect(record.replicas.contains { $0.slot == 1 && $0.exit == "exited" && $0.exitCode == 0 })
        }

        @Test(arguments: Fault.points(.crash, .worker(0)), ["ddp", "zero1+shadow", "zero1+parity"])
        func `a crash at any point costs one microbatch and leaves no trace`(point: FaultPoint, sharding: String) throws {
            let run = try TestRun()
            let steps = point == .join || point == .recovery ? [0] : [3, 25]
            let faults = steps.enumerated().map { "crash worker=\($0.offset) step=\($0.element) point=\(point)" }
            let record = try run.expectFinished(run.train(workers: 3, faults: faults, options: options(sharding)))
            #expect(record.incidents.map(\.kind) == faults.map { _ in .crash })
            #expect(record.setbacks.isEmpty, "somebody lost more than the step under way")
            // With messages the dead worker's gradients are gone: all that it computed of the step, with what it did for others.
            #expect(RunAccount(record).incidents.allSatisfy { $0.microbatchesLost < 8 })
        }

        @Test func `moments that only the dead had come back from the newest checkpoint`() throws {
            let run = try TestRun(), settings = ["checkpoint.every=4"]
            let record = try run.expectFinished(run.train(workers: 3, settings, faults: ["crash worker=1 step=42"], options: options("zero1")), settings)
            #expect(record.setbacks.contains { $0.kind == .rewind })
        }

        @Test(arguments: ["zero1+shadow", "zero1+parity"])
        func `two losses in one step go back to a checkpoint`(sharding: String) throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20", "checkpoint.every=50"]
            let command = try run.train(workers: 4, settings, options: options(sharding))
            try command.wait(for: "step 60: validation loss")
            // While the launcher is stopped nobody makes anything good.
            let workers = run.workers.sorted { $0.pid < $1.pid }
            command.signal(SIGSTOP)
            for worker in workers[1...2] { kill(worker.pid, SIGKILL) }
            #expect(eventually { run.workers.count == 2 })
            command.signal(SIGCONT)
            let record = try run.expectFinished(command, settings, steps: 240)
            #expect(record.setbacks.contains { $0.kind == .rewind } && record.incidents.count == 2)
        }

        @Test(arguments: ["firstMoment", "parameters"], [(1, "zero1+shadow"), (2, "zero1+shadow"), (1, "zero1+parity"), (0, "zero3+parity")])
        func `a bit that flips in an owner's memory or its partner's is found, and only that worker goes`(target: String, chosen: (worker: Int, sharding: String)) throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: 3, faults: ["bitflip worker=\(chosen.worker) step=13 target=\(target)"], options: options(chosen.sharding)))
            let incident = try #require(record.incidents.first)
            #expect(record.incidents.count == 1 && incident.kind == .memory && incident.slot == chosen.worker && incident.fault == 0)
            #expect(record.setbacks.allSatisfy { $0.kind == .discard })
        }

        @Test(arguments: ["parameters", "secondMoment"], ["zero1", "zero2", "zero3"])
        func `a bit that flips in what only one has, or in a copy, is found`(target: String, sharding: String) throws {
            let settings = ["checkpoint.every=10"]
            for worker in 0..<3 {
                let run = try TestRun()
                let record = try run.expectFinished(run.train(workers: 3, settings, faults: ["bitflip worker=\(worker) step=13 target=\(target)"], options: options(sharding)), settings)
                #expect(record.incidents.map(\.kind).contains(.memory) && record.incidents[0].slot == worker && record.incidents[0].fault == 0)
                #expect(record.setbacks.contains { $0.kind == .rewind })
            }
        }

        @Test(arguments: ["zero1", "zero3+parity"])
        func `a bit that flips after the last step is in no checkpoint`(sharding: String) throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let record = try run.expectFinished(run.train(workers: 3, settings, faults: ["bitflip worker=1 step=49 target=firstMoment"], options: options(sharding)), settings)
            #expect(record.incidents.map(\.kind) == [.memory])
        }

        @Test(arguments: ["parameters", "firstMoment", "secondMoment"], [0, 1])
        func `where everybody has all of the state everybody looks at it`(target: String, worker: Int) throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: 2, faults: ["bitflip worker=\(worker) step=13 target=\(target)"], options: options("ddp")))
            let incident = try #require(record.incidents.first)
            #expect(record.incidents.count == 1 && incident.kind == .memory && incident.slot == worker && incident.fault == 0)
        }

        // Worker 2 has the flipped float to hand on; worker 1 finds it when it updates, and everybody has the state by then.
        @Test(arguments: [("parameters", 2), ("firstMoment", 2), ("firstMoment", 1)])
        func `who is let in waits for nobody who waits for him when what he is handed is damaged`(target: String, worker: Int) throws {
            let run = try TestRun(), held = try HeldProgram(of: run), settings = ["steps=10", "schedule.warmup=2"]
            // The bit flips at the commit with which the replacement of worker 0 is let in.
            let command = try run.train(
                workers: 4, settings, faults: ["bitflip worker=\(worker) step=5 target=\(target)"], options: options("ddp") + ["--pace", "200"])
            try command.wait(for: "view 1: the run begins")
            try held.hold()
            let first = try #require(run.workers.first { $0.words.drop { $0 != "--slot" }.dropFirst().first == "0" })
            kill(first.pid, SIGKILL)
            let replacement = try held.stopped("worker")
            try held.release()
            try run.withSharedState { shared in
                // The launcher goes on when the votes for step 4 are there, too, and looks at them first.
                #expect(eventually { shared.committedStep >= 4 && (0..<8).contains { shared.leaves.isDone($0, turn: shared.turn) } })
                command.signal(SIGSTOP)
                kill(replacement, SIGCONT)
                #expect(eventually { shared.slotState(0).state == .ready && shared.updates.allDone(turn: shared.turn) } && shared.committedStep == 4)
                command.signal(SIGCONT)
            }
            let record = try run.expectFinished(command, settings, steps: 10)
            #expect(record.incidents.map(\.kind) == [.crash, .memory] && record.incidents[1].slot == worker)
            let views = record.views.map { "\($0.step) \($0.reason)" }
            #expect(views.contains("6 worker 0 joined"), "\(views)")
        }

        @Test func `when all leave at once nobody waits for them`() throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"], faults = ["preempt worker=0 step=15", "preempt worker=1 step=15"]
            let record = try run.expectFinished(run.train(workers: 2, settings, faults: faults, options: options("zero1") + ["--pace", "10"]), settings)
            #expect(record.incidents.map(\.kind) == [.preempt, .preempt])
        }

        @Test(arguments: ["ddp", "zero1+shadow"])
        func `a death during the closing validation costs its passes`(sharding: String) throws {
            let run = try TestRun(), settings = ["steps=10", "evaluation.every=0", "evaluation.tokens=0", "data.talesBytes=1000000", "data.validation=0.3"]
            let command = try run.train(workers: 2, settings, options: options(sharding) + ["--spares", "1", "--hang-steps", "1000"])
            try command.wait(for: "view 1: the run begins")
            let workers = run.workers.sorted { $0.pid < $1.pid }
            try run.withSharedState { shared in
                #expect(eventually { shared.committedStep == 10 && shared.depositStep == 10 && !shared.evaluations.allDone(turn: shared.turn, in: shared.layout.heldOut.validationUnits) })
                // One is in the middle of a pass when the other's passes become the spare's.
                kill(workers[0].pid, SIGSTOP)
                kill(workers[1].pid, SIGKILL)
                #expect(eventually { shared.view == 2 })
                kill(workers[0].pid, SIGCONT)
            }
            let record = try run.expectFinished(command, settings, steps: 10)
            #expect(record.incidents.map(\.kind) == [.crash] && record.views.last?.reason == "worker 1 left")
        }

        @Test(arguments: ["crash worker=1 step=49 point=commit", "preempt worker=1 step=49"], ["ddp", "zero1", "zero1+shadow", "zero1+parity", "zero3"])
        func `who goes after the last step takes nothing along`(fault: String, sharding: String) throws {
            // Its moments are gone with a crash where nobody else has them.
            let isLost = fault.hasPrefix("crash") && !["ddp", "zero1+shadow", "zero1+parity"].contains(sharding)
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let record = try run.expectFinished(run.train(workers: 3, settings, faults: [fault], options: options(sharding)), settings)
            #expect(record.setbacks.isEmpty || isLost)
        }

        @Test(arguments: [FaultPoint.forward, .reduce])
        func `a worker that hangs is found and ended`(point: FaultPoint) throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: 3, faults: ["hang worker=1 step=13 point=\(point)"], options: options("ddp")))
            #expect(record.incidents.contains { $0.kind == .hang && $0.slot == 1 && $0.fault == 0 })
        }

        @Test(arguments: ["elastic", "discard", "restart"])
        func `every policy ends with the same bits`(policy: String) throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            try run.expectFinished(run.train(workers: 3, settings, faults: ["crash worker=1 step=25"], options: options("ddp") + ["--policy", policy]), settings)
        }

        @Test func `a parity goes with the number of workers`() throws {
            let run = try TestRun(), settings = ["steps=400"]
            let command = try run.train(workers: 4, settings, faults: ["preempt worker=2 step=20", "crash worker=1 step=21"], options: options("zero1+parity"))
            try command.wait(for: "worker 1 killed")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            for workers in ["1", "2"] {
                let some = try run.resume("--workers", workers)
                try some.wait(for: "the run begins")
                some.signal(SIGINT)
                try run.expectInterrupted(some)
            }
            try run.expectFinished(run.resume("--workers", "3"), settings, steps: 400)
        }

        @Test func `an interrupted run goes on, with other workers and in shared memory`() throws {
            let run = try TestRun(), settings = ["steps=400"]
            let command = try run.train(workers: 2, settings, options: options("zero1"))
            try command.wait(for: "view 1: the run begins")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            try run.expectFinished(run.resume("--workers", "3", "--transport", "shared", "--sharding", "ddp"), settings, steps: 400)
        }

        @Test func `a launcher that is killed leaves workers that go, and a run that resumes`() throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let command = try run.train(workers: 3, settings, faults: ["crash launcher step=30 point=commit"], options: options("ddp"))
            #expect(command.finish() == .signalled(9))
            let gone = eventually(limitSeconds: 10) { run.workers.isEmpty }
            #expect(gone)
            try run.expectFinished(run.resume(), settings)
        }

        @Test func `what does not go with messages is refused`() throws {
            let run = try TestRun()
            run.expectRefused(try run.train(workers: 2, options: ["--sharding", "zero1"]), .usage, "--transport gloo")
            run.expectRefused(try run.train(workers: 2, options: ["--transport", "gloo", "--audit", "0.5"]), .usage, "--audit 0.5")
            run.expectRefused(try run.train(workers: 2, faults: ["nonfinite worker=1 step=3"], options: ["--transport", "gloo"]), .usage, "nonfinite")
            run.expectRefused(try run.train(workers: 2, options: options("zero1+parity")), .usage, "the parity of dp=2 owners is a copy; use zero1+shadow")
        }
    }
}
