import Foundation
import Ledger

extension TextReport {
    /// One line on a run that is over: how it ended and what it was worth.
    package static func outcome(_ record: RunRecord) -> String {
        let report = TextReport(RunAccount(record)), h = report.headlines
        var parts = [outcomeText(record, h), "compute goodput \(Quantity.percent(h.computeGoodput))"]
        if let last = report.account.validations.last { parts.append("validation loss \(report.nats(last.lossSum, last.tokens))") }
        if !record.incidents.isEmpty { parts.append(Quantity.plural(record.incidents.count, "incident")) }
        return parts.joined(separator: " · ") + (report.account.caveats.isEmpty ? "" : " · CAUTION: see `headway report`")
    }

    static func outcomeText(_ record: RunRecord, _ headlines: Headlines) -> String {
        let planned = record.plannedCommits.map { " of \(Quantity.grouped($0))" } ?? ""
        return "\(record.facts[RunFact.outcome] ?? "outcome unknown") after \(Quantity.grouped(headlines.committedSteps))\(planned) steps, \(Quantity.duration(seconds: headlines.wallSeconds))"
    }

    /// What ran, on what, and how it ended.
    var runSection: [String] {
        var lines = [title(fact(RunFact.runIdentity).map { "Run \($0)" } ?? "Run")]
        lines.append(row("outcome", TextReport.outcomeText(record, headlines)))
        var model: [String] = []
        if let parameters = number(RunFact.parameters) { model.append("\(Quantity.short(parameters)) parameters") }
        if let tokens = number(RunFact.tokensPerStep) {
            let leaves = number(RunFact.microbatches).map { " in \(Quantity.plural(Int($0), "microbatch", "microbatches"))" } ?? ""
            model.append("\(Quantity.grouped(Int(tokens))) tokens a step\(leaves)")
        }
        model.append("\(Quantity.short(Double(headlines.committedTokens))) tokens trained on")
        lines.append(row("model", model.joined(separator: ", ")))
        let slots = Set(record.slots.map(\.slot)).count, sessions = Set(record.slots.map(\.session)).count
        if let origin = fact(RunFact.origin) { lines += wrappedRow("began from", "\(origin), after \(Quantity.plural(record.startStep, "committed step"))") }
        var workers = "\(Quantity.plural(slots, "slot")), \(Quantity.plural(record.replicas.count, "process", "processes"))"
        if sessions > 1 { workers += ", \(sessions) sessions" }
        if let cores = fact(RunFact.cores) { workers += ", \(cores) cores" }
        lines.append(row("workers", workers))
        if let messages { lines.append(row("messages", messages)) }
        var setting: [String] = []
        if let seed { setting.append("seed \(seed)") }
        if let core = fact(RunFact.blasCore) { setting.append("BLAS core \(core)") }
        if let version = fact(RunFact.headwayVersion) { setting.append("headway \(version)") }
        if !setting.isEmpty { lines.append(row("setting", setting.joined(separator: ", "))) }
        if let allowed = fact(RunFact.allowed) { lines += wrappedRow("allowed", "states made with " + allowed.replacing("\n", with: "; ")) }
        for session in record.sessions where session.source == "chosen checkpoint" {
            lines.append(row("went back", "to step \(Quantity.grouped(session.startStep)) in session \(session.session), as asked: what was committed after it is computed again"))
        }
        if let digest = fact(RunFact.finalDigest) { lines.append(row("final state", "SHA-256 \(digest.prefix(32))…")) }
        for caveat in account.caveats {
            lines += wrappedRow("CAUTION", caveat) { ink.red($0) }
        }
        return lines
    }

    /// What workers sent to each other; nil in shared memory.
    private var messages: String? {
        let sent = record.replicas.reduce(0) { $0 + ($1.sentBytes ?? 0) }, hidden = record.replicas.reduce(0) { $0 + ($1.hiddenBytes ?? 0) }
        return sent == 0 ? nil : "\(Quantity.bytes(sent)) sent, \(Quantity.percent(Double(hidden) / Double(sent))) of it beside computing"
    }

    private func wrappedRow(_ name: String, _ sentence: String, paint: (String) -> String = { $0 }) -> [String] {
        TextReport.wrapped(sentence, width: TextReport.width - 15).enumerated().map { row($0 == 0 ? name : "", paint($1)) }
    }

    /// The seed, from the resolved configuration.
    private var seed: String? {
        fact(RunFact.configuration)?.split(separator: "\n").first { $0.hasPrefix("seed:") }
            .map { $0.dropFirst(5).trimmingCharacters(in: .whitespaces) }
    }

    /// How the loss went, on the final lineage.
    var lossSection: [String] {
        let commits = account.commits.filter { $0.tokens > 0 }
        let evaluations = account.validations
        guard !commits.isEmpty || !evaluations.isEmpty else { return [] }
        var lines = [title("Loss")]
        if let first = commits.first, let last = commits.last {
            lines.append(row("training", "\(nats(first.lossSum, first.tokens)) → \(nats(last.lossSum, last.tokens)) nats per token, steps \(first.step) to \(last.step)"))
        }
        if let last = evaluations.last, let best = evaluations.min(by: { $0.lossSum / Double($0.tokens) < $1.lossSum / Double($1.tokens) }) {
            var text = "\(nats(last.lossSum, last.tokens)) nats per token at step \(last.step)"
            if best.step != last.step { text += ", best \(nats(best.lossSum, best.tokens)) at step \(best.step)" }
            lines.append(row("validation", text))
            lines += distances(last.lossSum / Double(last.tokens))
        }
        lines += curve(commits, evaluations)
        return lines
    }

    /// Bits per byte, and how far the validation loss is from the least possible.
    private func distances(_ loss: Double) -> [String] {
        var lines: [String] = []
        let perByte = number(RunFact.bytesPerToken).map { loss / log(2) / $0 }
        if let perByte { lines.append(row("", "\(Quantity.decimal(perByte, 4)) bits per byte")) }
        if let floor = number(RunFact.lossFloor) {
            lines.append(row("floor", "\(Quantity.decimal(floor, 4)), \(Quantity.decimal(abs(loss - floor), 4)) nats \(loss >= floor ? "below" : "above") the last validation"))
        }
        return lines
    }

    private func curve(_ commits: [CommitRow], _ evaluations: [EvaluationRow]) -> [String] {
        var lines: [String] = []
        let losses = commits.map { $0.lossSum / Double($0.tokens) }
        if losses.count > 1, let first = commits.first?.step, let last = commits.last?.step {
            let columns = BlockCurve.condensed(losses, columns: TextReport.width - 15)
            let (low, high) = (columns.min() ?? 0, columns.max() ?? 0)
            let area = BlockCurve.area(columns, height: 5)
            lines.append("")
            for (index, line) in area.enumerated() {
                let label = index == 0 ? Quantity.decimal(high, 4) : index == area.count - 1 ? Quantity.decimal(low, 4) : ""
                lines.append("  " + ink.dim(label.aligned(11)) + "  " + line)
            }
            let (left, right) = ("step \(first)", String(last))
            let gap = columns.count - left.count - right.count
            if gap > 0 { lines.append("               " + ink.dim(left + String(repeating: " ", count: gap) + right)) }
        }
        if evaluations.count > 1 {
            let values = evaluations.map { $0.lossSum / Double($0.tokens) }
            lines.append("  " + ink.dim("validation".aligned(11)) + "  " + BlockCurve.sparkline(BlockCurve.condensed(values, columns: 40))
                + "  \(Quantity.decimal(values[0], 4)) → \(Quantity.decimal(values[values.count - 1], 4))")
        }
        return lines
    }

    private func nats(_ sum: Double, _ tokens: Int) -> String { Quantity.decimal(sum / Double(tokens), 4) }
}
