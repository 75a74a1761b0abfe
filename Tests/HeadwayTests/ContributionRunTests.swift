import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// What steps did for the loss, on real runs.
    @Suite struct Contributions {
        private static let probing = ["steps=300", "probe.budget=0.1", "probe.window=20", "schedule.warmup=5"]

        @Test func `windows add up, credits agree with them, and a run that learns is seen to learn`() throws {
            // Enough tokens for a credit at every step.
            let run = try TestRun(), settings = Self.probing + ["batch.sequences=288"]
            let account = RunAccount(try run.expectFinished(run.train(workers: 2, settings, faults: ["crash worker=1 step=60 point=backward"]), settings, steps: 300))
            let contribution = account.contribution, total = try #require(contribution.total)
            #expect(total.verdict == .contributed && contribution.windows.count >= 8)
            #expect(abs(contribution.windows.reduce(0) { $0 + $1.audit.change } - total.change) < 1e-6)
            #expect(contribution.credits.count == 299)
            // To second order the credits are the change: within their errors and a tenth of it.
            let credit = try #require(contribution.credit).credit
            #expect(abs(credit + total.change) < 0.1 * -total.change, "\(credit) nats per token credited, \(-total.change) measured")
            #expect(contribution.windows.first?.start == 0 && contribution.windows.last?.end == 300)
            #expect(Double(contribution.agreeing) >= 0.95 * Double(contribution.significant) && contribution.significant >= 4)
            #expect(account.record.facts[RunFact.stepAllocations] == "0")
            #expect(!contribution.noiseScale.isEmpty && !account.record.contributions.isEmpty)
        }

        @Test func `probes and credits are the same for any number of workers and after faults`() throws {
            let records = try [(1, [String]()), (3, ["crash worker=1 step=40 point=reduce", "crash worker=0 step=41 point=forward"])].map { workers, faults in
                let run = try TestRun()
                return try run.expectFinished(run.train(workers: workers, Self.probing, faults: faults), Self.probing, steps: 300)
            }
            let (one, three) = (records[0], records[1])
            #expect(one.probes.map(\.step) == three.probes.map(\.step) && one.probes.map(\.audit) == three.probes.map(\.audit))
            #expect(one.commits.map(\.leafForesight) == three.commits.map(\.leafForesight))
            #expect(one.commits.map(\.leafHindsight) == three.commits.map(\.leafHindsight))
            #expect(one.contributions.map(\.leaves) == three.contributions.map(\.leaves) && !one.contributions.isEmpty)
        }

        @Test func `without a learning rate every window is exactly zero and indeterminate`() throws {
            let settings = ["schedule.peak=0", "schedule.minimum=0", "probe.budget=0.1", "probe.window=10"]
            let run = try TestRun()
            let contribution = RunAccount(try run.expectFinished(run.train(workers: 1, settings), settings)).contribution
            #expect(contribution.windows.count >= 2)
            #expect(contribution.windows.allSatisfy { $0.audit.change == 0 && $0.audit.standardError == 0 && $0.audit.verdict == .indeterminate && $0.credit.credit == 0 })
        }

        @Test func `steps on permuted labels are seen to harm`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 1, Self.probing, faults: ["labels worker=0 step=200"])
            try #require(command.finish() == .exited(0), "\(command.complaint)")
            run.expectNothingLeft()
            try run.expectVerified()
            let record = try run.record, windows = RunAccount(record).contribution.windows
            #expect(record.faults.allSatisfy { $0.firedNanoseconds != nil })
            #expect(windows.filter { $0.end <= 100 }.allSatisfy { $0.audit.verdict == .contributed })
            #expect(windows.contains { $0.start >= 200 && $0.audit.verdict == .harmful && $0.decision.verdict == .harmful })
        }

        @Test func `the one worker of eight that trains on permuted labels is found`() throws {
            let run = try TestRun(), settings = Self.probing + ["batch.sequences=64", "probe.window=10"]
            let command = try run.train(workers: 8, settings, faults: ["labels worker=3 step=0"])
            try #require(command.finish() == .exited(0), "\(command.complaint)")
            run.expectNothingLeft()
            try run.expectVerified()
            let workers = RunAccount(try run.record).contribution.workers
            #expect(workers.count == 8 && workers.filter(\.isSuspect).map(\.slot) == [3], "\(workers.map(\.z))")
        }
    }
}
