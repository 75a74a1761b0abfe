import Collectives
import Kernels
import Model

/// The stretches of each chunk that belong to one parameter, so that weight decay knows matrices from vectors.
struct ChunkSegments {
    let all: [(range: Range<Int>, decays: Bool)]
    private let first: [Int]
    /// (chunk): where several ranks share every layer, what of it counts in the gradient's norm; nil for all of it.
    private let counted: [[Range<Int>]?]

    /// - Parameter parameters: of every shard.
    init(shared: SharedLayout, parameters: [ParameterLayout]) {
        var all: [(range: Range<Int>, decays: Bool)] = [], first = [0], counted: [[Range<Int>]?] = []
        for (rank, parameters) in parameters.enumerated() {
            let start = shared.shard(rank).lowerBound
            for chunk in shared.chunks(ofShard: rank) {
                let range = shared.chunk(chunk)
                var position = range.lowerBound
                for slot in parameters.slots {
                    let inside = (start + slot.offset..<start + slot.offset + slot.count).clamped(to: range)
                    if inside.isEmpty { continue }
                    if position < inside.lowerBound { all.append((position..<inside.lowerBound, false)) }
                    all.append((inside, slot.decays))
                    position = inside.upperBound
                }
                if position < range.upperBound { all.append((position..<range.upperBound, false)) }
                first.append(all.count)
                counted.append(Self.without(parameters.repeated.map { start + $0.lowerBound..<start + $0.upperBound }, range))
            }
        }
        (self.all, self.first, self.counted) = (all, first, counted)
    }

    /// `range` less `holes`, which are in order; nil where there are none in it.
    private static func without(_ holes: [Range<Int>], _ range: Range<Int>) -> [Range<Int>]? {
        let holes = holes.map { $0.clamped(to: range) }.filter { !$0.isEmpty }
        if holes.isEmpty { return nil }
        let starts = [range.lowerBound] + holes.map(\.upperBound), ends = holes.map(\.lowerBound) + [range.upperBound]
        return zip(starts, ends).map { $0..<$1 }.filter { !$0.isEmpty }
    }

    func of(_ chunk: Int) -> Range<Int> { first[chunk]..<first[chunk + 1] }

    /// What a chunk of the mean gradient has in the norm's sum of squares: parameters that all ranks have count where the
    /// first rank has them.
    /// - Parameter whole: the sum of squares of all its floats.
    func square(of chunk: Int, _ gradient: UnsafeMutablePointer<Float>, whole: Double) -> Double {
        guard let counted = counted[chunk] else { return whole }
        return counted.reduce(0) { sum, range in
            // Of one node the sum is itself, and its squares are added in the lanes and order of any other's.
            sum + reduceNodes([NodeSource(level: 0, index: 0, floats: gradient + range.lowerBound)], count: range.count, scale: 1, into: gradient + range.lowerBound)
        }
    }
}
