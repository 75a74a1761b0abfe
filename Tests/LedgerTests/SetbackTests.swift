import Ledger
import Testing

/// Work that a decision made worthless.
@Suite struct SetbackTests {
    private let second = RunScript.second

    @Test func `a run that went back and committed nothing more stands where it went back to`() {
        var run = RunScript(outcome: "interrupted")
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50)
        run.rewind(to: 40)
        run.close()
        let account = RunAccount(run.record)
        #expect(run.record.position.step == 40 && run.record.position.stateHash == "state-40")
        #expect(account.headlines.committedSteps == 40 && account.fates.counts == [.committed: 40, .superseded: 10])
        #expect(account.accounts.nanoseconds(.rolledBack) == Int(10 * second))
    }

    @Test func `a later session begins where the run stands`() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50)
        run.close()
        run.begin(slots: 1, initialise: second, startStep: 30, source: "checkpoint")
        #expect(run.record.position.step == 30)
        run.wholeSteps(2)
        #expect(run.record.position.step == 32)
        run.rewind(to: 0)
        run.record.facts[RunFact.initialHash] = "state-0"
        #expect(run.record.position.step == 0 && run.record.position.stateHash == "state-0")
    }

    /// Of one microbatch, 100 ns, and what follows it, 50 ns.
    private func attempt(_ run: inout RunScript, _ forward: Bool) {
        if forward {
            run.event(0, .forward)
            run.event(0, .backward, at: run.now + 50)
            run.now += 100
        }
        run.event(0, .reduce)
        run.event(0, .update, at: run.now + 20)
        run.event(0, .awaitCommit, at: run.now + 40)
        run.now += 50
    }

    @Test func `a step that was checked, committed, rolled back and checked again lost its first commit to the way back`() {
        for kind in [SetbackRow.Kind.recheck, .discard] {
            var run = RunScript()
            run.begin(slots: 1, initialise: 10)
            for life in 1...2 {
                attempt(&run, true)
                run.record.setbacks.append(SetbackRow(session: 1, step: 0, nanoseconds: run.now, kind: kind, toStep: 0, incident: nil))
                if kind == .discard { run.newView() }
                attempt(&run, kind == .discard)
                run.commit([1])
                if life == 1 { run.rewind(to: 0) }
            }
            run.close()
            let accounts = RunAccount(run.record).accounts
            #expect(accounts.nanoseconds(.rolledBack) == 150 && accounts.unaccountedNanoseconds == 0)
            #expect(accounts.nanoseconds(kind == .recheck ? .duplicate : .abortedWork) == (kind == .recheck ? 100 : 300))
        }
    }

    @Test func `what follows the microbatches is thrown away by a recheck, and everything by a discard`() {
        for kind in [SetbackRow.Kind.recheck, .discard] {
            var run = RunScript()
            run.begin(slots: 1, initialise: 10)
            attempt(&run, true)
            run.record.setbacks.append(SetbackRow(session: 1, step: 0, nanoseconds: run.now, kind: kind, toStep: 0, incident: nil))
            if kind == .discard { run.newView() }
            attempt(&run, kind == .discard)
            run.commit([1])
            run.close()
            let account = RunAccount(run.record)
            if kind == .recheck {
                #expect(account.accounts.nanoseconds(.duplicate) == 50)
            } else {
                #expect(account.accounts.nanoseconds(.abortedWork) == 150)
            }
            #expect(account.accounts.unaccountedNanoseconds == 0)
        }
    }
}
