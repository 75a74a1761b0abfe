import Ledger

/// Where worker time went, in equal stretches of the run.
struct PageGoodput: Encodable {
    static let buckets = 240
    /// Length of a bucket; the last one may be shorter.
    var bucket: Int
    /// Worker-nanoseconds of each bucket by group of categories.
    var groups: [String: [Int]]
    /// Provisioned worker-nanoseconds of each bucket.
    var provisioned: [Int]

    init(_ account: RunAccount, _ axis: PageAxis) {
        let width = max(1, (axis.total + Self.buckets - 1) / Self.buckets), count = axis.total == 0 ? 0 : (axis.total + width - 1) / width
        func add(_ start: Int, _ end: Int, to series: inout [Int]) {
            var start = start
            while start < end {
                let index = start / width, stop = min(end, (index + 1) * width)
                series[index] += stop - start
                start = stop
            }
        }
        var byGroup: [Category.Group: [Int]] = [:], provisioned = [Int](repeating: 0, count: count)
        for interval in account.attribution.intervals {
            let start = axis.position(interval.place.session, interval.start), end = axis.position(interval.place.session, interval.end)
            add(start, end, to: &byGroup[interval.category.group, default: [Int](repeating: 0, count: count)])
        }
        for slot in account.record.slots {
            add(axis.position(slot.session, slot.openedNanoseconds), axis.position(slot.session, slot.closedNanoseconds), to: &provisioned)
        }
        bucket = width
        groups = byGroup.reduce(into: [:]) { $0[$1.key.rawValue] = $1.value }
        self.provisioned = provisioned
    }
}

/// Losses along the steps of the final lineage.
struct PageLoss: Encodable {
    static let limit = 1000
    /// Step, mean, least and greatest loss of a stretch of steps that ends with it.
    var training: [[Double?]]
    /// Steps in a stretch.
    var stride: Int
    /// Step and loss.
    var validation: [[Double?]]
    /// Step, loss of the decision probe, loss of the audit probe.
    var probes: [[Double?]]
    var floor: Double?

    init(_ account: RunAccount) {
        let commits = account.commits.filter { $0.tokens > 0 }
        let losses = commits.map { $0.lossSum / Double($0.tokens) }
        let stretches = PageLoss.stretches(commits.count, limit: Self.limit)
        training = stretches.map { range in
            let part = losses[range], mean = part.reduce(0, +) / Double(part.count)
            return [Double(commits[range.upperBound - 1].step), mean.finite, part.min()?.finite, part.max()?.finite]
        }
        stride = stretches.map(\.count).max() ?? 1
        validation = account.validations.map { [Double($0.step), ($0.lossSum / Double($0.tokens)).finite] }
        probes = Contribution.probes(account.record, upTo: commits.last?.step ?? 0).map { row in
            func mean(_ nats: [Double]) -> Double? { (nats.reduce(0, +) / Double(max(1, nats.count * row.tokensPerSequence))).finite }
            return [Double(row.step), mean(row.decision), mean(row.audit)]
        }
        floor = account.record.facts[RunFact.lossFloor].flatMap { Double($0)?.finite }
    }

    /// At most `limit` ranges of about equal length that cover 0..<count.
    static func stretches(_ count: Int, limit: Int) -> [Range<Int>] {
        let parts = min(count, limit)
        return (0..<parts).map { count * $0 / parts..<count * ($0 + 1) / parts }
    }
}
