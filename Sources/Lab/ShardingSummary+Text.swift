import Reports
import RunSpec

extension ShardingSummary {
    /// The table for a terminal.
    package var text: String {
        let table = CampaignTable.aligned(steps, right: [false] + steps[0].dropFirst().map { _ in true })
        var text = [heading, network, ""] + table
        if let losses { text += [""] + CampaignTable.aligned(losses, right: [false] + losses[0].dropFirst().map { _ in true }) }
        return (text + [""] + TextReport.wrapped(legend, width: 100) + [""] + verdicts).joined(separator: "\n")
    }

    var heading: String {
        let m = model.config
        return "\(m.family.rawValue) of \(Quantity.short(Double(model.floats))) parameters · \(model.leaves) microbatches of \(model.sequences) × \(m.context) tokens a step · \(conditions.workers) workers · \(conditions.rounds) rounds, seed \(conditions.seed) · a worker computes \(Quantity.short(flops))FLOP/s"
            + (conditions.paceMilliseconds.map { " at a pace of \(Quantity.decimal($0, 1)) ms a microbatch" } ?? "")
    }

    private static func time(_ seconds: Double) -> String { Quantity.decimal(seconds * 1e3, 1) }
    private static func megabytes(_ bytes: Double) -> String { Quantity.decimal(bytes * 1e-6, 2) }
    private static let none = "–"

    /// A head, and a row for each choice.
    var steps: [[String]] {
        [["choice", "tokens/s", "step, ms", "predicted", "ratio", "exposed, ms", "predicted", "sent, MB", "predicted", "hidden", "memory, MB", "predicted"]] + lines.map { line in
            let p = line.predicted
            return [
                "\(line.choice)", Quantity.grouped(Int(line.tokensPerSecond)), Self.time(line.stepSeconds), p.map { Self.time($0.time.total) } ?? Self.none,
                line.ratio.map { Quantity.decimal($0, 3) } ?? Self.none, p == nil ? Self.none : Self.time(line.exposedSeconds), p.map { Self.time($0.time.waiting) } ?? Self.none,
                line.sentBytes.map(Self.megabytes) ?? Self.none, p.map { Self.megabytes($0.sentBytes) } ?? Self.none,
                line.hiddenBytes.map(Self.megabytes) ?? Self.none,
                line.residentBytes.map { Self.megabytes(Double($0)) } ?? Self.none, p.map { Self.megabytes(Double($0.residentBytes)) } ?? Self.none,
            ]
        }
    }

    /// Nil where nothing failed.
    var losses: [[String]]? {
        let hit = lines.filter { $0.failures > 0 }
        guard !hit.isEmpty else { return nil }
        return [["choice", "failures", "s lost each", "predicted", "microbatches each", "predicted", "goodput", "predicted"]] + hit.map { line in
            let p = line.predicted
            return [
                "\(line.choice)", "\(line.failures)", Quantity.decimal(line.secondsPerFailure!, 2), p.map { Quantity.decimal($0.recovery.seconds, 2) } ?? Self.none,
                Quantity.decimal(line.leavesPerFailure!, 1), p.map { Quantity.decimal($0.recovery.leavesLost, 1) } ?? Self.none, Quantity.percent(line.goodput),
                p.map { Quantity.percent($0.goodput) } ?? Self.none,
            ]
        }
    }

    var legend: String {
        """
        Medians over rounds of the median step. Sent: bytes that a worker's sockets sent in a step, on the mean; hidden: those of them that went out while it computed; memory: the fullest worker's \
        own, with what a process has anyway. Exposed: of a step, waiting for messages, for late peers too. Predicted, as `headway plan` does, \
        from \(conditions.paceMilliseconds == nil ? "how fast the workers compute in shared memory, where nothing is sent" : "the pace"), \
        how fast the single worker updates, and \(conditions.link == nil ? "constants of loopback" : "the link").
        """
    }

    /// What must hold, whether it does, and how far that can be told.
    var verdicts: [String] {
        let ratios = lines.compactMap { line in line.ratio.map { (line.choice, $0) } }, far = ratios.filter { abs($0.1 - 1) > 0.1 }
        var texts: [String] = []
        if !ratios.isEmpty {
            texts.append(far.isEmpty ? "Step: all \(ratios.count) choices within 10 % of the prediction." : "Step: more than 10 % from the prediction: \(far.map { "\($0.0) \(Quantity.decimal(100 * ($0.1 - 1), 1)) %" }.joined(separator: ", ")).")
            let turned = inversions
            texts.append(turned.isEmpty ? "Ranking: as predicted." : "Ranking: other than predicted: " + turned.map { "\($0.faster.choice) before \($0.slower.choice), \(Quantity.decimal(100 * $0.apart, 1)) % apart" }.joined(separator: "; ") + ".")
        }
        let spreads = lines.compactMap { line in line.spread.map { (choice: line.choice, spread: $0) } }
        if let widest = spreads.max(by: { $0.spread < $1.spread }), let alone = lines[0].spread {
            texts.append("Noise: the rounds of one choice lie up to \(Quantity.decimal(100 * widest.spread, 1)) % of a step apart (\(widest.choice)), those of the single worker \(Quantity.decimal(100 * alone, 1)) %.")
        }
        func farthest(_ measured: (Line) -> Double?, _ predicted: (Prediction) -> Double) -> Double? {
            lines.compactMap { line in measured(line).flatMap { found in line.predicted.map { abs(found / predicted($0) - 1) } } }.max()
        }
        if let most = farthest(\.sentBytes, \.sentBytes) { texts.append("Bytes: at most \(Quantity.decimal(100 * most, 2)) % from the prediction.") }
        if let most = farthest({ $0.residentBytes.map(Double.init) }, { Double($0.residentBytes) }) { texts.append("Memory: at most \(Quantity.decimal(100 * most, 1)) % from the prediction.") }
        let own = conditions.choices.contains { $0.mesh.tensor > 1 } ? ", those with tensor parallelism with those of their degree" : ""
        texts.append(strays.isEmpty ? "Weights: all runs end with the same bits\(own)." : "DIFFERENT final weights: \(strays.joined(separator: ", ")).")
        return texts
    }

    /// A row for each choice, seconds and bytes.
    package var table: RunTable {
        RunTable("choices", [
            "choice", "workers", "tokens_per_s", "step_s", "predicted_step_s", "step_ratio", "step_spread", "exposed_s", "predicted_exposed_s", "predicted_compute_s", "predicted_hidden_s",
            "predicted_update_s", "sent_bytes", "predicted_sent_bytes", "hidden_bytes", "resident_bytes_max", "predicted_resident_bytes_max", "failures", "seconds_per_failure",
            "predicted_seconds_per_failure", "microbatches_per_failure", "predicted_microbatches_per_failure", "goodput", "predicted_goodput",
        ], lines.map { line in
            let p = line.predicted
            return [
                .text("\(line.choice)"), .integer(line.choice == .single ? 1 : conditions.workers), .real(line.tokensPerSecond), .real(line.stepSeconds),
                JSONValue(p?.time.total), JSONValue(line.ratio), JSONValue(line.spread), p == nil ? .null : .real(line.exposedSeconds), JSONValue(p?.time.waiting), JSONValue(p?.time.compute),
                JSONValue(p?.time.hidden), JSONValue(p?.time.update), JSONValue(line.sentBytes), JSONValue(p?.sentBytes), JSONValue(line.hiddenBytes), JSONValue(line.residentBytes),
                JSONValue(p?.residentBytes), .integer(line.failures), JSONValue(line.secondsPerFailure), JSONValue(line.failures > 0 ? p?.recovery.seconds : nil),
                JSONValue(line.leavesPerFailure), JSONValue(line.failures > 0 ? p?.recovery.leavesLost : nil), .real(line.goodput), JSONValue(p?.goodput),
            ]
        })
    }

    /// One document: what was run, the constants behind the predictions, the table.
    package var json: String {
        func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue { .object(members.map { (key: $0.key, value: $0.value) }) }
        return object([
            "conditions": object([
                "parameters": .integer(model.floats), "microbatches": .integer(model.leaves), "workers": .integer(conditions.workers), "steps": .integer(conditions.config.steps),
                "rounds": .integer(conditions.rounds), "seed": .integer(Int(conditions.seed)), "network": .text(network), "pace_ms": JSONValue(conditions.paceMilliseconds),
                "faults": .list(conditions.faults.map { .text($0) }),
            ]),
            "constants": object([
                "flops_per_s": .real(flops), "link_gbps": .real(link.gigabitsPerSecond), "link_us": .real(link.microseconds), "link_share": .real(calibration.linkShare),
                "memory_bytes_per_s": .real(calibration.memoryBytesPerSecond), "stolen_share": .real(calibration.stolenShare), "halved_share": .real(calibration.halvedShare), "process_bytes": .integer(calibration.processBytes),
                "gradient_page_s_per_byte": .real(calibration.gradientPageSeconds), "gathered_page_s_per_byte": .real(calibration.gatheredPageSeconds),
            ]),
            "choices": table.json,
            "same_weights": .flag(strays.isEmpty),
        ]).text + "\n"
    }
}
