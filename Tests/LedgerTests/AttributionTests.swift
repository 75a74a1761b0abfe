import Testing
import Ledger

/// Hand-made records with their exact intervals. A line is `slot: start–end code`, with the incident after `!` and the
/// slot that was waited for after `<`.
@Suite struct AttributionTests {
    private func lines(_ script: RunScript) -> [String] {
        Attribution(script.record).intervals.map {
            "\($0.place.slot): \($0.start)–\($0.end) \($0.category.code)" + ($0.incident.map { " !\($0)" } ?? "") + ($0.culprit.map { " <\($0)" } ?? "")
        }
    }

    /// Slot 0 computes its leaf until +100 and waits for slot 1 until +160 and ten more for its news; then reduce,
    /// update and commit, 20 and 30 each, slot 1 faster by 5, and 7 for the launcher's answer.
    private func fullStep(_ run: inout RunScript) {
        let t = run.now
        for slot in 0..<2 {
            run.event(slot, .input, unit: slot, at: t)
            run.event(slot, .forward, unit: slot, at: t + 10)
            run.event(slot, .backward, unit: slot, at: t + 40)
        }
        run.event(0, .glue, at: t + 98)
        run.event(0, .awaitLeaves, at: t + 100)
        run.event(1, .glue, at: t + 160)
        run.event(1, .reduce, at: t + 162)
        run.event(0, .reduce, at: t + 170)
        run.event(1, .awaitReduction, at: t + 177)
        run.event(0, .update, at: t + 190)
        run.event(1, .update, at: t + 192)
        run.event(1, .awaitCommit, at: t + 217)
        run.event(0, .awaitCommit, at: t + 220)
        run.now = t + 225
        run.commit([run.replica(0), run.replica(1)])
        run.now = t + 227
    }

    @Test func healthyRunOfTwoWorkersAndTwoSteps() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 50)
        for slot in 0..<2 {
            run.event(slot, .load)
            run.event(slot, .rendezvous, at: 60)
        }
        run.now = 70
        fullStep(&run)
        fullStep(&run)
        run.close()
        func step(_ slot: Int, _ t: Int) -> [String] {
            let pieces: [(Int, Int, String)] = slot == 0
                ? [(0, 10, "S3"), (10, 40, "P1"), (40, 98, "P1"), (98, 100, "S4"), (100, 160, "S2 <1"), (160, 170, "S1"),
                    (170, 190, "P1"), (190, 220, "P1"), (220, 227, "S1")]
                : [(0, 10, "S3"), (10, 40, "P1"), (40, 160, "P1"), (160, 162, "S4"), (162, 177, "P1"), (177, 190, "S2 <0"),
                    (190, 192, "S1"), (192, 217, "P1"), (217, 220, "S2 <0"), (220, 227, "S1")]
            return pieces.map { "\(slot): \(t + $0.0)–\(t + $0.1) \($0.2)" }
        }
        let expected = [0, 1].flatMap { slot in
            ["\(slot): 0–50 I2", "\(slot): 50–60 I4", "\(slot): 60–70 I3"] + step(slot, 70) + step(slot, 297)
        }
        #expect(lines(run) == expected)
        let account = RunAccount(run.record)
        #expect(account.accounts.unaccountedNanoseconds == 0)
        #expect(account.headlines.committedSteps == 2)
        #expect(account.headlines.medianLeafNanoseconds == 88)
        #expect(account.headlines.tokenGoodput == 1)
    }

    @Test func killInBackwardWithAReplacement() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 100)
        // Both compute; slot 1 dies at 180 in backward, is noticed at 200 and planned around at 205.
        for slot in 0..<2 {
            run.event(slot, .forward, unit: slot, at: 100)
            run.event(slot, .backward, unit: slot, at: 140)
        }
        run.event(0, .awaitLeaves, at: 170)
        run.now = 180
        run.die(1, unnoticed: 20)
        run.record.incidents[0].plannedNanoseconds = 205
        run.record.replicas[1].reapedNanoseconds = 202
        // The survivor computes the lost leaf in a new view, the replacement starts beside it.
        run.newView()
        run.now = 210
        run.spawn(1, incident: 1, silent: true)
        run.event(1, .initialise, at: 215)
        run.event(1, .load, at: 230)
        run.event(1, .rendezvous, at: 240)
        run.event(0, .input, unit: 1, at: 212)
        run.event(0, .forward, unit: 1, at: 215)
        run.event(0, .backward, unit: 1, at: 250)
        run.event(0, .reduce, at: 300)
        run.event(0, .update, at: 320)
        run.event(0, .awaitCommit, at: 340)
        run.now = 350
        run.commit([1, 1])
        run.newView()
        run.wholeStep([100, 100])
        run.close()
        #expect(lines(run) == [
            "0: 0–100 I2", "0: 100–140 P1", "0: 140–170 P1", "0: 170–180 S2 <1", "0: 180–200 F2 !1 <1", "0: 200–212 F12 !1 <1",
            "0: 212–215 S3", "0: 215–250 P1", "0: 250–300 P1", "0: 300–320 P1", "0: 320–340 P1", "0: 340–350 S1", "0: 350–400 P1", "0: 400–450 P1",
            "1: 0–100 I2", "1: 100–140 W1 !1", "1: 140–180 W1 !1", "1: 180–200 F1 !1", "1: 200–205 F3 !1", "1: 205–210 F6 !1",
            "1: 210–215 F5 !1", "1: 215–230 F5 !1", "1: 230–240 F9 !1", "1: 240–350 D4 !1", "1: 350–400 P1", "1: 400–450 P1",
        ])
        let account = RunAccount(run.record)
        #expect(account.accounts.unaccountedNanoseconds == 0)
        #expect(account.fates.counts == [.committed: 4, .lost: 1])
        #expect(account.incidents[0].detectionNanoseconds == 20)
        #expect(account.incidents[0].microbatchesLost == 1)
        #expect(account.incidents[0].onsetToCommitNanoseconds == 170)
        #expect(account.fates.processedTokens == 200 + 50)
        #expect(Verification(account).failures == [])
    }

    @Test func killOfAllWorkersInReduce() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 10)
        for slot in 0..<2 {
            run.event(slot, .forward, unit: slot)
            run.event(slot, .backward, unit: slot, at: 20)
            run.event(slot, .reduce, at: 30)
        }
        run.now = 40
        run.die(0, unnoticed: 5)
        run.die(1, unnoticed: 5)
        run.record.incidents[0].plannedNanoseconds = 90
        run.record.incidents[1].plannedNanoseconds = 90
        run.now = 50
        for slot in 0..<2 { run.spawn(slot, incident: slot + 1) }
        // Leaves are safe in shared memory; the chunks are reduced again.
        for slot in 0..<2 {
            run.event(slot, .reduce, at: 90)
            run.event(slot, .update, at: 100)
            run.event(slot, .awaitCommit, at: 110)
        }
        run.now = 120
        run.commit([1, 2])
        run.close()
        #expect(lines(run) == (0..<2).flatMap { slot in
            ["0–10 I2", "10–20 P1", "20–30 P1", "30–40 W1 !\(slot + 1)", "40–45 F1 !\(slot + 1)", "45–50 F3 !\(slot + 1)",
                "50–90 F5 !\(slot + 1)", "90–100 P1", "100–110 P1", "110–120 S1"].map { "\(slot): \($0)" }
        })
        let account = RunAccount(run.record)
        #expect(account.fates.counts == [.committed: 2])
        #expect(account.accounts.unaccountedNanoseconds == 0)
    }

    @Test func reduceCutShortIsUsedWhenNobodyHadToBeginItAgain() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 10)
        for slot in 0..<2 {
            run.event(slot, .forward, unit: slot)
            run.event(slot, .backward, unit: slot, at: 20)
            run.event(slot, .reduce, at: 30)
            run.event(slot, .update, at: 40)
        }
        run.event(0, .awaitCommit, at: 50)
        run.now = 50
        run.die(1, unnoticed: 3)
        run.now = 60
        run.commit([1, 2])
        run.close()
        // Without a replacement the slot stays empty to the end.
        #expect(lines(run).suffix(3) == ["1: 40–50 P1", "1: 50–53 F1 !1", "1: 53–60 F6 !1"])
    }

    @Test func aStepMayBeCommittedWhileMembersOfItsViewMeet() {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.event(0, .forward)
        run.event(0, .backward, at: 20)
        run.event(0, .awaitCommit, at: 30)
        run.event(0, .regroup, at: 40)
        run.now = 60
        run.commit([1])
        run.event(0, .regroup)
        run.event(0, .forward, at: 65)
        run.event(0, .backward, at: 75)
        run.event(0, .awaitCommit, at: 80)
        run.now = 90
        run.commit([1])
        run.close()
        #expect(lines(run).contains("0: 40–60 I3") && lines(run).contains("0: 60–65 I3"))
        #expect(RunAccount(run.record).accounts.unaccountedNanoseconds == 0)
    }

    @Test func resumeRollsBackWholeStepsAndKeepsTheirEvaluation() {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(1, duration: 100)
        run.event(0, .evaluate)
        run.event(0, .input, at: run.now + 5)
        run.event(0, .forward, at: run.now + 8)
        run.event(0, .backward, at: run.now + 50)
        run.event(0, .awaitCommit, at: run.now + 100)
        run.now += 120
        run.commit([1])
        run.close()
        run.now = 1000
        run.begin(slots: 1, initialise: 10, startStep: 1, source: "checkpoint")
        run.wholeSteps(2, duration: 100)
        run.close()
        #expect(lines(run) == [
            "0: 0–10 I2", "0: 10–60 P1", "0: 60–110 P1", "0: 110–115 E1", "0: 115–118 W2", "0: 118–160 W2", "0: 160–210 W2", "0: 210–230 W2",
            "0: 1000–1010 I2", "0: 1010–1060 P1", "0: 1060–1110 P1", "0: 1110–1160 P1", "0: 1160–1210 P1",
        ])
        let account = RunAccount(run.record)
        #expect(account.lineage.rows == [0, 2, 3])
        #expect(account.fates.counts == [.committed: 3, .superseded: 1])
        #expect(account.fates.committedTokens == 300 && account.fates.processedTokens == 400)
        #expect(Verification(account).failures == [])
    }

    @Test func workerKilledBeforeItsFirstEventWasAFailedRecovery() {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(1, duration: 100)
        run.die(0)
        run.spawn(0, incident: 1, silent: true)
        run.record.incidents.append(IncidentRow(
            incident: 2, session: 1, kind: .death, replica: 2, slot: 0, step: 1, onsetNanoseconds: 150, onsetIsExact: false,
            detectedNanoseconds: 150, plannedNanoseconds: 150, leavesReassigned: 0, fault: nil, description: ""))
        run.end(2, at: 150)
        run.now = 150
        run.spawn(0, incident: 2)
        run.now = 160
        run.wholeSteps(1, duration: 100)
        run.close()
        #expect(lines(run) == [
            "0: 0–10 I2", "0: 10–60 P1", "0: 60–110 P1", "0: 110–150 F13 !1", "0: 150–160 F5 !2", "0: 160–210 P1", "0: 210–260 P1",
        ])
        #expect(Accounts(run.record).unaccountedNanoseconds == 0)
    }

    @Test func missingEventsLeaveARemainder() {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(4, duration: 100)
        run.close()
        // The ring lost everything between the forward passes of the first and the third step.
        run.record.flights[1]!.removeSubrange(2..<7)
        #expect(lines(run) == ["0: 0–10 I2", "0: 210–260 P1", "0: 260–310 P1", "0: 310–360 P1", "0: 360–410 P1"])
        let account = RunAccount(run.record)
        #expect(account.accounts.unaccountedNanoseconds == 200)
        #expect(account.fates.missing.map(\.step) == [2])
        #expect(Verification(account).failures.map(\.name) == ["the ledger closes", "every leaf of every step was computed"])
    }

    @Test func runDelayIsTakenFromTheEndOfItsSpanAndNeverExceedsIt() {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.event(0, .forward)
        run.event(0, .backward, at: 60, delay: 20)
        run.event(0, .awaitCommit, at: 110, delay: 80)
        run.now = 120
        run.commit([1])
        run.close()
        #expect(lines(run) == ["0: 0–10 I2", "0: 10–40 P1", "0: 40–60 H1", "0: 60–110 H1", "0: 110–120 S1"])
        #expect(Accounts(run.record).excessRunDelayNanoseconds == 30)
    }

    @Test func finishingEarlyShuttingDownAndAFinalEvaluation() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 10)
        run.wholeSteps(1, slots: 2, duration: 100)
        run.event(0, .evaluate, at: 110)
        run.event(0, .awaitEvaluation, at: 130)
        run.event(1, .evaluate, at: 110)
        run.event(1, .awaitEvaluation, at: 150)
        run.event(0, .leave, at: 155)
        run.end(1, at: 160)
        run.event(1, .leave, at: 170)
        run.end(2, at: 175)
        run.now = 200
        run.close()
        #expect(lines(run).filter { !$0.contains("P1") && !$0.contains("I2") } == [
            "0: 110–130 E1", "0: 130–155 Q3", "0: 155–160 Q2", "0: 160–170 Q3", "0: 170–200 Q2",
            "1: 110–150 E1", "1: 150–170 Q3", "1: 170–175 Q2", "1: 175–200 Q2",
        ])
    }

    @Test func waitingAtTheEndForTheCheckpointBeforeTheLastIsBackPressure() {
        var run = RunScript()
        run.begin(slots: 2, initialise: 10)
        run.wholeSteps(1, slots: 2, duration: 100)
        for slot in 0..<2 { run.event(slot, .leave) }
        run.end(1, at: 112)
        run.end(2, at: 115)
        run.record.launcherSpans.append(LauncherSpanRow(session: 1, startNanoseconds: 113, endNanoseconds: 140, category: .backPressure))
        run.now = 150
        run.close()
        #expect(lines(run).filter { !$0.contains("P1") && !$0.contains("I2") && !$0.contains("S") } == [
            "0: 110–112 Q2", "0: 112–113 Q2", "0: 113–140 K2", "0: 140–150 Q2", "1: 110–115 Q2", "1: 115–140 K2", "1: 140–150 Q2",
        ])
        #expect(Verification(RunAccount(run.record)).failures == [])
    }

    @Test func slotsOfASessionWithoutAnEndReachToTheLastThingKnown() {
        var run = RunScript(outcome: "running")
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(2, duration: 100)
        run.event(0, .forward)
        run.event(0, .backward, at: 240)
        let account = RunAccount(run.record)
        #expect(account.accounts.budgetNanoseconds == 240)
        #expect(account.accounts.unaccountedNanoseconds == 0)
        #expect(account.fates.counts == [.committed: 2, .pending: 1])
    }

    @Test func commitsOfALiveRunMayBeAheadOfItsRecordedEvents() {
        var run = RunScript(outcome: "running")
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(3, duration: 100)
        // The worker's ring was last read in the second step.
        run.record.flights[1]!.removeLast(4)
        let account = RunAccount(run.record)
        #expect(account.accounts.budgetNanoseconds == 160)
        #expect(account.accounts.unaccountedNanoseconds == 0)
        #expect(account.fates.missing.map(\.step) == [3])
        #expect(Verification(account).failures == [])
    }
}
