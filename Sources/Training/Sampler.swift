import Corpus
import Foundation
import Model
import RunSpec

/// Generates text with the weights of a run's newest checkpoint.
package struct Sampler {
    private let weights: RunWeights
    private let transformer: Transformer
    package var step: Int { weights.step }
    package var remarks: [String] { weights.remarks }

    /// - Throws: `UserError` when the run has no whole checkpoint.
    package init(_ folder: RunFolder) throws {
        weights = try RunWeights(folder)
        transformer = Transformer(weights.config.model, sequences: 1)
    }

    /// Continues `prompt` by `count` tokens.
    /// - Parameters:
    ///   - temperature: divides the logits; 0 takes the likeliest token always.
    ///   - topK: only the K likeliest tokens may be drawn; 0 for all.
    ///   - seed: of the draws; the same seed gives the same text.
    ///   - emit: called with the bytes of each token as it is drawn.
    package func continuation(
        of prompt: String, count: Int, temperature: Double, topK: Int, seed: UInt64, emit: ([UInt8]) -> Void
    ) throws {
        let model = weights.config.model, context = model.context, parameters = weights.parameters.base
        var tokens = try weights.tokenizer.encode(prompt)
        if tokens.isEmpty { tokens = [0] }
        var inputs = [Int32](repeating: 0, count: context)
        var logits = [Float](repeating: 0, count: model.vocabulary)
        let random = Philox(key: seed)
        for index in 0..<count {
            let window = tokens.suffix(context)
            for (i, token) in window.enumerated() { inputs[i] = token }
            transformer.forward(parameters: parameters, inputs: inputs, dropout: nil)
            transformer.logits(parameters: parameters, row: window.count - 1, into: &logits)
            let draw = random.uniform(.sampling, 0, 0, index: UInt32(index))
            // Of weights from elsewhere the model may have more ids than the tokenizer.
            let token = Self.draw(Array(logits.prefix(weights.tokenizer.vocabulary)), temperature: temperature, topK: topK, uniform: draw)
            tokens.append(token)
            emit(weights.tokenizer.decode([token]))
        }
    }

    /// The token at `uniform` of the cumulative distribution, likeliest first.
    static func draw(_ logits: [Float], temperature: Double, topK: Int, uniform: Double) -> Int32 {
        let ranked = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
        guard temperature > 0 else { return Int32(ranked[0]) }
        let kept = ranked.prefix(topK > 0 ? topK : ranked.count)
        let weights = kept.map { PortableMath.exp(Double(logits[$0] - logits[ranked[0]]) / temperature) }
        var left = uniform * weights.reduce(0, +)
        for (index, weight) in zip(kept, weights) {
            left -= weight
            if left < 0 { return Int32(index) }
        }
        return Int32(kept.last!)
    }
}
