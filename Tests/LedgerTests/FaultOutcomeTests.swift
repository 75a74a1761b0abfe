import Ledger
import Testing

@Suite struct FaultOutcomeTests {
    private func record(_ text: String, fired: UInt64? = 100, taken kind: IncidentKind? = nil) -> RunRecord {
        var record = RunRecord()
        record.faults = [FaultRow(session: 1, fault: 0, text: text, firedNanoseconds: fired)]
        if let kind {
            record.incidents = [IncidentRow(incident: 1, session: 1, kind: kind, replica: 1, slot: 0, step: 5, onsetNanoseconds: 100, onsetIsExact: true,
                detectedNanoseconds: 170, leavesReassigned: 0, fault: 0, description: "")]
        }
        return record
    }

    @Test(arguments: [
        ("crash worker=0 step=5", IncidentKind.crash, FaultOutcome.Verdict.found), ("crash worker=0 step=5", .hang, .misdiagnosed),
        ("hang worker=0 step=5", .stall, .found), ("segfault worker=0 step=5", .crash, .misdiagnosed),
        ("bitflip worker=0 step=5 target=parameters", .memory, .found), ("bitflip worker=0 step=5", .memory, .misdiagnosed),
        ("nonfinite worker=0 step=5", .corruption, .found), ("slow worker=0 step=5", .hang, .misdiagnosed),
    ])
    func `a fault that was noticed is found or mistaken, after the time it took`(text: String, kind: IncidentKind, verdict: FaultOutcome.Verdict) {
        let outcome = FaultOutcome.all(record(text, taken: kind))[0]
        #expect(outcome.verdict == verdict && outcome.latencyNanoseconds == 70 && outcome.takenFor == kind.rawValue)
    }

    @Test func `what struck and nobody noticed is missed, unless there is nothing to notice`() {
        #expect(FaultOutcome.all(record("bitflip worker=0 step=5"))[0].verdict == .missed)
        #expect(FaultOutcome.all(record("slow worker=0 step=5"))[0].verdict == .silent)
        #expect(FaultOutcome.all(record("crash worker=0 step=5", fired: nil))[0].verdict == .idle)
    }

    @Test func `the end of a writer shows in its checkpoint, that of a launcher in the next session`() {
        var writer = record("crash writer step=5")
        #expect(FaultOutcome.all(writer)[0].verdict == .missed)
        writer.checkpoints = [CheckpointRow(session: 1, step: 6, requestedNanoseconds: 90, bytes: 0, status: "the writer was killed by signal 9")]
        #expect(FaultOutcome.all(writer)[0].verdict == .found)
        var launcher = record("crash launcher step=5")
        #expect(FaultOutcome.all(launcher)[0].verdict == .missed)
        launcher.sessions = [1, 2].map { SessionRow(session: $0, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 0, source: "") }
        #expect(FaultOutcome.all(launcher)[0].verdict == .found)
    }

    @Test func `a damaged checkpoint is found by the first restore that reads it, missed if that takes it, and nobody's without`() {
        var torn = record("torn writer step=5", fired: 100)
        torn.checkpoints = [5, 10].map { CheckpointRow(session: 1, step: $0, requestedNanoseconds: UInt64($0) * 18, durableNanoseconds: UInt64($0) * 18 + 20, bytes: 1, status: "durable") }
        func outcome(_ restores: RestoreRow...) -> FaultOutcome {
            torn.restores = restores
            return FaultOutcome.all(torn)[0]
        }
        #expect(outcome().verdict == .silent)
        // Another one; the one it replaced.
        #expect(outcome(RestoreRow(session: 1, step: 10, nanoseconds: 300, damage: "bad"), RestoreRow(session: 1, step: 5, nanoseconds: 80, damage: "bad")).verdict == .silent)
        let found = outcome(RestoreRow(session: 1, step: 5, nanoseconds: 300, damage: "is truncated"), RestoreRow(session: 2, step: 5, nanoseconds: 400))
        #expect(found.verdict == .found && found.takenFor == "is truncated" && found.latencyNanoseconds == 200)
        // After the machine has been started anew its clock begins again.
        let later = outcome(RestoreRow(session: 2, step: 5, nanoseconds: 7, damage: "is truncated"))
        #expect(later.verdict == .found && later.latencyNanoseconds == nil)
        #expect(outcome(RestoreRow(session: 2, step: 5, nanoseconds: 400)).verdict == .missed)
    }

    @Test func `a full disk shows in its checkpoint, a slow one nowhere`() {
        var full = record("diskfull writer step=5")
        full.checkpoints = [CheckpointRow(session: 1, step: 6, requestedNanoseconds: 90, bytes: 0, status: "no room for it")]
        #expect(FaultOutcome.all(full)[0].verdict == .found && FaultOutcome.all(full)[0].takenFor == "no room for it")
        #expect(FaultOutcome.all(record("slowdisk writer step=5"))[0].verdict == .silent)
    }
}
