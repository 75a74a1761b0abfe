// From what was paid for down to what measurably lowered the loss of held-out text.

/// Worker-nanoseconds, each a part of the one before; `contributed`, `indeterminate`, `harmful` and `unmeasured` share
/// out `kept`. The first four are exact; which of the last four kept compute belongs to is measured, window by window.
package struct LossWaterfall: Equatable, Encodable, Sendable {
    package let provisioned: Int
    /// From spawn to the end, or to the onset of the fault that ended a worker.
    package let alive: Int
    /// P1 and W1 to W5.
    package let computing: Int
    /// P1: in the final weights.
    package let kept: Int
    /// Kept compute of steps in probe windows by their verdict on the audit probe.
    package let contributed: Int, indeterminate: Int, harmful: Int
    /// Kept compute of steps in no window.
    package let unmeasured: Int

    package init(_ account: RunAccount) {
        let accounts = account.accounts
        provisioned = accounts.budgetNanoseconds
        alive = Int((account.headlines.effective.availability * Double(provisioned)).rounded())
        kept = accounts.nanoseconds(.productiveCompute)
        computing = kept + accounts.nanoseconds(.waste)
        var byVerdict: [PairedEffect.Verdict: Int] = [:]
        let perStep = LossWaterfall.computePerStep(account)
        for window in account.contribution.windows where window.start < window.end {
            byVerdict[window.audit.verdict, default: 0] += (window.start..<window.end).reduce(0) { $0 + (perStep[$1] ?? 0) }
        }
        contributed = byVerdict[.contributed] ?? 0
        indeterminate = byVerdict[.indeterminate] ?? 0
        harmful = byVerdict[.harmful] ?? 0
        unmeasured = kept - contributed - indeterminate - harmful
    }

    /// P1 by step (committed steps before it): productive time belongs to the next commit of the lineage.
    private static func computePerStep(_ account: RunAccount) -> [Int: Int] {
        let bySession = Dictionary(grouping: account.commits, by: \.session)
        let sessions = bySession.keys.sorted()
        var result: [Int: Int] = [:], place: Place?, commits: [CommitRow] = [], next = 0
        for interval in account.attribution.intervals where interval.category == .productiveCompute {
            if interval.place != place { (place, commits, next) = (interval.place, bySession[interval.place.session] ?? [], 0) }
            while next < commits.count, commits[next].nanoseconds <= interval.start { next += 1 }
            // Leaves that a later session took over count for its first step.
            let commit = next < commits.count ? commits[next] : sessions.first { $0 > interval.place.session }.flatMap { bySession[$0]?.first }
            if let commit { result[commit.step - 1, default: 0] += interval.nanoseconds }
        }
        return result
    }
}
