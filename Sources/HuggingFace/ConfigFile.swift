import Foundation
import RunSpec

/// A JSON file of Hugging Face's: its fields by name, and errors that name file and field. A field that is null counts
/// as absent, as it does there.
struct ConfigFile {
    let path: String
    private let fields: [String: JSONValue]

    init(_ path: String) throws(UserError) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw UserError(.missing, "\(path) does not exist or cannot be read; name a folder that `save_pretrained` or `headway export hf` wrote")
        }
        guard case .object(let members)? = try? JSONDecoder().decode(JSONValue.self, from: data) else {
            throw UserError(.badInput, "\(path) is not a JSON object")
        }
        self.path = path
        fields = Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
    }

    private init(path: String, fields: [String: JSONValue]) { (self.path, self.fields) = (path, fields) }

    subscript(name: String) -> JSONValue? {
        if case .null? = fields[name] { return nil }
        return fields[name]
    }

    func refuse(_ name: String, _ reason: String) -> UserError { UserError(.badInput, "\(path): `\(name)` \(reason)") }

    private func refuse(_ name: String, mustBe wanted: String) -> UserError {
        self[name].map { refuse(name, "is \(Self.words($0)), but must be \(wanted)") } ?? refuse(name, "is missing; it must be \(wanted)")
    }

    /// On one line.
    private static func words(_ value: JSONValue) -> String {
        value.text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " ")
    }

    func integer(_ name: String, default value: Int? = nil) throws(UserError) -> Int {
        if self[name] == nil, let value { return value }
        guard case .integer(let found)? = self[name], 1...Int(Int32.max) ~= found else { throw refuse(name, mustBe: "a whole number from 1 to \(Int32.max)") }
        return found
    }

    func real(_ name: String, default value: Double) throws(UserError) -> Double {
        switch self[name] {
        case nil: return value
        case .integer(let found)?: return Double(found)
        case .real(let found)?: return found
        default: throw refuse(name, mustBe: "a number")
        }
    }

    func flag(_ name: String, default value: Bool) throws(UserError) -> Bool {
        guard self[name] != nil else { return value }
        guard case .flag(let found)? = self[name] else { throw refuse(name, mustBe: "true or false") }
        return found
    }

    func texts(_ name: String) -> [String] {
        guard case .list(let items)? = self[name] else { return [] }
        return items.compactMap { if case .text(let text) = $0 { text } else { nil } }
    }

    /// The members of an object, none if it is absent.
    func object(_ name: String) throws(UserError) -> ConfigFile {
        guard let value = self[name] else { return ConfigFile(path: path, fields: [:]) }
        guard case .object(let members) = value else { throw refuse(name, mustBe: "an object") }
        return ConfigFile(path: path + ", " + name, fields: Dictionary(members.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }))
    }

    var texts: [String: String] {
        fields.compactMapValues { if case .text(let text) = $0 { text } else { nil } }
    }

    /// Stops where a setting that changes what the model computes has another value than those that are computed here.
    /// - Parameter allowed: as JSON; absent is always one of them.
    func require(_ name: String, _ allowed: String...) throws(UserError) {
        guard let value = self[name], !allowed.contains(value.text) else { return }
        throw refuse(name, "is \(Self.words(value)), which headway does not compute" + (allowed.isEmpty ? "; it must be absent" : "; it must be \(allowed.joined(separator: " or "))"))
    }
}
