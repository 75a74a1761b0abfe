import Reports
import RunSpec

/// The sharding benchmark as a page: measured and predicted steps side by side, and the tables.
package enum ShardingPage {
    package static func page(_ summary: ShardingSummary) -> String {
        var sections = [
            section("A step", "Above measured, below predicted: computing and updates, then what is waited for.", "<div class=\"picture\">\(bars(summary))</div>"),
            section("Choices", summary.legend, LabPage.table(summary.steps, names: 1)),
        ]
        if let losses = summary.losses { sections.append(section("When a worker is lost", "", LabPage.table(losses, names: 1))) }
        sections.append(section("Checks", "", LabPage.paragraphs(summary.verdicts)))
        return LabPage.page(title: "Sharding choices", lead: "\(summary.heading). Workers met \(summary.network).", body: sections.joined(separator: "\n"))
    }

    private static func section(_ title: String, _ lead: String, _ body: String) -> String {
        "<section><h2>\(HTMLReport.escaped(title))</h2>\n" + (lead.isEmpty ? "" : "<p class=\"lead\">\(HTMLReport.escaped(lead))</p>\n") + body + "</section>"
    }

    private static let rowHeight = 46.0, nameWidth = 130.0, barWidth = 520.0

    /// Two bars for each choice, cut into what a step is made of.
    private static func bars(_ summary: ShardingSummary) -> String {
        let longest = summary.lines.map { max($0.stepSeconds, $0.predicted?.time.total ?? 0) }.max() ?? 1
        func text(_ x: Double, _ y: Double, _ words: String) -> String {
            "<text x=\"\(Quantity.decimal(x, 1))\" y=\"\(Quantity.decimal(y, 1))\" fill=\"currentColor\" font-size=\"13\">\(HTMLReport.escaped(words))</text>"
        }
        func bar(_ y: Double, _ parts: [Double], _ opacity: Double, label: String) -> String {
            var x = nameWidth, out = ""
            for (index, part) in parts.enumerated() {
                let width = max(0, part) / longest * barWidth
                out += "<rect x=\"\(Quantity.decimal(x, 1))\" y=\"\(Quantity.decimal(y, 1))\" width=\"\(Quantity.decimal(width, 1))\" height=\"14\" fill=\"currentColor\" fill-opacity=\"\(index == 0 ? opacity : opacity / 2.5)\"/>"
                x += width
            }
            return out + text(x + 6, y + 12, label)
        }
        let rows = summary.lines.enumerated().map { index, line -> String in
            let y = Double(index) * rowHeight, waits = line.predicted == nil ? 0 : min(line.exposedSeconds, line.stepSeconds)
            var row = text(0, y + 20, "\(line.choice)") + bar(y + 4, [line.stepSeconds - waits, waits], 0.85, label: "\(Quantity.decimal(line.stepSeconds * 1e3, 1)) ms")
            if let time = line.predicted?.time { row += bar(y + 20, [time.total - time.waiting, time.waiting], 0.45, label: "\(Quantity.decimal(time.total * 1e3, 1)) ms") }
            return row
        }
        let height = Double(summary.lines.count) * rowHeight
        return "<svg viewBox=\"0 0 760 \(Quantity.decimal(height, 0))\" role=\"img\" aria-label=\"Measured and predicted milliseconds of a step by choice; the table has the figures.\">\(rows.joined())</svg>"
    }
}
