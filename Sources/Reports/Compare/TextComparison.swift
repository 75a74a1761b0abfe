import Ledger

/// A comparison as plain text, at most 100 columns wide: the first run and up to three others beside each other; more
/// runs are more such tables.
package struct TextComparison {
    private static let labelWidth = 26, othersAtATime = 3, widestColumn = 24
    private let comparison: Comparison, ink: Ink

    package init(_ comparison: Comparison, colour: Bool = false) {
        self.comparison = comparison
        ink = Ink(colour: colour)
    }

    package var text: String {
        let others = Array(comparison.runs.indices.dropFirst())
        let blocks = stride(from: 0, to: others.count, by: Self.othersAtATime).map { [0] + others[$0..<min($0 + Self.othersAtATime, others.count)] }
        var sections = [runSection]
        for block in blocks { sections += [settingSection(block), figureSection(block), categorySection(block)].filter { !$0.isEmpty } }
        return sections.map { $0.map(\.withoutTrailingSpaces).joined(separator: "\n") }.joined(separator: "\n\n") + "\n"
    }

    private func title(_ text: String) -> String {
        ink.bold(text) + " " + ink.dim(String(repeating: "─", count: max(0, TextReport.width - text.count - 1)))
    }

    /// A letter for each run, as in its column.
    private func letter(_ run: Int) -> String { run < 26 ? String(UnicodeScalar(UInt8(65 + run))) : "#\(run + 1)" }

    private var runSection: [String] {
        var lines = [title("\(Quantity.grouped(comparison.runs.count)) runs, against the first")]
        for (index, run) in comparison.runs.enumerated() {
            lines += entry(letter(index), run.name + ": " + TextReport.outcomeText(run.account.record, run.account.headlines))
            if index > 0 { lines += entry("", states(comparison.states[index])) }
            for remark in run.remarks { lines += entry("", remark).map { ink.red($0) } }
        }
        return lines
    }

    private func entry(_ label: String, _ text: String) -> [String] {
        TextReport.wrapped(text, width: TextReport.width - 6).enumerated().map { "  " + ($0 == 0 ? label : "").padded(4) + $1 }
    }

    private func states(_ states: Comparison.States) -> String {
        switch states {
        case .first: ""
        case .equal(let steps): "the same weights as A after each of \(Quantity.grouped(steps)) common steps"
        case .differ(let step): "other weights than A from step \(Quantity.grouped(step)) on"
        case .nothingInCommon: "no step in common with A"
        }
    }

    private func columnWidth(_ block: [Int]) -> Int { min(Self.widestColumn, (TextReport.width - 2 - Self.labelWidth) / block.count) }

    private func line(_ label: String, _ cells: [String], _ block: [Int]) -> String {
        let width = columnWidth(block)
        return "  " + label.padded(Self.labelWidth) + cells.map { ($0.count >= width ? $0.padded(width - 1) : $0).aligned(width) }.joined()
    }

    private func heading(_ block: [Int]) -> String {
        ink.dim(line("", block.map { letter($0) + " " + lastPart(comparison.runs[$0].name) }, block))
    }

    private func lastPart(_ path: String) -> String { path.split(separator: "/").last.map { String($0) } ?? path }

    private func settingSection(_ block: [Int]) -> [String] {
        let settings = comparison.settings.filter { setting in Set(block.map { setting.values[$0] }).count > 1 }
        guard !settings.isEmpty else { return [title("Settings"), "  all alike"] }
        return [title("Settings that differ"), heading(block)] + settings.map { setting in line(setting.key, block.map { setting.values[$0] }, block) }
    }

    private func figureSection(_ block: [Int]) -> [String] {
        let figures = comparison.figures.filter { figure in block.contains { figure.values[$0] != nil } }
        return [title("Figures, and how far from A"), heading(block)] + figures.map { figure in line(name(of: figure), block.map { cell(figure, $0) }, block) }
    }

    /// In what costs are shown: what a laptop's minutes cost is not rounded away.
    private var moneyScale: (value: Double, name: String) {
        let headlines = comparison.runs[0].account.headlines
        return headlines.cost >= 1 || headlines.cost == 0 ? (1, headlines.currency) : headlines.cost >= 1e-3 ? (1e-3, "1e-3 " + headlines.currency) : (1e-6, "1e-6 " + headlines.currency)
    }

    private func name(of figure: Comparison.Figure) -> String { figure.unit == .money ? "\(figure.name), \(moneyScale.name)" : figure.name }

    private func categorySection(_ block: [Int]) -> [String] {
        let rows = comparison.categories.filter { row in row.category == nil || block.contains { row.seconds.values[$0] != 0 } }
        return [title("Where the worker-seconds went, and their share"), heading(block)] + rows.map { row in
            let label = row.category.map { $0.code.padded(4) + $0.name } ?? "    unaccounted"
            return line(label, block.map { run in
                (row.seconds.values[run].map { Quantity.decimal($0, 3) } ?? "–") + (row.shares.values[run].map { Quantity.percent($0) } ?? "–").aligned(9)
            }, block)
        }
    }

    private func cell(_ figure: Comparison.Figure, _ run: Int) -> String {
        guard let value = figure.values[run] else { return "–" }
        let text = format(value, figure.unit)
        guard run > 0, let difference = figure.differences[run] else { return text }
        let change = format(difference, figure.unit).replacing(" %", with: "")
        return text + " " + ((difference > 0 ? "+" : "") + change).aligned(8)
    }

    private func format(_ value: Double, _ unit: Comparison.Figure.Unit) -> String {
        switch unit {
        case .share: Quantity.percent(value)
        case .seconds: Quantity.decimal(value, 3)
        case .milliseconds: Quantity.decimal(value, 2)
        case .tokensPerSecond, .count: Quantity.grouped(Int(value.rounded()))
        case .natsPerToken: Quantity.decimal(value, 4)
        case .money: Quantity.decimal(value / moneyScale.value, 3)
        }
    }
}
