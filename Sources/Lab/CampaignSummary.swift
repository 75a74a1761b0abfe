/// What the runs of a campaign come to: per variation the mean over seeds, and whether all ended with the same bits.
package struct CampaignSummary: Sendable {
    package struct Line: Sendable {
        package let variation: Campaign.Variation
        /// Runs that count.
        package let rows: [CellResult]
        package let void: Int, failed: Int

        /// nil when no run counts.
        package func mean(_ figure: String) -> MeanInterval? {
            let values = rows.compactMap { $0.figures[figure] }
            return values.isEmpty ? nil : MeanInterval(values)
        }
    }

    package let name: String
    package let axes: [Campaign.Axis]
    package let lines: [Line]
    /// Seconds of wall time of all runs.
    package let seconds: Double
    /// Runs whose weights differ from those of most runs that trained the same: `policy=elastic seed=1`.
    package let strays: [String]
    /// Final digests that were compared.
    package let compared: Int
    package let failures: [(name: String, reason: String)]
    /// How the runs were made, in words.
    package let conditions: String

    package var isSound: Bool { strays.isEmpty && failures.isEmpty }

    /// - Parameter rows: of this campaign's cells, one each.
    package init(_ campaign: Campaign, rows: [CellResult]) {
        (name, axes, conditions) = (campaign.name, campaign.axes, campaign.conditions)
        lines = campaign.variations.map { variation in
            let mine = rows.filter { $0.variation == variation }
            return Line(
                variation: variation, rows: mine.filter { $0.outcome == .finished }, void: mine.count { $0.outcome == .void },
                failed: mine.count { $0.outcome == .failed })
        }
        seconds = rows.reduce(0) { $0 + ($1.figures["wall_s"] ?? 0) }
        func named(_ row: CellResult) -> String { campaign.words(row.variation) + " seed=\(row.seed)" }
        let ended = rows.filter { !$0.finalDigest.isEmpty }
        var strays: [String] = []
        for group in Dictionary(grouping: ended, by: \.weights).values {
            let counts = Dictionary(group.map { ($0.finalDigest, 1) }, uniquingKeysWith: +)
            guard let usual = counts.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key else { continue }
            strays += group.filter { $0.finalDigest != usual }.map(named)
        }
        (self.strays, compared) = (strays.sorted(), ended.count)
        failures = rows.filter { $0.outcome == .failed }.map { (named($0), $0.reason) }
    }

    /// The axis whose first value all others are compared with: the first one that is not a number.
    package var comparedAxis: Int? { axes.firstIndex { $0.numbers == nil && $0.values.count > 1 } }

    /// By how much a figure differs from that of the variation with the first value of the compared axis, seed by seed: the
    /// faults of a seed are the same for both, so that this tells more than the two intervals do. nil for the first one
    /// itself, and without a seed in common.
    package func difference(_ line: Line, _ figure: String) -> MeanInterval? {
        guard let axis = comparedAxis, line.variation.values[axis] != axes[axis].values[0] else { return nil }
        var values = line.variation.values
        values[axis] = axes[axis].values[0]
        let base = lines.first { $0.variation.values == values }.map(\.rows) ?? []
        let differences = line.rows.compactMap { row -> Double? in
            guard let other = base.first(where: { $0.seed == row.seed })?.figures[figure], let mine = row.figures[figure] else { return nil }
            return mine - other
        }
        return differences.isEmpty ? nil : MeanInterval(differences)
    }

    /// The axis that a chart is drawn over: of those whose values are numbers the one that counts failures, else the longest.
    package var numericAxis: Int? {
        let numeric = axes.indices.filter { axes[$0].numbers != nil }
        return numeric.first { axes[$0].isRate } ?? numeric.max { axes[$0].values.count < axes[$1].values.count }
    }
}

extension Campaign {
    /// `policy=elastic steps-per-failure=30`.
    package func words(_ variation: Variation) -> String { zip(axes, variation.values).map { "\($0.name)=\($1)" }.joined(separator: " ") }

    package var conditions: String {
        let settings = (settings + flags).map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        let seeds = "seed\(seeds.count == 1 ? "" : "s") " + seeds.map { String($0) }.joined(separator: ", ")
        return (["preset \(preset)", "\(workers) worker\(workers == 1 ? "" : "s")", "\(mode)", settings].filter { !$0.isEmpty } + [seeds]).joined(separator: ", ")
    }
}
