import Reports
import RunSpec

extension ClusterPlan {
    private static let shownMaximum = 16

    /// The ranking for a terminal.
    /// - Parameter complete: all choices, not only the best.
    package func text(complete: Bool) -> String {
        let shown = complete ? lines : Array(lines.prefix(Self.shownMaximum)), left = complete ? refusals : Array(refusals.prefix(Self.shownMaximum))
        var text = heading
        if !shown.isEmpty {
            text += [""] + steps(shown) + [""] + losses(shown) + [""]
            if shown.count < lines.count { text.append("and \(lines.count - shown.count) more choices with less; --all shows them") }
            text += TextReport.wrapped(legend, width: 100)
        }
        if !left.isEmpty {
            text += ["", lines.isEmpty ? "Nothing fits:" : "What does not fit:"] + left.flatMap { refusal in
                TextReport.wrapped("\(refusal.choice): \(refusal.reason)", width: 96).enumerated().map { ($0.offset == 0 ? "  " : "    ") + $0.element }
            }
            if left.count < refusals.count { text.append("  and \(refusals.count - left.count) more; --all shows them") }
        }
        return text.joined(separator: "\n")
    }

    private var heading: [String] {
        let m = model.config, c = conditions
        let failures = c.failuresPerHour > 0 ? "a failure every \(Quantity.duration(seconds: 3600 / (c.failuresPerHour * Double(c.workers))))" : "no failures"
        let memory = c.memory.map { ", \(Quantity.bytes($0)) each" } ?? ""
        return [
            "\(m.family.rawValue) of \(Quantity.short(Double(model.floats))) parameters: \(m.layers) layers, width \(m.width), vocabulary \(m.vocabulary); a step is \(model.leaves) microbatches of \(model.sequences) × \(m.context) tokens",
            "\(c.workers) workers\(memory), \(Quantity.short(c.flops))FLOP/s, \(brief(c.link.gigabitsPerSecond)) Gbit/s, \(brief(c.link.microseconds)) µs; \(failures)",
        ]
    }

    private func brief(_ number: Double) -> String { Quantity.decimal(number, number == number.rounded() ? 0 : 1) }

    private func steps(_ lines: [Line]) -> [String] {
        // All times in the unit in which the longest step reads well.
        let isLong = lines.contains { $0.time.total >= 10 }, digits = lines.contains { $0.time.total < 0.1 } ? 2 : 1
        func time(_ seconds: Double) -> String { Quantity.decimal(isLong ? seconds : seconds * 1e3, isLong ? 2 : digits) }
        let head = ["choice", "sent", "memory", isLong ? "step, s" : "step, ms", "compute", "exposed", "hidden", "bubble", "update", "tokens/s"]
        let rows = lines.map { line in
            let t = line.time
            return ["\(line.sharding)", Quantity.bytes(line.costs.maximum(\.sent.total)), Quantity.bytes(line.memory)]
                + [t.total, t.compute, t.exposed, t.hidden, t.bubble, t.update].map(time) + [Quantity.grouped(Int(line.tokensPerSecond))]
        }
        return CampaignTable.aligned([head] + rows, right: [false] + head.dropFirst().map { _ in true })
    }

    private func losses(_ lines: [Line]) -> [String] {
        let head = ["a worker is lost", "from", "moved", "lasts", "microbatches", "checkpoint", "goodput", "tokens/s"]
        let rows = lines.map { line in
            let r = line.recovery
            return ["\(line.sharding)", r.source.rawValue, Quantity.bytes(Int(r.bytes)), Quantity.duration(seconds: r.seconds), Quantity.decimal(r.leavesLost, 1),
                r.checkpointSteps.map { "\(Quantity.grouped($0)) steps" } ?? "–", Quantity.percent(r.goodput), Quantity.grouped(Int(line.lastingTokensPerSecond))]
        }
        return CampaignTable.aligned([head] + rows, right: [false, false] + head.dropFirst(2).map { _ in true })
    }

    private var legend: String {
        """
        Bytes sent in a step and memory are the fullest worker's. A step is computing, transfers that are waited for, stages' bubble, sums \
        and update; hidden transfers go on beside. Below: what is moved and computed again after a loss, on the mean, and \
        the tokens a second that are left. Predicted, not measured.
        """
    }
}

extension ClusterPlan {
    /// A row for each choice that fits. Bytes and seconds; of workers that differ the largest and the mean.
    package var table: RunTable {
        let columns = [
            "choice", "state", "redundancy", "dp", "tp", "pp", "sent_bytes_max", "sent_bytes_mean", "sent_gradients_bytes_mean", "sent_reduced_bytes_mean",
            "sent_parameters_bytes_mean", "sent_redundancy_bytes_mean", "sent_tensor_bytes_mean", "sent_pipeline_bytes_mean", "memory_bytes_max", "memory_bytes_mean",
            "memory_parameters_bytes_max", "memory_moments_bytes_max", "memory_gradients_bytes_max", "memory_reduced_bytes_max", "memory_received_bytes_max", "memory_redundancy_bytes_max",
            "memory_activations_bytes_max", "step_s", "compute_s", "exposed_s", "hidden_s", "bubble_s", "update_s", "tokens_per_s", "recovery_source",
            "recovery_bytes", "recovery_s", "microbatches_lost", "checkpoint_steps", "goodput", "lasting_tokens_per_s",
        ]
        return RunTable("choices", columns, lines.map { line in
            let s = line.sharding, c = line.costs, t = line.time, r = line.recovery
            let sent: [(ShardingCosts.Worker) -> Int] = [\.sent.gradients, \.sent.reduced, \.sent.parameters, \.sent.redundancy, \.sent.tensor, \.sent.pipeline]
            let kept: [(ShardingCosts.Worker) -> Int] = [\.kept.parameters, \.kept.moments, \.kept.gradients, \.kept.reduced, \.kept.received, \.kept.redundancy, \.kept.activations]
            let names: [JSONValue] = [.text("\(s)"), .text(s.state.rawValue), .text(s.redundancy.rawValue), .integer(s.mesh.data), .integer(s.mesh.tensor), .integer(s.mesh.pipeline)]
            let bytes: [JSONValue] = [.integer(c.maximum(\.sent.total)), .real(c.mean(\.sent.total))] + sent.map { .real(c.mean($0)) }
            let memory: [JSONValue] = [.integer(line.memory), .real(c.mean(\.kept.total))] + kept.map { .integer(c.maximum($0)) }
            let times: [JSONValue] = [t.total, t.compute, t.exposed, t.hidden, t.bubble, t.update, line.tokensPerSecond].map { .real($0) }
            let recovery: [JSONValue] = [
                .text(r.source.rawValue), .real(r.bytes), .real(r.seconds), .real(r.leavesLost), JSONValue(r.checkpointSteps), .real(r.goodput), .real(line.lastingTokensPerSecond),
            ]
            return names + bytes + memory + times + recovery
        })
    }

    /// One document: conditions, the constants behind the times, the table, and what does not fit.
    package var json: String {
        let m = model.config, c = conditions, k = c.calibration, r = c.recovery
        func object(_ members: KeyValuePairs<String, JSONValue>) -> JSONValue { .object(members.map { (key: $0.key, value: $0.value) }) }
        return object([
            "model": object([
                "family": .text(m.family.rawValue), "parameters": .integer(model.floats), "layers": .integer(m.layers), "width": .integer(m.width),
                "context": .integer(m.context), "vocabulary": .integer(m.vocabulary), "microbatches": .integer(model.leaves),
                "sequences_per_microbatch": .integer(model.sequences),
            ]),
            "conditions": object([
                "workers": .integer(c.workers), "link_gbps": .real(c.link.gigabitsPerSecond), "link_us": .real(c.link.microseconds), "flops_per_s": .real(c.flops),
                "memory_bytes": JSONValue(c.memory), "failures_per_worker_hour": .real(c.failuresPerHour), "checkpoint_steps": JSONValue(c.checkpointSteps),
            ]),
            "constants": object([
                "link_share": .real(k.linkShare), "memory_bytes_per_s": .real(k.memoryBytesPerSecond), "update_bytes": .real(k.updateBytes),
                "addition_bytes": .real(k.additionBytes), "norm_bytes": .real(k.normBytes), "leaf_s": .real(k.leafSeconds), "step_s": .real(k.stepSeconds),
                "stolen_share": .real(k.stolenShare), "halved_share": .real(k.halvedShare), "overlaps_last_leaf": .flag(k.overlapsLastLeaf), "detect_s": .real(r.detectSeconds),
                "reform_s": .real(r.reformSeconds), "start_s": .real(r.startSeconds), "disk_bytes_per_s": .real(r.diskBytesPerSecond),
                "checkpoint_blocking_s": .real(r.blockingSeconds),
            ]),
            "choices": table.json,
            "refused": .list(refusals.map { object(["choice": .text($0.choice), "reason": .text($0.reason)]) }),
        ]).text + "\n"
    }
}
