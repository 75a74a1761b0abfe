import Foundation
import GRDB
import RunSpec

/// Follows the ledger of a run that goes on, by what is new in it. A look costs the run nothing: short read transactions
/// beside its writer, rows since the last look only, of their blobs just the recorders' new ones.
package final class LedgerFollower {
    /// Recorder blobs read in one transaction, each about a second of one worker.
    private static let blobsAtATime = 256
    /// Commits before the last that the first look reads: enough for a rate.
    private static let firstCommits = 200

    package private(set) var run = LiveRun()
    private let database: DatabaseQueue, path: String
    /// Keys of the last rows that were seen.
    private var commit = 0, incident = 0, view = 0, evaluation = 0, checkpoint = 0, flight = 0

    /// Nil while the run has not begun: no ledger, or one without facts.
    /// - Throws: `UserError` when there is a ledger that cannot be followed.
    package init?(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        self.path = path
        let opened: DatabaseQueue? = try LedgerStore.reading(path) { path, database in
            try database.read { db in
                guard try db.tableExists("facts"), try Int.fetchOne(db, sql: "SELECT count(*) FROM facts") != 0 else { return nil }
                _ = try LedgerStore.facts(db, path)
                return database
            }
        }
        guard let opened else { return nil }
        database = opened
    }

    /// Takes in what is new since the last look.
    /// - Returns: what happened, a sentence each; nothing at the first look, which only finds out how things stand.
    package func look() throws -> [String] {
        do {
            let isFirst = run.facts.isEmpty
            let events = try database.read { db in try readSession(db) + readCommits(db, isFirst) + readEvents(db) }
            var before = flight - 1
            while flight > before {
                before = flight
                flight = try database.read { db in
                    try LedgerStore.flights(db, path, after: flight, fromReplica: run.firstReplica, atMost: Self.blobsAtATime) { run.add($1, of: $0) }
                }
            }
            return isFirst ? [] : events
        } catch let error as DatabaseError {
            throw LedgerStore.refusal(path, error)
        }
    }

    /// The newest session, and who lives in it.
    private func readSession(_ db: Database) throws -> [String] {
        run.facts = try LedgerStore.facts(db, path)
        let session = try LedgerStore.rows(db, "sessions ORDER BY session DESC LIMIT 1", path) {
            try LiveRun.Session(number: $0.count("session"), startStep: $0.count("startStep"), source: $0.text("source"), isOpen: $0.optionalNs("endedNs") == nil)
        }.first
        guard let session else { return [] }
        let isNew = session.number != run.session?.number
        if isNew { run.begin(session) } else { run.session = session }
        let inSession = "WHERE session = \(session.number)"
        run.slots = try LedgerStore.rows(db, "slots \(inSession)", path) { try ($0.count("slot"), $0.ns("openedNs"), $0.ns("closedNs")) }
        let processes = try LedgerStore.rows(db, "replicas \(inSession)", path) { try ($0.count("replica"), $0.count("slot"), $0.optionalNs("endedNs")) }
        run.firstReplica = processes.map(\.0).min() ?? .max
        run.alive = Dictionary(processes.filter { $0.2 == nil }.map { ($0.1, $0.0) }, uniquingKeysWith: { $1 })
        return isNew ? ["session \(session.number) begins at step \(session.startStep), its state from \(session.source)"] : []
    }

    private func readCommits(_ db: Database, _ isFirst: Bool) throws -> [String] {
        if isFirst { commit = max(0, (try Int.fetchOne(db, sql: "SELECT max(number) FROM commits") ?? 0) - Self.firstCommits) }
        let rows = try LedgerStore.rows(db, columns: "number, session, step, ns, lossSum, tokens", "commits WHERE number > \(commit) ORDER BY number", path) {
            try (number: $0.count("number"), commit: LiveRun.Commit(
                session: $0.count("session"), step: $0.count("step"), nanoseconds: $0.ns("ns"), lossSum: $0.real("lossSum"), tokens: $0.count("tokens")))
        }
        for row in rows { run.add(row.commit) }
        commit = rows.last?.number ?? commit
        return []
    }

    private func readEvents(_ db: Database) throws -> [String] {
        let incidents = try LedgerStore.rows(db, "incidents WHERE incident > \(incident) ORDER BY incident", path) {
            incident = try $0.count("incident")
            return try $0.text("description")
        }
        run.lastIncident = incidents.last ?? run.lastIncident
        let views = try LedgerStore.rows(db, "views WHERE view > \(view) ORDER BY view", path) {
            view = try $0.count("view")
            return try "view \(view): \($0.text("reason"))"
        }
        let evaluations = try LedgerStore.rows(db, columns: "rowid, *", "evaluations WHERE rowid > \(evaluation) ORDER BY rowid", path) {
            evaluation = try $0.count("rowid")
            let tokens = try $0.count("tokens", from: 1), loss = try $0.real("lossSum") / Double(tokens)
            return try "step \($0.count("step")): validation loss \(String(format: "%.4f", loss)) over \(tokens) tokens"
        }
        let checkpoints = try LedgerStore.rows(db, columns: "rowid, *", "checkpoints WHERE rowid > \(checkpoint) ORDER BY rowid", path) {
            checkpoint = try $0.count("rowid")
            let status = try $0.text("status")
            return try "checkpoint step-\($0.count("step")) \(status == "durable" ? "is durable" : "failed: \(status)")"
        }
        return incidents + views + evaluations + checkpoints
    }
}
