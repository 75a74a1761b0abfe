import Foundation
import Lab
import Model
import RunSpec
import Testing

@Suite struct ClusterPlanTests {
    private func config(_ preset: String, _ settings: String...) throws -> RunConfig {
        var config = try Preset.named(preset).config
        for setting in settings { try config.set(assignment: setting) }
        return config
    }

    private func plan(
        _ config: RunConfig, workers: Int = 8, choices: [String] = [], _ change: (inout ClusterPlan.Conditions) -> Void = { _ in }
    ) throws -> ClusterPlan {
        var conditions = ClusterPlan.Conditions(workers: workers, link: Link(gigabitsPerSecond: 10, microseconds: 20), flops: 100e9)
        change(&conditions)
        return ClusterPlan(ShardedModel(config), conditions, choices: try choices.map { try Sharding($0, workers: workers, place: "--choice") })
    }

    @Test(arguments: ["demo", "nanogpt-cpu", "char-10m", "llama-mini", "tiny"])
    func `blocks are the parameters of the layout, and ranks divide them`(preset: String) throws {
        for settings in [[], ["model.tied=false"], ["model.bias=true"]] {
            var config = try Preset.named(preset).config
            for setting in settings { try config.set(assignment: setting) }
            let layout = ParameterLayout(config.model), model = ShardedModel(config)
            #expect(model.floats == layout.count && model.layers.count == config.model.layers && Set(model.layers).count == 1)
            let flops = Double(config.model.layers) * model.layerFlops + model.headFlops
            #expect(abs(flops / Transformer.flopsPerToken(config.model) - 1) < 1e-12)
            #expect(model.layerFlops > 3 * model.layerWeightFlops && model.layerFlops < 4 * model.layerWeightFlops)
            // What the stages' instances allocate, but for rounding to lines.
            for (stage, part) in try ModelPart.stages(2, of: config.model).enumerated() {
                let kept = Transformer.activationFloats(config.model, sequences: config.sequencesPerMicrobatch, part: part, putsOffWeightGradients: stage > 0).kept
                let layer = model.kept.whole + model.kept.split + (stage > 0 ? model.later.whole + model.later.split : 0)
                let planned = model.activation + part.layers.count * layer + (stage > 0 ? model.norm.whole : 0)
                #expect(abs(Double(kept) / Double(planned) - 1) < 0.01, "stage \(stage): \(kept), \(planned)")
            }
            // What two ranks have twice: gains, positions, padding and what is added to a sum over ranks.
            let whole = layout.slots.filter { slot in
                !slot.decays && !slot.name.hasSuffix("c_attn.bias") && !slot.name.hasSuffix("c_fc.bias") || slot.name == "wpe.weight"
            }.reduce(layout.count - layout.parameterCount) { $0 + $1.count }
            let two = ShardingCosts(Sharding(mesh: Mesh(tensor: 2)), model)
            #expect(two.workers.reduce(0) { $0 + $1.floats } == layout.count + whole)
        }
    }

    @Test func `known models have their known numbers of parameters`() {
        for (name, count) in [("gpt2-small", 124_439_808), ("gpt2-medium", 354_823_168), ("gpt2-large", 774_030_080), ("gpt2-xl", 1_557_611_200), ("llama-7b", 6_738_415_616)] {
            var config = RunConfig()
            PlanningShape.all.first { $0.name == name }!.apply(to: &config)
            #expect(ParameterLayout(config.model).parameterCount == count, "\(name)")
        }
    }

    @Test func `every choice that can be is ranked once, by what lasts`() throws {
        let plan = try plan(config("char-10m", "batch.sequences=32", "batch.microbatches=32"))
        let names = plan.lines.map { "\($0.sharding)" }
        #expect(Set(names).count == names.count && names.contains("ddp dp=8") && names.contains("zero3+parity dp=8") && names.contains("ddp dp=2,tp=2,pp=2") && names.contains("tp=2,pp=4") && names.contains("zero1 dp=2,tp=2,pp=2") && !names.contains { $0.hasPrefix("zero3 ") && $0.contains("tp") })
        #expect(zip(plan.lines, plan.lines.dropFirst()).allSatisfy { $0.lastingTokensPerSecond >= $1.lastingTokensPerSecond })
        // Six heads and six layers: no four ranks, no eight stages.
        #expect(plan.refusals.map(\.choice) == ["dp=2,tp=4", "tp=8", "tp=4,pp=2", "pp=8"])
        #expect(plan.lines.allSatisfy { abs($0.tokensPerSecond * $0.time.total / Double(32 * 256) - 1) < 1e-12 && $0.recovery.goodput == 1 })
    }

    @Test func `what does not fit the memory is refused with what does`() throws {
        let all = try plan(config("char-10m", "batch.microbatches=8", "batch.sequences=8"), choices: ["ddp", "zero1", "zero3"])
        let least = try #require(all.lines.map(\.memory).min()), most = try #require(all.lines.map(\.memory).max())
        let some = try plan(config("char-10m", "batch.microbatches=8", "batch.sequences=8"), choices: ["ddp", "zero1", "zero3"]) { $0.memory = (least + most) / 2 }
        #expect(some.lines.count + some.refusals.count == 3 && some.lines.allSatisfy { $0.memory <= (least + most) / 2 })
        #expect(some.refusals.contains { $0.choice == "ddp dp=8" && $0.reason.contains("more than it has; zero3 dp=8 needs ") })
        let none = try plan(config("char-10m", "batch.microbatches=8", "batch.sequences=8"), choices: ["ddp", "zero3"]) { $0.memory = 1_000_000 }
        #expect(none.lines.isEmpty && none.refusals.allSatisfy { $0.reason.contains("; the least of all is zero3 dp=8 with ") })
        #expect(none.text(complete: false).contains("Nothing fits:"))
    }

    @Test func `a loss is made good from peers, from a second copy, or from a checkpoint`() throws {
        let choices = ["ddp", "zero1", "zero1+shadow", "zero1+parity", "zero2+shadow", "zero3+shadow", "tp=2,pp=4", "dp=4,tp=2"]
        let plan = try plan(config("char-10m", "batch.sequences=32", "batch.microbatches=32"), choices: choices) { $0.failuresPerHour = 1 }
        let lines = Dictionary(uniqueKeysWithValues: plan.lines.map { ("\($0.sharding)", $0) })
        func line(_ name: String) throws -> ClusterPlan.Line { try #require(lines[name]) }
        let sources = try ["ddp dp=8", "zero1 dp=8", "zero1+shadow dp=8", "zero1+parity dp=8", "zero3+shadow dp=8", "ddp dp=4,tp=2", "tp=2,pp=4"].map { try line($0).recovery.source }
        #expect(sources == [.peers, .checkpoint, .shadow, .parity, .shadow, .checkpoint, .checkpoint])
        let P = Double(plan.model.floats), s = try Double(line("zero1 dp=8").costs.maximum(\.owned))
        #expect(try line("ddp dp=8").recovery.bytes == 12 * P && line("zero1+shadow dp=8").recovery.bytes == 4 * P + 16 * s)
        #expect(try line("zero1+parity dp=8").recovery.bytes == 4 * P + 15 * 8 * s)
        // Four microbatches each, half done on the mean; with sums spread over owners all 32.
        #expect(try line("ddp dp=8").recovery.leavesLost == 2 && line("zero2+shadow dp=8").recovery.leavesLost == 16)
        // A replacement that has to start joins at the next step, in a view of its own: until then seven do the work of eight, somebody five microbatches in place of four.
        let later = try self.plan(config("char-10m", "batch.sequences=32", "batch.microbatches=32"), choices: ["ddp", "zero2+shadow"]) { ($0.failuresPerHour, $0.recovery.startSeconds) = (1, 0.001) }
        for other in later.lines {
            let soon = try line("\(other.sharding)"), gradients = other.time.gradients
            let again = other.sharding.state == .ddp ? max(other.time.leafLatency / 2, gradients / 16) : 0
            #expect(abs(other.recovery.seconds - soon.recovery.seconds - (gradients / 4 + 0.06 - again)) < 1e-9 && other.recovery.bytes == soon.recovery.bytes, "\(other.sharding)")
        }
        let zero1 = try line("zero1 dp=8").recovery, shadow = try line("zero1+shadow dp=8").recovery
        #expect(zero1.goodput < shadow.goodput && zero1.leavesLost > 32 && zero1.checkpointSteps != nil && shadow.checkpointSteps == nil)
    }

    @Test func `rare failures cost their rate times what one costs`() throws {
        for choice in ["ddp", "zero1", "zero3+parity"] {
            func share(_ rate: Double) throws -> (goodput: Double, seconds: Double) {
                let line = try #require(try plan(config("char-10m", "batch.microbatches=8", "batch.sequences=8"), choices: [choice]) {
                    ($0.failuresPerHour, $0.checkpointSteps) = (rate, 20)
                }.lines.first)
                return (line.recovery.goodput, line.recovery.seconds)
            }
            let rare = try share(1e-3), often = try share(10)
            // A step is lost at any moment of the interval; the update is neither, so the two count a little differently.
            #expect(abs((1 - rare.goodput) / (8e-3 / 3600 * rare.seconds) - 1) < 0.05, "\(choice): \(rare)")
            #expect(often.goodput < rare.goodput)
        }
    }

    @Test func `checkpoints as often as somebody says, else as is best`() throws {
        func steps(_ every: Int?, _ rate: Double) throws -> (steps: Int?, goodput: Double) {
            let line = try #require(try plan(config("char-10m"), workers: 4, choices: ["zero1"]) { ($0.checkpointSteps, $0.failuresPerHour, $0.recovery.blockingSeconds) = (every, rate, 0.5) }.lines.first)
            return (line.recovery.checkpointSteps, line.recovery.goodput)
        }
        #expect(try steps(7, 1).steps == 7 && steps(nil, 0).steps == RecoveryCost.usualSteps)
        let best = try steps(nil, 1)
        #expect(try best.goodput >= steps(1, 1).goodput - 0.001 && best.goodput >= steps(100_000, 1).goodput - 0.001)
    }

    @Test func `the text is narrow and the document and the table have every figure`() throws {
        let plan = try plan(config("char-10m", "batch.sequences=32", "batch.microbatches=32")) { ($0.memory, $0.failuresPerHour) = (330_000_000, 0.1) }
        let text = plan.text(complete: true), short = plan.text(complete: false)
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 112 }, "\(text)")
        #expect(short.contains("more choices with less; --all shows them") && !text.contains("--all"))
        #expect(plan.lines.allSatisfy { text.contains("\($0.sharding)") } && plan.refusals.allSatisfy { text.contains("\($0.choice): ") })
        let document = try #require(try JSONSerialization.jsonObject(with: Data(plan.json.utf8)) as? [String: Any])
        let choices = try #require(document["choices"] as? [[String: Any]])
        #expect(choices.count == plan.lines.count && Set(choices[0].keys) == Set(plan.table.columns) && (document["refused"] as? [Any])?.count == plan.refusals.count)
        for (row, line) in zip(choices, plan.lines) {
            #expect(row["sent_bytes_max"] as? Int == line.costs.maximum(\.sent.total) && abs((row["step_s"] as? Double ?? 0) / line.time.total - 1) < 1e-12)
        }
        #expect(plan.table.csv.split(separator: "\r\n").count == plan.lines.count + 1)
    }
}
