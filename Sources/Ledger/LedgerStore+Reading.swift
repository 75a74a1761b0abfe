import Foundation
import GRDB
import RunSpec

extension LedgerStore {
    /// Reads a whole ledger, of a run that is over or still going.
    /// - Throws: `UserError` when there is none, it is of another version, or a row of it cannot be.
    package static func read(_ path: String) throws -> RunRecord {
        try reading(path) { path, database in try database.read { db in try record(db, path: path) } }
    }

    /// Nats per token of each validation pass so far, by its step.
    package static func validationLosses(_ path: String) throws -> [Int: Double] {
        let passes = try reading(path) { path, database in try database.read { db in try evaluations(db, path) } }
        return Dictionary(passes.filter { $0.tokens > 0 }.map { ($0.step, $0.lossSum / Double($0.tokens)) }, uniquingKeysWith: { $1 })
    }

    private static func evaluations(_ db: Database, _ path: String) throws -> [EvaluationRow] {
        try rows(db, "evaluations ORDER BY rowid", path) {
            try EvaluationRow(session: $0.count("session"), step: $0.count("step"), nanoseconds: $0.ns("ns"), lossSum: $0.real("lossSum"), tokens: $0.count("tokens"))
        }
    }

    /// Opens a ledger for reading; every failure is a sentence that names the file.
    static func reading<Value>(_ path: String, _ body: (String, DatabaseQueue) throws -> Value) throws -> Value {
        guard FileManager.default.fileExists(atPath: path) else {
            throw UserError(.missing, "there is no ledger at \(path); name the folder of a run")
        }
        do {
            return try body(path, open(path))
        } catch let error as DatabaseError {
            throw refusal(path, error)
        }
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(busySeconds)
        let cannotWrite: [ResultCode] = [.SQLITE_CANTOPEN, .SQLITE_READONLY]
        do {
            let database = try DatabaseQueue(path: path, configuration: configuration)
            // SQLite opens the file only when something is read.
            _ = try database.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") }
            return database
        } catch let error as DatabaseError where cannotWrite.contains(error.resultCode) && !FileManager.default.fileExists(atPath: path + "-wal") {
            // A ledger that is over, in a folder that cannot be written: SQLite may not make its index beside it, and needs none.
            configuration.readonly = true
            let name = path.addingPercentEncoding(withAllowedCharacters: .urlPathAllowed) ?? path
            return try DatabaseQueue(path: "file:\(name)?immutable=1", configuration: configuration)
        }
    }

    static func refusal(_ path: String, _ error: DatabaseError) -> UserError {
        let said = error.message ?? "error \(error.resultCode.rawValue)"
        return switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED: UserError(.badInput, "\(path) is locked by another program for more than \(Int(busySeconds)) s; try again when that has ended")
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH, .SQLITE_READONLY: UserError(.missing, "\(path) cannot be opened: \(said); check who may read it and its folder")
        case .SQLITE_CORRUPT: UserError(.badInput, "\(path) is damaged: \(said); nothing in it can be relied on")
        default: UserError(.badInput, "\(path) is not a ledger: \(said)")
        }
    }

    private static func record(_ db: Database, path: String) throws -> RunRecord {
        var record = RunRecord()
        record.facts = try facts(db, path)
        record.sessions = try rows(db, "sessions ORDER BY session", path) {
            try SessionRow(session: $0.count("session"), startedNanoseconds: $0.ns("startedNs"), endedNanoseconds: $0.optionalNs("endedNs"),
                startedUnixSeconds: $0.real("startedUnix"), startStep: $0.count("startStep"), source: $0.text("source"))
        }
        record.slots = try rows(db, "slots ORDER BY session, slot", path) {
            try SlotRow(session: $0.count("session"), slot: $0.count("slot"), openedNanoseconds: $0.ns("openedNs"), closedNanoseconds: $0.ns("closedNs"))
        }
        record.replicas = try rows(db, "replicas ORDER BY replica", path) {
            try ReplicaRow(replica: $0.count("replica"), session: $0.count("session"), slot: $0.count("slot"), pid: $0.count("pid"), incident: $0.optionalCount("incident"),
                spawnedNanoseconds: $0.ns("spawnedNs"), readyNanoseconds: $0.optionalNs("readyNs"),
                admittedNanoseconds: $0.optionalNs("admittedNs"), endedNanoseconds: $0.optionalNs("endedNs"),
                reapedNanoseconds: $0.optionalNs("reapedNs"), exit: $0.optionalText("exit"), exitCode: $0.optionalCount("exitCode"),
                cpuNanoseconds: $0.optionalNs("cpuNs"), stoppedFor: $0.optionalCount("stoppedFor"), lostEvents: $0.count("lostEvents"),
                sentBytes: $0.optionalCount("sentBytes"), hiddenBytes: $0.optionalCount("hiddenBytes"), residentBytes: $0.optionalCount("residentBytes"))
        }
        record.views = try rows(db, "views ORDER BY view", path) {
            let members = try $0.text("members")
            return try ViewRow(view: $0.count("view"), session: $0.count("session"), step: $0.count("step"), announcedNanoseconds: $0.ns("announcedNs"),
                members: members.split(separator: ",").compactMap { Int($0) }, reason: $0.text("reason"))
        }
        record.commits = try rows(db, "commits ORDER BY number", path) {
            try CommitRow(session: $0.count("session"), step: $0.count("step"), view: $0.count("view"), nanoseconds: $0.ns("ns"), lossSum: $0.real("lossSum"),
                tokens: $0.count("tokens"), gradientNorm: $0.real("gradientNorm"), learningRate: $0.real("learningRate"), parentHash: $0.text("parentHash"),
                stateHash: $0.text("stateHash"), leafReplicas: $0.replicas("leafReplicas"),
                leafForesight: $0.doubles("leafForesight"), leafHindsight: $0.doubles("leafHindsight"), leafSquares: $0.doubles("leafSquares"),
                isVetoed: $0.flag("vetoed"))
        }
        record.incidents = try rows(db, "incidents ORDER BY incident", path) {
            try IncidentRow(incident: $0.count("incident"), session: $0.count("session"), kind: $0.choice("kind"), replica: $0.count("replica"), slot: $0.count("slot"),
                step: $0.count("step"), onsetNanoseconds: $0.ns("onsetNs"), onsetIsExact: $0.flag("onsetExact"), detectedNanoseconds: $0.ns("detectedNs"),
                plannedNanoseconds: $0.optionalNs("plannedNs"), leavesReassigned: $0.count("leavesReassigned"), fault: $0.optionalCount("fault"),
                description: $0.text("description"))
        }
        record.faults = try rows(db, "faults ORDER BY session, fault", path) {
            try FaultRow(session: $0.count("session"), fault: $0.count("fault"), text: $0.text("text"), firedNanoseconds: $0.optionalNs("firedNs"),
                mechanism: $0.optionalChoice("mechanism"))
        }
        record.evaluations = try evaluations(db, path)
        record.probes = try rows(db, "probes ORDER BY rowid", path) {
            try ProbeRow(session: $0.count("session"), step: $0.count("step"), nanoseconds: $0.ns("ns"), decision: $0.doubles("decision", atLeast: 1),
                audit: $0.doubles("audit", atLeast: 1), decisionClusters: $0.integers("decisionClusters", like: "decision"),
                auditClusters: $0.integers("auditClusters", like: "audit"), tokensPerSequence: $0.count("tokensPerSequence", from: 1))
        }
        record.contributions = try rows(db, "contributions ORDER BY rowid", path) {
            try ContributionRow(session: $0.count("session"), step: $0.count("step"), leaves: $0.doubles("leaves"), sources: $0.table("sources", rows: "leaves"))
        }
        record.rechecks = try rows(db, "rechecks ORDER BY rowid", path) {
            let replicas = try $0.text("replicas")
            return try RecheckRow(session: $0.count("session"), step: $0.count("step"), leaf: $0.count("leaf"), nanoseconds: $0.ns("ns"), reason: $0.text("reason"),
                replicas: replicas.split(separator: ",").compactMap { Int($0) }, verdict: $0.choice("verdict"), culprit: $0.optionalCount("culprit"))
        }
        record.setbacks = try rows(db, "setbacks ORDER BY rowid", path) {
            try SetbackRow(session: $0.count("session"), step: $0.count("step"), nanoseconds: $0.ns("ns"), kind: $0.choice("kind"),
                toStep: $0.count("toStep"), incident: $0.optionalCount("incident"))
        }
        record.launcherSpans = try rows(db, "launcherSpans ORDER BY rowid", path) {
            try LauncherSpanRow(session: $0.count("session"), startNanoseconds: $0.ns("startNs"), endNanoseconds: $0.ns("endNs"),
                category: $0.choice("category"), incident: $0.optionalCount("incident"))
        }
        record.checkpoints = try rows(db, "checkpoints ORDER BY rowid", path) {
            try CheckpointRow(session: $0.count("session"), step: $0.count("step"), requestedNanoseconds: $0.ns("requestedNs"),
                lateNanoseconds: $0.ns("lateNs"), merged: $0.count("merged"), durableNanoseconds: $0.optionalNs("durableNs"), bytes: $0.count("bytes"),
                status: $0.text("status"), cpuNanoseconds: $0.ns("cpuNs"))
        }
        record.intervals = try rows(db, "intervals ORDER BY rowid", path) {
            try IntervalRow(session: $0.count("session"), step: $0.count("step"), nanoseconds: $0.ns("ns"), cause: $0.choice("cause"), choice: CheckpointChoice(
                steps: $0.count("steps", from: 1), leastSteps: $0.count("leastSteps", from: 1), mostSteps: $0.count("mostSteps", from: 1),
                stepSeconds: $0.seconds("stepSeconds"), blocking: $0.seconds("blockingSeconds"), persist: $0.seconds("persistSeconds"),
                restart: $0.seconds("restartSeconds"), rate: FailureRate(
                    failures: $0.count("failures"), exposureSeconds: $0.seconds("exposureSeconds"), priorSeconds: $0.seconds("priorSeconds", above: 0)),
                workers: $0.count("workers", from: 1)))
        }
        record.restores = try rows(db, "restores ORDER BY rowid", path) {
            try RestoreRow(session: $0.count("session"), step: $0.count("step"), nanoseconds: $0.ns("ns"), damage: $0.optionalText("damage"))
        }
        try flights(db, path, after: 0, atMost: nil) { record.flights[$0, default: []] += $1 }
        return record
    }

    /// - Throws: `UserError` when the ledger is of another version, or a number among the facts cannot be.
    static func facts(_ db: Database, _ path: String) throws -> [String: String] {
        let facts = Dictionary(try rows(db, "facts", path) { (try $0.text("name"), try $0.text("value")) }, uniquingKeysWith: { $1 })
        guard let found = facts[RunFact.ledgerVersion] else { throw UserError(.badInput, "\(path) does not say what format it has: it is damaged, or no run was begun in it") }
        guard found == String(version) else { throw otherVersion(path, found) }
        for name in RunFact.numbers {
            guard let text = facts[name] else { continue }
            let limit = name.hasPrefix("flops.") ? LedgerRow.largestNumber : 1e12
            guard let number = Double(text), (0...limit).contains(number) else {
                throw UserError(.badInput, "\(path) was changed or is damaged: the fact `\(name)` is `\(text.prefix(40))`, which cannot be; no figure of it is to be believed")
            }
        }
        return facts
    }

    /// Hands out the events of recorder blobs after number `first`, in the order they were drained.
    /// - Returns: the number of the last blob.
    @discardableResult
    static func flights(
        _ db: Database, _ path: String, after first: Int, fromReplica replica: Int = 0, atMost limit: Int?, _ body: (_ replica: Int, _ events: [FlightEvent]) throws -> Void
    ) throws -> Int {
        let limit = limit.map { " LIMIT \($0)" } ?? ""
        let sql = "SELECT number, replica, events FROM flights WHERE number > ? AND replica >= ? ORDER BY number\(limit)"
        let cursor = try Row.fetchCursor(db, sql: sql, arguments: [first, replica])
        var last = first
        while let row = try cursor.next() {
            let row = LedgerRow(row.copy(), "flights", path)
            last = try row.count("number")
            try body(row.count("replica"), row.events("events"))
        }
        return last
    }

    /// - Parameter from: a table, and what comes after it.
    static func rows<Value>(
        _ db: Database, columns: String = "*", _ from: String, _ path: String, _ value: (LedgerRow) throws -> Value
    ) throws -> [Value] {
        let table = String(from.prefix { $0 != " " })
        return try Row.fetchAll(db, sql: "SELECT \(columns) FROM \(from)").map { try value(LedgerRow($0, table, path)) }
    }
}
