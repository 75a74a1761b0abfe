import Collectives
import Foundation
import Ledger
import Model
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    /// What messages cost, as the kernel counts it, against the formulas.
    @Suite(.enabled(if: Messages.areAvailable, "built without Gloo")) struct MessageCosts {
        private static let shardings = ["ddp", "zero1", "zero1+shadow"]

        /// A model so large that what is not floats does not matter. Nobody helps another, so that everybody has the same
        /// leaves in each step.
        private static func train(_ run: TestRun, workers: Int, _ sharding: String, width: Int, layers: Int, steps: Int) throws -> (record: RunRecord, parameters: ParameterLayout) {
            let settings = ["steps=\(steps)", "model.width=\(width)", "model.hidden=\(4 * width)", "model.layers=\(layers)", "data.validation=0", "checkpoint.every=0", "schedule.warmup=1"]
            let command = try run.train(workers: workers, settings, options: ["--transport", "gloo", "--sharding", sharding, "--policy", "discard"])
            try #require(command.finish() == .exited(0), "\(command.complaint)")
            let record = try run.record
            try #require(record.incidents.isEmpty && record.views.count == 1 && record.commits.count == steps && record.replicas.count == workers)
            return (record, ParameterLayout(try RunFolder(run.path).read().0.model))
        }

        /// The leaves of a worker in every step, in the order it computes them.
        private static func leaves(_ record: RunRecord, _ replica: ReplicaRow) -> [Int] {
            record.commits[0].leafReplicas.indices.filter { record.commits[0].leafReplicas[$0] == replica.replica }
        }

        private static func costs(_ parameters: ParameterLayout, workers: Int, _ sharding: String) -> WorkerCosts {
            let share = 1 / Double(workers)
            return WorkerCosts(parameterFloats: parameters.count, workers: workers, keptShare: sharding == "ddp" ? 1 : sharding == "zero1" ? share : min(1, 2 * share))
        }

        @Test(arguments: 2...4, shardings)
        func `workers send the bytes of the formula, within half a percent`(workers: Int, sharding: String) throws {
            let steps = 6, (record, parameters) = try Self.train(TestRun(), workers: workers, sharding, width: 192, layers: 2, steps: steps)
            let sent = try record.replicas.map { Double(try #require($0.sentBytes)) / Double(workers * steps) }.reduce(0, +)
            let held = record.replicas.map { replica in
                let mine = Set(Self.leaves(record, replica))
                return TreeNode.covering(leaves: record.commits[0].leafReplicas.count, mine.contains).count
            }
            let expected = Self.costs(parameters, workers: workers, sharding).sentBytes(nodes: Double(held.reduce(0, +)) / Double(workers))
            #expect(abs(sent / expected - 1) < 0.005, "\(sent) of \(expected) bytes a worker and step, nodes \(held), \(parameters.count) parameters")
        }

        @Test(arguments: [2, 3], shardings)
        func `workers have the memory of the formula, within five percent`(workers: Int, sharding: String) throws {
            let run = try TestRun(), (record, parameters) = try Self.train(run, workers: workers, sharding, width: 512, layers: 3, steps: 3)
            let config = try RunFolder(run.path).read().0, costs = Self.costs(parameters, workers: workers, sharding)
            let activations = Transformer(config.model, sequences: config.sequencesPerMicrobatch).bytes
            for replica in record.replicas {
                let leaves = Self.leaves(record, replica), others = record.replicas.filter { $0.replica != replica.replica }
                let parts = others.reduce(0) { sum, other in
                    let theirs = Set(Self.leaves(record, other))
                    return sum + TreeNode.covering(leaves: record.commits[0].leafReplicas.count, theirs.contains).count
                }
                let expected = costs.privateBytes(leaves: leaves, landing: TreeExchange.landingBytes(parts: parts, parameterFloats: parameters.count), activations: activations)
                let measured = Double(try #require(replica.residentBytes))
                #expect(abs(measured / expected - 1) < 0.05, "\(measured) of \(expected) bytes, leaves \(leaves), \(parameters.count) parameters, \(activations) bytes of activations")
            }
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
