import Ledger

extension TextReport {
    var throughputSection: [String] {
        let h = headlines
        guard h.wallSeconds > 0 else { return [] }
        var lines = [title("Throughput")]
        lines.append(row("processed", "\(Quantity.grouped(Int(h.tokensPerSecond.rounded()))) tokens/s"))
        lines.append(row("good", "\(Quantity.grouped(Int(h.goodTokensPerSecond.rounded()))) tokens/s of the final weights"))
        if h.medianStepNanoseconds > 0 {
            lines.append(row("median", "\(Quantity.milliseconds(h.medianStepNanoseconds)) ms from commit to commit, \(Quantity.milliseconds(h.medianLeafNanoseconds)) ms on CPU a microbatch"))
        }
        if let utilisation = h.modelFlopsUtilisation, let peak = number(RunFact.peakFlopsPerWorker) {
            lines.append(row("MFU", "\(Quantity.percent(utilisation)) of \(Quantity.decimal(peak / 1e9, 1)) GFLOP/s a worker, the SGEMM peak measured at start-up"))
        }
        if h.cost > 0 {
            lines.append(row("cost", "\(Quantity.money(h.cost, h.currency)), \(Quantity.money(h.costPerMillionGoodTokens, h.currency)) per million good tokens"))
        }
        return lines
    }

    var goodputSection: [String] {
        let h = headlines, e = h.effective
        guard h.workerSeconds > 0 else { return [] }
        func share(_ value: Double) -> String { Quantity.percent(value).aligned(8).padded(11) }
        func factor(_ value: Double) -> String { Quantity.decimal(value, 4).padded(8) }
        let lines = [
            title("Goodput"),
            row("compute", share(h.computeGoodput) + "productive compute ÷ provisioned worker time"),
            row("step", share(h.stepGoodput) + "with the waits and glue of productive steps"),
            row("token", share(h.tokenGoodput) + "\(Quantity.grouped(h.committedTokens)) committed ÷ \(Quantity.grouped(h.processedTokens)) processed tokens"),
            row("effective", share(e.product) + "A · R · C · S · E"),
            row("", "A \(factor(e.availability))R \(factor(e.runtime))C \(factor(e.commitment))S \(factor(e.speed))E \(factor(e.equivalence))"),
            row("", "alive     computing kept      speed     worth a reference step"),
        ]
        guard let reference else { return lines }
        let sentences = TextReport.wrapped(reference.sentence, width: TextReport.width - 15) + [reference.phase]
        return lines + sentences.enumerated().map { row($0 == 0 ? "reference" : "", $1) }
    }

    /// One row per category that is not zero, the sum, and what is left over.
    var timeSection: [String] {
        let accounts = account.accounts, budget = accounts.budgetNanoseconds
        guard budget > 0 else { return [] }
        var lines = [title("Where \(Quantity.decimal(Double(budget) / 1e9, 3)) worker-seconds went")]
        lines.append("  " + ink.dim(timeRow("", "", "seconds", "share", headlines.cost > 0 ? headlines.currency : "")))
        for (category, nanoseconds) in accounts.byCategory.sorted(by: { $0.key < $1.key }) where nanoseconds != 0 {
            let bar = BlockCurve.bar(Double(nanoseconds) / Double(budget), width: 30)
            lines.append("  " + timeRow(category.code, category.name, nanoseconds) + "  " + ink.green(bar))
        }
        lines.append("  " + ink.dim(String(repeating: "─", count: 64)))
        lines.append("  " + timeRow("", "sum", accounts.byCategory.values.reduce(0, +)))
        lines.append("  " + timeRow("", "unaccounted", accounts.unaccountedNanoseconds))
        if !accounts.straggledFor.isEmpty, accounts.straggledFor.count > 1 {
            let slots = accounts.straggledFor.sorted { $0.key < $1.key }
            let text = slots.prefix(8).map { "\($0.key): \(Quantity.decimal(Double($0.value) / 1e9, 3)) s" }.joined(separator: ", ")
            lines.append("  " + ink.dim("S2 by the slot waited for: \(text)\(slots.count > 8 ? ", …" : "")"))
        }
        return lines + account.shadowFigures.map { "  " + ink.dim("beside: " + $0) }
    }

    private func timeRow(_ code: String, _ name: String, _ nanoseconds: Int) -> String {
        let cost = headlines.cost > 0 ? Quantity.decimal(headlines.cost(nanoseconds: nanoseconds), min(9, Quantity.moneyDigits(headlines.cost) + 2)) : ""
        let share = Double(nanoseconds) / Double(account.accounts.budgetNanoseconds)
        let digits = account.accounts.budgetNanoseconds < 1_000_000_000_000 ? 4 : 3
        return timeRow(code, name, Quantity.decimal(Double(nanoseconds) / 1e9, digits), Quantity.percent(share), cost)
    }

    private func timeRow(_ code: String, _ name: String, _ seconds: String, _ share: String, _ cost: String) -> String {
        code.padded(5) + name.padded(22) + seconds.aligned(13) + share.aligned(11) + cost.aligned(13)
    }
}
