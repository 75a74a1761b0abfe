import CSystem
import Foundation
import Ledger
import RunSpec

/// What became of one cell of the matrix.
package struct CoverageResult: Sendable {
    package let cell: Coverage.Cell
    /// Whether the final weights are the undisturbed run's; nil when the run did not finish.
    package var isEqual: Bool?
    /// What is not as promised, in words; empty for a cell that keeps its promise.
    package var failures: [String] = []

    package var holds: Bool { failures.isEmpty }
}

/// Makes the runs of cells, each in a folder of its own that is removed when the cell keeps its promise.
package struct CoverageRun {
    private let child: ChildRun
    private let folder: String
    private let reference: String

    /// No run takes longer on two busy processors, unless it hangs.
    private static let limitSeconds = 60.0
    private static let resumesMaximum = 3

    /// Makes the undisturbed run that all others are compared with.
    /// - Throws: `UserError` when that one fails, or somebody interrupts it.
    package init(folder: String, program: String) throws {
        cs_note_interrupts()
        (child, self.folder) = (ChildRun(program: program), folder)
        let path = folder + "/undisturbed"
        let end = try child.run(["train"] + Coverage.arguments + ["--out", path], log: path + ".log", limitSeconds: Self.limitSeconds)
        if end == .interrupted { throw UserError(.interrupted, "interrupted") }
        guard end == .exited(0), let digest = try LedgerStore.read(path + "/ledger.sqlite").facts[RunFact.finalDigest] else {
            ChildRun.cleanUp(path)
            throw UserError(.runFailed, "the undisturbed run failed (\(end)); see \(path).log")
        }
        reference = digest
    }

    /// - Throws: `UserError` when somebody interrupts it.
    package func run(_ cell: Coverage.Cell) throws -> CoverageResult {
        let path = "\(folder)/\(cell.name.replacing(" ", with: "-"))", log = path + ".log", plan = path + ".faults.yaml"
        var result = CoverageResult(cell: cell)
        try CellRun.write(cell.faults, to: plan)
        var end = try child.run(["train"] + Coverage.arguments + cell.arguments + ["--out", path, "--faults", plan], log: log, limitSeconds: Self.limitSeconds), resumes = 0
        if cell.strike.victim == .launcher, end != .signalled(Int(SIGKILL)) { result.failures.append("the launcher was not killed (\(end))") }
        while end == .signalled(Int(SIGKILL)), resumes < Self.resumesMaximum {
            resumes += 1
            try CellRun.write(CellRun.left(of: cell.faults, in: LedgerStore.read(path + "/ledger.sqlite")), to: plan)
            end = try child.run(["resume", path, "--faults", plan], log: log, limitSeconds: Self.limitSeconds)
        }
        defer { ChildRun.cleanUp(path) }
        if end == .interrupted { throw UserError(.interrupted, "interrupted") }
        let left = ChildRun.leftovers(of: path)
        if !left.processes.isEmpty { result.failures.append("\(left.processes.count) processes are left") }
        if let memory = left.memory { result.failures.append("\(memory) is left") }
        if end == .exited(0) {
            try judge(path, log: log, &result)
        } else {
            result.failures.insert("the run did not finish: \(Self.words(end, log))", at: 0)
        }
        if result.holds { for done in [path, log, plan] { try? FileManager.default.removeItem(atPath: done) } }
        return result
    }

    private func judge(_ path: String, log: String, _ result: inout CoverageResult) throws {
        let record = try LedgerStore.read(path + "/ledger.sqlite")
        let fired = Set(record.faults.filter { $0.firedNanoseconds != nil }.map(\.text))
        for fault in result.cell.faults where !fired.contains(fault.description) { result.failures.append("`\(fault)` did not fire") }
        for outcome in FaultOutcome.all(record) where outcome.kind == result.cell.strike.kind {
            guard let verdict = result.cell.verdict, outcome.verdict != verdict else { continue }
            result.failures.append("`\(outcome.text)` is \(outcome.verdict), not \(verdict)")
        }
        result.isEqual = record.facts[RunFact.finalDigest] == reference
        if result.isEqual == false, !result.cell.strike.mayChangeWeights { result.failures.append("the final weights differ") }
        let verified = try child.run(["verify", path], log: log, limitSeconds: Self.limitSeconds)
        if verified == .interrupted { throw UserError(.interrupted, "interrupted") }
        if verified != .exited(0) { result.failures.append("verify: \(Self.words(verified, log))") }
    }

    private static func words(_ end: ChildRun.End, _ log: String) -> String {
        let said = (try? String(contentsOfFile: log, encoding: .utf8))?.split(separator: "\n").last { $0.hasPrefix("headway: ") }
        return switch end {
        case .exited(let status): said.map { String($0.dropFirst("headway: ".count)) } ?? "exit status \(status)"
        case .signalled(let signal): "ended by signal \(signal)"
        case .overdue: "still going after \(Int(limitSeconds)) s"
        case .interrupted: "interrupted"
        }
    }
}
