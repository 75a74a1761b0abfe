import Reports

/// The results of a campaign as text.
package enum CampaignTable {
    /// Figures with a column of their own.
    static let columns = ["effective_goodput", "compute_goodput", "token_goodput", "attempts_committed", "incidents", "detection_ms", "wall_s"]

    package static func text(_ summary: CampaignSummary) -> String {
        let rows = rows(summary)
        var text = aligned(rows, right: summary.axes.map { $0.numbers != nil } + rows[0].dropFirst(summary.axes.count).map { _ in true })
        text.insert("", at: 1)
        text = ["\(summary.name) · \(summary.conditions)", ""] + text + [""] + TextReport.wrapped(legend, width: 100) + checks(summary)
        return text.joined(separator: "\n")
    }

    /// A head, and a row for each variation; in the third column of figures the difference to the first policy.
    static func rows(_ summary: CampaignSummary) -> [[String]] {
        let compared = summary.comparedAxis.map { ["− \(summary.axes[$0].values[0])"] } ?? []
        let head = summary.axes.map(\.name) + ["runs", Figure.named(columns[0])!.title] + compared + columns.dropFirst().map { Figure.named($0)!.title }
        return [head] + summary.lines.map { line in
            let difference = compared.map { _ in summary.difference(line, columns[0]).map { text($0, scale: 100, signed: true) } ?? "" }
            return line.variation.values + [runs(line), cell(line, columns[0])] + difference + columns.dropFirst().map { cell(line, $0) }
        }
    }

    static let legend = """
        Mean over seeds ± the 95 % Student-t interval. Shares in per cent: effective and compute goodput of the provisioned \
        worker time; committed of processed microbatches; committed steps of attempts at steps. The column after effective \
        goodput is the difference to the variation named there, seed by seed: under the same faults. Of the faults planned \
        those count as incidents whose worker was there to be struck.
        """

    /// What must hold besides.
    static func checks(_ summary: CampaignSummary) -> [String] {
        var lines: [String] = []
        let void = summary.lines.reduce(0) { $0 + $1.void }
        if void > 0 { lines.append("\(void) runs are void: the machine disturbed them. The same command makes them again; fewer workers or more milliseconds help.") }
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
        return text(interval, scale: figure.isShare ? 100 : 1)
    }

    private static func text(_ interval: MeanInterval, scale: Double, signed: Bool = false) -> String {
        (signed && interval.mean > 0 ? "+" : "") + Quantity.decimal(scale * interval.mean, 1) + (interval.reach.map { " ± " + Quantity.decimal(scale * $0, 1) } ?? "")
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
