import RunSpec

/// When the probes are looked at: every K steps, K doubling while the effect of the window just closed is indeterminate
/// by the decision probe, and back to the beginning once it is not. A function of the losses alone, so that a run with
/// faults probes at the same steps as one without.
package struct ProbeSchedule: Sendable {
    /// How far K may grow.
    static let longestWindow = 16

    /// The committed steps whose weights go through the probes next; nil for never again.
    package private(set) var next: Int?
    private var passes = 0, window: Int
    private var last: ProbeRow?
    private let shortest: Int, end: Int

    /// - Parameters:
    ///   - history: passes recorded so far; those up to step `start` count.
    ///   - end: the run's last step, at which the last window closes.
    package init(_ history: [ProbeRow], units: HeldOutUnits, from start: Int, to end: Int) {
        (shortest, window, self.end) = (units.probeWindow, units.probeWindow, end)
        next = units.probe > 0 ? 0 : nil
        var byStep: [Int: ProbeRow] = [:]
        for row in history where row.step <= start { byStep[row.step] = row }
        for row in byStep.values.sorted(by: { $0.step < $1.step }) { took(row) }
        if let step = next { next = max(step, start) }
    }

    /// Whether the next pass comes with the gradient of the decision probe: every other one, and not at the ends, where
    /// AdamW knows no scale yet or nothing follows.
    package var takesGradient: Bool { passes % HeldOutUnits.gradientEvery == 1 && next != end && next != 0 }

    package mutating func took(_ row: ProbeRow) {
        if let last {
            let effect = PairedEffect(decision: last, row)
            window = effect.verdict == .indeterminate ? min(2 * window, Self.longestWindow * shortest) : shortest
        }
        last = row
        passes += 1
        next = row.step >= end ? nil : min(row.step + window, end)
    }
}
