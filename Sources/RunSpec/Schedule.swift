/// The learning rate as a pure function of the step.
package struct Schedule: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable { case constant, linear, cosine, wsd }

    package var kind = Kind.cosine
    package var peak = 1e-3
    /// Where linear, cosine and wsd end.
    package var minimum = 1e-4
    /// Steps of linear rise from 0 to `peak`.
    package var warmup = 50
    /// wsd (warm-up, stable, decay): the share of the steps, at the end, over which the rate falls linearly.
    package var decayFraction = 0.2

    package init() {}

    /// The rate of the update that makes committed step `step` + 1 of `steps`. As nanoGPT does, warm-up gives
    /// update 0 the rate peak / (warmup + 1), and the decay reaches `minimum` at step `steps`.
    package func rate(step: Int, of steps: Int) -> Double {
        if step < warmup { return peak * Double(step + 1) / Double(warmup + 1) }
        func share(from start: Int) -> Double {
            step <= start ? 0 : min(1, Double(step - start) / Double(max(1, steps - start)))
        }
        switch kind {
        case .constant: return peak
        case .linear: return peak + (minimum - peak) * share(from: warmup)
        case .cosine:
            let c = PortableMath.sinCos(.pi * share(from: warmup)).cos
            return minimum + (peak - minimum) * (0.5 * (1 + c))
        case .wsd:
            let start = max(warmup, steps - Int((decayFraction * Double(steps)).rounded()))
            return peak + (minimum - peak) * share(from: start)
        }
    }
}
