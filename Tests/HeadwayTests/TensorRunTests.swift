import Collectives
import Foundation
import Ledger
import RunSpec
import Synchronization
import Testing

extension HeadwayCommand {
    /// Workers that share every layer. Their degree decides the bits; how many groups of them there are does not.
    @Suite(.enabled(if: Messages.areAvailable, "built without Gloo")) struct TensorRuns {
        private static let llama = ["model.family=llama", "model.hidden=48", "model.bias=false", "model.normEpsilon=1e-6"]
        static let variants: [[String]] = [
            [], ["model.tied=false", "data.tokenizer=char", "optimizer.clip=0.5"], ["model.dropout=0.1"], llama, llama + ["model.dropout=0.1", "model.tied=false"],
        ]

        private static func options(_ sharding: String) -> [String] { ["--transport", "gloo", "--sharding", sharding] }

        /// What one group of two made of a run with these settings.
        private static let records = Mutex<[[String]: RunRecord]>([:])
        private static func reference(_ settings: [String] = [], steps: Int = 50) throws -> RunRecord {
            if let known = records.withLock({ $0[settings] }) { return known }
            let run = try TestRun(), record = try finished(run, run.train(workers: 2, settings, options: options("tp=2")), steps: steps)
            #expect(record.incidents.isEmpty && record.replicas.count == 2)
            records.withLock { $0[settings] = record }
            return record
        }

        /// The session ends well: each step committed, checks pass, nothing is left.
        private static func finished(_ run: TestRun, _ command: Command, steps: Int = 50, at location: SourceLocation = #_sourceLocation) throws -> RunRecord {
            try #require(command.finish(at: location) == .exited(0), "\(command.complaint)", sourceLocation: location)
            run.expectNothingLeft(at: location)
            let record = try run.record, committed = RunAccount(record).commits.map(\.step)
            #expect(record.facts[RunFact.outcome] == "finished" && committed == Array(1...steps), "\(committed.count) steps", sourceLocation: location)
            #expect(run.checkpoints.first == steps && record.facts[RunFact.finalDigest]?.count == 64, sourceLocation: location)
            try run.expectVerified(at: location)
            return record
        }

        private func isSame(_ record: RunRecord, as other: RunRecord) -> Bool {
            record.facts[RunFact.finalDigest] == other.facts[RunFact.finalDigest] && RunAccount(record).commits.map(\.stateHash) == RunAccount(other).commits.map(\.stateHash)
        }

        @Test(arguments: variants, [2, 4, 6])
        func `any number of groups ends with the bits of one`(settings: [String], workers: Int) throws {
            let run = try TestRun(), expected = try Self.reference(settings)
            let record = try Self.finished(run, run.train(workers: workers, settings, options: Self.options("tp=2")))
            #expect(isSame(record, as: expected), "the weights differ from those of one group")
            #expect(record.evaluations.map(\.lossSum) == expected.evaluations.map(\.lossSum) && record.probes.first?.audit == expected.probes.first?.audit)
            #expect(record.replicas.count == workers && record.incidents.isEmpty)
        }

        @Test(arguments: variants, [(4, "zero1 dp=2,tp=2"), (4, "tp=2,pp=2"), (8, "zero1 dp=2,tp=2,pp=2")])
        func `so do owners of moments, and stages of ranks`(settings: [String], workers: (count: Int, sharding: String)) throws {
            let run = try TestRun(), expected = try Self.reference(settings)
            let record = try Self.finished(run, run.train(workers: workers.count, settings, options: Self.options(workers.sharding)))
            #expect(isSame(record, as: expected), "the weights differ from those of one group")
            #expect(record.evaluations.map(\.lossSum) == expected.evaluations.map(\.lossSum) && record.probes.first?.audit == expected.probes.first?.audit)
            #expect(record.replicas.count == workers.count && record.incidents.isEmpty)
        }

        /// Float32 sums in other places: the first steps' losses and gradient norms agree to a few units in the last place of them.
        @Test(arguments: variants)
        func `it is the same model as one worker's but for rounding`(settings: [String]) throws {
            let run = try TestRun(), command = try run.train(workers: 1, settings)
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            let alone = try run.record, shared = try Self.reference(settings)
            for (a, b) in zip(alone.commits.prefix(5), shared.commits) {
                #expect(a.tokens == b.tokens && abs(b.lossSum / a.lossSum - 1) < 1e-5, "step \(a.step): \(b.lossSum), alone \(a.lossSum)")
                #expect(abs(b.gradientNorm / a.gradientNorm - 1) < 1e-4, "step \(a.step): \(b.gradientNorm), alone \(a.gradientNorm)")
            }
            for (a, b) in zip(alone.evaluations, shared.evaluations) { #expect(a.tokens == b.tokens && abs(b.lossSum / a.lossSum - 1) < 1e-3) }
            #expect(alone.evaluations.count == shared.evaluations.count && alone.facts[RunFact.finalDigest] != shared.facts[RunFact.finalDigest])
        }

        /// Of more than two ranks each adds up a part of the sums.
        @Test(arguments: [["model.heads=4", "model.keyValueHeads=4"], ["model.heads=4"] + llama + ["model.keyValueHeads=4"]])
        func `four ranks agree with each other and with one worker`(settings: [String]) throws {
            let records = try [4, 8].map { workers in
                let run = try TestRun()
                return try Self.finished(run, run.train(workers: workers, settings, options: Self.options("tp=4")))
            }
            #expect(isSame(records[0], as: records[1]), "two groups end with other weights than one")
            let run = try TestRun(), command = try run.train(workers: 1, settings)
            #expect(command.finish() == .exited(0), "\(command.complaint)")
            for (a, b) in zip(try run.record.commits.prefix(5), records[0].commits) { #expect(abs(b.lossSum / a.lossSum - 1) < 1e-5) }
        }

        @Test(arguments: [FaultPoint.forward, .backward, .reduce, .update, .vote], ["dp=2,tp=2", "tp=2,pp=2"])
        func `a lost rank takes everybody back to the newest checkpoint`(point: FaultPoint, sharding: String) throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let record = try Self.finished(run, run.train(workers: 4, settings, faults: ["crash worker=1 step=25 point=\(point)"], options: Self.options(sharding)))
            #expect(try isSame(record, as: Self.reference(settings)))
            #expect(record.incidents.map(\.kind) == [.crash] && record.incidents[0].slot == 1)
            record.expectOneReturn()
            #expect(record.replicas.count { $0.stoppedFor != nil } == 3)
        }

        @Test(arguments: ["hang worker=1 step=13 point=forward", "bitflip worker=1 step=13 target=firstMoment", "bitflip worker=1 step=13 target=parameters"], [(2, "tp=2"), (4, "tp=2,pp=2"), (4, "zero1 dp=2,tp=2")])
        func `a hung or damaged rank is found`(fault: String, workers: (count: Int, sharding: String)) throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let record = try Self.finished(run, run.train(workers: workers.count, settings, faults: [fault], options: Self.options(workers.sharding)))
            #expect(try isSame(record, as: Self.reference(settings)))
            #expect(record.incidents.contains { $0.slot == 1 && $0.fault == 0 })
        }

        @Test func `an interrupted run goes on with another number of groups`() throws {
            let run = try TestRun(), settings = ["steps=200"]
            let command = try run.train(workers: 2, settings, options: Self.options("tp=2"))
            try command.wait(for: "view 1: the run begins")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            run.expectRefused(try run.resume("--transport", "shared"), .usage, "--sharding tp=2", "--transport gloo")
            run.expectRefused(try run.resume("--workers", "3"), .usage, "3 workers", "multiple of 2")
            run.expectRefused(try run.resume("--sharding", "ddp"), .usage, "--sharding ddp: the run has tp=2", "headway train --from")
            run.expectRefused(try run.resume("--sharding", "zero1", "--workers", "2"), .usage, "the run has tp=2")
            let some = try run.resume("--workers", "4", "--sharding", "tp=2,pp=2")
            try some.wait(for: "the run begins")
            some.signal(SIGINT)
            try run.expectInterrupted(some)
            let record = try Self.finished(run, run.resume("--workers", "4", "--sharding", "zero1 dp=2,tp=2"), steps: 200)
            #expect(try isSame(record, as: Self.reference(settings, steps: 200)))
        }

        @Test func `an interrupt that cannot wait leaves nothing behind`() throws {
            let run = try TestRun(), command = try run.train(workers: 2, ["steps=2000"], options: Self.options("tp=2"))
            try command.wait(for: "view 1: the run begins")
            command.signal(SIGINT)
            try command.wait(for: "once more to stop at once")
            command.signal(SIGINT)
            #expect(command.finish() == .exited(130), "\(command.complaint)")
            run.expectNothingLeft()
        }

        /// What checkpoints hold is the whole model, whoever is to go on with it.
        @Test func `a checkpoint is the whole model's, and another degree is another run`() throws {
            let run = try TestRun(), settings = ["steps=20", "checkpoint.every=10"]
            let parent = try Self.finished(run, run.train(workers: 2, settings, options: Self.options("tp=2")), steps: 20)
            let sample = try run.headway("sample", run.path, "--tokens", "40"), export = try run.headway("export", "hf", run.path, "model")
            #expect(sample.end == .exited(0) && export.end == .exited(0), "\(sample.complaint)\(export.complaint)")

            func branch(_ name: String, _ rest: String...) throws -> Command {
                try run.start(["train", "--from", run.path + "@10", "--out", run.folder + "/" + name] + rest)
            }
            run.expectRefused(try branch("no", "--sharding", "ddp"), .badInput, "was made with tensor parallelism tp=2, not tp=1; --allow tensor goes on with it all the same, to other bits")
            for (name, rest) in [("alone", ["--sharding", "ddp", "--allow", "tensor"]), ("same", ["--transport", "gloo"])] {
                let command = try run.start(["train", "--from", run.path + "@10", "--out", run.folder + "/" + name] + rest)
                #expect(command.finish() == .exited(0), "\(command.complaint)")
                let record = try LedgerStore.read("\(run.folder)/\(name)/ledger.sqlite"), first = try #require(record.commits.first)
                let before = try #require(parent.commits.first { $0.step == 11 })
                #expect(first.step == 11 && abs(first.lossSum / before.lossSum - 1) < 1e-5)
                #expect((record.facts[RunFact.finalDigest] == parent.facts[RunFact.finalDigest]) == (name == "same"))
            }
        }

        @Test func `what does not fit is refused`() throws {
            let run = try TestRun(), tp = Self.options("tp=2")
            run.expectRefused(try run.train(workers: 3, options: tp), .usage, "3")
            run.expectRefused(try run.train(workers: 4, options: Self.options("tp=4")), .usage, "--sharding tp=4: tensor parallelism needs a degree", "choose 1 or 2")
            run.expectRefused(try run.train(workers: 3, ["model.heads=3", "model.keyValueHeads=3", "model.width=48", "model.hidden=192"], options: Self.options("tp=3")), .usage, "256 chunks", "power of two")
            run.expectRefused(try run.train(workers: 2, options: ["--sharding", "tp=2"]), .usage, "--transport gloo")
            run.expectRefused(try run.train(workers: 2, ["batch.tensor=2"]), .usage, "--sharding tp=2", "--transport gloo")
            run.expectRefused(try run.train(workers: 8, options: Self.options("tp=2,pp=4")), .usage, "--sharding tp=2,pp=4 is more than the 2 layers")
            run.expectRefused(try run.train(workers: 4, options: Self.options("zero2 dp=2,tp=2")), .usage, "--sharding tp=2: zero2 goes through blocks", "use zero1 dp=2,tp=2")
            run.expectRefused(try run.train(workers: 4, options: Self.options("zero1+shadow dp=2,tp=2")), .usage, "with tp=2 nobody goes on without the others", "leave +shadow out")
            run.expectRefused(try run.train(workers: 2, options: tp + ["--spares", "1"]), .usage, "--spares 1")
            run.expectRefused(try run.train(workers: 2, options: tp + ["--pace", "5"]), .usage, "--pace")
        }
    }
}
