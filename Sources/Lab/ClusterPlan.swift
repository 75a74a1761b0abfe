import Reports
import RunSpec

/// What each sharding choice would cost on given workers, the best first.
package struct ClusterPlan: Sendable {
    package struct Conditions: Sendable {
        package var workers: Int
        package var link: Link
        /// Floating-point operations a second of each worker, in whole microbatches.
        package var flops: Double
        /// Bytes of each worker; nil: any.
        package var memory: Int?
        /// Of each worker.
        package var failuresPerHour = 0.0
        /// nil for the best.
        package var checkpointSteps: Int?
        package var calibration = Calibration(), recovery = RecoveryConstants()

        package init(workers: Int, link: Link, flops: Double) { (self.workers, self.link, self.flops) = (workers, link, flops) }
    }

    package struct Line: Sendable {
        package let sharding: Sharding
        package let costs: ShardingCosts
        package let time: StepTime
        package let recovery: RecoveryCost
        /// Without failures, and of what is left with them.
        package let tokensPerSecond: Double
        package var lastingTokensPerSecond: Double { tokensPerSecond * recovery.goodput }
        /// Of the fullest worker.
        package var memory: Int { costs.maximum(\.kept.total) }
    }

    package struct Refusal: Sendable {
        package let choice: String, reason: String
    }

    package let model: ShardedModel, conditions: Conditions
    /// By tokens a second that last, then by memory.
    package let lines: [Line]
    /// What cannot be, in the order in which it was asked for.
    package let refusals: [Refusal]

    /// - Parameter choices: empty for every mesh with everything that it allows.
    package init(_ model: ShardedModel, _ conditions: Conditions, choices: [Sharding] = []) {
        (self.model, self.conditions) = (model, conditions)
        var refusals: [Refusal] = [], lines: [Line] = []
        for sharding in choices.isEmpty ? Self.all(model, conditions.workers, &refusals) : choices {
            if let obstacle = sharding.obstacle(model, workers: conditions.workers) {
                refusals.append(Refusal(choice: "\(sharding)", reason: obstacle))
            } else {
                lines.append(Self.line(sharding, model, conditions))
            }
        }
        if let memory = conditions.memory {
            let least = lines.min { $0.memory < $1.memory }
            for line in lines where line.memory > memory {
                let other = least.map { $0.memory <= memory ? "\($0.sharding) needs \(Quantity.bytes($0.memory))" : "the least of all is \($0.sharding) with \(Quantity.bytes($0.memory))" } ?? ""
                refusals.append(Refusal(
                    choice: "\(line.sharding)",
                    reason: "the fullest worker needs \(Quantity.bytes(line.memory)), \(Quantity.bytes(line.memory - memory)) more than it has; \(other)"))
            }
            lines.removeAll { $0.memory > memory }
        }
        self.refusals = refusals
        self.lines = lines.sorted { ($0.lastingTokensPerSecond, -$0.memory, $1.sharding.description) > ($1.lastingTokensPerSecond, -$1.memory, $0.sharding.description) }
    }

    /// Every mesh of so many workers, with what goes with it; a mesh that does not go with the model is refused once.
    private static func all(_ model: ShardedModel, _ workers: Int, _ refusals: inout [Refusal]) -> [Sharding] {
        var choices: [Sharding] = []
        for mesh in Mesh.all(workers: workers) {
            if let obstacle = Sharding(mesh: mesh).obstacle(model, workers: workers) {
                refusals.append(Refusal(choice: "\(mesh)", reason: obstacle))
                continue
            }
            for state in Sharding.State.allCases {
                for redundancy in Sharding.Redundancy.allCases {
                    let sharding = Sharding(state, redundancy, mesh: mesh)
                    if sharding.obstacle(model, workers: workers) == nil { choices.append(sharding) }
                }
            }
        }
        return choices
    }

    private static func line(_ sharding: Sharding, _ model: ShardedModel, _ conditions: Conditions) -> Line {
        let costs = ShardingCosts(sharding, model)
        let time = StepTime(costs, link: conditions.link, flops: conditions.flops, calibration: conditions.calibration)
        let recovery = RecoveryCost(
            costs, time, link: conditions.link, calibration: conditions.calibration, constants: conditions.recovery,
            checkpointSteps: conditions.checkpointSteps, failuresPerHour: conditions.failuresPerHour)
        return Line(sharding: sharding, costs: costs, time: time, recovery: recovery, tokensPerSecond: Double(model.tokensPerStep) / time.total)
    }
}
