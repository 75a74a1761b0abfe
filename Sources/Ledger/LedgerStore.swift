import Foundation
import GRDB
import RunSpec

/// The run's database, `ledger.sqlite`. One writer, the launcher; readers come at any time (WAL).
///
/// Flight events are stored as the blobs of bytes that were drained: one row a second per worker, instead of a row
/// per event, which would cost the launcher more processor time than the instrumentation may take.
package final class LedgerStore {
    package static let version = 8
    /// How long the launcher waits for another program that holds the ledger, and a reader for the launcher.
    static let busySeconds = 5.0
    private let database: DatabaseQueue
    /// What is appended together, until it is.
    private var batch: [(sql: String, arguments: StatementArguments)]?

    /// Opens the ledger to append to it; makes it if it is not there.
    package init(writing path: String) throws {
        var configuration = Configuration()
        // Whoever looks into a ledger with a tool of their own may hold it for a moment.
        configuration.busyMode = .timeout(Self.busySeconds)
        configuration.prepareDatabase { db in
            // A commit survives the death of the process; NORMAL leaves power loss to the checkpoints, see `sync`.
            try db.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        }
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.write { db in try db.execute(sql: Self.schema) }
        let found = try fact(RunFact.ledgerVersion)
        if let found, found != String(Self.version) { throw Self.otherVersion(path, found) }
        try setFact(RunFact.ledgerVersion, String(Self.version))
    }

    /// Makes durable what has been committed by now; any process may. What lies in the database and no longer in the log was
    /// synced by SQLite, so the log and its name are all that is left. A transaction that syncs would do the same, but only
    /// in the process that writes: there the steps would wait for the disk.
    package static func sync(_ path: String) throws {
        func sync(_ name: String, _ call: (Int32) -> Int32) throws {
            let descriptor = open(name, O_RDONLY | O_CLOEXEC)
            defer { close(descriptor) }
            // Whoever closed the ledger last took all that was in the log into the database.
            if descriptor < 0, errno == ENOENT { return }
            guard descriptor >= 0, call(descriptor) == 0 else {
                throw UserError(.unwritable, "\(name) cannot be made durable: \(String(cString: strerror(errno)))")
            }
        }
        try sync(path + "-wal", fdatasync)
        try sync((path as NSString).deletingLastPathComponent, fsync)
    }

    static func otherVersion(_ path: String, _ found: String) -> UserError {
        UserError(.badInput, "\(path) was written in format \(found), this headway reads format \(version); use the headway that made it")
    }

    private static let schema = """
        CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY, startedNs INTEGER NOT NULL, endedNs INTEGER,
            startedUnix REAL NOT NULL, startStep INTEGER NOT NULL, source TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS slots (session INTEGER NOT NULL, slot INTEGER NOT NULL, openedNs INTEGER NOT NULL,
            closedNs INTEGER NOT NULL, PRIMARY KEY (session, slot, openedNs));
        CREATE TABLE IF NOT EXISTS replicas (replica INTEGER PRIMARY KEY, session INTEGER NOT NULL, slot INTEGER NOT NULL,
            pid INTEGER NOT NULL, incident INTEGER, spawnedNs INTEGER NOT NULL, readyNs INTEGER, admittedNs INTEGER,
            endedNs INTEGER, reapedNs INTEGER, exit TEXT, exitCode INTEGER, cpuNs INTEGER, stoppedFor INTEGER, lostEvents INTEGER NOT NULL,
            sentBytes INTEGER, hiddenBytes INTEGER, residentBytes INTEGER);
        CREATE TABLE IF NOT EXISTS views (view INTEGER PRIMARY KEY, session INTEGER NOT NULL, step INTEGER NOT NULL,
            announcedNs INTEGER NOT NULL, members TEXT NOT NULL, reason TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS commits (number INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL,
            step INTEGER NOT NULL, view INTEGER NOT NULL, ns INTEGER NOT NULL, lossSum REAL NOT NULL,
            tokens INTEGER NOT NULL, gradientNorm REAL NOT NULL, learningRate REAL NOT NULL, parentHash TEXT NOT NULL,
            stateHash TEXT NOT NULL, leafReplicas BLOB NOT NULL, leafForesight BLOB NOT NULL, leafHindsight BLOB NOT NULL, leafSquares BLOB NOT NULL,
            vetoed INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS incidents (incident INTEGER PRIMARY KEY, session INTEGER NOT NULL, kind TEXT NOT NULL,
            replica INTEGER NOT NULL, slot INTEGER NOT NULL, step INTEGER NOT NULL, onsetNs INTEGER NOT NULL,
            onsetExact INTEGER NOT NULL, detectedNs INTEGER NOT NULL, plannedNs INTEGER,
            leavesReassigned INTEGER NOT NULL, fault INTEGER, description TEXT NOT NULL);
        CREATE TABLE IF NOT EXISTS faults (session INTEGER NOT NULL, fault INTEGER NOT NULL, text TEXT NOT NULL, firedNs INTEGER, mechanism TEXT,
            PRIMARY KEY (session, fault));
        CREATE TABLE IF NOT EXISTS evaluations (session INTEGER NOT NULL, step INTEGER NOT NULL, ns INTEGER NOT NULL,
            lossSum REAL NOT NULL, tokens INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS probes (session INTEGER NOT NULL, step INTEGER NOT NULL, ns INTEGER NOT NULL,
            decision BLOB NOT NULL, audit BLOB NOT NULL, decisionClusters BLOB NOT NULL, auditClusters BLOB NOT NULL,
            tokensPerSequence INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS contributions (session INTEGER NOT NULL, step INTEGER NOT NULL, leaves BLOB NOT NULL, sources BLOB NOT NULL);
        CREATE TABLE IF NOT EXISTS rechecks (session INTEGER NOT NULL, step INTEGER NOT NULL, leaf INTEGER NOT NULL, ns INTEGER NOT NULL,
            reason TEXT NOT NULL, replicas TEXT NOT NULL, verdict TEXT NOT NULL, culprit INTEGER);
        CREATE TABLE IF NOT EXISTS setbacks (session INTEGER NOT NULL, step INTEGER NOT NULL, ns INTEGER NOT NULL, kind TEXT NOT NULL,
            toStep INTEGER NOT NULL, incident INTEGER);
        CREATE TABLE IF NOT EXISTS launcherSpans (session INTEGER NOT NULL, startNs INTEGER NOT NULL, endNs INTEGER NOT NULL,
            category TEXT NOT NULL, incident INTEGER);
        CREATE TABLE IF NOT EXISTS checkpoints (session INTEGER NOT NULL, step INTEGER NOT NULL, requestedNs INTEGER NOT NULL,
            lateNs INTEGER NOT NULL, merged INTEGER NOT NULL, durableNs INTEGER, bytes INTEGER NOT NULL, status TEXT NOT NULL, cpuNs INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS intervals (session INTEGER NOT NULL, step INTEGER NOT NULL, ns INTEGER NOT NULL, cause TEXT NOT NULL,
            steps INTEGER NOT NULL, leastSteps INTEGER NOT NULL, mostSteps INTEGER NOT NULL, stepSeconds REAL NOT NULL,
            blockingSeconds REAL NOT NULL, persistSeconds REAL NOT NULL, restartSeconds REAL NOT NULL, failures INTEGER NOT NULL,
            exposureSeconds REAL NOT NULL, priorSeconds REAL NOT NULL, workers INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS restores (session INTEGER NOT NULL, step INTEGER NOT NULL, ns INTEGER NOT NULL, damage TEXT);
        CREATE TABLE IF NOT EXISTS flights (number INTEGER PRIMARY KEY AUTOINCREMENT, replica INTEGER NOT NULL, events BLOB NOT NULL);
        """

    // MARK: Appending

    private func run(_ sql: String, _ arguments: StatementArguments) throws {
        guard batch == nil else {
            batch?.append((sql, arguments))
            return
        }
        try write { database in
            try database.writeWithoutTransaction { db in try db.cachedStatement(sql: sql).execute(arguments: arguments) }
        }
    }

    private func write(_ body: (DatabaseQueue) throws -> Void) throws {
        do { try body(database) } catch let error as DatabaseError {
            throw UserError(.unwritable, "the ledger \(database.path) cannot be written: \(error.message ?? "error \(error.resultCode.rawValue)")")
        }
    }

    /// Appends all of what `body` appends, or nothing. What it reads is as before.
    package func together(_ body: () throws -> Void) throws {
        guard batch == nil else { return try body() }
        batch = []
        defer { batch = nil }
        try body()
        let all = batch ?? []
        try write { database in
            try database.write { db in for (sql, arguments) in all { try db.execute(sql: sql, arguments: arguments) } }
        }
    }

    package func setFact(_ name: String, _ value: String) throws {
        try run("INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value])
    }

    package func removeFact(_ name: String) throws { try run("DELETE FROM facts WHERE name = ?", [name]) }

    package func fact(_ name: String) throws -> String? {
        try database.read { db in try String.fetchOne(db, sql: "SELECT value FROM facts WHERE name = ?", arguments: [name]) }
    }

    /// The commit record. Once this returns, the step counts.
    package func append(_ row: CommitRow) throws {
        let leaves = row.leafReplicas.reduce(into: Data(capacity: row.leafReplicas.count * 4)) { data, replica in
            withUnsafeBytes(of: UInt32(replica).littleEndian) { data.append(contentsOf: $0) }
        }
        try run(
            "INSERT INTO commits (session, step, view, ns, lossSum, tokens, gradientNorm, learningRate, parentHash, stateHash, leafReplicas, leafForesight, leafHindsight, leafSquares, vetoed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row.session, row.step, row.view, Int64(row.nanoseconds), row.lossSum, row.tokens, row.gradientNorm,
             row.learningRate, row.parentHash, row.stateHash, leaves,
             Self.blob(row.leafForesight), Self.blob(row.leafHindsight), Self.blob(row.leafSquares), row.isVetoed])
    }

    /// Whether a validation pass with the weights of `step` is recorded.
    package func hasEvaluation(step: Int) throws -> Bool {
        try database.read { db in try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM evaluations WHERE step = ?)", arguments: [step]) ?? false }
    }

    /// Values as they lie in memory, little-endian.
    private static func blob<Element: BitwiseCopyable>(_ values: [Element]) -> Data { values.withUnsafeBytes { Data($0) } }

    package func put(_ row: SessionRow) throws {
        try run("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)",
            [row.session, Int64(row.startedNanoseconds), row.endedNanoseconds.map { Int64($0) }, row.startedUnixSeconds, row.startStep, row.source])
    }

    package func end(session: Int, at nanoseconds: UInt64) throws {
        try run("UPDATE sessions SET endedNs = ? WHERE session = ?", [Int64(nanoseconds), session])
    }

    package func put(_ row: SlotRow) throws {
        try run("INSERT OR REPLACE INTO slots VALUES (?, ?, ?, ?)",
            [row.session, row.slot, Int64(row.openedNanoseconds), Int64(row.closedNanoseconds)])
    }

    package func put(_ row: ReplicaRow) throws {
        try run("INSERT OR REPLACE INTO replicas VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row.replica, row.session, row.slot, row.pid, row.incident, Int64(row.spawnedNanoseconds),
             row.readyNanoseconds.map { Int64($0) }, row.admittedNanoseconds.map { Int64($0) },
             row.endedNanoseconds.map { Int64($0) }, row.reapedNanoseconds.map { Int64($0) }, row.exit, row.exitCode,
             row.cpuNanoseconds.map { Int64($0) }, row.stoppedFor, row.lostEvents, row.sentBytes, row.hiddenBytes, row.residentBytes])
    }

    package func append(_ row: ViewRow) throws {
        try run("INSERT INTO views VALUES (?, ?, ?, ?, ?, ?)",
            [row.view, row.session, row.step, Int64(row.announcedNanoseconds),
             row.members.map { String($0) }.joined(separator: ","), row.reason])
    }

    package func put(_ row: IncidentRow) throws {
        try run("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row.incident, row.session, row.kind.rawValue, row.replica, row.slot, row.step, Int64(row.onsetNanoseconds), row.onsetIsExact,
             Int64(row.detectedNanoseconds), row.plannedNanoseconds.map { Int64($0) }, row.leavesReassigned, row.fault, row.description])
    }

    package func put(_ row: FaultRow) throws {
        try run("INSERT OR REPLACE INTO faults VALUES (?, ?, ?, ?, ?)",
            [row.session, row.fault, row.text, row.firedNanoseconds.map { Int64($0) }, row.mechanism?.rawValue])
    }

    package func append(_ row: RecheckRow) throws {
        try run("INSERT INTO rechecks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [row.session, row.step, row.leaf, Int64(row.nanoseconds), row.reason, row.replicas.map { String($0) }.joined(separator: ","),
             row.verdict.rawValue, row.culprit])
    }

    package func append(_ row: SetbackRow) throws {
        try run("INSERT INTO setbacks VALUES (?, ?, ?, ?, ?, ?)",
            [row.session, row.step, Int64(row.nanoseconds), row.kind.rawValue, row.toStep, row.incident])
    }

    package func append(_ row: LauncherSpanRow) throws {
        try run("INSERT INTO launcherSpans VALUES (?, ?, ?, ?, ?)",
            [row.session, Int64(row.startNanoseconds), Int64(row.endNanoseconds), row.category.rawValue, row.incident])
    }

    package func append(_ row: EvaluationRow) throws {
        try run("INSERT INTO evaluations VALUES (?, ?, ?, ?, ?)",
            [row.session, row.step, Int64(row.nanoseconds), row.lossSum, row.tokens])
    }

    package func append(_ row: ProbeRow) throws {
        try run("INSERT INTO probes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [row.session, row.step, Int64(row.nanoseconds), Self.blob(row.decision), Self.blob(row.audit),
             Self.blob(row.decisionClusters), Self.blob(row.auditClusters), row.tokensPerSequence])
    }

    package func append(_ row: ContributionRow) throws {
        try run("INSERT INTO contributions VALUES (?, ?, ?, ?)",
            [row.session, row.step, Self.blob(row.leaves), Self.blob(row.sources.flatMap { $0 })])
    }

    package func append(_ row: CheckpointRow) throws {
        try run("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row.session, row.step, Int64(row.requestedNanoseconds), Int64(row.lateNanoseconds), row.merged,
             row.durableNanoseconds.map { Int64($0) }, row.bytes, row.status, Int64(row.cpuNanoseconds)])
    }

    package func append(_ row: IntervalRow) throws {
        let choice = row.choice
        try run("INSERT INTO intervals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row.session, row.step, Int64(row.nanoseconds), row.cause.rawValue, choice.steps, choice.leastSteps, choice.mostSteps, choice.stepSeconds,
             choice.blocking, choice.persist, choice.restart, choice.rate.failures, choice.rate.exposureSeconds, choice.rate.priorSeconds, choice.workers])
    }

    package func append(_ row: RestoreRow) throws {
        try run("INSERT INTO restores VALUES (?, ?, ?, ?)", [row.session, row.step, Int64(row.nanoseconds), row.damage])
    }

    package func append(_ events: [FlightEvent], replica: Int) throws {
        guard !events.isEmpty else { return }
        let bytes = events.withUnsafeBytes { Data($0) }
        try run("INSERT INTO flights (replica, events) VALUES (?, ?)", [replica, bytes])
    }
}
