import RunSpec

/// One kind of figure of a run: a row for each step, incident, category … with named columns. Names end with the unit.
package struct RunTable: Sendable {
    package let name: String
    package let columns: [String]
    /// Plain values, one for each column.
    let rows: [[JSONValue]]

    package init(_ name: String, _ columns: [String], _ rows: [[JSONValue]]) {
        precondition(rows.allSatisfy { $0.count == columns.count }, "\(name) has a row that is not \(columns.count) wide")
        (self.name, self.columns, self.rows) = (name, columns, rows)
    }

    /// The table as RFC 4180 has it: a header, CRLF, quotes where they are needed. What is not known is empty.
    package var csv: String {
        ([columns.map { JSONValue.text($0) }] + rows).map { $0.map(Self.field).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func field(_ value: JSONValue) -> String {
        if case .null = value { return "" }
        guard case .text(let text) = value else { return value.text }
        let needsQuotes = text.unicodeScalars.contains { [",", "\"", "\n", "\r"].contains($0) } || text.first == " " || text.last == " "
        return needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }

    /// The same as a list of objects.
    package var json: JSONValue { .list(rows.map { .object(Array(zip(columns, $0)).map { (key: $0.0, value: $0.1) }) }) }
}
