import Ledger

extension TextReport {
    /// The run under ten published definitions of goodput: name, value and formula, then who uses it and why it differs.
    var definitionSection: [String] {
        guard headlines.workerSeconds > 0 else { return [] }
        var lines = [title("Goodput by ten published definitions")]
        lines.append("  " + ink.bold("this ledger".padded(21) + Quantity.percent(headlines.computeGoodput).aligned(9)) + "  productive compute ÷ provisioned worker time")
        for definition in GoodputDefinition.all(account) {
            lines.append("  " + definition.name.padded(21) + (definition.value.map { Quantity.percent($0) } ?? "–").aligned(9) + "  " + definition.formula)
            lines += TextReport.wrapped("\(definition.source): \(definition.difference)", width: TextReport.width - 6).map { "      " + ink.dim($0) }
        }
        return lines
    }
}
