import CSystem
import Foundation
import RunSpec

/// A campaign as it is carried out: one run after the other, each result kept as soon as it is there.
package struct CampaignRun {
    private let campaign: Campaign
    private let cells: [Campaign.Cell]
    private let runs: CellRun
    private var results: ResultsFile
    private let folder: String

    /// - Parameters:
    ///   - text: of the campaign's file, kept beside the results.
    /// - Throws: `UserError` when a cell cannot be, or the folder is not to be had.
    package init(_ campaign: Campaign, text: String, folder: String, program: String) throws {
        (self.campaign, self.folder) = (campaign, folder)
        cells = try campaign.cells()
        do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
            throw UserError(.unwritable, "\(folder) cannot be made: \(error.localizedDescription)")
        }
        try Self.lock(folder)
        results = try ResultsFile(of: campaign.axes.map(\.name), at: folder + "/results.csv")
        runs = CellRun(ChildRun(program: program), folder: folder)
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/campaign.yaml"), options: .atomic)
    }

    /// Holds the folder for this process until it ends: two laboratories in it would redo and remove each other's runs.
    private static func lock(_ folder: String) throws {
        let fd = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard fd >= 0, cs_lock_file(fd) == 0 else { throw UserError(.unwritable, "\(folder) is in use by another laboratory, or cannot be written; choose another folder with --out") }
    }

    /// Runs that are still to be made: none that finished, again those that were void or failed.
    package var due: [Campaign.Cell] {
        let done = results.newest()
        return cells.filter { done[$0.identity]?.outcome != .finished }
    }

    /// Makes what is due.
    /// - Parameter say: gets a line per run.
    /// - Throws: `UserError` when it is interrupted: what has ended is kept, and the same command goes on.
    package mutating func run(_ say: (String) -> Void) throws {
        cs_note_interrupts()
        let due = due, began = MonotonicClock.nanoseconds()
        say("\(campaign.name) · \(campaign.conditions)")
        say("\(cells.count) runs, \(cells.count - due.count) of them done")
        for (index, cell) in due.enumerated() {
            let row: CellResult
            do { row = try runs.run(cell, lateLimit: campaign.lateLimit) } catch is CellRun.Interrupted {
                throw UserError(.interrupted, "interrupted with \(due.count - index) runs to go; the same command goes on")
            }
            try results.append(row)
            let passed = Double(MonotonicClock.nanoseconds() - began) / 1e9, left = passed / Double(index + 1) * Double(due.count - index - 1)
            say("[\(index + 1)/\(due.count)] \(campaign.words(cell.variation)) seed=\(cell.seed): \(outcome(row)); \(duration(left)) left")
        }
    }

    package var summary: CampaignSummary {
        let done = results.newest()
        return CampaignSummary(campaign, rows: cells.compactMap { done[$0.identity] })
    }

    private func outcome(_ row: CellResult) -> String {
        switch row.outcome {
        case .failed: return "FAILED, \(row.reason)"
        case .void: return "VOID, \(row.reason)"
        case .finished:
            let figures = row.figures
            return "\(duration(figures["wall_s"] ?? 0)), effective goodput \(percent(figures["effective_goodput"] ?? 0)), \(Int(figures["incidents"] ?? 0)) incidents"
        }
    }
}
