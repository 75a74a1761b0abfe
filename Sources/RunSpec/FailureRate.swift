/// What is known of how often failures send a run back: the gamma posterior of a Poisson process's rate. Exposure is
/// worker-seconds of training; while nobody trains there is nothing to lose.
package struct FailureRate: Hashable, Sendable {
    /// Jeffreys' prior of a Poisson rate has this shape: half a failure, in as much exposure as `priorSeconds`.
    package static let priorFailures = 0.5

    package var failures = 0
    package var exposureSeconds = 0.0
    package var priorSeconds: Double

    /// - Parameter priorSeconds: worker-seconds that the prior weighs, above 0.
    package init(failures: Int = 0, exposureSeconds: Double = 0, priorSeconds: Double) {
        precondition(priorSeconds > 0 && exposureSeconds >= 0, "\(priorSeconds) and \(exposureSeconds) worker-seconds")
        (self.failures, self.exposureSeconds, self.priorSeconds) = (failures, exposureSeconds, priorSeconds)
    }

    private var shape: Double { Self.priorFailures + Double(failures) }
    private var seconds: Double { priorSeconds + exposureSeconds }

    /// Failures per worker-second: the posterior mean. A loss that is linear in the rate has its expectation there.
    package var mean: Double { shape / seconds }

    /// The rate that the true one is below with this probability.
    package func quantile(_ probability: Double) -> Double {
        precondition(probability > 0 && probability < 1, "quantile \(probability)")
        var low = 0.0, high = 1.0
        while Gamma.cumulative(high, shape: shape) < probability { high *= 2 }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if Gamma.cumulative(middle, shape: shape) < probability { low = middle } else { high = middle }
        }
        return high / seconds
    }
}

/// The gamma distribution of scale 1.
enum Gamma {
    /// Enough for a shape of ten million.
    private static let termsMaximum = 30_000

    /// P(X ≤ x): the regularised lower incomplete gamma function, by its series below the mean and by the continued
    /// fraction of its complement (modified Lentz) above.
    static func cumulative(_ x: Double, shape a: Double) -> Double {
        if x <= 0 { return 0 }
        let front = PortableMath.exp(a * PortableMath.log(x) - x - PortableMath.logGamma(a))
        if x < a + 1 {
            var term = 1 / a, sum = term
            for n in 1...termsMaximum {
                term *= x / (a + Double(n))
                sum += term
                if term < sum * 1e-16 { break }
            }
            return front * sum
        }
        var b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d
        for i in 1...termsMaximum {
            let numerator = -Double(i) * (Double(i) - a)
            b += 2
            d = 1 / (numerator * d + b)
            c = b + numerator / c
            fraction *= c * d
            if abs(c * d - 1) < 1e-15 { break }
        }
        return 1 - front * fraction
    }
}
