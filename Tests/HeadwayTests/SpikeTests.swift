import Foundation
import GRDB
import Ledger
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    /// Updates are judged by those before them: by the same ones wherever the state comes from.
    @Suite struct Spikes {
        static let settings = ["steps=80", "checkpoint.every=5", "checkpoint.keep=100", "optimizer.spike=0.95"]

        /// A finished run, and a checkpoint of it after which updates are left out before sixteen more are made.
        private func parent() throws -> (run: TestRun, step: Int, digest: String) {
            let run = try TestRun(), command = try run.train(workers: 4, Self.settings, options: Branches.pace)
            try #require(command.finish() == .exited(0), "\(command.complaint)")
            try run.expectVerified()
            let record = try run.record
            let vetoed = record.commits.filter(\.isVetoed)
            let step = try #require(run.checkpoints.last { step in step > 20 && vetoed.contains { (step + 1...step + 16).contains($0.step) } })
            #expect(vetoed.allSatisfy { $0.gradientNorm > 0 && $0.lossSum == 0 })
            return (run, step, try #require(record.facts[RunFact.finalDigest]))
        }

        @Test func `a branch judges its first updates as its parent did, also when its launcher dies among them`() throws {
            let (run, step, digest) = try parent()
            for (name, fault) in [("whole", "slow worker=0 step=79"), ("dead", "crash launcher step=\(step + 3) point=commit")] {
                let folder = "\(run.folder)/\(name)"
                let command = try run.start(["train", "--from", "run@\(step)", "--out", folder, "--set", "checkpoint.every=0", "--fault", fault])
                if command.finish() == .signalled(9) {
                    #expect(eventually { run.workers.isEmpty })
                    let resumed = try run.headway("resume", folder)
                    try #require(resumed.end == .exited(0) && resumed.output.contains("is still in shared memory"), "\(resumed.complaint)")
                }
                let record = try LedgerStore.read(folder + "/ledger.sqlite"), all = try run.record.commits
                #expect(record.sessions.count == (name == "dead" ? 2 : 1))
                #expect(record.commits.filter(\.isVetoed).map(\.step) == all.filter { $0.isVetoed && $0.step > step }.map(\.step))
                #expect(record.facts[RunFact.finalDigest] == digest)
            }
        }

        /// As after a power cut: the ledger lacks its end, the checkpoint is there.
        @Test func `a run that goes on from a checkpoint needs no row of the ledger to judge by`() throws {
            let (run, step, digest) = try parent()
            try DatabaseQueue(path: run.path + "/ledger.sqlite").write { db in try db.execute(sql: "DELETE FROM commits") }
            let command = try run.start(["resume", run.path, "--at", "\(step)", "--fault", "crash launcher step=\(step + 2) point=vote"])
            #expect(command.finish() == .signalled(9))
            #expect(eventually { run.workers.isEmpty })
            let resumed = try run.headway("resume", run.path)
            try #require(resumed.end == .exited(0) && resumed.output.contains("is still in shared memory"), "\(resumed.complaint)")
            #expect(try run.record.facts[RunFact.finalDigest] == digest)
        }
    }
}
