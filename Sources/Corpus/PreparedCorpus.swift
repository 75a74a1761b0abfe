import Foundation
import RunSpec

/// What a preparation made: for the run's record and for the user.
package struct PreparedCorpus: Sendable {
    package static let trainName = "train.tokens", validationName = "val.tokens", tokenizerName = "tokenizer.json"

    package struct Input: Hashable, Sendable {
        /// Path, "standard input", or "tales of seed …".
        package let name: String
        /// As read, without the newline that may follow it in the corpus; nil where only the tokens are left of it.
        package let bytes: Int?
    }

    package struct Part: Hashable, Sendable {
        package let tokens: Int
        /// Bytes of text behind the tokens: bits per byte = nats per token · tokens / (ln 2 · bytes).
        package let bytes: Int
        /// 1 for the byte tokenizer; 0 if the part is empty.
        package var bytesPerToken: Double { tokens == 0 ? 0 : Double(bytes) / Double(tokens) }
    }

    package let folder: String
    package let tokenizer: Tokenizer
    package let inputs: [Input]
    package let train: Part
    /// No tokens if the validation fraction was 0; then there is no file either.
    package let validation: Part
    /// For tales: the least possible mean loss on the validation part in nats per token, reached by a model that knows
    /// the grammar and sees the whole story so far. nil for other text, whose floor nobody knows.
    package let validationFloor: Double?

    /// Bytes of the whole text, newlines between files included.
    package var bytes: Int { train.bytes + validation.bytes }
    package var trainPath: String { "\(folder)/\(Self.trainName)" }
    package var validationPath: String { "\(folder)/\(Self.validationName)" }
    package var tokenizerPath: String { "\(folder)/\(Self.tokenizerName)" }
}

extension PreparedCorpus {
    /// What `Ingest` has made in a folder, every token read once.
    /// - Parameter validationFloor: is not in the folder.
    package init(reading folder: String, validationFloor: Double?) throws(UserError) {
        let tokenizer = try Tokenizer.load("\(folder)/\(Self.tokenizerName)"), map = try TextMap(reading: folder)
        func part(_ name: String) throws(UserError) -> Part {
            let shard = try TokenShard("\(folder)/\(name)")
            guard shard.vocabulary == tokenizer.vocabulary else {
                throw UserError(.badInput, "\(shard.path) has \(shard.vocabulary) ids and the tokenizer beside it \(tokenizer.vocabulary); prepare the corpus again")
            }
            return Part(tokens: shard.count, bytes: tokenizer.byteCount(of: shard))
        }
        self.init(
            folder: folder, tokenizer: tokenizer, inputs: map.sources.map { Input(name: $0, bytes: nil) }, train: try part(Self.trainName),
            validation: map.validation.tokens == 0 ? Part(tokens: 0, bytes: 0) : try part(Self.validationName), validationFloor: validationFloor)
    }

    /// The same in another folder, which is there.
    package func copied(to other: String) throws(UserError) -> PreparedCorpus {
        for name in [Self.trainName] + (validation.tokens == 0 ? [] : [Self.validationName]) + [Self.tokenizerName, TextMap.fileName] {
            var file = try PendingFile("\(other)/\(name)")
            try file.write(TextFile.bytes(of: "\(folder)/\(name)", called: "prepared text"), at: 0)
            try file.flush()
            try file.commit()
        }
        try PendingFile.flushFolder(other)
        return PreparedCorpus(folder: other, tokenizer: tokenizer, inputs: inputs, train: train, validation: validation, validationFloor: validationFloor)
    }

    /// Tells what a folder's training tokens and its tokenizer are from any others.
    package static func fingerprint(in folder: String) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let tokenizer = try encoder.encode(Tokenizer.load("\(folder)/\(tokenizerName)"))
        return try "\(TokenShard("\(folder)/\(trainName)", checked: false).fingerprint)-\(sha256(tokenizer).prefix(16))"
    }
}
