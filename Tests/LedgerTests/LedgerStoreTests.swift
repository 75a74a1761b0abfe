import Foundation
import Ledger
import RunSpec
import Testing

@Suite struct LedgerStoreTests {
    private let path = FileManager.default.temporaryDirectory.path + "/headway-store-\(UInt64.random(in: 0...(.max))).sqlite"

    private func withLedger(_ body: (LedgerStore) throws -> Void) throws {
        defer { for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) } }
        try body(LedgerStore(writing: path))
    }

    @Test func `of what is appended together all is there or nothing`() throws {
        struct Stop: Error {}
        try withLedger { store in
            try store.setFact(RunFact.outcome, "finished")
            func begin(_ session: Int, fails: Bool) throws {
                try store.together {
                    try store.put(SessionRow(session: session, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 3, source: "checkpoint"))
                    try store.together { try store.setFact(RunFact.outcome, "running") }
                    #expect(try store.fact(RunFact.outcome) == "finished")
                    if fails { throw Stop() }
                }
            }
            #expect(throws: Stop.self) { try begin(1, fails: true) }
            var record = try LedgerStore.read(path)
            #expect(record.sessions.isEmpty && record.facts[RunFact.outcome] == "finished")
            try begin(2, fails: false)
            record = try LedgerStore.read(path)
            #expect(record.sessions.map(\.session) == [2] && record.facts[RunFact.outcome] == "running")
        }
    }

    private func commit(_ step: Int, session: Int, norm: Double, isVetoed: Bool = false) -> CommitRow {
        CommitRow(session: session, step: step, view: 1, nanoseconds: 0, lossSum: 0, tokens: 0, gradientNorm: norm, learningRate: 1, parentHash: "", stateHash: "",
            leafReplicas: [], isVetoed: isVetoed)
    }

    @Test func `the last updates are those of the last session, then what it was told, then those of earlier ones`() {
        var record = RunRecord()
        record.sessions = [1, 2].map { SessionRow(session: $0, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 0, source: "") }
        record.commits = (1...6).map { commit($0, session: 1, norm: 1) } + [commit(6, session: 2, norm: 3), commit(7, session: 2, norm: 9, isVetoed: true), commit(8, session: 2, norm: 0, isVetoed: true)]
        record.facts[RunFact.updatesBefore] = PastUpdates((4...5).map { PastUpdates.Update(step: $0, norm: 2, isVetoed: false) }).json
        let past = record.pastUpdates(at: 8).updates
        #expect(past.map(\.step) == Array(1...8) && past.map(\.norm) == [1, 1, 1, 2, 2, 3, 9, nil])
        #expect(past.map(\.isVetoed) == [false, false, false, false, false, false, true, true])
        #expect(record.pastUpdates(at: 4).updates == Array(past.prefix(4)))
    }

    @Test func `a session that is to go back has not as soon as anything has followed`() {
        var record = RunRecord()
        record.sessions = [SessionRow(session: 1, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 0, source: "initial")]
        record.commits = [commit(1, session: 1, norm: 1)]
        #expect(record.chosenStart == nil)
        record.sessions.append(SessionRow(session: 2, startedNanoseconds: 0, startedUnixSeconds: 0, startStep: 1, source: "chosen checkpoint"))
        #expect(record.chosenStart == 1)
        record.commits.append(commit(2, session: 2, norm: 1))
        #expect(record.chosenStart == nil)
        record.commits.removeLast()
        record.setbacks = [SetbackRow(session: 2, step: 1, nanoseconds: 0, kind: .rewind, toStep: 0, incident: nil)]
        #expect(record.chosenStart == nil)
    }
}
