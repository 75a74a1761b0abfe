import Ledger

/// A mean over runs, with its uncertainty.
package struct MeanInterval: Equatable, Sendable {
    package let count: Int
    package let mean: Double
    /// Half of the two-sided 95 % Student-t interval; nil for a single run, which says nothing of chance.
    package let reach: Double?

    /// - Parameter values: at least one.
    package init(_ values: [Double]) {
        precondition(!values.isEmpty, "a mean of nothing")
        let (mean, variance) = moments(values)
        (count, self.mean) = (values.count, mean)
        reach = variance.map { StudentT.quantile(0.975, degrees: Double(values.count - 1)) * ($0 / Double(values.count)).squareRoot() }
    }
}

/// Welch's comparison of two means whose variances need not be equal.
package struct WelchTest: Equatable, Sendable {
    /// (after − before) ÷ its standard error; infinite when all runs on each side are alike.
    package let t: Double
    /// Welch and Satterthwaite's degrees of freedom.
    package let degrees: Double
    /// Of a fall at least this deep by chance, were there none: one-sided.
    package let fallProbability: Double

    /// nil with fewer than two runs on a side.
    package init?(before: [Double], after: [Double]) {
        let (a, b) = (moments(before), moments(after))
        guard let first = a.variance, let second = b.variance else { return nil }
        let (u, v) = (first / Double(before.count), second / Double(after.count)), difference = b.mean - a.mean
        if u + v == 0 {
            (t, degrees) = (difference == 0 ? 0 : difference > 0 ? .infinity : -.infinity, Double(before.count + after.count - 2))
            fallProbability = difference < 0 ? 0 : difference > 0 ? 1 : 0.5
        } else {
            t = difference / (u + v).squareRoot()
            degrees = (u + v) * (u + v) / (u * u / Double(before.count - 1) + v * v / Double(after.count - 1))
            fallProbability = StudentT.cumulative(t, degrees: degrees)
        }
    }
}

/// Holm's correction: each probability as it is to be compared with the level, so that among all of them a false alarm is
/// no likelier than the level.
package func holm(_ probabilities: [Double]) -> [Double] {
    var adjusted = probabilities, greatest = 0.0
    for (rank, index) in probabilities.indices.sorted(by: { probabilities[$0] < probabilities[$1] }).enumerated() {
        greatest = max(greatest, min(1, Double(probabilities.count - rank) * probabilities[index]))
        adjusted[index] = greatest
    }
    return adjusted
}

/// Mean and unbiased variance; no variance of a single value.
private func moments(_ values: [Double]) -> (mean: Double, variance: Double?) {
    let mean = values.reduce(0, +) / Double(values.count)
    guard values.count > 1 else { return (mean, nil) }
    return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1))
}
