import Reports

/// The results of a campaign as a page: goodput over the axis that is a number, and the table.
package enum CampaignPage {
    private static let charts = ["effective_goodput", "token_goodput", "attempts_committed"]
    private static let titles = [
        "effective_goodput": "Effective goodput", "token_goodput": "Committed of processed microbatches", "attempts_committed": "Committed steps of attempts",
    ]

    package static func page(_ summary: CampaignSummary) -> String {
        var sections: [String] = []
        if let axis = summary.numericAxis {
            let pictures = charts.map { name -> String in
                let chart = Chart(
                    title: titles[name]!, xTitle: summary.axes[axis].name, isLogarithmic: isLogarithmic(summary.axes[axis]),
                    series: series(summary, over: axis, name))
                return "<h3>\(titles[name]!)</h3>\n<div class=\"picture\">\(chart.svg)\(chart.key)</div>"
            }
            sections.append(section("Over \(summary.axes[axis].name)", "Means over seeds; bars are 95 % Student-t intervals.", pictures.joined(separator: "\n")))
        }
        sections.append(section("All variations", CampaignTable.legend, LabPage.table(CampaignTable.rows(summary), names: summary.axes.count)))
        sections.append(section("Checks", "", LabPage.paragraphs(CampaignTable.checks(summary))))
        return LabPage.page(title: summary.name, lead: summary.conditions, body: sections.joined(separator: "\n"))
    }

    /// - Parameters:
    ///   - title, lead: text.
    ///   - body: HTML.
    private static func section(_ title: String, _ lead: String, _ body: String) -> String {
        "<section><h2>\(HTMLReport.escaped(title))</h2>\n" + (lead.isEmpty ? "" : "<p class=\"lead\">\(HTMLReport.escaped(lead))</p>\n") + body + "</section>"
    }

    /// Rates, and whatever spans more than a factor of twenty.
    static func isLogarithmic(_ axis: Campaign.Axis) -> Bool {
        guard let numbers = axis.numbers, let least = numbers.min(), let greatest = numbers.max(), least > 0 else { return false }
        return axis.isRate || greatest / least > 20
    }

    /// A line for each choice of the other axes.
    static func series(_ summary: CampaignSummary, over axis: Int, _ figure: String) -> [Chart.Series] {
        var names: [String] = [], points: [String: [Chart.Point]] = [:]
        for line in summary.lines {
            var others = line.variation.values
            guard let x = Double(others.remove(at: axis)), let mean = line.mean(figure) else { continue }
            let axes = summary.axes.indices.filter { $0 != axis }
            let name = axes.count == 1 ? others[0] : zip(axes, others).map { "\(summary.axes[$0].name) \($1)" }.joined(separator: ", ")
            if points[name] == nil { names.append(name) }
            points[name, default: []].append(Chart.Point(x: x, mean: mean.mean, reach: mean.reach))
        }
        return names.map { Chart.Series(name: $0, points: points[$0]!) }
    }
}
