/// The held-out work of a run, cut into units of one microbatch: `validation` units that cover the validation text, then
/// `probe` units of the two probe sets, then, if there are probes, one whose gradient is taken.
package struct HeldOutUnits: Codable, Hashable, Sendable {
    package var validation: Int
    package var probe: Int
    /// Steps between two passes over the probes, before any doubling.
    package var probeWindow: Int

    /// Sequences of both probes together below which an interval says nothing.
    static let leastSequences = 16
    /// The gradient of the decision probe is taken at every such probe pass.
    package static let gradientEvery = 2

    package init(validation: Int, probe: Int = 0, probeWindow: Int = 0) {
        (self.validation, self.probe, self.probeWindow) = (validation, probe, probeWindow)
    }

    package var count: Int { validation + probe + (probe > 0 ? 1 : 0) }
    package var validationUnits: Range<Int> { 0..<validation }
    package var probeUnits: Range<Int> { validation..<validation + probe }
    /// The unit whose gradient is taken; exists only with probes.
    package var gradientUnit: Int { validation + probe }

    /// What is to be done with the weights of one step: always one range.
    package func due(validates: Bool, probes: Bool, takesGradient: Bool) -> Range<Int> {
        (validates ? 0 : validation)..<(probes && probe > 0 ? validation + probe + (takesGradient ? 1 : 0) : validation)
    }
}

extension HeldOutUnits {
    /// As many probe sequences as the budget f allows: a forward pass costs a third of a training step's token, so a pass
    /// every K steps may have 3 · f · K batches of them, less what the gradient costs (three times its tokens). Where that
    /// is too few for an interval, K grows.
    /// - Parameters:
    ///   - windows: full windows of the validation text; probes are spread evenly over them.
    package init(_ config: RunConfig, validation: Int, windows: Int) {
        self.init(validation: validation)
        let b = config.sequencesPerMicrobatch, perStep = 3 * config.probe.budget * Double(config.batch.sequences)
        let gradient = 3 * Double(b) / Double(Self.gradientEvery)
        guard perStep > 0 else { return }
        let needed = ((Double(Self.leastSequences) + gradient) / perStep).rounded(.up)
        // A run too short for a single window within the budget has no probes.
        guard max(needed, Double(config.probe.window)) <= Double(config.steps) else { return }
        let window = max(config.probe.window, Int(needed))
        let affordable = Int((perStep * Double(window) - gradient) / Double(b))
        var units = min(max(affordable, (Self.leastSequences + b - 1) / b, 2), windows / b)
        // Two sets of equal size.
        if units * b % 2 == 1 { units -= 1 }
        guard units >= 2, units * b >= Self.leastSequences / 2 else { return }
        (probe, probeWindow) = (units, window)
    }
}
