import Ledger
import RunSpec

extension TextReport {
    /// Incidents shown in full at either end of a long list.
    static let incidentsAtEachEnd = 6

    var incidentSection: [String] {
        let bills = account.incidents
        guard !bills.isEmpty else { return [title("Incidents"), "  none"] }
        var lines = [title("Incidents")]
        lines.append("  " + ink.dim(incidentLine("", "what happened", "detected", "cost", "lost", "delay")))
        let ends = TextReport.incidentsAtEachEnd
        if bills.count <= 2 * ends + 1 {
            lines += bills.flatMap(incidentLines)
        } else {
            lines += bills.prefix(ends).flatMap(incidentLines)
            lines.append("  " + ink.dim("… \(Quantity.grouped(bills.count - 2 * ends)) more"))
            lines += bills.suffix(ends).flatMap(incidentLines)
        }
        if bills.count > 1 {
            lines.append("  " + incidentTotal(bills))
            lines.append(billLine(bills.reduce(into: Bill()) { $0.merge($1.bill) { $0 + $1 } }, cost: 0))
        }
        lines.append("  " + ink.dim("detected: ms after the fault, ~ when its instant is not known · cost: worker-ms, below by category"))
        lines.append("  " + ink.dim("lost: microbatches computed in vain · delay: ms by which the next commit came late"))
        return lines
    }

    /// Every injected fault, matched with what the run saw of it.
    var faultSection: [String] {
        let outcomes = FaultOutcome.all(record)
        guard !outcomes.isEmpty else { return [] }
        var lines = [title("Injected faults"), "  " + ink.dim(faultLine("kind", ["planned", "struck", "found", "misdiagnosed", "missed"], "median", "longest"))]
        for kind in Fault.Kind.allCases {
            let mine = outcomes.filter { $0.kind == kind }
            guard !mine.isEmpty else { continue }
            let times = mine.compactMap(\.latencyNanoseconds).sorted()
            func count(_ verdict: FaultOutcome.Verdict) -> Int { mine.count { $0.verdict == verdict } }
            let missed = count(.missed) > 0 ? String(count(.missed)) : mine.allSatisfy { $0.verdict == .silent || $0.verdict == .idle } ? "–" : "0"
            lines.append("  " + faultLine(kind.rawValue, [String(mine.count), String(mine.count - count(.idle)), String(count(.found)), String(count(.misdiagnosed)), missed],
                times.isEmpty ? "–" : Quantity.milliseconds(times[times.count / 2]), times.isEmpty ? "–" : Quantity.milliseconds(times[times.count - 1])))
        }
        for odd in outcomes.filter({ $0.verdict == .missed || $0.verdict == .misdiagnosed }).prefix(TextReport.incidentsAtEachEnd) {
            lines.append("  " + ink.red(odd.verdict.rawValue) + ": `\(odd.text)`" + (odd.takenFor.map { ", taken for \($0)" } ?? ""))
        }
        for kind in Fault.Kind.allCases {
            for mechanism in Fault.Mechanism.allCases {
                let count = outcomes.count { $0.kind == kind && $0.mechanism == mechanism }
                if count > 0 { lines.append("  " + "\(kind), \(count) of them".padded(24) + mechanism.meaning) }
            }
        }
        lines.append("  " + ink.dim("from the fault to its detection in ms; a slow worker and bad labels raise no alarm: see S2 and the workers’ contribution"))
        if outcomes.contains(where: { $0.kind?.isOfDisk ?? false }) {
            lines.append("  " + ink.dim("nor does a slow disk; a damaged checkpoint is found when a restore reads it, and by nobody else"))
        }
        return lines
    }

    private func faultLine(_ kind: String, _ counts: [String], _ median: String, _ longest: String) -> String {
        kind.padded(12) + counts.map { $0.aligned(13) }.joined() + median.aligned(10) + longest.aligned(10)
    }

    private func incidentLines(_ bill: IncidentBill) -> [String] { [incidentLine(bill), billLine(bill.bill, cost: bill.cost)] }

    /// What one incident was charged, by category, in worker-milliseconds.
    private func billLine(_ bill: Bill, cost: Double) -> String {
        let parts = bill.filter { $0.value != 0 }.sorted { $0.key < $1.key }.map { "\($0.key.code) \(Quantity.milliseconds($0.value))" }
        let text = (cost > 0 ? "\(Quantity.money(cost, headlines.currency)): " : "") + (parts.isEmpty ? "nothing" : parts.joined(separator: " · "))
        return "        " + ink.dim(text.count > TextReport.width - 8 ? text.padded(TextReport.width - 8) : text)
    }

    private func incidentLine(_ bill: IncidentBill) -> String {
        let detected = bill.incident.onsetIsExact ? Quantity.milliseconds(bill.detectionNanoseconds) : "~0"
        let delay = bill.delayNanoseconds.map { ($0 > 0 ? "+" : "") + Quantity.milliseconds($0) } ?? "–"
        return "  " + incidentLine(String(bill.incident.incident), bill.incident.description, detected,
            Quantity.milliseconds(bill.workerNanoseconds), String(bill.microbatchesLost), delay)
    }

    private func incidentTotal(_ bills: [IncidentBill]) -> String {
        let exact = bills.filter(\.incident.onsetIsExact)
        let mean = exact.isEmpty ? "–" : Quantity.milliseconds(exact.reduce(0) { $0 + $1.detectionNanoseconds } / exact.count)
        let cost = bills.reduce(0.0) { $0 + $1.cost }
        let what = Quantity.plural(bills.count, "incident") + (cost > 0 ? ", \(Quantity.money(cost, headlines.currency))" : "")
        return incidentLine("", what, "⌀ " + mean, Quantity.milliseconds(bills.reduce(0) { $0 + $1.workerNanoseconds }),
            String(bills.reduce(0) { $0 + $1.microbatchesLost }), "")
    }

    private func incidentLine(_ number: String, _ what: String, _ detected: String, _ cost: String, _ lost: String, _ delay: String) -> String {
        number.aligned(4) + "  " + what.padded(54) + detected.aligned(9) + cost.aligned(11) + lost.aligned(6) + delay.aligned(11)
    }

    var checkpointSection: [String] {
        let rows = record.checkpoints
        guard !rows.isEmpty else { return [] }
        let durable = rows.filter { $0.durableNanoseconds != nil }, failed = rows.filter { $0.durableNanoseconds == nil }
        var lines = [title("Checkpoints")]
        var text = "\(durable.count) durable"
        if !failed.isEmpty { text += ", \(failed.count) failed" }
        if let last = durable.last, let at = last.durableNanoseconds {
            text += "; the last one step-\(last.step), \(Quantity.bytes(last.bytes)) in \(Quantity.duration(seconds: Double(Int(at) - Int(last.requestedNanoseconds)) / 1e9))"
        }
        lines.append(row("written", text))
        lines.append(row("beside", "\(Quantity.duration(seconds: Double(account.accounts.checkpointWriterNanoseconds) / 1e9)) of the writer's time, outside the sum above"))
        lines += account.checkpointNotes.flatMap { note in
            TextReport.wrapped(note.text, width: TextReport.width - 15).enumerated().map { row($0 == 0 ? note.label : "", $1) }
        }
        for damage in record.restores.compactMap(\.damage).suffix(3) {
            lines += TextReport.wrapped(damage, width: TextReport.width - 15).enumerated().map { row($0 == 0 ? "rejected" : "", $1) }
        }
        for row in failed.suffix(3) { lines.append(self.row("", "step-\(row.step): \(row.status)".padded(TextReport.width - 15))) }
        return lines
    }
}

extension Fault.Mechanism {
    fileprivate var meaning: String {
        switch self {
        case .tmpfs: "by the kernel, on a small tmpfs that only the writer saw"
        case .storage: "by the storage protocol, without the kernel"
        case .file: "by changing the file on the disk"
        }
    }
}
