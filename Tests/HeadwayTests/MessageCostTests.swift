import Collectives
import Foundation
import Lab
import Ledger
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    /// What messages cost, as the kernel counts it, against the formulas.
    @Suite(.enabled(if: Messages.areAvailable, "built without Gloo")) struct MessageCosts {
        /// A model so large that what is not floats does not matter. Nobody helps another, so that everybody has the same
        /// leaves in each step.
        @Test(arguments: [(2, "ddp"), (3, "ddp"), (4, "ddp"), (2, "zero1"), (3, "zero1"), (3, "zero1+shadow"), (4, "zero1+shadow"), (2, "zero2"), (3, "zero2+shadow"), (2, "zero3"), (3, "zero3+shadow"), (4, "zero1+parity"), (3, "zero2+parity"), (4, "zero3+parity"), (2, "tp=2"), (4, "dp=2,tp=2"), (4, "zero1 dp=2,tp=2"), (2, "pp=2"), (4, "zero1 dp=2,pp=2"), (4, "tp=2,pp=2")])
        func `workers send the bytes that the planner says within half a percent, and have its memory within five`(workers: Int, sharding: String) throws {
            let run = try TestRun(), steps = 3
            let settings = ["steps=\(steps)", "model.width=512", "model.hidden=2048", "model.layers=4", "data.validation=0", "checkpoint.every=0", "schedule.warmup=1"]
            let command = try run.train(workers: workers, settings, options: ["--transport", "gloo", "--sharding", sharding, "--policy", "discard"])
            try #require(command.finish() == .exited(0), "\(command.complaint)")
            let record = try run.record
            try #require(record.incidents.isEmpty && record.views.count == 1 && record.commits.count == steps && record.replicas.count == workers)
            let costs = try ShardingCosts(Sharding(sharding, workers: workers, place: "the test"), ShardedModel(RunFolder(run.path).read().0))
            let sent = try record.replicas.map { Double(try #require($0.sentBytes)) / Double(workers * steps) }.reduce(0, +), expected = costs.mean(\.sent.total)
            // A chunk in two stages belongs to one: the other sends its gradient there and gets the new parameters.
            let straddling = Double((costs.sharding.mesh.pipeline - 1) * 8 * costs.model.floats / SharedLayout.chunkCount / workers)
            #expect(sent / expected > 0.995 && sent < 1.005 * expected + straddling, "\(sent) of \(expected) bytes a worker and step")
            let hidden = try record.replicas.map { try #require($0.hiddenBytes) }.reduce(0, +)
            #expect(sharding.contains("=") || hidden > 0, "nothing went out beside computing")
            let resident = try record.replicas.map { Double(try #require($0.residentBytes)) }.max() ?? 0, planned = Double(costs.maximum(\.kept.total) + Calibration.thisMachine.processBytes)
            #expect(abs(resident / planned - 1) < 0.05, "\(resident) of \(planned) bytes")
        }

        @Test func `the benchmark of the exchange finds equal sums, and leaves nothing behind`() throws {
            let run = try TestRun()
            for workers in [2, 3] {
                let command = try run.headway("bench", "exchange", "--workers", "\(workers)", "--megabytes", "0.1,1.5", "--rounds", "2", "--json")
                #expect(command.end == .exited(0), "\(command.complaint)")
                let lines = try command.output.split(separator: "\n").map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
                #expect(lines.map { $0?["bytes"] as? Int } == [99_968, 1_499_968], "\(command.output)")
                #expect(lines.allSatisfy { $0?["milliseconds"] as? Double ?? 0 > 0 && $0?["ratio"] as? Double ?? 0 > 0 })
            }
            run.expectNoSegmentStranded()
        }

        @Test(arguments: [SIGINT, SIGTERM])
        func `the benchmark of the exchange can be ended at any time`(signal: Int32) throws {
            let run = try TestRun(), command = try run.start(["bench", "exchange", "--workers", "2", "--megabytes", "1", "--rounds", "1000000"])
            let begun = eventually { run.processes.count == 3 }
            #expect(begun)
            command.signal(signal)
            #expect(command.finish() == .exited(130) && command.errors == "headway: interrupted\n", "\(command.complaint)")
            #expect(run.processes.map(\.words).isEmpty)
            #expect(!FileManager.default.fileExists(atPath: FileManager.default.temporaryDirectory.path + "/headway-exchange-\(command.pid)"))
            run.expectNoSegmentStranded()
        }
    }
}
