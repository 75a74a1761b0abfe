import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// Equal weights, whoever computes them and whatever happens to them.
    @Suite struct Bits {
        static let llama = [
            "model.family=llama", "model.keyValueHeads=1", "model.hidden=48", "model.bias=false", "model.normEpsilon=1e-6",
        ]
        static let variants: [[String]] = [
            [], ["model.dropout=0.1"], llama, llama + ["model.dropout=0.1", "model.tied=false", "data.tokenizer=char"],
        ]

        @Test(arguments: 1...5)
        func `any number of workers ends with the same bits, and no step allocates`(workers: Int) throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: workers))
            #expect(record.incidents.isEmpty && record.replicas.count == workers)
            #expect(record.facts[RunFact.stepAllocations] == "0")
        }

        @Test(arguments: variants.indices, [1, 3])
        func `dropout, a Llama and other variants end with the same bits after crashes`(variant: Int, workers: Int) throws {
            let run = try TestRun(), settings = Self.variants[variant]
            let faults = ["crash worker=0 step=20 point=backward", "crash worker=\(workers - 1) step=35 point=update"]
            let record = try run.expectFinished(run.train(workers: workers, settings, faults: faults), settings)
            #expect(record.incidents.count == 2 && record.faults.allSatisfy { $0.firedNanoseconds != nil })
            #expect(record.facts[RunFact.stepAllocations] == "0")
        }

        @Test func `the variants differ from each other`() throws {
            let digests = try Self.variants.map { try TestRun.reference($0) } + [TestRun.reference(["seed=2"])]
            #expect(Set(digests).count == digests.count)
        }

        @Test(arguments: Fault.points(.crash, .worker(0)), [1, 3])
        func `a crash at any point leaves no trace in the weights`(point: FaultPoint, workers: Int) throws {
            let run = try TestRun()
            // Nobody is replaced at step 0, so that is where a joining worker can be struck. A worker is struck once:
            // a run as short as this may be over before its replacement is there.
            let steps = point == .join || point == .recovery ? [0, 0] : [0, 25, 49]
            let faults = steps.enumerated().map { "crash worker=\($0.offset % workers) step=\($0.element) point=\(point)" }
            let record = try run.expectFinished(run.train(workers: workers, faults: faults))
            #expect(record.faults.map(\.text) == faults && record.faults.allSatisfy { $0.firedNanoseconds != nil })
            #expect(record.incidents.map(\.kind) == faults.map { _ in .crash } && record.incidents.allSatisfy(\.onsetIsExact))
            #expect(Set(record.incidents.compactMap(\.fault)) == Set(faults.indices))
            #expect(record.replicas.count { $0.exit == "signalled" && $0.exitCode == 9 } == faults.count)
            #expect(RunAccount(record).incidents.allSatisfy { $0.microbatchesLost <= 1 })
        }

        /// Without a validation the run is over with its last commit, and its workers are told to leave.
        @Test func `a crash after the last commit is known to have fired`() throws {
            let run = try TestRun(), settings = ["data.validation=0"]
            let record = try run.expectFinished(run.train(workers: 1, settings, faults: ["crash worker=0 step=49 point=commit"]), settings)
            #expect(record.faults.map(\.session) == [1] && record.faults[0].firedNanoseconds != nil && record.incidents.isEmpty)
        }

        @Test(arguments: [FaultPoint.leafDone, .reduce, .update])
        func `all workers crash in the same step and nothing is lost`(point: FaultPoint) throws {
            let run = try TestRun(), faults = (0..<3).map { "crash worker=\($0) step=30 point=\(point)" }
            let record = try run.expectFinished(run.train(workers: 3, faults: faults))
            #expect(record.faults.allSatisfy { $0.firedNanoseconds != nil } && record.incidents.count == 3)
        }

        @Test func `a worker that crashes in every step for a while hinders nobody`() throws {
            let run = try TestRun(), faults = (10..<20).map { "crash worker=0 step=\($0) point=publish" }
            let record = try run.expectFinished(run.train(workers: 1, faults: faults))
            #expect(record.incidents.count == 10 && record.replicas.count == 11)
        }

        @Test func `a replacement that crashes before it is ready is replaced again`() throws {
            let run = try TestRun()
            // One worker: no step goes on while it is away, so its replacement starts in the same step.
            let faults = ["crash worker=0 step=10 point=forward", "crash worker=0 step=10 point=join", "crash worker=0 step=10 point=join"]
            let record = try run.expectFinished(run.train(workers: 1, faults: faults))
            #expect(record.incidents.count == 3 && record.replicas.count == 4)
        }

        @Test func `a joining worker's fault strikes the replacement started in that step while others go on`() throws {
            let run = try TestRun(), settings = ["steps=400"]
            let faults = ["crash worker=1 step=10 point=forward", "crash worker=1 step=10 point=join"]
            let command = try run.train(workers: 2, settings, faults: faults)
            let record = try run.expectFinished(command, settings, steps: 400)
            #expect(record.faults.allSatisfy { $0.firedNanoseconds != nil } && record.incidents.count == 2)
            for incident in record.incidents { #expect(command.output.contains(incident.description + "; "), "\(command.output)") }
        }

        @Test func `a slot whose workers never get ready is abandoned and the others do its work`() throws {
            let run = try TestRun(), faults = Array(repeating: "crash worker=1 step=0 point=join", count: 3), settings = ["steps=600"]
            let record = try run.expectFinished(run.train(workers: 2, settings, faults: faults), settings, steps: 600)
            #expect(record.incidents.count == 3 && record.replicas.count == 4 && record.views.allSatisfy { $0.members.count == 1 })
            // Each try waits twice as long as the one before.
            let waits = zip(record.replicas.filter { $0.slot == 1 }.dropFirst(), record.incidents).map { $0.spawnedNanoseconds - $1.detectedNanoseconds }
            #expect(waits.count == 2 && waits[0] >= 100_000_000 && waits[1] >= 200_000_000, "\(waits)")
        }

        @Test func `when no worker ever gets ready the run fails with a reason and leaves nothing`() throws {
            let run = try TestRun()
            let faults = (0..<6).map { "crash worker=\($0 % 2) step=0 point=join" }
            let command = try run.train(workers: 2, faults: faults)
            run.expectRefused(command, .runFailed, "every worker ended 3 times in a row before its first commit", run.path + "/logs")
            run.expectNothingLeft()
        }

        @Test func `when every worker dies in its first leaf the run fails with a reason and keeps what is committed`() throws {
            let run = try TestRun(), faults = Array(repeating: "crash worker=0 step=10 point=forward", count: 8)
            let command = try run.train(workers: 1, faults: faults)
            run.expectRefused(command, .runFailed, "every worker ended 3 times in a row before its first commit")
            run.expectNothingLeft()
            let record = try run.record
            #expect(record.replicas.count == 4 && record.incidents.count == 4 && record.facts[RunFact.outcome] == "failed")
            #expect(run.checkpoints == [10])
        }

        /// The first to die has taken part in commits; the three after it have not.
        @Test func `a slot whose workers die in their first leaf is abandoned and the others do its work`() throws {
            let run = try TestRun(), settings = ["steps=1200", "data.validation=0"]
            let faults = (10..<1000).map { "crash worker=1 step=\($0) point=forward" }
            let command = try run.train(workers: 2, settings, faults: faults)
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            #expect(command.output.contains("worker 1 is not started again: it ended 3 times in a row before its first commit; see \(run.path)/logs\n"))
            let record = try run.record
            #expect(record.replicas.count == 5 && record.incidents.count == 4 && record.views.last?.members.count == 1)
            #expect(try record.facts[RunFact.finalDigest] == TestRun.reference(settings))
            run.expectNothingLeft()
        }

        /// Two deaths, so that the third worker may start in peace: three in a row would abandon the slot.
        @Test(arguments: 1...3)
        func `workers that are killed while they start are replaced, and their time is accounted for`(workers: Int) throws {
            let run = try TestRun(), command = try run.train(workers: workers)
            var killed: Set<pid_t> = []
            for _ in 0..<2 {
                #expect(eventually {
                    guard let fresh = run.workers.first(where: { !killed.contains($0.pid) && $0.words.contains("0") }) else { return false }
                    killed.insert(fresh.pid)
                    return kill(fresh.pid, SIGKILL) == 0
                })
            }
            let record = try run.expectFinished(command)
            #expect(record.incidents.count == 2 && record.replicas.count == workers + 2)
        }

        /// Kills from outside, at times that nobody chose: one worker, or all at once.
        @Test(arguments: [1, 2, 3, 4] as [UInt64])
        func `SIGKILL at random times to random workers leaves no trace in the weights`(seed: UInt64) throws {
            let run = try TestRun(), settings = ["steps=400", "evaluation.every=20"]
            let random = Philox(key: seed)
            let command = try run.train(workers: 3, settings)
            var killed: Set<pid_t> = []
            for round in 1...18 as ClosedRange<UInt32> {
                try command.wait(for: "step \(round * 20): validation loss")
                usleep(UInt32(random.uniform(.faultSchedule, 0, 0, index: round) * 8_000))
                let workers = run.workers.map(\.pid)
                let all = random.uniform(.faultSchedule, 1, 0, index: round) < 0.25
                let victim = Int(random.uniform(.faultSchedule, 2, 0, index: round) * Double(workers.count))
                for (index, pid) in workers.enumerated() where all || index == victim {
                    #expect(kill(pid, SIGKILL) == 0)
                    killed.insert(pid)
                }
            }
            let record = try run.expectFinished(command, settings, steps: 400)
            #expect(record.commits.count == 400, "seed \(seed)")
            let dead = record.replicas.filter { $0.exit == "signalled" && $0.exitCode == 9 }
            #expect(Set(dead.map { pid_t($0.pid) }) == killed && record.incidents.count == killed.count, "seed \(seed)")
            #expect(killed.count >= 18, "seed \(seed)")
            #expect(RunAccount(record).incidents.allSatisfy { $0.microbatchesLost <= 1 }, "seed \(seed)")
        }

        @Test(arguments: [(["batch.microbatches=1", "batch.sequences=1"], 1), (["batch.microbatches=64", "batch.sequences=64", "steps=12"], 5),
            (["data.validation=0"], 2), (["evaluation.tokens=0"], 3),
            (["model.width=2", "model.hidden=1", "model.heads=1", "model.keyValueHeads=1", "model.layers=1", "model.context=1"], 5)])
        func `a batch or validation of another shape ends with the same bits after a crash`(settings: [String], workers: Int) throws {
            let run = try TestRun(), steps = settings.contains("steps=12") ? 12 : 50
            let record = try run.expectFinished(
                run.train(workers: workers, settings, faults: ["crash worker=0 step=7 point=backward"]), settings, steps: steps)
            #expect(record.incidents.count == 1 && record.evaluations.isEmpty == settings.contains("data.validation=0"))
        }

        @Test func `weights that overflow end the run with a reason, and what was committed is kept`() throws {
            let run = try TestRun()
            // Each update multiplies the matrices by 1 - 100.
            let settings = ["schedule.peak=10", "schedule.minimum=10", "optimizer.weightDecay=10", "schedule.warmup=0"]
            let command = try run.train(workers: 2, settings)
            run.expectRefused(command, .runFailed, "nothing of it is committed", "lower schedule.peak or set optimizer.clip")
            run.expectNothingLeft()
            let committed = try run.record.commits.count
            #expect(committed > 0 && run.checkpoints.first == committed)
            try run.expectVerified()
            let again = try run.resume("--workers", "3")
            run.expectRefused(again, .runFailed, "step \(committed + 1) has loss")
            run.expectNothingLeft()
        }

        @Test func `a launcher that is stopped for a while finds out what it missed`() throws {
            let run = try TestRun(), settings = ["steps=240", "evaluation.every=20"]
            let command = try run.train(workers: 3, settings)
            try command.wait(for: "step 60: validation loss")
            let workers = run.workers
            command.signal(SIGSTOP)
            for worker in workers.prefix(2) { kill(worker.pid, SIGKILL) }
            #expect(eventually { run.workers.count == 1 })
            command.signal(SIGCONT)
            let record = try run.expectFinished(command, settings, steps: 240)
            #expect(record.incidents.count == 2)
        }

        @Test func `sixteen workers, of which half crash, end with the same bits`() throws {
            let run = try TestRun(), settings = ["batch.microbatches=16", "steps=20"]
            let faults = (0..<8).map { "crash worker=\(2 * $0) step=\(2 + 2 * $0) point=\(FaultPoint.allCases[$0])" }
            let record = try run.expectFinished(run.train(workers: 16, settings, faults: faults), settings, steps: 20)
            #expect(record.incidents.count == 8 && record.faults.allSatisfy { $0.firedNanoseconds != nil })
        }

        @Test func `how often a run is evaluated or saved does not change its weights`() throws {
            let run = try TestRun(), settings = ["evaluation.every=7", "checkpoint.every=3", "checkpoint.keep=4"]
            let command = try run.train(workers: 2, settings)
            #expect(command.finish() == .exited(0))
            let record = try run.record
            #expect(try record.facts[RunFact.finalDigest] == TestRun.reference())
            #expect(record.evaluations.map(\.step) == Array(stride(from: 0, to: 50, by: 7)) + [50])
            #expect(run.checkpoints.first == 50 && run.checkpoints.count == min(4, record.checkpoints.count))
        }
    }
}
