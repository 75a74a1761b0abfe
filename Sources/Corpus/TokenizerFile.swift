// tokenizer.json, kept beside the token shards:
//
//     {"format": "headway-tokenizer", "version": 1, "kind": "byte"}
//     {"format": "headway-tokenizer", "version": 1, "kind": "char", "scalars": [10, 32, 33, …]}
//
// `scalars` are the code points of the vocabulary in strictly ascending order; the id of a character is its place
// in the list. Numbers, not a string, so that no JSON writer can normalise, escape or merge them.

import Foundation
import RunSpec

extension Tokenizer: Codable {
    private enum Field: String, CodingKey { case format, version, kind, scalars }
    private static let format = "headway-tokenizer", version = 1

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Field.self)
        try fields.encode(Self.format, forKey: .format)
        try fields.encode(Self.version, forKey: .version)
        try fields.encode(kind, forKey: .kind)
        if case .char(let vocabulary) = self {
            try fields.encode(vocabulary.scalars.map(\.value), forKey: .scalars)
        }
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        func fault(_ field: Field, _ reason: String) -> DecodingError {
            .dataCorruptedError(forKey: field, in: fields, debugDescription: reason)
        }
        let format = try fields.decode(String.self, forKey: .format)
        guard format == Self.format else { throw fault(.format, "format is '\(format)', not '\(Self.format)'") }
        let version = try fields.decode(Int.self, forKey: .version)
        guard version == Self.version else { throw fault(.version, "version is \(version), not \(Self.version)") }
        switch try fields.decode(Kind.self, forKey: .kind) {
        case .byte: self = .byte
        case .char:
            let values = try fields.decode([UInt32].self, forKey: .scalars)
            let scalars = values.compactMap(Unicode.Scalar.init)
            guard !scalars.isEmpty, scalars.count == values.count, zip(values, values.dropFirst()).allSatisfy(<) else {
                throw fault(.scalars, "scalars are not an ascending list of code points")
            }
            self = .char(CharVocabulary(scalars: scalars))
        }
    }

    /// The content of `tokenizer.json`, with a newline at the end.
    package func fileContent() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do { return try [UInt8](encoder.encode(self)) + [0x0A] } catch { preconditionFailure("\(error)") }
    }

    /// Reads a `tokenizer.json`. `.missing` if there is none, `.badInput` if it cannot be used.
    package static func load(_ path: String) throws(UserError) -> Tokenizer {
        let bytes = try TextFile.bytes(of: path, called: "tokenizer file")
        do {
            return try JSONDecoder().decode(Tokenizer.self, from: Data(bytes))
        } catch DecodingError.dataCorrupted(let context) {
            throw unusable(path, context.debugDescription)
        } catch DecodingError.keyNotFound(let key, _) {
            throw unusable(path, "it has no '\(key.stringValue)'")
        } catch {
            throw unusable(path, "it is not a tokenizer description")
        }
    }

    private static func unusable(_ path: String, _ reason: String) -> UserError {
        UserError(.badInput, "tokenizer file \(path) cannot be used: \(reason); prepare the corpus again")
    }
}
