import Reports

/// Whether a figure has fallen between two sets of results of the same campaign.
package struct Gate: Sendable {
    package enum Verdict: String, Sendable {
        /// Fell by at least the least drop that matters, and not by chance.
        case regressed = "REGRESSED"
        case held
        /// Fewer than two runs on a side: nothing can be said.
        case undecided
        /// No run of the variation counts on the other side.
        case missing = "MISSING"

        package var blocks: Bool { self == .regressed || self == .missing }
    }
    package struct Line: Sendable {
        package let variation: Campaign.Variation
        package let before: MeanInterval
        package let after: MeanInterval?
        /// Of such a fall by chance, corrected for the number of variations; nil when it cannot be said.
        package let probability: Double?
        package let verdict: Verdict
    }

    package static let level = 0.05

    package let lines: [Line]
    private let axes: [String], figure: Figure, leastDrop: Double

    package var passed: Bool { !lines.contains { $0.verdict.blocks } }

    /// - Parameters:
    ///   - figure: the more the better.
    ///   - leastDrop: in points of a hundred for shares, else in the figure's unit.
    package init(before: ResultsFile, after: ResultsFile, figure: Figure, leastDrop: Double) {
        (axes, self.figure, self.leastDrop) = (before.axes, figure, leastDrop)
        func values(_ file: ResultsFile) -> [Campaign.Variation: [Double]] {
            let rows = file.newest().values.filter { $0.outcome == .finished }.sorted { $0.seed < $1.seed }
            return Dictionary(grouping: rows, by: \.variation).mapValues { $0.compactMap { $0.figures[figure.name] } }
        }
        let old = values(before), new = values(after), scale = figure.isShare ? 100.0 : 1
        var seen: Set<Campaign.Variation> = []
        let variations = before.rows.map(\.variation).filter { old[$0] != nil && seen.insert($0).inserted }
        let tests = variations.map { variation in new[variation].flatMap { WelchTest(before: old[variation]!, after: $0) } }
        // Corrected for as many comparisons as there are.
        let known = tests.indices.filter { tests[$0] != nil }, corrected = holm(known.map { tests[$0]!.fallProbability })
        let probabilities = Dictionary(uniqueKeysWithValues: zip(known, corrected))
        lines = variations.enumerated().map { index, variation in
            let first = MeanInterval(old[variation]!), second = new[variation].map { MeanInterval($0) }, p = probabilities[index]
            let verdict: Verdict
            if let second, let p {
                verdict = p < Self.level && scale * (first.mean - second.mean) >= leastDrop ? .regressed : .held
            } else {
                verdict = second == nil ? .missing : .undecided
            }
            return Line(variation: variation, before: first, after: second, probability: p, verdict: verdict)
        }
    }

    package var text: String {
        let scale = figure.isShare ? 100.0 : 1
        var rows = [axes + ["before", "after", "difference", "p", "verdict"]]
        for line in lines {
            let after = line.after.map { Quantity.decimal(scale * $0.mean, 2) } ?? "–"
            let difference = line.after.map { Quantity.decimal(scale * ($0.mean - line.before.mean), 2) } ?? "–"
            rows.append(line.variation.values + [
                Quantity.decimal(scale * line.before.mean, 2), after, difference, line.probability.map { Quantity.decimal($0, 4) } ?? "–", line.verdict.rawValue,
            ])
        }
        let counted = lines.count { $0.verdict == .undecided }
        return ([figure.name + (figure.isShare ? ", per cent" : ""), ""]
            + CampaignTable.aligned(rows, right: axes.map { _ in false } + [true, true, true, true, false])
            + ["", "One-sided Welch tests, p corrected by Holm, level \(brief(Self.level)); a drop below \(brief(leastDrop)) does not matter."]
            + (counted > 0 ? ["\(counted) variations are undecided: they need at least 2 seeds on both sides."] : [])).joined(separator: "\n")
    }
}
