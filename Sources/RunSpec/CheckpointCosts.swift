/// What checkpoints cost a run and what they spare it, in seconds, and the interval that follows. An interval is the
/// training from one checkpoint to the next, without what the checkpoint adds.
package struct CheckpointCosts: Hashable, Sendable {
    /// By how much later training is for one checkpoint.
    package var blocking: Double
    /// From the request until it can be gone back to.
    package var persist: Double
    /// From a failure until training goes on.
    package var restart: Double
    /// Mean training between failures that send the run back, above 0.
    package var betweenFailures: Double

    package init(blocking: Double, persist: Double = 0, restart: Double = 0, betweenFailures: Double) {
        precondition(blocking >= 0 && persist >= 0 && restart >= 0 && betweenFailures > 0, "\(blocking), \(persist), \(restart), \(betweenFailures) s")
        (self.blocking, self.persist, self.restart, self.betweenFailures) = (blocking, persist, restart, betweenFailures)
    }

    /// J. W. Young, A first order approximation to the optimum checkpoint interval, CACM 17 (1974).
    package var young: Double { (2 * blocking * betweenFailures).squareRoot() }

    /// J. T. Daly, A higher order estimate of the optimum checkpoint interval for restart dumps, FGCS 22 (2006).
    package var daly: Double {
        let ratio = blocking / (2 * betweenFailures)
        if ratio >= 1 { return betweenFailures }
        return young * (1 + ratio.squareRoot() / 3 + ratio / 9) - blocking
    }

    /// Share of the time that is lost with this interval: for checkpoints, for what is computed again, and for restarts.
    /// Exact for failures that come at a constant rate (Daly's renewal argument), also during checkpoints and restarts;
    /// what is not on the disk yet is computed again, too, so that `persist` adds to each failure's restart.
    package func loss(interval: Double) -> Double {
        let m = betweenFailures
        if interval <= 0 { return 1 }
        return 1 - interval / m / (PortableMath.exp((restart + persist) / m) * growth((interval + blocking) / m))
    }

    /// The interval with the least loss: where its derivative is 0, which is τ = M (1 − e^−(τ + d)/M).
    package var best: Double {
        var low = 0.0, high = betweenFailures
        for _ in 0..<60 {
            let middle = (low + high) / 2, x = (middle + blocking) / betweenFailures
            if middle < betweenFailures * growth(x) / (1 + growth(x)) { low = middle } else { high = middle }
        }
        return low
    }

    /// Of the intervals in whole steps between the bounds, the longest whose loss is within `tolerance` of the least: where
    /// checkpoints are free, or failures unheard of, the disk is spared.
    package func steps(of stepSeconds: Double, from least: Int, to most: Int, tolerance: Double) -> Int {
        precondition(stepSeconds > 0 && least > 0 && least <= most, "\(least) to \(most) steps of \(stepSeconds) s")
        func loss(_ steps: Int) -> Double { self.loss(interval: Double(steps) * stepSeconds) }
        let whole = Int(min(best / stepSeconds, Double(most)))
        let optimum = [whole, whole + 1].map { min(max($0, least), most) }.min { loss($0) < loss($1) }!
        let limit = loss(optimum) + tolerance
        // Beyond the optimum the loss only grows.
        var low = optimum, high = most + 1
        while high - low > 1 {
            let middle = (low + high) / 2
            if loss(middle) <= limit { low = middle } else { high = middle }
        }
        return low
    }
}

/// e^x − 1 for x ≥ 0, also where it is small.
private func growth(_ x: Double) -> Double {
    x < 1e-3 ? x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4))) : PortableMath.exp(x) - 1
}
