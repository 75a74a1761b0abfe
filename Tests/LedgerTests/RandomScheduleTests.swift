import Testing
import Ledger

/// Two hundred random runs with deaths, joins and resumes, on a simulated clock.
@Suite struct RandomScheduleTests {
    static let seeds = (0..<200).map { UInt64($0) &+ 20_260_101 }

    @Test(arguments: seeds) func everyNanosecondAndEveryExecutionIsAccountedFor(seed: UInt64) {
        let simulation = RunSimulation(seed: seed)
        simulation.run()
        let record = simulation.record, truth = simulation.truth
        let account = RunAccount(record), accounts = account.accounts
        let why = Comment(rawValue: "seed \(seed)")

        #expect(accounts.unaccountedNanoseconds == 0, why)
        #expect(accounts.overlaps == 0, why)
        #expect(accounts.excessRunDelayNanoseconds == 0, why)
        let failures = Verification(account).failures
        #expect(failures == [], why)

        #expect(account.fates.executions.count == truth.leavesBegun, why)
        #expect(account.fates.counts.values.reduce(0, +) == truth.leavesBegun, why)
        #expect(account.fates.counts[.pending] == nil, why)
        #expect(account.fates.counts[.committed] == account.commits.reduce(0) { $0 + $1.leafReplicas.count }, why)

        let lineage = Set(account.commits.map { [$0.session, $0.step - 1] })
        let committed = Set(record.commits.map { [$0.session, $0.step - 1] })
        let productive = truth.compute.reduce(0) { $0 + (lineage.contains($1.key) ? $1.value : 0) }
        let uncommitted = truth.compute.reduce(0) { $0 + (committed.contains($1.key) ? 0 : $1.value) }
        #expect(accounts.nanoseconds(.productiveCompute) == productive, why)
        #expect(accounts.nanoseconds(.abortedWork) == truth.cutShort + uncommitted, why)
        #expect(accounts.nanoseconds(.hostContention) == truth.runDelay, why)
        #expect(accounts.nanoseconds(.undetectedFailure) == truth.undetected, why)
        let effective = account.headlines.effective
        #expect(abs(effective.product - effective.direct) <= 1e-9, why)
        #expect(account.attribution.intervals.allSatisfy { $0.category.group != .failure || $0.incident != nil }, why)
    }
}
