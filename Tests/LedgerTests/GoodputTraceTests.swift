import Testing
import Ledger

/// Traces with a known answer: a step is one second of compute per slot unless stated, a start takes one second,
/// a hundred steps are in the final lineage.
@Suite struct GoodputTraceTests {
    private let second = RunScript.second

    /// Exact to the nanosecond, closed, and with the given share of productive compute.
    private func expect(
        _ script: RunScript, budget: Double, _ categories: [String: Double], _ location: SourceLocation = #_sourceLocation
    ) -> RunAccount {
        let account = RunAccount(script.record)
        #expect(account.accounts.budgetNanoseconds == Int(budget * 1e9), sourceLocation: location)
        #expect(seconds(account.accounts.byCategory) == categories, sourceLocation: location)
        #expect(account.accounts.unaccountedNanoseconds == 0, sourceLocation: location)
        #expect(account.accounts.overlaps == 0, sourceLocation: location)
        #expect(abs(account.headlines.computeGoodput - (categories["P1"] ?? 0) / budget) < 1e-12, sourceLocation: location)
        #expect(Verification(account).failures == [], sourceLocation: location)
        return account
    }

    @Test func aHealthyRun() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(100)
        run.close()
        _ = expect(run, budget: 101, ["P1": 100, "I2": 1])
    }

    @Test func bPeerKilledUnnoticedForAMinuteAndTheAttemptDiscarded() {
        var run = RunScript()
        run.begin(slots: 2, initialise: second)
        run.wholeSteps(49, slots: 2)
        for slot in 0..<2 {
            run.event(slot, .forward, unit: slot)
            run.event(slot, .backward, unit: slot, at: run.now + second / 4)
        }
        run.now += second / 2
        run.event(0, .awaitLeaves)
        run.die(1, unnoticed: 60 * second)
        run.now += 60 * second
        run.newView()
        run.spawn(1, incident: 1)
        run.wholeSteps(51, slots: 2)
        run.close()
        let account = expect(run, budget: 323, ["P1": 200, "W1": 1, "F1": 60, "F2": 60, "I2": 2])
        #expect(seconds(account.incidents[0].bill) == ["W1": 1, "F1": 60, "F2": 60])
        #expect(account.incidents[0].microbatchesLost == 2)
        #expect(account.fates.counts == [.committed: 200, .lost: 1, .aborted: 1])
    }

    @Test func cCrashAndReturnToACheckpoint() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(49)
        crashInForward(&run)
        run.spawn(0, incident: 1)
        run.now += 30 * second
        run.rewind(to: 40, for: 1)
        run.wholeSteps(60)
        run.close()
        let account = expect(run, budget: 140.5, ["P1": 100, "W1": 0.5, "W2": 9, "F5": 30, "I2": 1])
        #expect(account.fates.counts == [.committed: 100, .superseded: 9, .lost: 1])
        // The first run of steps 41 to 49 is the waste, and the crash is to blame for it.
        let rewound = account.attribution.intervals.filter { $0.category == .rolledBack }
        #expect(rewound.allSatisfy { $0.end <= 50 * second && $0.incident == 1 })
    }

    @Test func dCrashJustAfterACommit() {
        let run = RunScript.crashAfterACommit()
        _ = expect(run, budget: 131, ["P1": 100, "F5": 30, "I2": 1])
    }

    @Test func eStepAbortedInPlaceFiveTimes() {
        let run = RunScript.stepAbortedInPlaceFiveTimes()
        let account = expect(run, budget: 106, ["P1": 100, "W1": 5, "I2": 1])
        #expect(account.fates.counts == [.committed: 100, .aborted: 5])
    }

    @Test func fShortSteps() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(5_000, duration: 20 * RunScript.millisecond)
        run.close()
        _ = expect(run, budget: 101, ["P1": 100, "I2": 1])
    }

    @Test func gStartsThatDieBeforeAnyCommit() {
        var run = RunScript()
        for _ in 0..<3 {
            run.begin(slots: 1, initialise: 30 * second)
            run.die(0)
            run.close()
        }
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(100)
        run.close()
        let account = expect(run, budget: 191, ["P1": 100, "F13": 90, "I2": 1])
        #expect(account.incidents.map { seconds($0.bill) } == Array(repeating: ["F13": 30], count: 3))
    }

    @Test func hRewindByHand() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(80)
        run.rewind(to: 50)
        run.wholeSteps(50)
        run.close()
        let account = expect(run, budget: 131, ["P1": 100, "W2": 30, "I2": 1])
        #expect(account.attribution.intervals.allSatisfy { $0.category != .rolledBack || $0.incident == nil })
    }

    @Test func iStraggler() {
        var run = RunScript()
        run.begin(slots: 4, initialise: second)
        run.wholeSteps(50, slots: 4)
        for _ in 0..<50 { run.wholeStep([second, second, second, 3 * second]) }
        run.close()
        let account = expect(run, budget: 804, ["P1": 500, "S2": 300, "I2": 4])
        #expect(account.accounts.straggledFor == [3: Int(300 * second)])
        #expect(account.headlines.effective.speed == 0.8)
    }

    @Test func jEmptySlotForAMinute() {
        var run = afterAnEmptyMinute()
        run.wholeSteps(50, slots: 2)
        run.close()
        _ = expect(run, budget: 322, ["P1": 200, "F6": 60, "F12": 60, "I2": 2])
    }

    @Test func j2EmptySlotThenARewindInPlace() {
        var run = afterAnEmptyMinute()
        run.rewind(to: 40, for: 1)
        run.wholeSteps(60, slots: 2)
        run.close()
        _ = expect(run, budget: 342, ["P1": 200, "W2": 20, "F6": 60, "F12": 60, "I2": 2])
    }

    @Test func j3EmptySlotThenARewindAndANewStart() {
        var run = afterAnEmptyMinute(replaced: false)
        run.close()
        run.begin(slots: 2, initialise: second, startStep: 40, source: "checkpoint")
        run.wholeSteps(60, slots: 2)
        run.close()
        _ = expect(run, budget: 344, ["P1": 200, "W2": 20, "F6": 60, "F12": 60, "I2": 4])
    }

    /// No worker records a verification with a validation pass inside, so this one speaks to the layer below.
    @Test func kInnermostIntervalCounts() {
        let place = Place(session: 1, slot: 0)
        var timeline = Timeline()
        timeline.attempts = [AttemptVerdict(.committed)]
        timeline.spans = [
            TimelineSpan(place, from: 0, to: second, .settled(.initialisation)),
            TimelineSpan(place, from: second, to: 51 * second, .work(0)),
            TimelineSpan(place, from: 51 * second, to: 69 * second, .settled(.verification)),
            TimelineSpan(place, from: 51 * second, to: 69 * second, .settled(.evaluation)),
            TimelineSpan(place, from: 69 * second, to: 119 * second, .work(0)),
        ]
        let slot = SlotRow(session: 1, slot: 0, openedNanoseconds: 0, closedNanoseconds: 119 * second)
        let accounts = Accounts(slots: [slot], intervals: timeline.intervals())
        #expect(seconds(accounts.byCategory) == ["P1": 100, "E1": 18, "I2": 1])
        #expect(accounts.unaccountedNanoseconds == 0 && accounts.overlaps == 0)
    }

    @Test func lCrashInsideAValidationPass() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50)
        run.event(0, .evaluate)
        run.now += 10 * second
        run.die(0)
        run.spawn(0, incident: 1)
        run.now += 30 * second
        run.wholeSteps(50)
        run.close()
        _ = expect(run, budget: 141, ["P1": 100, "E1": 10, "F5": 30, "I2": 1])
    }

    @Test func mCrashDuringRecovery() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(49)
        crashInForward(&run)
        run.spawn(0, incident: 1)
        run.now += 10 * second
        run.die(0)
        run.spawn(0, incident: 2)
        run.now += 30 * second
        run.wholeSteps(51)
        run.close()
        let account = expect(run, budget: 141.5, ["P1": 100, "W1": 0.5, "F13": 10, "F5": 30, "I2": 1])
        #expect(account.incidents.map { seconds($0.bill) } == [["W1": 0.5, "F13": 10], ["F5": 30]])
    }

    private func crashInForward(_ run: inout RunScript) {
        run.event(0, .forward)
        run.now += second / 2
        run.die(0)
    }

    /// Two slots, fifty steps; then slot 1 is empty for a minute and slot 0 waits for it.
    private func afterAnEmptyMinute(replaced: Bool = true) -> RunScript {
        var run = RunScript()
        run.begin(slots: 2, initialise: second)
        run.wholeSteps(50, slots: 2)
        run.die(1)
        run.event(0, .awaitLeaves)
        run.now += 60 * second
        run.newView()
        if replaced { run.spawn(1, incident: 1) }
        return run
    }
}
