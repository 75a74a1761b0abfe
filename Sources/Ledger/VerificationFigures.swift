// The headline figures a second time, straight from rows and intervals: another way to the same numbers.

extension Verification {
    /// One headline as it is reported, and as it follows from the raw rows.
    private struct Figure {
        let name: String, reported: Double, recomputed: Double
        var agrees: Bool { abs(reported - recomputed) <= 1e-9 * max(1, abs(reported)) }
    }

    static func figures(_ account: RunAccount) -> Check {
        let all = recomputed(account), wrong = all.filter { !$0.agrees }
        let first = wrong.first.map { "; \($0.name) is reported as \($0.reported) and comes out as \($0.recomputed)" } ?? ""
        return Check(.figures, "headlines follow from the rows", wrong.isEmpty, "\(all.count - wrong.count) of \(all.count) figures recomputed alike\(first)")
    }

    private static func recomputed(_ account: RunAccount) -> [Figure] {
        let record = account.record, h = account.headlines, e = h.effective
        let intervals = account.attribution.intervals
        func time(_ matches: (Category) -> Bool) -> Double {
            Double(intervals.reduce(0) { $0 + (matches($1.category) ? Int($1.end) - Int($1.start) : 0) })
        }
        let budget = Double(record.slots.reduce(0) { $0 + Int($1.closedNanoseconds) - Int($1.openedNanoseconds) })
        let productive = time { $0 == .productiveCompute }, wasted = time { $0.group == .waste }, steps = time { $0.group == .step }
        let hashes = account.commits.reduce(into: [String: CommitRow]()) { $0[$1.stateHash + "\($1.step)"] = $1 }
        let committed = Double(hashes.values.reduce(0) { $0 + $1.tokens })
        let perLeaf = (record.facts[RunFact.tokensPerStep].flatMap { Double($0) } ?? 0) / (record.facts[RunFact.microbatches].flatMap { Double($0) } ?? 1)
        let stages = record.stages
        let others = Dictionary(grouping: account.fates.executions.filter { $0.fate != .committed }) { stages[$0.place.session] ?? 1 }
        // An execution has all of a microbatch's tokens, or a stage's part of them; whole ones are counted.
        let tokens = others.reduce(0) { $0 + (Double($1.value.count) * perLeaf / Double($1.key)).rounded(.down) }
        let alive = record.replicas.reduce(0.0) { $0 + Double(lifetime($1, record)) }
        let leaves = account.fates.executions.filter { $0.fate == .committed }.map { Double($0.computeNanoseconds) }.sorted()
        let typical = leaves.isEmpty ? 0 : leaves[(leaves.count - 1) / 2]
        let reference = productive - leaves.reduce(0, +) + typical * Double(leaves.count)
        let price = (record.facts[RunFact.costPerWorkerHour].flatMap { Double($0) } ?? 0) / 3600
        var figures = [
            Figure(name: "worker-seconds", reported: h.workerSeconds, recomputed: budget / 1e9),
            Figure(name: "committed steps", reported: Double(h.committedSteps), recomputed: Double(hashes.count)),
            Figure(name: "committed tokens", reported: Double(h.committedTokens), recomputed: committed),
            Figure(name: "compute goodput", reported: h.computeGoodput, recomputed: ratio(productive, budget)),
            Figure(name: "step goodput", reported: h.stepGoodput, recomputed: ratio(productive + steps, budget)),
            Figure(name: "A", reported: e.availability, recomputed: ratio(alive, budget)),
            Figure(name: "R", reported: e.runtime, recomputed: ratio(productive + wasted, alive)),
            Figure(name: "C", reported: e.commitment, recomputed: ratio(productive, productive + wasted)),
            Figure(name: "S", reported: e.speed, recomputed: ratio(reference, productive)),
            Figure(name: "effective goodput", reported: e.product, recomputed: ratio(reference, budget) * e.equivalence),
            Figure(name: "cost", reported: h.cost, recomputed: budget / 1e9 * price),
        ]
        // Without the size of a step nobody can say how many tokens an execution had that no commit counts.
        if perLeaf > 0 || others.isEmpty {
            figures.append(Figure(name: "processed tokens", reported: Double(h.processedTokens), recomputed: committed + tokens))
            figures.append(Figure(name: "token goodput", reported: h.tokenGoodput, recomputed: ratio(committed, committed + tokens)))
        }
        return figures
    }

    /// From spawn to the fault that ended it, where its instant is known, else to its end as the launcher saw it.
    private static func lifetime(_ row: ReplicaRow, _ record: RunRecord) -> Int {
        guard let slot = record.slots.first(where: { $0.session == row.session && $0.slot == row.slot && row.spawnedNanoseconds >= $0.openedNanoseconds && row.spawnedNanoseconds <= $0.closedNanoseconds }) else { return 0 }
        let latest = min(row.reapedNanoseconds ?? slot.closedNanoseconds, slot.closedNanoseconds)
        var end = min(row.endedNanoseconds ?? latest, latest)
        if let death = record.incidents.last(where: { $0.replica == row.replica && $0.kind.isLoss }) { end = min(end, death.onsetNanoseconds) }
        return max(0, Int(end) - Int(max(row.spawnedNanoseconds, slot.openedNanoseconds)))
    }
}
