import Reports
import RunSpec

/// Kinds of faults against points, with a mark for each cell that was run.
package struct CoverageMatrix: Sendable {
    private let results: [Coverage.Cell: CoverageResult]

    package init(_ results: [CoverageResult]) { self.results = Dictionary(results.map { ($0.cell, $0) }, uniquingKeysWith: { $1 }) }

    package var failures: [CoverageResult] { Coverage.all.compactMap { results[$0] }.filter { !$0.holds } }

    private var rows: [[String]] {
        [[""] + Coverage.points.map(\.rawValue)] + Coverage.strikes.map { strike in [strike.name] + Coverage.points.map { mark(strike, $0) } }
    }

    package var text: String {
        (CampaignTable.aligned(rows, right: [false] + Coverage.points.map { _ in true }) + ["", Self.legend] + told).joined(separator: "\n")
    }

    package var page: String {
        let body = "<section><h2>Kinds of faults and points</h2>\n<p class=\"lead\">\(HTMLReport.escaped(Self.legend))</p>\n\(LabPage.table(rows, names: 1))</section>"
            + (told.isEmpty ? "" : "\n<section><h2>Not as promised</h2>\n\(LabPage.paragraphs(told))</section>")
        return LabPage.page(title: "Coverage of faults", lead: count, body: body)
    }

    /// `55 of 55 cells as promised`.
    package var count: String { "\(results.count - failures.count) of \(results.count) cells as promised" }

    private var told: [String] { failures.map { "\($0.cell.name): \($0.failures.joined(separator: "; "))" } }

    private static let legend = "✓ fired, same weights, verified, nothing left; ≠ the same, but for other weights, as is allowed there; ✗ not as promised; · not run"

    private func mark(_ strike: Coverage.Strike, _ point: FaultPoint) -> String {
        guard Fault.points(strike.kind, strike.victim, strike.target).contains(point) else { return "" }
        guard let result = results[Coverage.Cell(strike: strike, point: point)] else { return "·" }
        return !result.holds ? "✗" : result.isEqual == false ? "≠" : "✓"
    }
}
