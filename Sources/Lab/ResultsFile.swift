import Foundation
import RunSpec

// results.csv: a header, then a row per run as it ends. Columns: each axis, `seed`, `outcome` (finished, void or failed),
// `resumes`, the figures (`Figure.all`), `final_sha256`, `weights` (rows that agree in it trained the same), `cell` (all
// that made the run; the newest row of a cell counts) and `reason`. Cells with commas or quotes are quoted.

package struct ResultsFile: Sendable {
    package let path: String
    package let axes: [String]
    package private(set) var rows: [CellResult] = []

    private static let head = ["seed", "outcome", "resumes"], tail = ["final_sha256", "weights", "cell", "reason"]
    private static func header(_ axes: [String]) -> [String] { axes + head + Figure.all.map(\.name) + tail }

    /// The results of a campaign, those that are there and those to come.
    /// - Throws: `UserError` when the file is of a campaign with other axes.
    package init(of axes: [String], at path: String) throws {
        if FileManager.default.fileExists(atPath: path) {
            let found = try ResultsFile(reading: path)
            guard found.axes == axes else {
                throw UserError(.unwritable, "\(path) has the axes \(found.axes.joined(separator: ", ")), this campaign has \(axes.joined(separator: ", ")); choose another folder with --out")
            }
            self = found
        } else {
            (self.path, self.axes) = (path, axes)
            try add(Self.header(axes))
        }
    }

    /// - Throws: `UserError` when there is none, or a row cannot be read. A last row without its end is that of a
    ///   laboratory that was killed and is left out.
    package init(reading path: String) throws {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw UserError(.missing, "\(path): there are no results, or they are not text") }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let header = lines.first.map { Self.fields($0) } ?? []
        guard let seed = header.firstIndex(of: "seed"), header == Self.header(Array(header[..<seed])) else {
            throw UserError(.badInput, "\(path) has not the columns of a campaign's results; `headway lab run` makes them")
        }
        (self.path, axes) = (path, Array(header[..<seed]))
        for (index, line) in lines.enumerated().dropFirst().dropLast() where !line.isEmpty {
            guard let row = Self.row(Self.fields(line), axes: axes.count) else { throw UserError(.badInput, "\(path), line \(index + 1): a row of \(header.count) columns is wanted") }
            rows.append(row)
        }
    }

    /// The row of each cell that counts: the newest.
    package func newest() -> [String: CellResult] { Dictionary(rows.map { ($0.cell, $0) }, uniquingKeysWith: { $1 }) }

    package mutating func append(_ row: CellResult) throws {
        rows.append(row)
        let figures = Figure.all.map { row.figures[$0.name].map { String(format: "%.6g", $0) } ?? "" }
        try add(row.variation.values + [String(row.seed), row.outcome.rawValue, String(row.resumes)] + figures + [row.finalDigest, row.weights, row.cell, row.reason])
    }

    private func add(_ fields: [String]) throws {
        let fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard fd >= 0 else { throw UserError(.unwritable, "\(path) cannot be written: \(String(cString: strerror(errno)))") }
        let line = Array((fields.map(Self.quoted).joined(separator: ",") + "\n").utf8)
        let written = write(fd, line, line.count)
        guard close(fd) == 0, written == line.count else { throw UserError(.unwritable, "\(path) cannot be written: \(String(cString: strerror(errno)))") }
    }

    private static func row(_ fields: [String], axes: Int) -> CellResult? {
        let figures = Figure.all.map(\.name), tail = axes + head.count + figures.count
        guard fields.count == tail + Self.tail.count, let seed = UInt64(fields[axes]), let outcome = CellResult.Outcome(rawValue: fields[axes + 1]),
            let resumes = Int(fields[axes + 2]) else { return nil }
        let numbers = zip(figures, fields[(axes + head.count)..<tail]).compactMap { name, text in Double(text).map { (name, $0) } }
        guard numbers.count == figures.count || outcome == .failed else { return nil }
        return CellResult(
            cell: fields[tail + 2], variation: Campaign.Variation(values: Array(fields[..<axes])), seed: seed, outcome: outcome, resumes: resumes,
            figures: Dictionary(uniqueKeysWithValues: numbers), finalDigest: fields[tail], weights: fields[tail + 1], reason: fields[tail + 3])
    }

    private static func quoted(_ field: String) -> String {
        let line = field.replacing("\n", with: " ")
        return line.contains { $0 == "," || $0 == "\"" } ? "\"" + line.replacing("\"", with: "\"\"") + "\"" : line
    }

    private static func fields(_ line: Substring) -> [String] {
        var fields = [""], isQuoted = false, previous: Character?
        for character in line where character != "\r" {
            if character == "\"" {
                // A quote within quotes is doubled.
                if !isQuoted && previous == "\"" { fields[fields.count - 1].append(character) }
                isQuoted.toggle()
            } else if character == "," && !isQuoted {
                fields.append("")
            } else {
                fields[fields.count - 1].append(character)
            }
            previous = character
        }
        return fields
    }
}
