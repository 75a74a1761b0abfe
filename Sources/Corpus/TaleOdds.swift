import RunSpec

/// A fixed distribution over 0 ..< count with integer weights: what every random choice of a tale is drawn from.
package struct TaleOdds: Sendable {
    package let weights: [UInt64]
    private let total: UInt64

    init(weights: [UInt64]) {
        precondition(!weights.isEmpty && weights.allSatisfy { $0 > 0 }, "weights \(weights)")
        self.weights = weights
        total = weights.reduce(0, +)
    }

    /// `count` equal chances.
    static func equal(_ count: Int) -> TaleOdds { TaleOdds(weights: Array(repeating: 1, count: count)) }

    /// Falling chances, the first five times the last: a few words of a list are common, all are in use.
    static func falling(_ count: Int) -> TaleOdds {
        TaleOdds(weights: (0..<count).map { 1_000_000 / UInt64(count + 4 * $0) + 1 })
    }

    /// The probability of `index`; with `excluded`, given that it is not that one.
    package func probability(of index: Int, excluding excluded: Int? = nil) -> Double {
        if index == excluded { return 0 }
        return Double(weights[index]) / Double(total - (excluded.map { weights[$0] } ?? 0))
    }

    /// −log2 of the probability.
    func bits(of index: Int, excluding excluded: Int? = nil) -> Double {
        -PortableMath.log(probability(of: index, excluding: excluded)) / 0.6931471805599453
    }

    /// Expected bits of one draw.
    func entropy(excluding excluded: Int? = nil) -> Double {
        weights.indices.reduce(0) { sum, index in
            index == excluded
                ? sum : sum + probability(of: index, excluding: excluded) * bits(of: index, excluding: excluded)
        }
    }

    /// The index a 64-bit random number falls on. The chances differ from the stated ones by less than 2^-64 · total.
    func pick(_ random: UInt64, excluding excluded: Int? = nil) -> Int {
        let sum = total - (excluded.map { weights[$0] } ?? 0)
        var left = random.multipliedFullWidth(by: sum).high
        for (index, weight) in weights.enumerated() where index != excluded {
            if left < weight { return index }
            left -= weight
        }
        preconditionFailure("\(left) left of \(sum)")
    }
}

/// The only source of chance in a story: numbered draws from the stream of (seed, story), with a record of what was
/// drawn and of the information in it.
struct TaleChooser {
    private let philox: Philox
    private let story: UInt64
    private(set) var choices: [Int] = []
    /// Σ −log2 p of all choices so far.
    private(set) var bits = 0.0

    init(philox: Philox, story: UInt64) { (self.philox, self.story) = (philox, story) }

    mutating func choose(_ odds: TaleOdds, excluding excluded: Int? = nil) -> Int {
        let low = UInt32(truncatingIfNeeded: story), high = UInt32(truncatingIfNeeded: story >> 32)
        let w = philox.block(.tales, low, high, index: UInt32(choices.count))
        let choice = odds.pick(UInt64(w[0]) << 32 | UInt64(w[1]), excluding: excluded)
        choices.append(choice)
        bits += odds.bits(of: choice, excluding: excluded)
        return choice
    }
}
