import Foundation
import GRDB
import RunSpec

/// A row as it is stored. Whatever it holds, reading it gives a value that can be, or an error that names the place: a
/// ledger may have been edited, and a number that is silently wrong is worse than none.
struct LedgerRow {
    /// No clock of a machine that was started within the last four years shows more, and sums over slots stay in 64 bits.
    static let latestNanoseconds: Int64 = 1 << 57
    /// More steps, tokens or bytes than any run has; more floating-point operations a second than any machine.
    private static let largestCount = 1 << 48
    static let largestNumber = 1e18

    private let row: Row, table: String, path: String

    /// - Parameter row: with its values copied: a row of a cursor takes text for the number 0.
    init(_ row: Row, _ table: String, _ path: String) { (self.row, self.table, self.path) = (row, table, path) }

    private func refusal(_ column: String) -> UserError {
        let value = row.hasColumn(column) ? (row[column] as DatabaseValue).description.prefix(40) : "missing"
        let place = row.databaseValues.first.map { "\(row.columnNames.first ?? "") \($0.description.prefix(20))" } ?? ""
        return UserError(.badInput, "\(path) was changed or is damaged: in table \(table), \(place), `\(column)` is \(value), which cannot be; no figure of it is to be believed")
    }

    private func value<Value: DatabaseValueConvertible>(_ column: String) throws -> Value? {
        guard row.hasColumn(column) else { throw refusal(column) }
        let stored: DatabaseValue = row[column]
        if stored.isNull { return nil }
        guard let value = Value.fromDatabaseValue(stored) else { throw refusal(column) }
        return value
    }

    private func required<Value>(_ column: String, _ value: Value?) throws -> Value {
        guard let value else { throw refusal(column) }
        return value
    }

    func text(_ column: String) throws -> String { try required(column, value(column)) }
    func optionalText(_ column: String) throws -> String? { try value(column) }
    /// One of a closed list of words.
    func choice<Choice: RawRepresentable<String>>(_ column: String) throws -> Choice { try required(column, Choice(rawValue: text(column))) }
    func optionalChoice<Choice: RawRepresentable<String>>(_ column: String) throws -> Choice? {
        try optionalText(column).map { try required(column, Choice(rawValue: $0)) }
    }
    func bytes(_ column: String) throws -> Data { try required(column, value(column)) }
    func flag(_ column: String) throws -> Bool { try count(column) != 0 }

    func count(_ column: String, from least: Int = 0) throws -> Int {
        let count = try required(column, optionalCount(column))
        guard count >= least else { throw refusal(column) }
        return count
    }

    func optionalCount(_ column: String) throws -> Int? {
        guard let count: Int = try value(column) else { return nil }
        guard (0...Self.largestCount).contains(count) else { throw refusal(column) }
        return count
    }

    func real(_ column: String) throws -> Double {
        let number: Double = try required(column, value(column))
        guard abs(number) <= Self.largestNumber else { throw refusal(column) }
        return number
    }

    /// A length of time.
    /// - Parameter least: that it must be above; 0 is allowed without.
    func seconds(_ column: String, above least: Double? = nil) throws -> Double {
        let seconds = try real(column)
        guard least.map({ seconds > $0 }) ?? (seconds >= 0) else { throw refusal(column) }
        return seconds
    }

    func ns(_ column: String) throws -> UInt64 { try required(column, optionalNs(column)) }

    func optionalNs(_ column: String) throws -> UInt64? {
        guard let time: Int64 = try value(column) else { return nil }
        guard (0...Self.latestNanoseconds).contains(time) else { throw refusal(column) }
        return UInt64(time)
    }

    func doubles(_ column: String, atLeast least: Int = 0) throws -> [Double] {
        let values = try values(of: Double.self, column)
        guard values.count >= least, values.allSatisfy({ abs($0) <= Self.largestNumber }) else { throw refusal(column) }
        return values
    }

    /// Numbers of replicas as four bytes each.
    func replicas(_ column: String) throws -> [Int] { try values(of: UInt32.self, column).map { Int($0) } }

    private func values<Value>(of type: Value.Type, _ column: String) throws -> [Value] {
        let bytes = try bytes(column)
        guard bytes.count % MemoryLayout<Value>.stride == 0 else { throw refusal(column) }
        return bytes.values(of: type)
    }

    /// Empty unless there are as many as doubles in `other`.
    func integers(_ column: String, like other: String) throws -> [Int] {
        let values = try values(of: Int.self, column)
        return values.count == (try doubles(other).count) ? values : []
    }

    /// Rows of equal length, one for each double in `rows`; empty when they do not come out even.
    func table(_ column: String, rows: String) throws -> [[Double]] {
        let values = try doubles(column), count = try doubles(rows).count
        guard count > 0, !values.isEmpty, values.count % count == 0 else { return [] }
        let width = values.count / count
        return (0..<count).map { Array(values[$0 * width..<($0 + 1) * width]) }
    }

    /// Without those that no clock can have written; what is missing then shows as a gap in its worker's record.
    func events(_ column: String) throws -> [FlightEvent] {
        let latest = UInt64(Self.latestNanoseconds)
        return try bytes(column).values(of: FlightEvent.self).filter { $0.nanoseconds <= latest && $0.runDelayNanoseconds <= latest }
    }
}

extension Data {
    /// The bytes as values of a trivial type; a torn last one is left out.
    fileprivate func values<T>(of type: T.Type) -> [T] {
        withUnsafeBytes { bytes in
            (0..<bytes.count / MemoryLayout<T>.stride).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.stride, as: T.self) }
        }
    }
}
