/// What messages are about. Those of one pair with the same tag come in the order they were sent in; within an exchange every
/// one has its own.
package enum MessageKind: UInt64 {
    // When members meet: who they are, what is handed on, that all have a parity.
    case hello, transfer, protected
    // Reduction: nodes to owners, mean gradients and updated parameters from them.
    case node, mean, updated
    // Words of all ranks: sums of squares and the like, fingerprints.
    case words, prints
    // A block's parameters and gradients where those are sharded.
    case block, blockGradient
    // Between stages: activations and their gradients, a tied table's; gradients to owners and parameters from them.
    case activation, activationGradient, tableGradient, stageGradient, stageParameters
    // Sums and maxima over tensor-parallel ranks; a parity's stripes.
    case sum, stripe

    /// - Parameters:
    ///   - index: below 2³².
    ///   - part: of that, below 2²⁴.
    package func tag(_ index: Int = 0, _ part: Int = 0) -> UInt64 {
        precondition(0..<1 << 32 ~= index && 0..<1 << 24 ~= part, "\(self) \(index), part \(part)")
        return rawValue << 56 | UInt64(index) << 24 | UInt64(part)
    }
}
