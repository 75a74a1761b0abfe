import Testing
import Ledger

@Suite struct FatesTests {
    @Test func slowWorkersExecutionIsADuplicateWhenAnotherWasUsed() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 10)
        for slot in 0..<2 {
            run.event(slot, .forward, unit: slot)
            run.event(slot, .backward, unit: slot, at: 50)
        }
        // Slot 0 takes leaf 1 over while slot 1 is still at it.
        run.event(0, .forward, unit: 1, at: 100)
        run.event(0, .backward, unit: 1, at: 150)
        run.event(0, .reduce, at: 200)
        run.event(0, .awaitCommit, at: 210)
        run.event(1, .glue, at: 205)
        run.now = 220
        run.commit([1, 1])
        run.close()
        let account = RunAccount(run.record)
        #expect(account.fates.counts == [.committed: 2, .duplicate: 1])
        #expect(account.accounts.nanoseconds(.duplicate) == 195)
    }

    @Test func executionCompleteButNotPublishedAtDeathIsLostAndAPublishedOneIsNot() {
        for published in [false, true] {
            var run = RunScript()
            run.begin(slots: 2, initialise: 10)
            for slot in 0..<2 {
                run.event(slot, .forward, unit: slot)
                run.event(slot, .backward, unit: slot, at: 50)
            }
            run.event(0, .awaitLeaves, at: 90)
            run.now = 100
            if published { run.event(1, .glue) }
            run.die(1)
            if !published {
                run.newView()
                run.event(0, .forward, unit: 1)
                run.event(0, .backward, unit: 1, at: 150)
            }
            run.event(0, .reduce, at: 200)
            run.event(0, .awaitCommit, at: 210)
            run.now = 220
            run.commit([1, published ? 2 : 1])
            run.close()
            let account = RunAccount(run.record)
            #expect(account.fates.counts == (published ? [.committed: 2] : [.committed: 2, .lost: 1]), "published \(published)")
            #expect(account.fates.missing == [])
        }
    }

    @Test func interruptedRunsUnfinishedStepIsAborted() {
        var run = RunScript(outcome: "interrupted")
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(2, duration: 100)
        run.event(0, .forward)
        run.event(0, .backward, at: 240)
        run.now = 260
        run.close()
        let account = RunAccount(run.record)
        #expect(account.fates.counts == [.committed: 2, .aborted: 1])
        #expect(account.accounts.nanoseconds(.abortedWork) == 50)
        #expect(account.accounts.unaccountedNanoseconds == 0)
    }

    @Test func finishedRunWithUnexplainedWorkFails() {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(2, duration: 100)
        run.event(0, .forward)
        run.event(0, .backward, at: 240)
        run.event(0, .glue, at: 250)
        run.now = 260
        run.close()
        let account = RunAccount(run.record)
        #expect(account.fates.counts[.pending] == 1)
        #expect(Verification(account).failures.map(\.name) == ["every execution has one fate"])
    }

    @Test func leavesPublishedBeforeTheLauncherDiedAreUsedByTheSessionThatAdoptsThem() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 10)
        run.wholeSteps(1, slots: 2, duration: 100)
        for slot in 0..<2 {
            run.event(slot, .forward, unit: slot)
            run.event(slot, .backward, unit: slot, at: 160)
        }
        run.event(0, .reduce, at: 200)
        run.event(0, .awaitReduction, at: 210)
        run.now = 220
        run.close()
        run.now = 1000
        run.begin(slots: 2, initialise: 10, startStep: 1, source: "shared memory")
        run.event(1, .forward, unit: 1)
        run.event(1, .backward, unit: 1, at: 1060)
        run.event(1, .awaitCommit, at: 1110)
        run.event(0, .reduce)
        run.event(0, .awaitCommit, at: 1020)
        run.now = 1120
        run.commit([1, 4])
        run.close()
        let account = RunAccount(run.record)
        #expect(account.fates.counts == [.committed: 4, .aborted: 1])
        #expect(Verification(account).failures == [])
        // Slot 1's second leaf was cut short; what slot 0 had reduced, it reduced again.
        #expect(account.accounts.nanoseconds(.abortedWork) == 110 + 10)
        #expect(account.accounts.nanoseconds(.productiveCompute) == 200 + 90 + 100 + 10)
        #expect(account.accounts.unaccountedNanoseconds == 0)
    }
}
