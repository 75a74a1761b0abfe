import Foundation
import GRDB
import RunSpec

extension LedgerStore {
    /// Reads a whole ledger, of a run that is over or still going.
    /// - Throws: `UserError` when there is none, or it is of another version.
    package static func read(_ path: String) throws -> RunRecord {
        guard FileManager.default.fileExists(atPath: path) else {
            throw UserError(.missing, "there is no ledger at \(path); name the folder of a run")
        }
        do {
            let database = try DatabaseQueue(path: path)
            return try database.read { db in try record(db, path: path) }
        } catch let error as DatabaseError {
            throw UserError(.badInput, "\(path) is not a ledger: \(error.message ?? "unreadable")")
        }
    }

    private static func record(_ db: Database, path: String) throws -> RunRecord {
        var record = RunRecord()
        for row in try Row.fetchAll(db, sql: "SELECT name, value FROM facts") { record.facts[row[0]] = row[1] }
        let found = record.facts[RunFact.ledgerVersion] ?? "none"
        guard found == String(version) else {
            throw otherVersion(path, found)
        }
        record.sessions = try rows(db, "sessions ORDER BY session").map {
            SessionRow(session: $0["session"], startedNanoseconds: $0.ns("startedNs"), endedNanoseconds: $0.optionalNs("endedNs"),
                startedUnixSeconds: $0["startedUnix"], startStep: $0["startStep"], source: $0["source"])
        }
        record.slots = try rows(db, "slots ORDER BY session, slot").map {
            SlotRow(session: $0["session"], slot: $0["slot"], openedNanoseconds: $0.ns("openedNs"), closedNanoseconds: $0.ns("closedNs"))
        }
        record.replicas = try rows(db, "replicas ORDER BY replica").map {
            ReplicaRow(replica: $0["replica"], session: $0["session"], slot: $0["slot"], pid: $0["pid"], incident: $0["incident"],
                spawnedNanoseconds: $0.ns("spawnedNs"), readyNanoseconds: $0.optionalNs("readyNs"),
                admittedNanoseconds: $0.optionalNs("admittedNs"), endedNanoseconds: $0.optionalNs("endedNs"),
                reapedNanoseconds: $0.optionalNs("reapedNs"), exit: $0["exit"], exitCode: $0["exitCode"],
                cpuNanoseconds: $0.optionalNs("cpuNs"), stoppedFor: $0["stoppedFor"], lostEvents: $0["lostEvents"])
        }
        record.views = try rows(db, "views ORDER BY view").map {
            let members: String = $0["members"]
            return ViewRow(view: $0["view"], session: $0["session"], step: $0["step"], announcedNanoseconds: $0.ns("announcedNs"),
                members: members.split(separator: ",").compactMap { Int($0) }, reason: $0["reason"])
        }
        record.commits = try rows(db, "commits ORDER BY number").map {
            let leaves: Data = $0["leafReplicas"]
            return CommitRow(session: $0["session"], step: $0["step"], view: $0["view"], nanoseconds: $0.ns("ns"), lossSum: $0["lossSum"],
                tokens: $0["tokens"], gradientNorm: $0["gradientNorm"], learningRate: $0["learningRate"], parentHash: $0["parentHash"],
                stateHash: $0["stateHash"], leafReplicas: leaves.values(of: UInt32.self).map { Int($0) },
                leafForesight: $0.doubles("leafForesight"), leafHindsight: $0.doubles("leafHindsight"), leafSquares: $0.doubles("leafSquares"),
                isVetoed: $0["vetoed"])
        }
        record.incidents = try rows(db, "incidents ORDER BY incident").map {
            IncidentRow(incident: $0["incident"], session: $0["session"], kind: IncidentKind(rawValue: $0["kind"]) ?? .death, replica: $0["replica"], slot: $0["slot"],
                step: $0["step"], onsetNanoseconds: $0.ns("onsetNs"), onsetIsExact: $0["onsetExact"], detectedNanoseconds: $0.ns("detectedNs"),
                plannedNanoseconds: $0.optionalNs("plannedNs"), leavesReassigned: $0["leavesReassigned"], discarded: $0["discarded"], fault: $0["fault"],
                description: $0["description"])
        }
        record.faults = try rows(db, "faults ORDER BY session, fault").map {
            FaultRow(session: $0["session"], fault: $0["fault"], text: $0["text"], firedNanoseconds: $0.optionalNs("firedNs"))
        }
        record.evaluations = try rows(db, "evaluations ORDER BY rowid").map {
            EvaluationRow(session: $0["session"], step: $0["step"], nanoseconds: $0.ns("ns"), lossSum: $0["lossSum"], tokens: $0["tokens"])
        }
        record.probes = try rows(db, "probes ORDER BY rowid").map {
            ProbeRow(session: $0["session"], step: $0["step"], nanoseconds: $0.ns("ns"), decision: $0.doubles("decision"),
                audit: $0.doubles("audit"), decisionClusters: $0.integers("decisionClusters", like: "decision"),
                auditClusters: $0.integers("auditClusters", like: "audit"), tokensPerSequence: $0["tokensPerSequence"])
        }
        record.contributions = try rows(db, "contributions ORDER BY rowid").map {
            ContributionRow(session: $0["session"], step: $0["step"], leaves: $0.doubles("leaves"), sources: $0.table("sources", rows: "leaves"))
        }
        record.rechecks = try rows(db, "rechecks ORDER BY rowid").map {
            let replicas: String = $0["replicas"]
            return RecheckRow(session: $0["session"], step: $0["step"], leaf: $0["leaf"], nanoseconds: $0.ns("ns"), reason: $0["reason"],
                replicas: replicas.split(separator: ",").compactMap { Int($0) }, verdict: .init(rawValue: $0["verdict"]) ?? .differ, culprit: $0["culprit"])
        }
        record.launcherSpans = try rows(db, "launcherSpans ORDER BY rowid").compactMap { row in
            Category(rawValue: row["category"]).map {
                LauncherSpanRow(session: row["session"], startNanoseconds: row.ns("startNs"), endNanoseconds: row.ns("endNs"), category: $0, incident: row["incident"])
            }
        }
        record.checkpoints = try rows(db, "checkpoints ORDER BY rowid").map {
            CheckpointRow(session: $0["session"], step: $0["step"], requestedNanoseconds: $0.ns("requestedNs"),
                durableNanoseconds: $0.optionalNs("durableNs"), bytes: $0["bytes"], status: $0["status"],
                cpuNanoseconds: $0.ns("cpuNs"))
        }
        for row in try rows(db, "flights ORDER BY number") {
            let events: Data = row["events"]
            record.flights[row["replica"], default: []] += events.values(of: FlightEvent.self)
        }
        return record
    }

    private static func rows(_ db: Database, _ from: String) throws -> [Row] {
        try Row.fetchAll(db, sql: "SELECT * FROM \(from)")
    }
}

extension Row {
    fileprivate func ns(_ column: String) -> UInt64 { UInt64(self[column] as Int64) }
    fileprivate func doubles(_ column: String) -> [Double] { (self[column] as Data).values(of: Double.self) }
    /// Empty unless there are as many as doubles in `other`.
    fileprivate func integers(_ column: String, like other: String) -> [Int] {
        let values = (self[column] as Data).values(of: Int.self)
        return values.count == doubles(other).count ? values : []
    }
    /// Rows of equal length, one for each double in `rows`; empty when they do not come out even.
    fileprivate func table(_ column: String, rows: String) -> [[Double]] {
        let values = doubles(column), count = doubles(rows).count
        guard count > 0, !values.isEmpty, values.count % count == 0 else { return [] }
        let width = values.count / count
        return (0..<count).map { Array(values[$0 * width..<($0 + 1) * width]) }
    }
    fileprivate func optionalNs(_ column: String) -> UInt64? { (self[column] as Int64?).map { UInt64($0) } }
}

extension Data {
    /// The bytes as values of a trivial type; a torn last one is left out.
    fileprivate func values<T>(of type: T.Type) -> [T] {
        withUnsafeBytes { bytes in
            (0..<bytes.count / MemoryLayout<T>.stride).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.stride, as: T.self) }
        }
    }
}
