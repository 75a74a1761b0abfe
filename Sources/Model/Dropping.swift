import Kernels

/// What the dropout masks of one microbatch are made from.
package struct DropoutKey: Hashable, Sendable {
    package let seed: UInt64
    package let step: UInt32
    /// The microbatch within the step, below 2^20.
    package let leaf: UInt32

    package init(seed: UInt64, step: UInt32, leaf: UInt32) {
        self.seed = seed
        self.step = step
        self.leaf = leaf
    }
}

/// The three kinds of places where a model drops.
enum DropoutSite {
    case embedding, attention(layer: Int), feedForward(layer: Int)

    var number: Int {
        switch self {
        case .embedding: 0
        case .attention(let layer): 1 + 2 * layer
        case .feedForward(let layer): 2 + 2 * layer
        }
    }
}

/// Dropout of one microbatch: its key and the probability.
struct Dropping {
    let key: DropoutKey, probability: Double

    func mask(_ site: DropoutSite) -> Dropout {
        Dropout(seed: key.seed, step: key.step, leaf: key.leaf, site: site.number, probability: probability)
    }
}

/// Where a branch meets the residual stream: next = x + dropout(a · wᵀ + bias). With several ranks each has some columns
/// of a and w, and their products are summed.
struct ResidualSum {
    let rows: Int, width: Int, rank: Int, degree: Int
    /// (R, C), used only with dropout or with several ranks.
    let branch: UnsafeMutablePointer<Float>

    init(_ share: Share, drops: Bool, rows: Int, arena: Arena) {
        self.rows = rows
        (width, rank, degree) = (share.width, share.rank, share.degree)
        branch = arena.carve(drops || degree > 1 ? rows * width : 0)
    }

    /// `next` (R, C) holds x + bias, as the norm before the branch left it, and without dropout a · wᵀ is added there.
    /// - Parameters:
    ///   - a: (R, inputs); w: (C, inputs), `linear`'s.
    func forward<P: Peers>(
        next: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, a: UnsafePointer<Float>, _ linear: Linear,
        w: UnsafePointer<Float>, bias: UnsafePointer<Float>?, _ dropping: Dropping?,
        _ slice: Slice, _ site: DropoutSite, _ peers: P
    ) throws(P.Failure) {
        guard let dropping else {
            if degree == 1 { return linear.forward(next, adding: true, a, w, rows: rows) }
            linear.forward(branch, adding: false, a, w, rows: rows)
            try peers.sum(branch, count: rows * width)
            return Rows.add(next, next, branch, rows: 1, width: rows * width)
        }
        // Each rank with the bias would add it `degree` times.
        linear.forward(branch, bias: rank == 0 ? bias : nil, a, w, rows: rows)
        if degree > 1 { try peers.sum(branch, count: rows * width) }
        dropping.mask(site).apply(next, base: x, branch, first: slice.firstRow * width, count: rows * width)
    }

    /// The gradient (R, C) with respect to a · wᵀ + bias, given that with respect to `next`: the same memory without
    /// dropout, else `branch`, valid until the next call.
    func branchGradient(
        _ dNext: UnsafeMutablePointer<Float>, _ dropping: Dropping?, _ slice: Slice, _ site: DropoutSite
    ) -> UnsafePointer<Float> {
        guard let dropping else { return UnsafePointer(dNext) }
        dropping.mask(site).apply(branch, base: nil, dNext, first: slice.firstRow * width, count: rows * width)
        return UnsafePointer(branch)
    }
}
