/// The share of productive compute over the last minute, from sums that only grow.
package struct RecentShare: Sendable {
    package static let windowNanoseconds: UInt64 = 60_000_000_000
    /// Samples closer together than this are one: a minute never holds more than a few hundred.
    private static let spacingNanoseconds: UInt64 = 250_000_000

    private struct Sample: Sendable {
        var nanoseconds: UInt64, compute: Double, provisioned: Double
    }
    private var samples: [Sample] = []

    package init() {}

    /// - Parameters:
    ///   - compute, provisioned: worker-nanoseconds since the beginning.
    ///   - nanoseconds: now.
    package mutating func add(compute: Double, provisioned: Double, at nanoseconds: UInt64) {
        if samples.isEmpty { samples = [Sample(nanoseconds: nanoseconds, compute: 0, provisioned: 0)] }
        let sample = Sample(nanoseconds: nanoseconds, compute: compute, provisioned: provisioned)
        // The newest is always replaced until it is far enough from the one before.
        if samples.count > 1, nanoseconds < samples[samples.count - 2].nanoseconds + Self.spacingNanoseconds { samples.removeLast() }
        samples.append(sample)
        let past = samples.firstIndex { $0.nanoseconds + Self.windowNanoseconds > nanoseconds } ?? 0
        // One older sample stays: the window begins at it.
        samples.removeFirst(max(0, past - 1))
    }

    /// 0 to 1; nil before anything was provisioned.
    package var value: Double? {
        guard let first = samples.first, let last = samples.last, last.provisioned > first.provisioned else { return nil }
        return min(1, max(0, (last.compute - first.compute) / (last.provisioned - first.provisioned)))
    }
}
