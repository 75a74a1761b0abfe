import Foundation
import Ledger
import RunSpec

/// Makes the runs of cells, each in its own folder below `folder`.
package struct CellRun: Sendable {
    private let child: ChildRun
    private let folder: String

    /// A launcher that a fault kills is followed by another one, so many times.
    static let resumesMaximum = 20
    /// No run of a laboratory takes longer, unless it hangs.
    static let limitSeconds = 1_800.0

    package struct Interrupted: Error {}

    package init(_ child: ChildRun, folder: String) {
        self.child = child
        // Leftovers of a run are known by the whole path.
        self.folder = URL(fileURLWithPath: folder).standardizedFileURL.path
    }

    package func path(_ cell: Campaign.Cell) -> String { "\(folder)/cells/\(cell.name)" }

    /// - Throws: `Interrupted` when somebody interrupts the laboratory: then nothing of the cell is left.
    package func run(_ cell: Campaign.Cell, lateLimit: Double) throws -> CellResult {
        let path = path(cell), log = path + ".log", plan = path + ".faults.yaml"
        ChildRun.cleanUp(path)
        for stale in [path, log, plan] { try? FileManager.default.removeItem(atPath: stale) }
        try FileManager.default.createDirectory(atPath: folder + "/cells", withIntermediateDirectories: true)
        try Self.write(cell.faults, to: plan)
        var end = try child.run(["train"] + cell.arguments + ["--out", path, "--faults", plan], log: log, limitSeconds: Self.limitSeconds), resumes = 0
        while end == .signalled(Int(SIGKILL)), resumes < Self.resumesMaximum {
            resumes += 1
            try Self.write(Self.left(of: cell.faults, in: LedgerStore.read(path + "/ledger.sqlite")), to: plan)
            end = try child.run(["resume", path, "--faults", plan] + cell.arguments.filter { $0 == "--pin" }, log: log, limitSeconds: Self.limitSeconds)
        }
        if end != .exited(0) { ChildRun.cleanUp(path) }
        switch end {
        case .interrupted:
            for stale in [path, log, plan] { try? FileManager.default.removeItem(atPath: stale) }
            throw Interrupted()
        case .exited(0):
            let account = RunAccount(try LedgerStore.read(path + "/ledger.sqlite")), result = CellResult(cell, account, resumes: resumes)
            // 2 MB for each worker process there ever was, all of it in the ledger by now.
            try? FileManager.default.removeItem(atPath: path + "/flights")
            return Self.doubt(result, account.record, lateLimit).map { result.void($0) } ?? result
        case .exited, .signalled, .overdue:
            return CellResult(failed: cell, resumes: resumes, reason: Self.reason(end, log: log))
        }
    }

    /// Why the times of a run mean nothing: the machine kept the workers from their pace, or something befell them that the
    /// other variations were spared. nil when they do.
    package static func doubt(_ result: CellResult, _ record: RunRecord, _ lateLimit: Double) -> String? {
        if result.lateShare > lateLimit { return "\(percent(result.lateShare)) of the microbatches were late, the limit is \(percent(lateLimit))" }
        let strange = record.incidents.filter { $0.fault == nil }
        return strange.first.map { "\(strange.count) incidents that nobody injected; the first: \($0.description)" }
    }

    private static func reason(_ end: ChildRun.End, log: String) -> String {
        let said = (try? String(contentsOfFile: log, encoding: .utf8))?.split(separator: "\n").last { $0.hasPrefix("headway: ") }
        switch end {
        case .overdue: return "still ran after \(Int(limitSeconds)) s"
        case .signalled(let signal): return "ended by signal \(signal)"
        case .exited(let status): return said.map { String($0.dropFirst("headway: ".count)) } ?? "exit status \(status)"
        case .interrupted: return "interrupted"
        }
    }

    /// One by one, so that what is injected does not depend on how it was drawn.
    static func write(_ faults: [Fault], to path: String) throws {
        let text = faults.isEmpty ? "faults: []\n" : "faults:\n" + faults.map { "  - \($0)\n" }.joined()
        do { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) } catch {
            throw UserError(.unwritable, "\(path) cannot be written: \(error.localizedDescription)")
        }
    }

    /// What a new launcher is to inject: what has not fired and can still come. The fault that ended the old launcher is
    /// noted by the new one only; it strikes no second time.
    package static func left(of faults: [Fault], in record: RunRecord) -> [Fault] {
        let fired = Set(record.faults.filter { $0.firedNanoseconds != nil }.map(\.text)), committed = record.position.step
        return faults.filter { fault in
            guard let step = fault.step, !fired.contains(fault.description) else { return false }
            return fault.victim == .launcher ? step > committed : step >= committed
        }
    }
}
