/// An interval between checkpoints as it was chosen, with all it was chosen from.
package struct CheckpointChoice: Hashable, Sendable {
    /// No interval is longer than this share of the planned steps, nor than so many seconds of training.
    package static let longestShare = 0.125, longestSeconds = 1800.0
    /// So much of the time is given up for fewer checkpoints.
    package static let tolerance = 0.001

    /// Steps from one checkpoint to the next, and the bounds: what writing one takes, and the stated longest.
    package var steps: Int, leastSteps: Int, mostSteps: Int
    package var stepSeconds: Double
    /// See `CheckpointCosts`.
    package var blocking: Double, persist: Double, restart: Double
    package var rate: FailureRate
    package var workers: Int

    package init(
        steps: Int, leastSteps: Int, mostSteps: Int, stepSeconds: Double, blocking: Double, persist: Double, restart: Double,
        rate: FailureRate, workers: Int
    ) {
        (self.steps, self.leastSteps, self.mostSteps, self.stepSeconds) = (steps, leastSteps, mostSteps, stepSeconds)
        (self.blocking, self.persist, self.restart, self.rate, self.workers) = (blocking, persist, restart, rate, workers)
    }

    /// Chooses: in whole steps, at least one, never shorter than writing takes.
    package init(plannedSteps: Int, stepSeconds: Double, blocking: Double, persist: Double, restart: Double, rate: FailureRate, workers: Int) {
        func whole(_ steps: Double) -> Int { Int(min(max(1, steps), 1e9)) }
        let least = whole((persist / stepSeconds).rounded(.up))
        let most = whole(min(Self.longestShare * Double(plannedSteps), Self.longestSeconds / stepSeconds))
        self.init(
            steps: least, leastSteps: least, mostSteps: max(least, most), stepSeconds: stepSeconds, blocking: blocking, persist: persist,
            restart: restart, rate: rate, workers: workers)
        steps = costs.steps(of: stepSeconds, from: least, to: mostSteps, tolerance: Self.tolerance)
    }

    package var costs: CheckpointCosts {
        CheckpointCosts(blocking: blocking, persist: persist, restart: restart, betweenFailures: betweenFailures(rate.mean))
    }

    /// Seconds of training from failure to failure of the whole run: with the mean rate, and the central 95 % interval.
    package var betweenFailures: Double { betweenFailures(rate.mean) }
    package var betweenFailuresInterval: ClosedRange<Double> { betweenFailures(rate.quantile(0.975))...betweenFailures(rate.quantile(0.025)) }
    private func betweenFailures(_ rate: Double) -> Double { 1 / (rate * Double(workers)) }

    /// The expected loss of an interval, were it brought within the bounds.
    package func loss(interval: Double) -> Double {
        costs.loss(interval: min(max(interval, Double(leastSteps) * stepSeconds), Double(mostSteps) * stepSeconds))
    }
    package var loss: Double { costs.loss(interval: Double(steps) * stepSeconds) }
}
