import Reports

/// The results of a campaign as text.
package enum CampaignTable {
    /// Figures with a column of their own.
    static let columns = ["effective_goodput", "compute_goodput", "token_goodput", "attempts_committed", "incidents", "detection_ms", "wall_s"]

    package static func text(_ summary: CampaignSummary) -> String {
        var rows = [summary.axes.map(\.name) + ["runs"] + columns.map { Figure.named($0)!.title }]
        for line in summary.lines {
            rows.append(line.variation.values + [runs(line)] + columns.map { cell(line, $0) })
        }
        let numeric = summary.axes.map { $0.numbers != nil } + Array(repeating: true, count: columns.count + 1)
        var text = aligned(rows, right: numeric)
        text.insert("", at: 1)
        text = ["\(summary.name) · \(summary.conditions)", ""] + text + ["", legend] + checks(summary)
        return text.joined(separator: "\n")
    }

    private static let legend = """
        Mean over seeds ± the 95 % Student-t interval. Shares in per cent: effective and compute goodput of the provisioned
        worker time, committed of processed microbatches, committed steps of attempts at steps.
        """

    /// What must hold besides.
    static func checks(_ summary: CampaignSummary) -> [String] {
        var lines: [String] = []
        let void = summary.lines.reduce(0) { $0 + $1.void }
        if void > 0 { lines.append("\(void) runs are void: too many late microbatches. A quieter machine, fewer workers or more milliseconds help; the same command makes them again.") }
        if summary.compared > 1 {
            lines.append(summary.strays.isEmpty ? "Same final weights: all \(summary.compared) runs, by SHA-256." : "DIFFERENT final weights: \(summary.strays.joined(separator: "; "))")
        }
        return lines + summary.failures.map { "FAILED: \($0.name): \($0.reason)" }
    }

    static func runs(_ line: CampaignSummary.Line) -> String {
        String(line.rows.count) + (line.void > 0 ? ", \(line.void) void" : "") + (line.failed > 0 ? ", \(line.failed) failed" : "")
    }

    static func cell(_ line: CampaignSummary.Line, _ name: String) -> String {
        guard let figure = Figure.named(name), let interval = line.mean(name) else { return "–" }
        let scale = figure.isShare ? 100.0 : 1
        return Quantity.decimal(scale * interval.mean, 1) + (interval.reach.map { " ± " + Quantity.decimal(scale * $0, 1) } ?? "")
    }

    /// Columns as wide as their widest cell, two spaces between them.
    static func aligned(_ rows: [[String]], right: [Bool]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(zip(row, widths), right).map { $1 ? $0.0.aligned($0.1) : $0.0.padded($0.1) }.joined(separator: "  ").withoutTrailingSpaces
        }
    }
}

func percent(_ share: Double) -> String { Quantity.decimal(100 * share, 1) + " %" }
func duration(_ seconds: Double) -> String { Quantity.duration(seconds: seconds) }
