import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// Faults of every kind on real workers: the run finds out, goes on, and ends with the bits of an undisturbed one.
    /// `expectFinished` compares them, and verifies the ledger, which wants every fault to have fired.
    @Suite struct FaultRuns {
        static let settings = ["steps=120", "evaluation.every=60"]

        private func run(_ faults: [String], _ options: [String] = [], workers: Int = 3, more: [String] = []) throws -> RunRecord {
            let run = try TestRun(), settings = Self.settings + more
            return try run.expectFinished(run.train(workers: workers, settings, faults: faults, options: options), settings, steps: 120)
        }

        private func seconds(_ record: RunRecord, _ category: Ledger.Category) -> Double {
            Double(RunAccount(record).accounts.nanoseconds(category)) * 1e-9
        }

        @Test(arguments: ["forward", "leafDone", "publish", "reduce", "update", "vote", "commit"])
        func `a worker that hangs is fenced, and what it held is computed by others`(point: String) throws {
            let record = try run(["hang worker=1 step=60 point=\(point)"])
            let incident = try #require(record.incidents.first)
            #expect(record.incidents.count == 1 && incident.kind == .hang && incident.fault == 0 && incident.onsetIsExact)
            #expect(record.replicas.first { $0.replica == incident.replica }?.exitCode == 9)
            #expect(RunAccount(record).incidents[0].microbatchesLost <= 1)
        }

        @Test func `a hang that ends before anybody notices costs its time and nobody's life`() throws {
            let record = try run(["hang worker=1 step=60 for=0.02s"])
            #expect(record.incidents.map(\.kind) == [.stall] && record.replicas.count == 3)
            #expect(seconds(record, .undetectedFailure) > 0.015)
        }

        @Test func `a zombie that would wake later is gone by then`() throws {
            let record = try run(["hang worker=2 step=60 for=0.3s"])
            #expect(record.incidents.map(\.kind) == [.hang])
        }

        @Test func `a bad access to memory is told from a kill`() throws {
            let record = try run(["segfault worker=0 step=60 point=update", "crash worker=2 step=90"])
            #expect(record.incidents.map(\.kind) == [.segfault, .crash])
            #expect(record.replicas.filter { $0.exit == "signalled" }.map(\.exitCode) == [11, 9])
        }

        @Test func `a worker told to make room loses nothing, and is replaced`() throws {
            let record = try run(["preempt worker=1 step=60 notice=5s"])
            let account = RunAccount(record)
            #expect(record.incidents.map(\.kind) == [.preempt] && account.incidents[0].microbatchesLost == 0)
            #expect(account.fates.executions.count == 120 * 8 && record.replicas.count == 4)
            #expect(record.views.contains { $0.reason.contains("worker 1 left in order") })
        }

        @Test func `a notice that is too short ends in a kill that the run survives`() throws {
            let record = try run(["preempt worker=1 step=60 notice=0s"])
            #expect(record.incidents.count == 1 && record.incidents[0].fault == 0)
        }

        @Test func `others take over leaves of a slow worker`() throws {
            let record = try run(["slow worker=1 step=40 speed=0.2"], ["--pace", "4"], workers: 2)
            let slow = record.commits.dropFirst(60).map { commit in commit.leafReplicas.count { $0 == 2 } }
            #expect(record.incidents.isEmpty && slow.allSatisfy { (1...3).contains($0) }, "\(slow)")
        }

        // MARK: Silent corruption

        @Test func `a gradient that is no number is computed again elsewhere, and who made it is ended`() throws {
            let record = try run(["nonfinite worker=1 step=60"])
            #expect(record.incidents.map(\.kind) == [.corruption] && record.incidents[0].slot == 1 && record.incidents[0].fault == 0)
            let check = try #require(record.rechecks.first)
            #expect(record.rechecks.count == 1 && check.reason == "non-finite" && check.verdict == .differ && check.step == 60)
            #expect(check.replicas.count == 3 && check.culprit == check.replicas[0])
        }

        @Test func `an audit finds a gradient with one wrong bit`() throws {
            let record = try run(["bitflip worker=2 step=60"], ["--audit", "1"])
            #expect(record.incidents.map(\.kind) == [.corruption] && record.incidents[0].slot == 2)
            let differing = record.rechecks.filter { $0.verdict == .differ }
            #expect(differing.map(\.step) == [60] && record.rechecks.count == 120 * 8)
            #expect(RunAccount(record).fates.counts[.duplicate, default: 0] >= 120 * 8)
        }

        @Test func `a gradient that is far too long is computed again without an audit, and who made it is ended`() throws {
            let record = try run(["bitflip worker=2 step=60 bit=30"], more: ["optimizer.spike=1000"])
            #expect(record.incidents.map(\.kind) == [.corruption] && record.incidents[0].slot == 2)
            #expect(record.rechecks.contains { $0.reason == "spike" && $0.verdict == .differ && $0.step == 60 })
        }

        @Test func `updates far from the usual are left out, alike for any number of workers, and at most three in a row`() throws {
            let records = try [(1, []), (3, ["crash worker=1 step=61"])].map { workers, faults in
                let run = try TestRun()
                try #require(run.train(workers: workers, Self.settings + ["optimizer.spike=1.05"], faults: faults).finish() == .exited(0))
                try run.expectVerified()
                return try run.record
            }
            let vetoed = records.map { $0.commits.filter(\.isVetoed).map(\.step) }
            #expect(vetoed[0] == vetoed[1] && vetoed[0].count > 3 && vetoed[0].allSatisfy { $0 > 16 }, "\(vetoed)")
            #expect(vetoed[0].allSatisfy { step in !(1...3).allSatisfy { vetoed[0].contains(step - $0) } }, "\(vetoed)")
            #expect(records[0].facts[RunFact.finalDigest] == records[1].facts[RunFact.finalDigest])
            #expect(records.allSatisfy { $0.rechecks.allSatisfy { $0.reason == "spike" && $0.verdict == .agree } })
        }

        @Test func `what a recheck throws away counts as done twice`() throws {
            let account = RunAccount(try run([], ["--audit", "0.2"]))
            let again = account.attribution.intervals.filter { $0.category == .duplicate }
            // Beside the microbatches, every audited step reduced and updated in vain.
            #expect(account.record.setbacks.count > 80 && account.record.setbacks.allSatisfy { $0.kind == .recheck })
            #expect(again.count > account.fates.counts[.duplicate, default: 0] + account.record.setbacks.count)
        }

        @Test func `an audit of a tenth looks at about a tenth, and changes nothing`() throws {
            let record = try run([], ["--audit", "0.1"])
            #expect((60...140).contains(record.rechecks.count) && record.rechecks.allSatisfy { $0.verdict == .agree && $0.replicas.count == 2 })
            #expect(record.rechecks.allSatisfy { $0.replicas[0] != $0.replicas[1] })
        }

        @Test(arguments: ["parameters", "firstMoment", "secondMoment"])
        func `a flipped bit in the state is found before anything of it is committed`(target: String) throws {
            let record = try run(["bitflip worker=0 step=60 target=\(target)"])
            #expect(record.incidents.map(\.kind) == [.memory] && record.incidents[0].fault == 0)
            // The state before it still lay in memory: one step back, not a checkpoint.
            #expect(record.commits.count == 121)
        }

        // MARK: The launcher and the writer

        @Test(arguments: ["vote", "commit"])
        func `a launcher that dies at the worst moment loses no committed step`(point: String) throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings, faults: ["crash launcher step=60 point=\(point)"])
            #expect(command.finish() == .signalled(9))
            let record = try run.expectFinished(run.resume(), Self.settings, steps: 120)
            #expect(record.sessions.count == 2 && record.sessions[1].source == "shared memory")
            #expect(record.sessions[1].startStep == (point == "vote" ? 60 : 61) && record.commits.count == 120)
        }

        @Test(arguments: ["snapshot", "persist", "manifest", "rename"])
        func `a checkpoint writer that dies leaves no checkpoint that could be taken for one`(point: String) throws {
            let record = try run(["crash writer step=20 point=\(point)"], more: ["checkpoint.every=20"])
            #expect(record.checkpoints.first?.status == "the writer was killed by signal 9")
            #expect(record.checkpoints.last?.status == "durable")
        }

        // MARK: Policies

        @Test(arguments: ["elastic", "discard", "restart"])
        func `whatever the policy, the bits are the same and the waste is booked`(policy: String) throws {
            let faults = ["crash worker=1 step=50", "hang worker=0 step=70 point=reduce", "crash worker=2 step=90 point=update"]
            let record = try run(faults, ["--policy", policy], more: ["checkpoint.every=20"])
            let account = RunAccount(record), incidents = account.incidents
            #expect(record.incidents.map(\.kind) == [.crash, .hang, .crash])
            switch policy {
            case "elastic":
                #expect(record.commits.count == 120 && incidents.allSatisfy { $0.microbatchesLost <= 1 })
            case "discard":
                #expect(record.commits.count == 120 && record.setbacks.map(\.kind) == [.discard, .discard, .discard])
                #expect(record.setbacks.map(\.incident) == record.incidents.map(\.incident))
                // The second and the third struck when every microbatch of the step was done.
                #expect(incidents[1].microbatchesLost == 8 && incidents[2].microbatchesLost == 8)
            default:
                #expect(record.commits.count > 120 && account.accounts.nanoseconds(.rolledBack) > 0)
                #expect(account.accounts.nanoseconds(.restoreFromDisk) > 0)
                #expect(record.replicas.filter { $0.stoppedFor != nil }.count == 6)
            }
        }

        @Test func `a spare takes the place of a lost worker at once, before its replacement comes`() throws {
            let record = try run(["crash worker=1 step=60"], ["--spares", "1", "--respawn-delay", "0.2"], workers: 2)
            let after = try #require(record.views.first { $0.reason == "worker 1 left" })
            #expect(after.members.count == 2 && after.step == 60)
            #expect(seconds(record, .spareIdle) > 0)
            let replacement = record.replicas.first { $0.incident != nil }, lost = record.incidents[0]
            #expect(replacement.map { $0.spawnedNanoseconds - lost.detectedNanoseconds > 200_000_000 } ?? true)
        }

        @Test func `in paced mode a microbatch takes its time whatever the host does`() throws {
            let record = try run([], ["--pace", "5"], workers: 4)
            let leaves = record.facts[RunFact.pacedLeaves].flatMap { Int($0) }
            #expect(leaves == 120 * 8)
            // Two a worker and step: at least 10 ms.
            #expect(RunAccount(record).headlines.medianStepNanoseconds >= 10_000_000)
        }

        @Test func `workers come and go while the run goes on`() throws {
            let run = try TestRun(), settings = ["steps=400", "evaluation.every=100"]
            let command = try run.train(workers: 2, settings, options: ["--pace", "2"])
            try command.wait(for: "step 100: validation loss")
            #expect(try run.headway("scale", run.path, "--workers", "4").end == .exited(0))
            try command.wait(for: "4 of 4 workers")
            #expect(try run.headway("scale", run.path, "--workers", "1").end == .exited(0))
            try command.wait(for: "left in order")
            let record = try run.expectFinished(command, settings, steps: 400)
            #expect(record.incidents.isEmpty && record.views.last?.members.count == 1)
            #expect(Set(record.slots.map(\.slot)) == [0, 1, 2, 3])
            let late = try run.headway("scale", run.path, "--workers", "2")
            run.expectRefused(late, .usage, "is not being trained now")
        }
    }
}
