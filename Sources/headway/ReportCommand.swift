import ArgumentParser
import Checkpointing
import Foundation
import Ledger
import Reports
import RunSpec
import Training

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what became of every worker-second of a run, and whether the compute reduced the loss.",
        discussion: """
            EXAMPLES
              headway report runs/demo-1
              headway report runs/faulty --reference runs/calm   what its steps are worth
              headway report runs/demo-1 --html report.html      one page, nothing else
              headway report runs/demo-1 --json -                every figure; - is here
              headway report runs/demo-1 --csv figures           a folder of tables
              headway report runs/demo-1 --table steps           one of them
            Works on a run that is still going, too. Names in JSON and CSV end with the
            unit; _ns is integer nanoseconds.

            TABLES
            \(wrapped(tableNames.joined(separator: ", ")))
            """)

    private static let tableNames = RunTable.all(RunAccount(RunRecord())).map(\.name)

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String

    @Option(help: ArgumentHelp("An undisturbed run to measure this one against.", valueName: "run"))
    var reference: String?

    @Option(help: ArgumentHelp("Write the report as a page to this file instead; replaces it if it is there.", valueName: "file"))
    var html: String?

    @Option(help: ArgumentHelp("Write every figure as one JSON document to this file instead.", valueName: "file"))
    var json: String?

    @Option(help: ArgumentHelp("Write every table as a CSV file into this folder instead.", valueName: "folder"))
    var csv: String?

    @Option(help: ArgumentHelp("Print one table as CSV instead.", valueName: "table"))
    var table: String?

    func validate() throws {
        let chosen = [html.map { _ in "--html" }, json.map { _ in "--json" }, csv.map { _ in "--csv" }, table.map { _ in "--table" }].compactMap { $0 }
        if chosen.count > 1 { throw ValidationError("\(chosen[0]) and \(chosen[1]) exclude each other.") }
        if csv == "-" { throw ValidationError("--csv takes a folder; --table prints one table.") }
        if let table, !Self.tableNames.contains(table) {
            throw ValidationError("there is no table \(table)\(suggestion(for: table, among: Self.tableNames)). The tables are \(Self.tableNames.joined(separator: ", ")).")
        }
    }

    func run() throws {
        var account = RunAccount(try RunFolder(folder).record()), compared: ReferenceRun?
        if let reference {
            guard let equivalence = Equivalence(account, reference: RunAccount(try RunFolder(reference).record())) else {
                throw UserError(.badInput, "\(folder) and \(reference) have nothing to compare: no common state, no probes and no validation losses of both")
            }
            account = RunAccount(account.record, equivalence: equivalence.value)
            compared = ReferenceRun(name: reference, equivalence)
        }
        if let html { return try OutputFile("--html", html).save(HTMLReport.page(account, reference: compared)) }
        if let json { return try OutputFile("--json", json).save(RunDocument.text(account, reference: compared)) }
        if let csv { return try write(RunTable.all(account), into: csv) }
        if let table { return say(RunTable.all(account).first { $0.name == table }?.csv ?? "", terminator: "") }
        say(TextReport(account, reference: compared).summary)
    }

    private func write(_ tables: [RunTable], into folder: String) throws {
        try OutputFile("--csv", folder).makeFolder()
        for table in tables { try OutputFile("--csv", "\(folder)/\(table.name).csv").replace(with: Data(table.csv.utf8)) }
        say("\(folder): \(tables.map { "\($0.name).csv" }.joined(separator: " "))")
    }

    /// Lines for a help page.
    private static func wrapped(_ words: String) -> String {
        var lines = [""]
        for word in words.split(separator: " ") {
            if lines[lines.count - 1].count + word.count > 74 { lines.append("") }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "  " : " ") + word
        }
        return lines.joined(separator: "\n")
    }
}

extension RunFolder {
    /// The run's record, and what the folder says against it: that no launcher holds a run that is said to go on, that
    /// a checkpoint is newer than the last commit.
    func record() throws -> RunRecord {
        let isHeld = launcher() != nil
        var record = try LedgerStore.read(ledgerPath)
        // Asked again: a launcher may have come in between.
        if !isHeld, record.facts[RunFact.outcome] == Outcome.running.rawValue, launcher() == nil { record.facts[RunFact.outcome] = RunFact.abandoned }
        let saved = (try? CheckpointStore(folder: checkpointsPath).steps().first) ?? 0, last = record.position.step
        if !isHeld, saved > last, record.chosenStart == nil {
            record.facts[RunFact.contradiction] = "its ledger ends at step \(last), but checkpoint step-\(saved) is in \(checkpointsPath): the end of the ledger is lost, and no figure counts it"
        }
        return record
    }
}
