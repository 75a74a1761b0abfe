// How much a loss changed between two sets of weights, judged on the same sequences: what survives of it once chance is
// taken away. Unpaired training losses are hundreds of times noisier and are never used for this.
import RunSpec

/// The change of a mean loss over the same sequences, with its uncertainty over sequences. Nats per token; negative is
/// better.
package struct PairedEffect: Equatable, Sendable {
    package enum Verdict: String, Sendable { case contributed, harmful, indeterminate }

    /// ΔL = Σ w_j d_j, w_j = 1/n.
    package let change: Double
    /// sqrt(n/(n−1) Σ (w_j (d_j − ΔL))²) over clusters j; 0 when all sequences changed by the same.
    package let standardError: Double
    /// The two-sided 95 % Student-t interval with n − 1 degrees of freedom.
    package let low: Double, high: Double
    /// Sequences compared, and the clusters that they form, n.
    package let sequences: Int, clusters: Int

    /// The smallest change that such a comparison finds four times out of five at the 5 % level: 2.8 standard errors.
    package var minimumDetectable: Double { 2.8 * standardError }

    package var verdict: Verdict { high < 0 ? .contributed : low > 0 ? .harmful : .indeterminate }

    /// - Parameters:
    ///   - before, after: nats of each sequence, in the same order; at least two clusters, else the interval is endless.
    ///   - clusters: for each sequence what it belongs together with (a document); empty: every sequence for itself.
    ///   - tokensPerSequence: to divide by.
    package init(before: [Double], after: [Double], clusters: [Int] = [], tokensPerSequence: Int) {
        precondition(before.count == after.count && !before.isEmpty && tokensPerSequence > 0,
            "\(before.count) and \(after.count) sequences of \(tokensPerSequence) tokens")
        let differences = zip(before, after).map { ($1 - $0) / Double(tokensPerSequence) }
        let n = Double(differences.count)
        let change = differences.reduce(0, +) / n
        var deviations: [Int: Double] = [:]
        for (index, difference) in differences.enumerated() {
            deviations[clusters.isEmpty ? index : clusters[index], default: 0] += (difference - change) / n
        }
        let count = Double(deviations.count)
        self.change = change
        sequences = differences.count
        self.clusters = deviations.count
        // In the order of the clusters: a dictionary's own order would give other last bits every time.
        let squares = deviations.sorted { $0.key < $1.key }.reduce(0) { $0 + $1.value * $1.value }
        standardError = count > 1 ? (count / (count - 1) * squares).squareRoot() : .infinity
        let reach = count > 1 ? StudentT.quantile(0.975, degrees: count - 1) * standardError : .infinity
        (low, high) = (change - reach, change + reach)
    }
}

extension PairedEffect {
    /// What lies between two passes, by the probe that may steer, or by the one that is only reported.
    package init(decision a: ProbeRow, _ b: ProbeRow) {
        self.init(before: a.decision, after: b.decision, clusters: b.decisionClusters, tokensPerSequence: b.tokensPerSequence)
    }
    package init(audit a: ProbeRow, _ b: ProbeRow) {
        self.init(before: a.audit, after: b.audit, clusters: b.auditClusters, tokensPerSequence: b.tokensPerSequence)
    }
}

/// Student's t distribution.
package enum StudentT {
    /// P(T ≤ t) for `degrees` > 0: from the regularised incomplete beta function, I(ν/(ν+t²); ν/2, 1/2).
    package static func cumulative(_ t: Double, degrees: Double) -> Double {
        let tail = 0.5 * incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5)
        return t >= 0 ? 1 - tail : tail
    }

    /// The t with P(T ≤ t) = `probability`, for 0.5 ≤ `probability` < 1, by bisection to the last bit.
    package static func quantile(_ probability: Double, degrees: Double) -> Double {
        precondition(probability >= 0.5 && probability < 1 && degrees > 0, "quantile \(probability) of t with \(degrees) degrees")
        var low = 0.0, high = 1.0
        while cumulative(high, degrees: degrees) < probability { high *= 2 }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if cumulative(middle, degrees: degrees) < probability { low = middle } else { high = middle }
        }
        return high
    }

    /// I_x(a, b) by its continued fraction, evaluated from the front (modified Lentz).
    private static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
        if x <= 0 { return 0 }
        if x >= 1 { return 1 }
        // The fraction converges quickly below the mean only; above it, the complement's does.
        if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
        let front = PortableMath.exp(
            PortableMath.logGamma(a + b) - PortableMath.logGamma(a) - PortableMath.logGamma(b) + a * PortableMath.log(x) + b * PortableMath.log(1 - x)) / a
        let tiny = 1e-300
        var f = 1.0, c = 1.0, d = 0.0
        for i in 0...300 {
            let m = Double(i / 2)
            let numerator = i == 0 ? 1
                : i % 2 == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 + numerator * d
            d = 1 / (abs(d) < tiny ? tiny : d)
            c = 1 + numerator / c
            if abs(c) < tiny { c = tiny }
            f *= c * d
            if abs(1 - c * d) < 1e-15 { break }
        }
        return front * (f - 1)
    }
}
