import RunSpec

/// What happens when a worker is lost, apart from the transfer of state.
package struct RecoveryConstants: Hashable, Sendable {
    /// From the death until the survivors know: an error code of the transport, 8 to 29 ms measured.
    package var detectSeconds = 0.03
    /// Until the next view's connections stand: 54 ms measured for four workers.
    package var reformSeconds = 0.06
    /// Until a replacement is there, which joins at the next step; 0 for one that stands ready and takes the place at once.
    package var startSeconds = 0.0
    /// A worker's reading and writing of checkpoints.
    package var diskBytesPerSecond = 1e9
    /// By how much later training is for one checkpoint.
    package var blockingSeconds = 0.0

    package init() {}
}

/// What the loss of one worker costs, on the mean over the moments of a step, and what is left of the time at a rate of
/// such losses.
package struct RecoveryCost: Hashable, Sendable {
    package enum Source: String, Sendable { case peers, shadow, parity, checkpoint }

    package let source: Source
    /// All that moves: to the replacement over the network, or from the disk to everybody.
    package private(set) var bytes: Double
    /// By how much later training is.
    package private(set) var seconds: Double
    /// Microbatches that are computed again.
    package private(set) var leavesLost: Double
    /// Steps between checkpoints: as given, or the best; nil where no loss needs one.
    package private(set) var checkpointSteps: Int?
    /// Share of the time that is left for training; 1 without failures.
    package private(set) var goodput = 1.0

    /// Between checkpoints if nobody says and nothing fails; and the most there are if nobody says.
    package static let usualSteps = 100
    private static let stepsMaximum = 1_000_000

    /// - Parameters:
    ///   - checkpointSteps: nil for the best at this rate of failures.
    ///   - failuresPerHour: of each worker.
    package init(
        _ costs: ShardingCosts, _ step: StepTime, link: Link, calibration: Calibration, constants: RecoveryConstants, checkpointSteps: Int?,
        failuresPerHour: Double
    ) {
        let sharding = costs.sharding, W = sharding.mesh.data, n = Double(costs.model.leaves) / Double(W)
        let s = costs.maximum(\.owned), P = costs.maximum(\.floats), owned = Double(sharding.ownedStateBytes * s)
        let parameters = sharding.state == .zero3 ? 0 : Double(4 * P)
        // Without it first, then with it.
        let views = constants.startSeconds > 0 ? 2.0 : 1
        let between = failuresPerHour > 0 ? 3600 / (failuresPerHour * Double(sharding.mesh.workers)) : Double.infinity
        // What the dead worker's peers have of the step under way stays; where sums of leaves were spread, nothing does.
        let losesAll = sharding.state.isInRounds
        var again = losesAll ? step.gradients / 2 : max(step.leafLatency / 2, step.gradients / 2 / Double(W))
        if constants.startSeconds > 0 {
            // The others do its share of the step, of that which is begun anew too, and of those until it is replaced.
            let most = costs.maximum(\.leaves), fewer = max(1, W - 1), shared = (costs.model.leaves + fewer - 1) / fewer
            let share = step.gradients * Double(shared - most) / Double(most), lost = losesAll ? step.gradients / 2 : 0
            let more = ((constants.startSeconds - step.total / 2 - lost - share) / (step.total + share)).rounded(.up)
            again = lost + share * (1 + max(0, more))
        }
        leavesLost = losesAll ? n * Double(W) / 2 : n / 2
        // Who computes a microbatch together cannot go on without anybody.
        source = W == 1 || sharding.mesh.workers > W ? .checkpoint : sharding.state == .ddp ? .peers : sharding.redundancy == .shadow ? .shadow : sharding.redundancy == .parity ? .parity : .checkpoint
        switch source {
        case .peers: bytes = 12 * Double(P)
        // Its own range from its shadow, and the copy it kept from the owner.
        case .shadow: bytes = parameters + 2 * owned
        // The others' stripes to those who have its parity, its range from there, and everybody's parity anew for each view.
        case .parity: bytes = parameters + (Double(W - 1) + views * Double(W)) * owned
        case .checkpoint: bytes = costs.mean { sharding.restoredBytes($0) } * Double(costs.workers.count)
        }
        guard source == .checkpoint else {
            // All over the replacement's link; but parities over all links at once.
            let carried = source == .parity ? parameters + (2 + views) * owned : bytes
            seconds = constants.detectSeconds + views * constants.reformSeconds + carried * 8 / (link.gigabitsPerSecond * 1e9 * calibration.linkShare) + again
            // Failures come at any time, also while another is being made good; then that begins anew.
            goodput = between.isFinite ? PortableMath.exp(-seconds / between) : 1
            return
        }
        // Each worker writes what nobody else does.
        let read = Double(costs.maximum { sharding.restoredBytes($0) }) / constants.diskBytesPerSecond
        let state = Double(12 * costs.workers.filter { $0.data == 0 }.reduce(0) { $0 + $1.floats })
        let persist = state / Double(costs.workers.count) / constants.diskBytesPerSecond, restart = constants.detectSeconds + constants.reformSeconds + constants.startSeconds + read
        let model = CheckpointCosts(blocking: constants.blockingSeconds, persist: persist, restart: restart, betweenFailures: min(between, 1e12))
        let least = max(1, Int((persist / step.total).rounded(.up)))
        let steps = checkpointSteps ?? (between.isFinite ? model.steps(of: step.total, from: least, to: max(least, Self.stepsMaximum), tolerance: 0.001) : Self.usualSteps)
        self.checkpointSteps = steps
        // Half an interval, what was not on the disk yet, and half of the step under way.
        let rolledBack = Double(steps) / 2 + persist / step.total
        seconds = restart + rolledBack * step.total + step.gradients / 2
        leavesLost = Double(costs.model.leaves) * (rolledBack + 0.5)
        goodput = between.isFinite ? max(0, 1 - model.loss(interval: Double(steps) * step.total)) : 1
    }
}

extension Sharding {
    /// What a worker reads of a checkpoint: θ, m, v as it keeps them, in one generation.
    fileprivate func restoredBytes(_ worker: ShardingCosts.Worker) -> Int {
        switch state {
        case .ddp: 12 * worker.floats
        case .zero1, .zero2: 4 * worker.floats + 8 * worker.owned
        case .zero3: 12 * worker.owned
        }
    }
}
