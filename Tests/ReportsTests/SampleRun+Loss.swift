import Ledger

extension RunRecord {
    /// With credits, probes every four steps, leaf norms and sampled contributions: the loss falls ever more slowly, slot 1
    /// can be made to compute the opposite of what it should. Deterministic.
    func withLossRecords(every: Int = 4, sequences: Int = 16, poisonedSlot: Int? = nil) -> RunRecord {
        var record = self, noise = Noise()
        func level(_ step: Int) -> Double { 1.5 + 4 / Double(step + 1) }
        let hardness = (0..<2 * sequences).map { _ in noise.next() }
        let slots = Dictionary(record.replicas.map { ($0.replica, $0.slot) }, uniquingKeysWith: { $1 })
        for index in record.commits.indices {
            // More microbatches than the flights tell of: enough to compare workers.
            if poisonedSlot != nil { record.commits[index].leafReplicas = Array(repeating: record.commits[index].leafReplicas, count: 6).flatMap { $0 } }
            let step = record.commits[index].step, drop = level(step - 2) - level(step - 1)
            let promised = level(step - 1) - level(step), leaves = record.commits[index].leafReplicas
            record.commits[index].leafForesight = leaves.map { _ in promised + 0.02 * noise.next() }
            if step > 1 { record.commits[index].leafHindsight = leaves.map { _ in drop + 0.02 * noise.next() } }
            record.commits[index].leafSquares = record.commits[index].leafReplicas.map { _ in 1.5 + 0.1 * noise.next() }
        }
        let last = record.commits.last?.step ?? 0
        for step in Set(Array(stride(from: 0, through: last, by: every)) + [last]).sorted() {
            let nats = hardness.map { 32 * (level(step) + 0.3 * $0 + 0.01 * noise.next()) }
            record.probes.append(ProbeRow(
                session: 1, step: step, nanoseconds: 0, decision: Array(nats[..<sequences]), audit: Array(nats[sequences...]), tokensPerSequence: 32))
            guard let commit = record.commits.first(where: { $0.step == step + 1 }), step > 0 else { continue }
            let leaves = commit.leafReplicas.map { (slots[$0] == poisonedSlot ? -1 : 1) * (1e-4 + 1e-6 * noise.next()) }
            record.contributions.append(ContributionRow(session: 1, step: step, leaves: leaves))
        }
        return record
    }

    /// −1 to 1, from a linear congruential generator.
    private struct Noise {
        private var state: UInt64 = 7
        mutating func next() -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Double(state >> 11) / Double(1 << 52) - 1
        }
    }
}
