import Foundation
import Model
import RunSpec
import Testing

/// PyTorch and we both round every float32 product and sum, in other orders: some 1e-6 per tensor after a few layers.
private let tolerance = 1e-4

@Suite("Transformer against PyTorch") struct ReferenceTests {
    @Test("logits, loss, every gradient and ten AdamW steps equal PyTorch's",
          arguments: ["tiny-gpt2", "tiny-llama"])
    func ownFixtures(name: String) throws {
        try check(Reference(name, in: Reference.fixtures))
    }

    @Test("the larger golden models agree too",
          .enabled(if: Reference.exists("gpt2-small", in: Reference.golden),
                   "no ../shared/golden beside the package"),
          arguments: ["gpt2-small", "llama-gqa"])
    func goldenModels(name: String) throws {
        try check(Reference(name, in: Reference.golden))
    }

    private func check(_ reference: Reference) throws {
        let (config, layout) = (reference.config, reference.layout)
        let model = Transformer(config, sequences: reference.sequences)
        var parameters = reference.flat(), gradient = [Float](repeating: .nan, count: layout.count)
        let (inputs, targets) = (reference.inputs, reference.targets)
        let mean = 1 / Double(reference.tokens)

        model.forward(parameters: parameters, inputs: inputs, dropout: nil)

        var logits = [Float](repeating: 0, count: config.context * config.vocabulary)
        logits.withUnsafeMutableBufferPointer { logits in
            for row in 0..<config.context {
                model.logits(parameters: parameters, row: row, into: logits.baseAddress! + row * config.vocabulary)
            }
        }
        #expect(relativeError(logits, reference.tensors["logits0"].floats) < tolerance)

        var losses = [Double](repeating: 0, count: reference.sequences)
        model.losses(parameters: parameters, targets: targets, into: &losses)
        #expect(abs(losses.reduce(0, +) * mean / reference.loss - 1) < tolerance)

        let loss = model.backward(parameters: parameters, targets: targets, gradient: &gradient)
        #expect(abs(loss * mean / reference.loss - 1) < tolerance)
        for slot in layout.slots {
            let found = gradient[slot.offset..<slot.offset + slot.count].map { $0 * Float(mean) }
            let error = relativeError(found, reference.values(slot, prefix: "grad."))
            #expect(error < tolerance, "gradient of \(slot.name)")
        }

        let curve = reference.json["loss_curve"] as! [Double], norms = reference.json["grad_norm_curve"] as! [Double]
        var optimizer = PlainAdamW(count: layout.count)
        for step in curve.indices {
            model.forward(parameters: parameters, inputs: inputs, dropout: nil)
            let loss = model.backward(parameters: parameters, targets: targets, gradient: &gradient)
            for i in gradient.indices { gradient[i] *= Float(mean) }
            let norm = optimizer.step(&parameters, gradient, layout)
            #expect(abs(loss * mean / curve[step] - 1) < tolerance, "loss of step \(step)")
            #expect(abs(norm / norms[step] - 1) < tolerance, "gradient norm of step \(step)")
        }
        for slot in layout.slots {
            var found = Array(parameters[slot.offset..<slot.offset + slot.count])
            var expected = reference.values(slot, prefix: "after10.")
            if slot.name.hasSuffix("attn.c_attn.bias") {
                // A bias on the keys moves all scores of a query alike, so its true gradient is zero, and Adam turns
                // the rounding noise that is left into full steps of either sign.
                found.removeSubrange(config.width..<2 * config.width)
                expected.removeSubrange(config.width..<2 * config.width)
            }
            let error = relativeError(found, expected)
            #expect(error < tolerance, "\(slot.name) after ten steps")
        }
    }
}

/// AdamW as PyTorch has it, in double precision and as plain as can be: lr 1e-3, betas 0.9 and 0.95, epsilon 1e-8,
/// decay 0.1 for matrices, clipped to norm 1. Loshchilov, Hutter 2019.
private struct PlainAdamW {
    var steps = 0
    var m: [Double], v: [Double]

    init(count: Int) {
        m = Array(repeating: 0, count: count)
        v = m
    }

    /// Returns the norm before clipping.
    mutating func step(_ parameters: inout [Float], _ gradient: [Float], _ layout: ParameterLayout) -> Double {
        steps += 1
        let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        let clip = min(1, 1 / (norm + 1e-6))
        let correction1 = 1 - PortableMath.pow(0.9, steps), correction2 = 1 - PortableMath.pow(0.95, steps)
        for slot in layout.slots {
            for i in slot.offset..<slot.offset + slot.count {
                let g = Double(gradient[i]) * clip
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.95 * v[i] + 0.05 * g * g
                let decayed = Double(parameters[i]) * (slot.decays ? 1 - 1e-3 * 0.1 : 1)
                parameters[i] = Float(decayed - 1e-3 * (m[i] / correction1) / ((v[i] / correction2).squareRoot() + 1e-8))
            }
        }
        return norm
    }
}
