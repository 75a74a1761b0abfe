import CSystem
import Reports
import RunSpec

/// The runs of a sharding benchmark beside what the planner says of the same choices, with this machine's own speed.
package struct ShardingSummary: Sendable {
    package struct Line: Sendable {
        package let choice: ShardingRun.Choice
        /// Medians over rounds.
        package let stepSeconds: Double, tokensPerSecond: Double, exposedSeconds: Double
        /// The slowest round's step less the fastest's, as a share of the median: noise. Nil for one round.
        package let spread: Double?
        package let sentBytes: Double?, residentBytes: Int?
        /// Of what was sent, the part beside computing.
        package let hiddenBytes: Double?
        /// Over all rounds.
        package let failures: Int
        /// Of a failure; nil without.
        package let secondsPerFailure: Double?, leavesPerFailure: Double?
        /// Undisturbed time of the steps ÷ the time they took.
        package let goodput: Double
        /// nil for what is no message's: the reference, and the run that calibrates.
        package let predicted: Prediction?
        /// Measured ÷ predicted step.
        package var ratio: Double? { predicted.map { stepSeconds / $0.time.total } }
    }

    package struct Prediction: Sendable {
        package let time: StepTime
        package let sentBytes: Double
        package let residentBytes: Int
        package let recovery: RecoveryCost
        package let goodput: Double
    }

    package let model: ShardedModel, conditions: ShardingBench.Conditions
    /// How workers were connected.
    package let network: String
    /// The choices with messages by measured step, after the two references.
    package let lines: [Line]
    package let link: Link, calibration: Calibration, flops: Double
    /// Final weights other than the single worker's; with tensor parallelism other than the first run's of the same degree.
    package let strays: [String]

    package init(_ model: ShardedModel, _ conditions: ShardingBench.Conditions, network: String, runs: [ShardingRun]) {
        (self.model, self.conditions, self.network) = (model, conditions, network)
        let single = runs.filter { $0.choice == .single }, tokens = Double(model.rows)
        // Cores that compute side by side can slow each other: a worker alone would promise too much.
        let leaf = conditions.paceMilliseconds.map { $0 * 1e-3 } ?? ShardingRun.median(runs.filter { $0.choice == .shared }.map(\.leafSeconds))
        let perToken = Double(model.config.layers) * model.layerFlops + model.headFlops
        // More workers than processors share them, unless a pace keeps them apart.
        let share = conditions.paceMilliseconds == nil ? min(1, Double(cs_available_cores()) / Double(conditions.workers)) : 1
        let flops = tokens * perToken / leaf * share
        var calibration = conditions.link == nil ? Calibration.loopback : .thisMachine
        let update = ShardingRun.median(single.map(\.updateSeconds))
        calibration.memoryBytesPerSecond = calibration.updateBytes * Double(model.floats) / max(update, 1e-9) * share
        let link = conditions.link ?? .loopback
        (self.flops, self.calibration, self.link) = (flops, calibration, link)
        var every: Int?
        if case .steps(let steps) = conditions.config.checkpoint.every, steps > 0 { every = steps }
        let choices: [ShardingRun.Choice] = [.single, .shared] + conditions.choices.map { .messages($0) }
        let lines = choices.map { choice in
            let mine = runs.filter { $0.choice == choice }, failures = mine.reduce(0) { $0 + $1.failures }, step = ShardingRun.median(mine.map(\.stepSeconds))
            let steps = Double(mine.count * conditions.config.steps), lost = mine.reduce(0) { $0 + $1.secondsLost }
            var prediction: Prediction?
            if case .messages(let sharding) = choice {
                let costs = ShardingCosts(sharding, model), time = StepTime(costs, link: link, flops: flops, calibration: calibration)
                let recovery = RecoveryCost(costs, time, link: link, calibration: calibration, constants: .thisMachine, checkpointSteps: every, failuresPerHour: 0)
                let whole = steps * time.total
                prediction = Prediction(
                    time: time, sentBytes: costs.mean(\.sent.total), residentBytes: costs.maximum(\.kept.total) + calibration.processBytes, recovery: recovery,
                    goodput: whole / (whole + Double(failures) * recovery.seconds))
            }
            let sent = mine.compactMap(\.sentBytes)
            return Line(
                choice: choice, stepSeconds: step, tokensPerSecond: Double(model.tokensPerStep) / step, exposedSeconds: ShardingRun.median(mine.map(\.exposedSeconds)),
                spread: mine.count < 2 ? nil : (mine.map(\.stepSeconds).max()! - mine.map(\.stepSeconds).min()!) / step,
                sentBytes: sent.isEmpty ? nil : ShardingRun.median(sent), residentBytes: mine.compactMap(\.residentBytes).max(),
                hiddenBytes: sent.isEmpty ? nil : ShardingRun.median(sent) * ShardingRun.median(mine.compactMap(\.hiddenShare)), failures: failures,
                secondsPerFailure: failures == 0 ? nil : lost / Double(failures),
                leavesPerFailure: failures == 0 ? nil : Double(mine.reduce(0) { $0 + $1.leavesLost }) / Double(failures),
                goodput: steps * step / (steps * step + max(0, lost)), predicted: prediction)
        }
        self.lines = lines.prefix(2) + lines.dropFirst(2).sorted { $0.stepSeconds < $1.stepSeconds }
        let digests = (single + runs).reduce(into: [Int: String]()) { $0[$1.choice.tensorDegree] = $0[$1.choice.tensorDegree] ?? $1.finalDigest }
        strays = runs.filter { $0.finalDigest != digests[$0.choice.tensorDegree] }.map { "\($0.choice)" }
    }

    /// Choices whose order the prediction has the other way round, with how far apart they were measured.
    package var inversions: [(faster: Line, slower: Line, apart: Double)] {
        let ranked = lines.filter { $0.predicted != nil }
        return ranked.indices.flatMap { i in
            ranked.indices.dropFirst(i + 1).compactMap { j in
                ranked[i].predicted!.time.total > ranked[j].predicted!.time.total
                    ? (ranked[i], ranked[j], ranked[j].stepSeconds / ranked[i].stepSeconds - 1) : nil
            }
        }
    }
}

extension Calibration {
    /// Fitted with `headway bench sharding`; README has the runs: halves of layers from `tp=2`, pages from `zero2` and `zero3`. Sockets are served by the processors that compute: what is
    /// hidden behind a microbatch is taken from it.
    package static var thisMachine: Calibration {
        var calibration = Calibration()
        (calibration.stolenShare, calibration.processBytes, calibration.halvedShare) = (0.5, 12_000_000, 0.97)
        (calibration.gradientPageSeconds, calibration.gatheredPageSeconds) = (0.1e-9, 0.5e-9)
        return calibration
    }

    /// No wire: the same processors copy each byte in and out.
    package static var loopback: Calibration {
        var calibration = thisMachine
        (calibration.linkShare, calibration.stolenShare) = (1, 1)
        return calibration
    }
}

extension Link {
    /// What two processes on one host get out of TCP in each direction at once.
    package static let loopback = Link(gigabitsPerSecond: 14, microseconds: 0)
}

extension RecoveryConstants {
    /// A worker is there 0.4 s after its start.
    package static var thisMachine: RecoveryConstants {
        var constants = RecoveryConstants()
        constants.startSeconds = 0.4
        return constants
    }
}
