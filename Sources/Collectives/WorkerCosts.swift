/// What messages cost a worker, by formula: bytes sent in a step, bytes of memory that are its own. A test holds both against
/// what the kernel counts.
package struct WorkerCosts: Equatable, Sendable {
    /// P, floats of the parameter vector.
    package let parameterFloats: Int
    /// W.
    package let workers: Int
    /// Share of the vector whose moments a worker keeps, and so whose mean gradient it gets: 1 for ddp, 1/W for zero1, twice
    /// that with a partner.
    package let keptShare: Double

    package init(parameterFloats: Int, workers: Int, keptShare: Double) {
        (self.parameterFloats, self.workers, self.keptShare) = (parameterFloats, workers, keptShare)
    }

    /// Bytes a worker sends in a step, 4P · (W − 1)/W · (k + 1): its k gradient nodes to the owners, and to each other worker
    /// either the mean gradient or the new parameters of the range it owns. Left out are 2 kB of sums of squares for each peer
    /// and 144 bytes a message.
    /// - Parameter nodes: k; the mean of all workers gives the mean of all workers.
    package func sentBytes(nodes: Double) -> Double { 4 * Double(parameterFloats) * Double(workers - 1) / Double(workers) * (nodes + 1) }

    /// Bytes of memory a worker takes of its own:
    ///
    ///     4P · (2 + 4 · kept + G + D) + landing + activations + base
    ///
    /// two generations of θ, and of m and v of what it keeps; G vectors for the gradients of its leaves, ⌊log2 n⌋ + 1 for n
    /// leaves that begin on a multiple of n; D the share of the mean gradient, if none of the G is free when it is made.
    /// - Parameters:
    ///   - leaves: that it computes in a step, in this order.
    ///   - landing: `TreeExchange.landingBytes`.
    ///   - activations: `Transformer.bytes`.
    package func privateBytes(leaves: some Sequence<Int>, landing: Int, activations: Int) -> Double {
        var nodes: Set<TreeNode> = [], gradients = 0
        for leaf in leaves {
            gradients = max(gradients, nodes.count + 1)
            var node = TreeNode(level: 0, index: leaf)
            while nodes.remove(node.sibling) != nil { node = node.parent }
            nodes.insert(node)
        }
        let vectors = 2 + 4 * keptShare + Double(gradients) + (nodes.count < gradients ? 0 : keptShare)
        return 4 * Double(parameterFloats) * vectors + Double(landing + activations + Self.baseBytes)
    }

    /// The program itself, its libraries' tables, stacks and what BLAS works in: measured.
    package static let baseBytes = 12_000_000
}
