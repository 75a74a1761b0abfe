// Did the compute reduce the loss? Three answers, never mixed: the fate of every execution (Fates), the credit of updates
// (estimated, noisy), and the effect of windows of steps on held-out text (measured). Pure functions of the record.

/// By how much one committed update lowered the loss, by the trapezoidal rule: half of what the gradients said where it
/// began, half of what they said where it ended. That is exact where the loss is quadratic along the update. The
/// gradient at the end alone is far too hard on large learning rates: in a run whose loss fell by 3.2 nats it
/// added up to −4.5, since steps overshoot and are taken back. Neither half counts a leaf whose text made the update.
package struct StepCredit: Equatable, Sendable {
    /// The update: committed steps after it.
    package let step: Int
    /// Nats per token; positive is better.
    package let credit: Double
    /// From the spread over the M leaves of either step; nil with one leaf: such a credit must not be printed alone.
    package let standardError: Double?

    /// The credit in standard errors.
    package var z: Double? { standardError.flatMap { $0 > 0 ? credit / $0 : nil } }

    init?(_ update: CommitRow, next: CommitRow) {
        guard !update.leafForesight.isEmpty, !next.leafHindsight.isEmpty, next.step == update.step + 1 else { return nil }
        let before = Statistics.mean(update.leafForesight), after = Statistics.mean(next.leafHindsight)
        step = update.step
        credit = (before.mean + after.mean) / 2
        if let a = before.standardError, let b = after.standardError {
            standardError = (a * a + b * b).squareRoot() / 2
        } else {
            standardError = nil
        }
    }
}

/// The credits of consecutive updates, summed. Between updates that have one, those that have none are taken to lie on a
/// straight line.
package struct CreditSum: Equatable, Sendable {
    package let credit: Double
    /// From the leaves, and from not having asked every update.
    package let standardError: Double
    /// Updates with a credit, and all.
    package let credited: Int, updates: Int

    /// Of the updates `start` + 1 ... `end`; `credits` by step.
    init(_ credits: [StepCredit], after start: Int, through end: Int) {
        let inside = credits.indices.filter { credits[$0].step > start && credits[$0].step <= end }
        (credited, updates) = (inside.count, end - start)
        guard let first = inside.first, let last = inside.last else {
            (credit, standardError) = (0, .infinity)
            return
        }
        // How many updates each credit stands for; the neighbours outside take their share of the ends.
        var weights: [Int: Double] = [:], right = max(first - 1, 0)
        for step in start + 1...end {
            while right < credits.count - 1, credits[right].step < step { right += 1 }
            let left = max(right - 1, 0), gap = Double(credits[right].step - credits[left].step)
            let share = gap > 0 ? min(max(Double(step - credits[left].step) / gap, 0), 1) : 1
            weights[left, default: 0] += 1 - share
            weights[right, default: 0] += share
        }
        // Where every update has a credit, neighbours share the leaves between them: at most twice the variance.
        let common = inside.count == end - start ? 2.0 : 1
        var sum = 0.0, squares = 0.0
        for (index, weight) in weights.sorted(by: { $0.key < $1.key }) where weight > 0 {
            let error = credits[index].standardError ?? .infinity
            sum += weight * credits[index].credit
            squares += common * weight * error * error
        }
        // Every n-th update was asked: a trend is no error, successive differences tell the spread (Wolter, "Introduction
        // to Variance Estimation", 2007, chapter 8).
        if last > first {
            let n = Double(inside.count), steps = Double(end - start)
            let differences = (first..<last).reduce(0) { sum, index in
                let difference = credits[index + 1].credit - credits[index].credit
                return sum + difference * difference
            }
            squares += steps * steps * differences / (2 * (n - 1)) / n * (1 - n / steps)
        }
        (credit, standardError) = (sum, squares.squareRoot())
    }
}

/// The steps between two passes over the probes, and what they did to the loss of held-out text.
package struct ProbeWindow: Equatable, Sendable {
    /// Committed steps at its two ends.
    package let start: Int, end: Int
    package let decision: PairedEffect, audit: PairedEffect
    /// Of its updates: the training text's story of the same change.
    package let credit: CreditSum
}

/// The gradient noise scale (McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1), from
/// the norms of the M leaf gradients and of their mean.
package struct NoiseScale: Equatable, Sendable {
    /// Moving averages of |G|² and tr Σ, the squared norm of the true gradient and the trace of the covariance of a
    /// single sequence's.
    package private(set) var signal = 0.0, noise = 0.0
    private var weight = 0.0
    /// Share of the past kept at each step.
    static let decay = 0.95

    package init() {}

    /// Takes in one step of `squares`.count leaves of `sequences` each: |gᵢ|², and |g|² of their mean.
    package mutating func add(squares: [Double], meanSquare: Double, sequences: Double) {
        let small = sequences, big = sequences * Double(squares.count)
        guard squares.count > 1 else { return }
        let mean = squares.reduce(0, +) / Double(squares.count)
        let g = (big * meanSquare - small * mean) / (big - small), s = (mean - meanSquare) / (1 / small - 1 / big)
        weight = Self.decay * weight + (1 - Self.decay)
        signal += (1 - Self.decay) / weight * (g - signal)
        noise += (1 - Self.decay) / weight * (s - noise)
    }

    /// tr Σ / |G|² in sequences: batches much smaller than this still gain in proportion, much larger ones hardly.
    /// Nil while the signal is lost in the noise.
    package var sequences: Double? { signal > 0 && noise > 0 ? noise / signal : nil }
}

/// What the microbatches that one worker computed did for the probe loss, against those of the others.
package struct WorkerContribution: Equatable, Sendable {
    package let slot: Int
    /// Sampled steps, and the leaves it had in them.
    package let steps: Int, leaves: Int
    /// Mean over its leaves, and over those of all others: the predicted drop of the probe loss per leaf, nats per token.
    package let mean: Double, others: Double
    /// The difference in standard errors, over all sampled steps. Below −4: this worker's gradients do not do what the
    /// others' do.
    /// Each step's difference is measured by the spread of the others' leaves in that step.
    package let z: Double

    package static let alarm = 4.0
    package var isSuspect: Bool { z < -Self.alarm && steps >= Self.leastSteps }
    /// Fewer sampled steps convict nobody.
    package static let leastSteps = 3
}

/// What a microbatch wholly from one source of the training text would do for the probe loss.
package struct SourceContribution: Equatable, Sendable {
    package let name: String
    /// Of the tokens of the sampled microbatches.
    package let share: Double
    /// Predicted drop of the probe loss per microbatch, nats per token; positive is better.
    package let mean: Double, standardError: Double

    /// Microbatches mix sources: the leaves of all sampled steps are fitted by least squares as sums of their sources'
    /// contributions, weighted by their shares of the tokens.
    /// - Returns: empty with one source, with fewer leaves than twice the sources, and where the mixture never changes.
    static func all(_ record: RunRecord, _ rows: [ContributionRow]) -> [SourceContribution] {
        let names = (record.facts[RunFact.sources] ?? "").split(separator: "\n").map { String($0) }
        let samples = rows.flatMap { row in zip(row.sources, row.leaves).map { (shares: $0.0, value: $0.1) } }
        let totals = names.indices.map { source in samples.reduce(0) { $0 + ($1.shares.count == names.count ? $1.shares[source] : 0) } }
        let present = names.indices.filter { totals[$0] > 0 }
        guard present.count > 1, samples.count >= 2 * present.count, samples.allSatisfy({ $0.shares.count == names.count }) else { return [] }
        let n = present.count
        // The normal equations, solved together with the inverse, whose diagonal is the variance.
        var matrix = (0..<n).map { i in
            (0..<n).map { j in samples.reduce(0) { $0 + $1.shares[present[i]] * $1.shares[present[j]] } }
                + (0..<n).map { i == $0 ? 1.0 : 0 } + [samples.reduce(0) { $0 + $1.shares[present[i]] * $1.value }]
        }
        for column in 0..<n {
            let pivot = (column..<n).max { abs(matrix[$0][column]) < abs(matrix[$1][column]) }!
            guard abs(matrix[pivot][column]) > 1e-9 * Double(samples.count) else { return [] }
            matrix.swapAt(column, pivot)
            let scale = 1 / matrix[column][column]
            matrix[column] = matrix[column].map { $0 * scale }
            for row in 0..<n where row != column {
                let factor = matrix[row][column]
                for k in matrix[row].indices { matrix[row][k] -= factor * matrix[column][k] }
            }
        }
        let means = matrix.map { $0[2 * n] }
        let residuals = samples.reduce(0.0) { sum, sample in
            let fitted = (0..<n).reduce(0) { $0 + sample.shares[present[$1]] * means[$1] }
            return sum + (sample.value - fitted) * (sample.value - fitted)
        }
        let variance = residuals / Double(samples.count - n), all = totals.reduce(0, +)
        return (0..<n).map {
            SourceContribution(name: names[present[$0]], share: totals[present[$0]] / all, mean: means[$0],
                standardError: (variance * matrix[$0][n + $0]).squareRoot())
        }
    }
}

package struct Contribution: Sendable {
    /// By step, on the final lineage.
    package let credits: [StepCredit]
    /// Of all updates of the lineage; nil when none has a credit.
    package let credit: CreditSum?
    /// In order, without gaps between the first and the last probe of the lineage.
    package let windows: [ProbeWindow]
    /// From the first to the last probe, in one comparison. The windows' changes sum to its change.
    package let total: PairedEffect?
    /// Per committed step with leaf norms, smoothed; in sequences.
    package let noiseScale: [(step: Int, sequences: Double)]
    package let workers: [WorkerContribution]
    package let sources: [SourceContribution]
    /// Of the windows whose audit effect and whose credit both are significant, the credit beyond two standard errors: how
    /// many have the same sign.
    package let agreeing: Int, significant: Int

    package init(_ record: RunRecord, _ commits: [CommitRow]) {
        credits = zip(commits, commits.dropFirst()).compactMap { StepCredit($0, next: $1) }
        credit = credits.isEmpty ? nil : CreditSum(credits, after: 0, through: commits.last?.step ?? 0)
        let probes = Contribution.probes(record, upTo: commits.last?.step ?? 0)
        windows = Contribution.windows(probes, credits)
        total = probes.count > 1 ? PairedEffect(audit: probes[0], probes[probes.count - 1]) : nil
        noiseScale = Contribution.noise(record, commits)
        let sampled = Contribution.sampled(record, commits)
        workers = Contribution.workers(record, sampled)
        sources = SourceContribution.all(record, sampled.map(\.row))
        let verdicts = windows.filter { $0.audit.verdict != .indeterminate && abs($0.credit.credit) > 2 * $0.credit.standardError }
        significant = verdicts.count
        agreeing = verdicts.count { ($0.credit.credit > 0) == ($0.audit.change < 0) }
    }

    /// One pass per step, the latest, of the steps on the lineage; comparable ones only.
    package static func probes(_ record: RunRecord, upTo last: Int) -> [ProbeRow] {
        var byStep: [Int: ProbeRow] = [:]
        for row in record.probes where row.step <= last { byStep[row.step] = row }
        let sorted = byStep.values.sorted { $0.step < $1.step }
        return sorted.filter { $0.decision.count == sorted[0].decision.count && $0.audit.count == sorted[0].audit.count }
    }

    private static func windows(_ probes: [ProbeRow], _ credits: [StepCredit]) -> [ProbeWindow] {
        zip(probes, probes.dropFirst()).map { a, b in
            ProbeWindow(start: a.step, end: b.step, decision: PairedEffect(decision: a, b), audit: PairedEffect(audit: a, b),
                credit: CreditSum(credits, after: a.step, through: b.step))
        }
    }

    private static func noise(_ record: RunRecord, _ commits: [CommitRow]) -> [(step: Int, sequences: Double)] {
        guard let sequences = record.facts[RunFact.sequencesPerMicrobatch].flatMap({ Double($0) }) else { return [] }
        var scale = NoiseScale(), result: [(step: Int, sequences: Double)] = []
        for commit in commits where commit.leafSquares.count > 1 {
            scale.add(squares: commit.leafSquares, meanSquare: commit.gradientNorm * commit.gradientNorm, sequences: sequences)
            if let value = scale.sequences { result.append((commit.step, value)) }
        }
        return result
    }

    /// The sampled steps of the lineage, newest first, each with the commit that its leaves went into.
    private static func sampled(_ record: RunRecord, _ commits: [CommitRow]) -> [(row: ContributionRow, commit: CommitRow)] {
        let byStep = Dictionary(commits.map { ($0.step, $0) }, uniquingKeysWith: { $1 })
        var seen: Set<Int> = []
        // The latest row of a step counts: it is the one of the lineage.
        return record.contributions.reversed().compactMap { row in
            guard seen.insert(row.step).inserted, let commit = byStep[row.step + 1], commit.leafReplicas.count == row.leaves.count else { return nil }
            return (row, commit)
        }
    }

    private static func workers(_ record: RunRecord, _ sampled: [(row: ContributionRow, commit: CommitRow)]) -> [WorkerContribution] {
        let slots = Dictionary(record.replicas.map { ($0.replica, $0.slot) }, uniquingKeysWith: { $1 })
        var tallies: [Int: Tally] = [:]
        for (row, commit) in sampled {
            let owners = commit.leafReplicas.map { slots[$0] ?? -1 }
            for slot in Set(owners) {
                let mine = zip(owners, row.leaves).filter { $0.0 == slot }.map(\.1), others = zip(owners, row.leaves).filter { $0.0 != slot }.map(\.1)
                guard others.count > 3 else { continue }
                tallies[slot, default: Tally()].add(mine, others)
            }
        }
        return tallies.sorted { $0.key < $1.key }.map { slot, tally in
            WorkerContribution(slot: slot, steps: tally.steps, leaves: tally.leaves, mean: tally.mine / Double(tally.leaves),
                others: tally.others / Double(tally.otherLeaves), z: tally.variance > 0 ? tally.z / tally.variance.squareRoot() : 0)
        }
    }

    private struct Tally {
        var steps = 0, leaves = 0, otherLeaves = 0, mine = 0.0, others = 0.0, z = 0.0, variance = 0.0

        /// One step: the difference of the two means, with the spread of the others as the measure of chance. That is a
        /// Student t, whose variance is (n − 1)/(n − 3) for n others.
        mutating func add(_ a: [Double], _ b: [Double]) {
            let mean = b.reduce(0, +) / Double(b.count)
            let spread = b.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(b.count - 1)
            steps += 1
            leaves += a.count
            otherLeaves += b.count
            mine += a.reduce(0, +)
            others += b.reduce(0, +)
            guard spread > 0 else { return }
            z += (a.reduce(0, +) / Double(a.count) - mean) / (spread * (1 / Double(a.count) + 1 / Double(b.count))).squareRoot()
            variance += Double(b.count - 1) / Double(b.count - 3)
        }
    }
}

enum Statistics {
    /// The mean of values, and its standard error; nil for a single one.
    static func mean(_ values: [Double]) -> (mean: Double, standardError: Double?) {
        let n = Double(values.count), mean = values.reduce(0, +) / n
        guard values.count > 1 else { return (mean, nil) }
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, (squares / (n * (n - 1))).squareRoot())
    }
}
