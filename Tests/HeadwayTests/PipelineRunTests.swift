import Collectives
import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// Workers that divide the layers among them.
    @Suite(.enabled(if: Messages.areAvailable, "built without Gloo")) struct PipelineRuns {
        private static let layers = ["model.layers=3"]
        private func options(_ sharding: String) -> [String] { ["--transport", "gloo", "--sharding", sharding] }

        @Test(arguments: [(2, "pp=2"), (3, "pp=3"), (4, "dp=2,pp=2"), (6, "dp=2,pp=3"), (4, "zero1 dp=2,pp=2")], [layers, layers + Bits.llama + ["model.tied=false"], layers + ["model.dropout=0.1", "batch.microbatches=16"]])
        func `stages end with the bits of one worker`(workers: (Int, sharding: String), settings: [String]) throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: workers.0, settings, options: options(workers.sharding)), settings)
            #expect(record.incidents.isEmpty && record.replicas.count == workers.0)
        }

        @Test(arguments: [FaultPoint.forward, .backward, .leafDone, .publish, .reduce, .update, .vote], ["dp=2,pp=2", "zero1 dp=2,pp=2"])
        func `a lost stage takes everybody back to the newest checkpoint`(point: FaultPoint, sharding: String) throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let record = try run.expectFinished(run.train(workers: 4, settings, faults: ["crash worker=1 step=25 point=\(point)"], options: options(sharding)), settings)
            #expect(record.incidents.map(\.kind) == [.crash] && record.incidents[0].slot == 1)
            record.expectOneReturn()
            // Whoever was stopped for the loss of another was not lost itself.
            #expect(record.replicas.count { $0.stoppedFor != nil } == 3)
        }

        @Test(arguments: [(2, "pp=2"), (4, "zero1 dp=2,pp=2")], ["parameters", "secondMoment"])
        func `a bit that flips in what a stage owns, or has a copy of, is found`(workers: (count: Int, sharding: String), target: String) throws {
            for worker in 0..<workers.count {
                let run = try TestRun(), settings = ["checkpoint.every=10"]
                let record = try run.expectFinished(run.train(workers: workers.count, settings, faults: ["bitflip worker=\(worker) step=13 target=\(target)"], options: options(workers.sharding)), settings)
                #expect(record.incidents.map(\.kind).contains(.memory) && record.incidents[0].slot == worker && record.incidents[0].fault == 0)
            }
        }

        @Test func `a hung stage is found`() throws {
            let run = try TestRun(), settings = ["checkpoint.every=10"]
            let record = try run.expectFinished(run.train(workers: 2, settings, faults: ["hang worker=1 step=13 point=forward"], options: options("pp=2")), settings)
            #expect(record.incidents.contains { $0.kind == .hang && $0.slot == 1 && $0.fault == 0 })
        }

        @Test func `an interrupted run goes on with other workers`() throws {
            let run = try TestRun(), settings = ["steps=400"]
            let command = try run.train(workers: 2, settings, options: options("pp=2"))
            try command.wait(for: "view 1: the run begins")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
            try run.expectFinished(run.resume("--workers", "3", "--sharding", "zero1"), settings, steps: 400)
        }

        @Test func `what does not fit is refused`() throws {
            let run = try TestRun()
            run.expectRefused(try run.train(workers: 3, options: options("pp=2")), .usage, "3")
            run.expectRefused(try run.train(workers: 4, options: options("pp=4")), .usage, "at most pp=2")
            run.expectRefused(try run.train(workers: 2, options: ["--sharding", "pp=2"]), .usage, "--transport gloo")
            run.expectRefused(try run.train(workers: 2, options: options("pp=2") + ["--spares", "1"]), .usage, "--spares 1")
        }
    }
}
