// E: how many steps of a reference run the committed steps of a run are worth, by the loss they reached.

/// Reference steps per committed step of a run, against a named reference run.
package struct Equivalence: Equatable, Sendable {
    package enum Basis: String, Sendable {
        /// The two runs have the same state hash at the run's last step: E is 1, exactly.
        case equalBits = "equal bits"
        case probes = "audit probe"
        case validation = "validation loss"
    }

    package let basis: Basis
    /// The run's step that is judged, and the reference steps it is worth.
    package let step: Int
    package let referenceSteps: Double
    /// Of `referenceSteps`, from the paired differences to the reference's losses over the slope of its curve; nil when
    /// there is none.
    package let standardError: Double?
    /// The run's loss lies outside the reference's curve: it is worth at least this many steps.
    package let isBound: Bool
    /// Whether both runs had the same learning rate at every step that both committed: else the losses are not comparable,
    /// and neither is E.
    package let samePhase: Bool

    /// Committed steps that the run began with, of which no worker-second of it tells.
    private let start: Int

    /// E.
    package var value: Double { step <= start ? 0 : (referenceSteps - Double(start)) / Double(step - start) }

    /// Nil when the runs share no measure: other validation texts, or none.
    package init?(_ run: RunAccount, reference: RunAccount) {
        guard let last = run.commits.last, !reference.commits.isEmpty else { return nil }
        start = run.record.startStep
        let rates = Dictionary(reference.commits.map { ($0.step, $0.learningRate) }, uniquingKeysWith: { $1 })
        samePhase = run.commits.allSatisfy { rates[$0.step] == nil || rates[$0.step] == $0.learningRate }
        if reference.commits.contains(where: { $0.step == last.step && $0.stateHash == last.stateHash }) {
            (basis, step, referenceSteps, standardError, isBound) = (.equalBits, last.step, Double(last.step), 0, false)
            return
        }
        guard run.record.facts[RunFact.validationText] == reference.record.facts[RunFact.validationText] else { return nil }
        let mine = Contribution.probes(run.record, upTo: last.step)
        let theirs = Contribution.probes(reference.record, upTo: reference.commits.last!.step)
        if let end = mine.last, let first = theirs.first, first.audit.count == end.audit.count,
            first.tokensPerSequence == end.tokensPerSequence, theirs.count > 1, end.step > 0 {
            let curve = Curve(theirs.map { (Double($0.step), $0.audit.reduce(0, +)) })
            let (steps, bound) = curve.step(reaching: end.audit.reduce(0, +))
            // The pair nearest to the crossing carries the uncertainty, the slope there turns it into steps.
            let near = theirs.min { abs(Double($0.step) - steps) < abs(Double($1.step) - steps) }!
            let effect = PairedEffect(before: near.audit, after: end.audit, tokensPerSequence: 1)
            let slope = curve.slope(at: steps)
            (basis, step, referenceSteps, isBound) = (.probes, end.step, steps, bound)
            standardError = slope < 0 ? effect.standardError * Double(end.audit.count) / -slope : nil
            return
        }
        func curve(_ account: RunAccount) -> [(Double, Double)] {
            account.validations.map { (Double($0.step), $0.lossSum / Double($0.tokens)) }
        }
        guard let end = curve(run).last, end.0 > 0, curve(reference).count > 1 else { return nil }
        let (steps, bound) = Curve(curve(reference)).step(reaching: end.1)
        (basis, step, referenceSteps, isBound, standardError) = (.validation, Int(end.0), steps, bound, nil)
    }
}

/// A falling loss curve: the isotonic fit to noisy points by pooling adjacent violators, linear between the points.
struct Curve {
    private(set) var points: [(step: Double, loss: Double)] = []

    init(_ given: [(Double, Double)]) {
        var pools: [(loss: Double, weight: Double, steps: [Double])] = []
        for (step, loss) in given {
            pools.append((loss, 1, [step]))
            while pools.count > 1, pools[pools.count - 2].loss < pools[pools.count - 1].loss {
                let b = pools.removeLast(), a = pools.removeLast()
                let weight = a.weight + b.weight
                pools.append(((a.loss * a.weight + b.loss * b.weight) / weight, weight, a.steps + b.steps))
            }
        }
        for pool in pools { for step in pool.steps { points.append((step, pool.loss)) } }
    }

    /// The first step at which the curve is down to `loss`, and whether it lies beyond the curve's ends.
    func step(reaching loss: Double) -> (step: Double, isBound: Bool) {
        guard let reached = points.firstIndex(where: { $0.loss <= loss }) else { return (points.last?.step ?? 0, true) }
        guard reached > 0 else { return (points[0].step, points[0].loss < loss) }
        let (a, b) = (points[reached - 1], points[reached])
        return (a.step + (b.step - a.step) * (a.loss - loss) / (a.loss - b.loss), false)
    }

    /// Loss per step around `step`: negative where the curve falls; 0 where it is flat.
    func slope(at step: Double) -> Double {
        guard let right = points.firstIndex(where: { $0.step >= step && $0.step > points[0].step }) else { return 0 }
        // The nearest stretch that falls, to the left.
        var left = right - 1
        while left > 0, points[left].loss == points[right].loss { left -= 1 }
        return (points[right].loss - points[left].loss) / (points[right].step - points[left].step)
    }
}
