import Foundation

/// A JSON document with its keys in the order in which people read them.
package indirect enum JSONValue: Sendable {
    case null
    case flag(Bool)
    case integer(Int)
    /// What is not finite is written as null.
    case real(Double)
    case text(String)
    case list([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// The document, indented by two; lists of plain values and objects of plain values within lists stand on a line.
    package var text: String {
        var out = ""
        write(to: &out, indent: 0, inList: false)
        return out
    }

    private var isPlain: Bool {
        switch self {
        case .list, .object: false
        default: true
        }
    }

    private func write(to out: inout String, indent: Int, inList: Bool) {
        switch self {
        case .null: out += "null"
        case .flag(let flag): out += flag ? "true" : "false"
        case .integer(let integer): out += String(integer)
        // The shortest digits that give the same number back.
        case .real(let real): out += real.isFinite ? "\(real)" : "null"
        case .text(let text): Self.quote(text, to: &out)
        case .list(let items):
            Self.write(items.map { (nil, $0) }, "[", "]", on: items.allSatisfy(\.isPlain), to: &out, indent: indent, inList: true)
        case .object(let members):
            Self.write(members.map { ($0.key, $0.value) }, "{", "}", on: inList && members.allSatisfy(\.value.isPlain), to: &out, indent: indent, inList: false)
        }
    }

    private static func write(
        _ parts: [(String?, JSONValue)], _ open: String, _ close: String, on oneLine: Bool, to out: inout String, indent: Int, inList: Bool
    ) {
        let newLine = oneLine || parts.isEmpty ? "" : "\n" + String(repeating: " ", count: indent + 2)
        out += open
        for (index, (key, value)) in parts.enumerated() {
            out += index == 0 ? newLine : oneLine ? ", " : "," + newLine
            if let key {
                quote(key, to: &out)
                out += ": "
            }
            value.write(to: &out, indent: indent + 2, inList: inList)
        }
        out += (newLine.isEmpty ? "" : "\n" + String(repeating: " ", count: indent)) + close
    }

    private static func quote(_ text: String, to out: inout String) {
        out += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case "\r": out += "\\r"
            case _ where scalar.value < 0x20: out += String(format: "\\u%04x", scalar.value)
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}

extension JSONValue: ExpressibleByStringLiteral {
    package init(stringLiteral value: String) { self = .text(value) }

    package init(_ value: Int?) { self = value.map { .integer($0) } ?? .null }
    package init(_ value: Double?) { self = value.map { $0.isFinite ? .real($0) : .null } ?? .null }
    package init(_ value: String?) { self = value.map { .text($0) } ?? .null }
    package init(_ value: UInt64?) { self = value.map { .integer(Int($0)) } ?? .null }
    package init(_ value: Bool) { self = .flag(value) }
}

extension JSONValue: Decodable {
    private struct Name: CodingKey {
        let stringValue: String, intValue: Int? = nil
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: Name.self) {
            self = .object(try members.allKeys.map { ($0.stringValue, try members.decode(JSONValue.self, forKey: $0)) })
            return
        }
        if var items = try? decoder.unkeyedContainer() {
            var list: [JSONValue] = []
            while !items.isAtEnd { list.append(try items.decode(JSONValue.self)) }
            self = .list(list)
            return
        }
        let value = try decoder.singleValueContainer()
        if value.decodeNil() { self = .null }
        else if let flag = try? value.decode(Bool.self) { self = .flag(flag) }
        else if let integer = try? value.decode(Int.self) { self = .integer(integer) }
        else if let real = try? value.decode(Double.self) { self = .real(real) }
        else { self = .text(try value.decode(String.self)) }
    }
}
