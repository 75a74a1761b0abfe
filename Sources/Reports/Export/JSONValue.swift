import Foundation

/// A JSON document with its keys in the order in which people read them.
indirect enum JSONValue: Sendable {
    case null
    case flag(Bool)
    case integer(Int)
    /// What is not finite is written as null.
    case real(Double)
    case text(String)
    case list([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// The document, indented by two; lists of plain values and objects of plain values within lists stand on a line.
    var text: String {
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
    init(stringLiteral value: String) { self = .text(value) }

    init(_ value: Int?) { self = value.map { .integer($0) } ?? .null }
    init(_ value: Double?) { self = value.map { $0.isFinite ? .real($0) : .null } ?? .null }
    init(_ value: String?) { self = value.map { .text($0) } ?? .null }
    init(_ value: UInt64?) { self = value.map { .integer(Int($0)) } ?? .null }
    init(_ value: Bool) { self = .flag(value) }
}
