import Foundation
import Lab
import RunSpec

/// A temporary file of results with the axes `policy` and `rate`; goes with the test.
final class Results {
    let path: String
    private(set) var file: ResultsFile

    init(_ rows: [CellResult] = []) throws {
        path = FileManager.default.temporaryDirectory.path + "/headway-test-\(UUID().uuidString).csv"
        file = try ResultsFile(of: ["policy", "rate"], at: path)
        for row in rows { try file.append(row) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func row(
        _ policy: String, _ rate: String, seed: UInt64, goodput: Double = 0.5, _ outcome: CellResult.Outcome = .finished, digest: String = "aa",
        reason: String = ""
    ) -> CellResult {
        var figures = Dictionary(uniqueKeysWithValues: Figure.all.map { ($0.name, 1.0) })
        figures["effective_goodput"] = goodput
        return CellResult(
            cell: "\(policy)\(rate)\(seed)", variation: Campaign.Variation(values: [policy, rate]), seed: seed, outcome: outcome,
            figures: outcome == .failed ? [:] : figures, finalDigest: outcome == .failed ? "" : digest, weights: "w", reason: reason)
    }

    /// A row per value, with seeds from 1.
    static func rows(_ policy: String, _ rate: String, _ goodput: [Double]) -> [CellResult] {
        goodput.enumerated().map { row(policy, rate, seed: UInt64($0 + 1), goodput: $1) }
    }
}
