import Collectives
import Model

/// The stretches of each chunk that belong to one parameter, so that weight decay knows matrices from vectors.
struct ChunkSegments {
    let all: [(range: Range<Int>, decays: Bool)]
    private let first: [Int]

    init(shared: SharedLayout, parameters: ParameterLayout) {
        var all: [(range: Range<Int>, decays: Bool)] = [], first = [0]
        for chunk in 0..<SharedLayout.chunkCount {
            let range = shared.chunk(chunk)
            var position = range.lowerBound
            for slot in parameters.slots where slot.offset + slot.count > range.lowerBound && slot.offset < range.upperBound {
                let inside = max(slot.offset, range.lowerBound)..<min(slot.offset + slot.count, range.upperBound)
                if position < inside.lowerBound { all.append((position..<inside.lowerBound, false)) }
                all.append((inside, slot.decays))
                position = inside.upperBound
            }
            if position < range.upperBound { all.append((position..<range.upperBound, false)) }
            first.append(all.count)
        }
        (self.all, self.first) = (all, first)
    }

    func of(_ chunk: Int) -> Range<Int> { first[chunk]..<first[chunk + 1] }
}
