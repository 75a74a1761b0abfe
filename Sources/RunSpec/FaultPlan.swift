/// Where in a step a fault can strike. The names are those of the command line.
package enum FaultPoint: String, CaseIterable, Sendable {
    /// A leaf's forward pass begins; its backward pass begins; its gradient is complete but not published; it is
    /// published.
    case forward, backward, leafDone, publish
    /// The first of the owned chunks is done and others are not: adding gradients, updating parameters.
    case reduce, update
    /// The owned chunks are voted for; the commit is seen.
    case vote, commit
    /// Before a worker reports ready: at the start for step 0, else in the replacement started during that step.
    case join
}

/// One fault to inject.
package struct Fault: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, CaseIterable, Sendable {
        /// The worker kills itself with SIGKILL.
        case crash
        /// From that step on the worker trains on permuted targets, until it ends: bad data that no checksum finds. The
        /// only kind that changes the weights.
        case labels
    }
    package var kind: Kind
    /// The worker's slot, from 0.
    package var worker: Int
    /// The step during which it strikes: the step that is computed after `step` commits.
    package var step: Int
    package var point: FaultPoint

    package var description: String { "\(kind.rawValue) worker=\(worker) step=\(step) point=\(point.rawValue)" }

    /// Reads `crash worker=1 step=50 point=backward`; `point` may be left out (backward).
    /// - Throws: `UserError` saying which word is wrong and what it may be.
    package init(_ text: String) throws {
        func bad(_ why: String) -> UserError { UserError(.usage, "--fault '\(text)': \(why)") }
        let words = text.split(separator: " ").map { String($0) }
        guard let first = words.first, let kind = Kind(rawValue: first) else {
            throw bad("it begins with the kind of fault, one of \(Kind.allCases.map(\.rawValue).joined(separator: ", ")), as in 'crash worker=1 step=50 point=backward'")
        }
        var worker: Int?, step: Int?, point = kind == .labels ? FaultPoint.forward : .backward
        for word in words.dropFirst() {
            let pair = word.split(separator: "=", maxSplits: 1).map { String($0) }
            guard pair.count == 2 else { throw bad("`\(word)` is not key=value") }
            switch pair[0] {
            case "worker", "step":
                guard let value = Int(pair[1]), value >= 0 else { throw bad("`\(pair[0])` must be a whole number from 0, not `\(pair[1])`") }
                if pair[0] == "worker" { worker = value } else { step = value }
            case "point":
                guard let value = FaultPoint(rawValue: pair[1]) else {
                    throw bad("there is no point `\(pair[1])`\(suggestion(for: pair[1], among: FaultPoint.allCases.map(\.rawValue))); there are \(FaultPoint.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                point = value
            default:
                throw bad("there is no key `\(pair[0])`\(suggestion(for: pair[0], among: ["worker", "step", "point"])); there are worker, step and point")
            }
        }
        if kind == .labels && point != .forward { throw bad("labels are permuted before the forward pass; leave `point` out") }
        guard let worker else { throw bad("say which worker, as in worker=1") }
        guard let step else { throw bad("say at which step, as in step=50") }
        (self.kind, self.worker, self.step, self.point) = (kind, worker, step, point)
    }
}
