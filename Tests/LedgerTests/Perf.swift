import Testing
import Ledger
@Test func perf() {
    var run = RunScript()
    run.begin(slots: 4, initialise: 10)
    for _ in 0..<10_000 {
        let t = run.now
        for slot in 0..<4 {
            for l in 0..<8 {
                let u = slot * 8 + l
                run.event(slot, .input, unit: u, at: t + UInt64(l) * 100)
                run.event(slot, .forward, unit: u, at: t + UInt64(l) * 100 + 10)
                run.event(slot, .backward, unit: u, at: t + UInt64(l) * 100 + 40, delay: 3)
                run.event(slot, .glue, unit: u, at: t + UInt64(l) * 100 + 95)
            }
            run.event(slot, .awaitLeaves, at: t + 800)
            run.event(slot, .reduce, at: t + 850)
            run.event(slot, .update, at: t + 870)
            run.event(slot, .awaitCommit, at: t + 900)
        }
        run.now = t + 950
        run.commit((0..<32).map { run.replica($0 / 8) })
        run.now = t + 1000
    }
    run.close()
    let clock = ContinuousClock()
    print(run.record.flights.values.reduce(0) { $0 + $1.count }, "events")
    var account: RunAccount?
    print("account", clock.measure { account = RunAccount(run.record) }, account!.accounts.unaccountedNanoseconds)
    print("verify", clock.measure { _ = Verification(account!) })
}
