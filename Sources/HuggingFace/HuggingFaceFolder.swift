import Corpus
import Foundation
import Model
import RunSpec

/// A folder in Hugging Face's format that a run can begin from: `config.json`, weights, and our own tokenizer if
/// `headway export hf` put it there.
package struct HuggingFaceFolder {
    static let configName = "config.json", tokenizerName = "headway-tokenizer.json"

    package let path: String
    /// The context is that of the weights, at most what a setting can hold; a run may have a shorter one.
    package let model: ModelConfig
    package let tokenizer: Tokenizer
    /// What the user should know of how it is taken.
    package let remarks: [String]
    private let weights: ForeignWeights

    private static let longestContext = 65_536

    /// Reads everything but the values, and refuses what cannot be computed here.
    package init(_ path: String) throws {
        self.path = path
        var remarks: [String] = []
        var model = try ModelConfig(ConfigFile("\(path)/\(Self.configName)"), remarks: &remarks)
        weights = try ForeignWeights(path, model)
        if model.family == .llama { model.context = min(model.context, Self.longestContext) }
        tokenizer = try Self.tokenizer(path, vocabulary: model.vocabulary, &remarks)
        (self.model, self.remarks) = (model, remarks)
    }

    private static func tokenizer(_ path: String, vocabulary: Int, _ remarks: inout [String]) throws(UserError) -> Tokenizer {
        let file = "\(path)/\(tokenizerName)"
        guard FileManager.default.fileExists(atPath: file) else {
            guard vocabulary >= Tokenizer.byte.vocabulary else {
                throw UserError(.badInput, "\(path) has no \(tokenizerName), and a `vocab_size` of \(vocabulary) is too small for bytes, which need \(Tokenizer.byte.vocabulary)")
            }
            remarks.append("\(path) has no \(tokenizerName): text becomes bytes, ids 0 to 255 of \(vocabulary), whatever these ids stood for when the weights were trained")
            return .byte
        }
        let tokenizer = try Tokenizer.load(file)
        guard tokenizer.vocabulary <= vocabulary else {
            throw UserError(.badInput, "\(file) has \(tokenizer.vocabulary) ids, and `vocab_size` in \(configName) is \(vocabulary)")
        }
        return tokenizer
    }

    /// Gives the configuration this model and tokenizer.
    package func shape(_ config: inout RunConfig) {
        config.model = model
        config.data.tokenizer = tokenizer.kind == .byte ? .byte : .char
    }

    /// - Throws: `UserError` naming a setting that does not go with the weights.
    package func check(_ config: RunConfig) throws(UserError) {
        var own = config
        shape(&own)
        own.model.dropout = config.model.dropout
        own.model.context = min(config.model.context, model.context)
        for key in ConfigKey.all where key.read(config) != key.read(own) {
            throw UserError(.usage, "\(key.name) cannot be \(key.read(config)): the weights in \(path) were made with \(key.read(own)); leave it out")
        }
    }

    /// Writes the weights to `parameters`, a flat vector of `layout`.
    package func fill(_ layout: ParameterLayout, _ parameters: UnsafeMutablePointer<Float>) throws(UserError) {
        try weights.fill(layout, parameters)
    }
}
