import Foundation
import RunSpec

/// What a preparation made: for the run's record and for the user.
package struct PreparedCorpus: Sendable {
    package static let trainName = "train.tokens", validationName = "val.tokens", tokenizerName = "tokenizer.json"

    package struct Input: Hashable, Sendable {
        /// Path, "standard input", or "tales of seed …".
        package let name: String
        /// As read, without the newline that may follow it in the corpus.
        package let bytes: Int
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
    /// Tells what a folder's training tokens and its tokenizer are from any others.
    package static func fingerprint(in folder: String) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let tokenizer = try encoder.encode(Tokenizer.load("\(folder)/\(tokenizerName)"))
        return try "\(TokenShard("\(folder)/\(trainName)", checked: false).fingerprint)-\(sha256(tokenizer).prefix(16))"
    }
}
