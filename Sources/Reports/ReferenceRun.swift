import Ledger

/// What a run is worth against another, undisturbed one.
package struct ReferenceRun: Sendable {
    /// As the user named it.
    package let name: String
    package let equivalence: Equivalence

    package init(name: String, _ equivalence: Equivalence) { (self.name, self.equivalence) = (name, equivalence) }

    /// E with its standard error, and what it rests on.
    var sentence: String {
        let e = equivalence, bound = e.isBound ? (e.referenceSteps > 0 ? "at least " : "at most ") : ""
        var text = "E \(bound)\(Quantity.decimal(e.value, 4))"
        if e.basis == .equalBits { return text + ": the same bits as \(name) at step \(Quantity.grouped(e.step))" }
        if let error = e.standardError, e.step > 0 { text += " ± \(Quantity.decimal(error / Double(e.step), 4))" }
        return text + ": step \(Quantity.grouped(e.step)) is worth \(bound)\(Quantity.decimal(e.referenceSteps, 1)) steps of \(name), by \(e.basis.rawValue)"
    }

    /// Whether the two can be compared at all.
    var phase: String {
        if equivalence.samePhase { return "same learning rate at every common step" }
        return equivalence.basis == .equalBits ? "learning rates differ, the bits do not"
            : "learning rates differ: the schedules are at different phases, and E means little"
    }
}
