import Foundation
import Testing
import Ledger
import RunSpec

@Suite struct LedgerFollowerTests {
    private let path = FileManager.default.temporaryDirectory.path + "/headway-follower-\(UInt64.random(in: 0...(.max))).sqlite"

    private func withLedger(_ body: (LedgerStore) throws -> Void) throws {
        defer { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }
        #expect(try LedgerFollower(path) == nil)
        let store = try LedgerStore(writing: path)
        try store.setFact(RunFact.outcome, "running")
        try store.setFact(RunFact.steps, "10")
        try body(store)
    }

    private func commit(_ step: Int, session: Int = 1, second: UInt64) -> CommitRow {
        CommitRow(session: session, step: step, view: 1, nanoseconds: second * 1_000_000_000, lossSum: 30, tokens: 10, gradientNorm: 1, learningRate: 1,
            parentHash: "", stateHash: "", leafReplicas: [1])
    }

    private func event(_ phase: Phase, second: UInt64) -> FlightEvent {
        FlightEvent(nanoseconds: second * 1_000_000_000, runDelayNanoseconds: 0, step: 0, view: 1, unit: 0, phase: phase)
    }

    @Test func eachLookTakesInWhatIsNew() throws {
        try withLedger { store in
            try store.put(SessionRow(session: 1, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 0, source: "initial"))
            try store.put(SlotRow(session: 1, slot: 0, openedNanoseconds: 0, closedNanoseconds: 0))
            try store.put(ReplicaRow(replica: 1, session: 1, slot: 0, pid: 9, spawnedNanoseconds: 0))
            try store.append(commit(1, second: 1))
            try store.append([event(.glue, second: 0), event(.forward, second: 1), event(.glue, second: 4)], replica: 1)
            let follower = try #require(try LedgerFollower(path))
            #expect(try follower.look() == [], "the first look only finds out how things stand")
            #expect(follower.run.step == 1 && follower.run.loss == 3 && follower.run.workersAlive == 1 && follower.run.plannedSteps == 10)
            #expect(follower.run.goodput(at: 9_000_000_000) == 0.75)

            try store.append(commit(2, second: 3))
            try store.append(EvaluationRow(session: 1, step: 2, nanoseconds: 0, lossSum: 25, tokens: 10))
            try store.append(CheckpointRow(session: 1, step: 2, requestedNanoseconds: 0, bytes: 0, status: "no space left on device"))
            try store.put(IncidentRow(incident: 1, session: 1, kind: .crash, replica: 1, slot: 0, step: 2, onsetNanoseconds: 0, onsetIsExact: true,
                detectedNanoseconds: 0, leavesReassigned: 0, description: "worker 0 killed by signal 9"))
            #expect(try follower.look() == ["worker 0 killed by signal 9", "step 2: validation loss 2.5000 over 10 tokens", "checkpoint step-2 failed: no space left on device"])
            #expect(try follower.look() == [])
            #expect(follower.run.step == 2 && follower.run.tokensPerSecond == 5 && follower.run.secondsLeft == 16)
        }
    }

    @Test func aNewSessionBeginsAnew() throws {
        try withLedger { store in
            try store.put(SessionRow(session: 1, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 0, source: "initial"))
            try store.put(SlotRow(session: 1, slot: 0, openedNanoseconds: 0, closedNanoseconds: 0))
            try store.put(ReplicaRow(replica: 1, session: 1, slot: 0, pid: 9, spawnedNanoseconds: 0))
            for step in 1...5 { try store.append(commit(step, second: UInt64(step))) }
            let follower = try #require(try LedgerFollower(path))
            _ = try follower.look()
            try store.put(SessionRow(session: 2, startedNanoseconds: 9_000_000_000, startedUnixSeconds: 0, startStep: 3, source: "checkpoint"))
            #expect(try follower.look() == ["session 2 begins at step 3, its state from checkpoint"])
            #expect(follower.run.step == 3 && follower.run.workersAlive == 0 && follower.run.recentGoodput == nil)
        }
    }

    @Test func theLastMinuteForgetsWhatWasBefore() {
        var share = RecentShare()
        #expect(share.value == nil)
        for second in 1...200 { share.add(compute: Double(min(second, 120)), provisioned: Double(second), at: UInt64(second) * 1_000_000_000) }
        #expect(share.value == 0)
        for second in 201...230 { share.add(compute: 120 + Double(second - 200), provisioned: Double(second), at: UInt64(second) * 1_000_000_000) }
        #expect(abs(share.value! - 0.5) < 0.02)
    }
}
