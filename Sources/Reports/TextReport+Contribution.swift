import Foundation
import Ledger

extension TextReport {
    /// Windows shown in full at either end of a long list.
    static let windowsAtEachEnd = 6

    /// The three layers, each labelled as what it is: fate (exact), credit (estimate), effect (measured).
    var contributionSection: [String] {
        guard !account.commits.isEmpty else { return [] }
        let contribution = account.contribution
        var lines = [title("Did it reduce the loss?")]
        lines.append(row("fate", fateText))
        lines.append(row("", ink.dim("exact: read off the chain of commits")))
        lines += creditRows(contribution)
        lines += effectRows(contribution)
        lines += noiseRows(contribution)
        lines += workerRows(contribution)
        lines += sourceRows(contribution)
        return lines
    }

    private var fateText: String {
        let counts = account.fates.counts, total = account.fates.executions.count
        let others = Fate.allCases.filter { $0 != .committed }.compactMap { fate in
            counts[fate].map { "\(Quantity.grouped($0)) \(fate.plainName)" }
        }
        return "\(Quantity.grouped(counts[.committed] ?? 0)) of \(Quantity.plural(total, "microbatch execution")) are in the final weights"
            + (others.isEmpty ? "" : "; " + others.joined(separator: ", "))
    }

    private func creditRows(_ contribution: Contribution) -> [String] {
        guard let sum = contribution.credit else { return [row("credit", ink.dim("not recorded in this run"))] }
        let error = sum.standardError.isFinite ? " ± \(Quantity.decimal(sum.standardError, 4))" : ", of unknown error"
        var lines = [row("credit", "\(signed(sum.credit))\(error) nats per token by \(Quantity.plural(sum.updates, "update")), judged by \(Quantity.grouped(sum.credited)) of them")]
        lines.append(row("", ink.dim("from the gradients at both ends of an update: an estimate, exact to second order")))
        if contribution.significant > 0 {
            lines.append(row("", "\(contribution.agreeing) of \(Quantity.plural(contribution.significant, "window")) with a clear effect and a clear credit \(contribution.agreeing == 1 ? "has" : "have") the same sign"))
        }
        return lines
    }

    private func effectRows(_ contribution: Contribution) -> [String] {
        let windows = contribution.windows
        guard let total = contribution.total, let first = windows.first, let last = windows.last else {
            return [row("effect", ink.dim("not measured: fewer than two passes over the probes"))]
        }
        var lines = [row("effect", "\(signed(total.change)) nats per token, 95 % interval \(interval(total)): \(verdict(total))")]
        lines.append(row("", ink.dim("measured on \(Quantity.plural(total.sequences, "sequence"))\(clusterText(total)) of the audit probe, steps \(first.start) to \(last.end); down is good")))
        lines.append("")
        lines.append("  " + ink.dim(windowLine("steps", "change", "95 % interval", "detectable", "verdict".padded(13), "credit ± error")))
        let ends = TextReport.windowsAtEachEnd
        let chance = windows.count > 4 ? ["  " + ink.dim("by chance alone, about one window in twenty looks clear")] : []
        if windows.count <= 2 * ends + 1 { return lines + windows.map(windowLine) + chance }
        let hidden = windows.dropFirst(ends).dropLast(ends)
        let verdicts = [PairedEffect.Verdict.contributed, .harmful, .indeterminate].compactMap { verdict in
            let count = hidden.count { $0.audit.verdict == verdict }
            return count > 0 ? "\(Quantity.grouped(count)) \(verdict.rawValue)" : nil
        }
        lines += windows.prefix(ends).map(windowLine)
        lines.append("  " + ink.dim("… \(Quantity.grouped(hidden.count)) more: \(verdicts.joined(separator: ", "))"))
        return lines + windows.suffix(ends).map(windowLine) + chance
    }

    private func windowLine(_ window: ProbeWindow) -> String {
        let credit = window.credit.credited == 0 ? "–" : "\(signed(window.credit.credit)) ± \(finite(window.credit.standardError))"
        return "  " + windowLine("\(window.start)–\(window.end)", signed(window.audit.change), interval(window.audit),
            finite(window.audit.minimumDetectable), verdict(window.audit, width: 13), credit)
    }

    /// `verdict` comes padded: colour has no width.
    private func windowLine(_ steps: String, _ change: String, _ interval: String, _ detectable: String, _ verdict: String, _ credit: String) -> String {
        steps.aligned(13) + change.aligned(10) + interval.aligned(22) + detectable.aligned(12) + "  " + verdict + credit.aligned(20)
    }

    private func noiseRows(_ contribution: Contribution) -> [String] {
        guard let last = contribution.noiseScale.last else { return [] }
        var text = "\(Quantity.short(last.sequences)) sequences after step \(Quantity.grouped(last.step))"
        if let leaves = number(RunFact.microbatches), let sequences = number(RunFact.sequencesPerMicrobatch) {
            let batch = leaves * sequences
            text += ", the batch has \(Quantity.short(batch)); share of signal \(Quantity.percent(batch / (batch + last.sequences)))"
        }
        return ["", row("noise scale", text), row("", ink.dim("from the norms of the microbatches’ gradients; a low signal share is not waste"))]
    }

    private func workerRows(_ contribution: Contribution) -> [String] {
        let workers = contribution.workers, suspects = workers.filter(\.isSuspect)
        guard !workers.isEmpty else { return [] }
        let shown = workers.count <= 8 ? workers : Array(suspects.prefix(8))
        var lines = ["", row("workers", "predicted drop of the probe loss per microbatch, nats per token; z against the others")]
        for worker in shown {
            let figures = "slot \(worker.slot)".padded(9) + scientific(worker.mean).aligned(11) + "  others" + scientific(worker.others).aligned(11)
                + "  z " + Quantity.decimal(worker.z, 1).aligned(6) + "  \(Quantity.plural(worker.leaves, "microbatch", "microbatches"))"
            lines.append(row("", figures + (worker.isSuspect ? "  " + ink.red("SUSPECT") : "")))
        }
        if workers.count > shown.count { lines.append(row("", "\(workers.count - shown.count) more slots, none of them suspect")) }
        return lines
    }

    private func sourceRows(_ contribution: Contribution) -> [String] {
        guard !contribution.sources.isEmpty else { return [] }
        let best = contribution.sources.sorted { $0.mean > $1.mean }
        let ends = best.count <= 12 ? best : Array(best.prefix(6) + best.suffix(6))
        var lines = ["", row("sources", "predicted drop of the probe loss by a microbatch of one source, nats per token")]
        for source in ends {
            lines.append(row("", scientific(source.mean).aligned(11) + " ± " + String(format: "%.1e", source.standardError)
                + Quantity.percent(source.share).aligned(9) + " of the tokens  " + source.name))
        }
        if best.count > ends.count { lines.append(row("", ink.dim("\(best.count - ends.count) more between the best and the worst six"))) }
        return lines
    }

    private func clusterText(_ effect: PairedEffect) -> String {
        effect.clusters < effect.sequences ? " from \(Quantity.plural(effect.clusters, "document or group of them", "documents or groups of them"))" : ""
    }

    private func verdict(_ effect: PairedEffect, width: Int = 0) -> String {
        let text = effect.verdict.rawValue.padded(max(width, effect.verdict.rawValue.count))
        return switch effect.verdict {
        case .contributed: ink.green(text)
        case .harmful: ink.red(text)
        case .indeterminate: text
        }
    }

    private func interval(_ effect: PairedEffect) -> String {
        effect.low.isFinite && effect.high.isFinite ? "\(signed(effect.low)) to \(signed(effect.high))" : "unbounded"
    }

    private func scientific(_ value: Double) -> String { String(format: "%+.2e", value) }

    private func finite(_ value: Double) -> String { value.isFinite ? Quantity.decimal(value, 4) : "–" }

    private func signed(_ value: Double) -> String {
        let text = Quantity.decimal(value, 4)
        return value > 0 && text != "0.0000" ? "+" + text : text
    }
}

extension Fate {
    /// For sentences.
    var plainName: String {
        switch self {
        case .committed: "committed"
        case .superseded: "committed and rewound"
        case .lost: "lost with their worker"
        case .aborted: "aborted"
        case .duplicate: "done twice"
        case .vetoed: "of updates that were left out"
        case .pending: "pending"
        }
    }
}
