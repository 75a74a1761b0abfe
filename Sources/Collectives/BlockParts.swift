/// Which stretches of each block of the flat vector belong to which rank: what is sent when a block is gathered, or when its
/// gradient goes to the owners.
package struct BlockParts: Sendable {
    package let blocks: [Range<Int>]
    /// (block, rank): stretches of floats, in order.
    package let owned: [[[Range<Int>]]]
    /// (block): what this rank does not keep.
    package let foreign: [[Range<Int>]]

    /// - Parameters:
    ///   - blocks: without gaps, in order.
    ///   - owners: rank, by chunk.
    ///   - keeps: whether this rank keeps what a rank owns.
    package init(_ layout: SharedLayout, blocks: [Range<Int>], owners: [Int], size: Int, keeps: (Int) -> Bool) {
        self.blocks = blocks
        var owned: [[[Range<Int>]]] = [], foreign: [[Range<Int>]] = []
        for block in blocks {
            var parts = Array(repeating: [Range<Int>](), count: size), others: [Range<Int>] = []
            for (chunk, owner) in owners.enumerated() {
                let part = layout.chunk(chunk).clamped(to: block)
                if part.isEmpty { continue }
                Self.append(part, to: &parts[owner])
                if !keeps(owner) { Self.append(part, to: &others) }
            }
            owned.append(parts)
            foreign.append(others)
        }
        (self.owned, self.foreign) = (owned, foreign)
    }

    private static func append(_ part: Range<Int>, to parts: inout [Range<Int>]) {
        if let last = parts.last, last.upperBound == part.lowerBound { parts[parts.count - 1] = last.lowerBound..<part.upperBound } else { parts.append(part) }
    }
}

extension SharedLayout {
    /// The chunks of each block; one in two blocks belongs to the one that it begins in. A block that no chunk begins in has none.
    package func chunkBlocks(_ blocks: [Range<Int>]) -> [Range<Int>] {
        var first = 0
        return blocks.indices.map { index in
            var end = first
            while end < Self.chunkCount, index == blocks.count - 1 || chunk(end).lowerBound < blocks[index].upperBound { end += 1 }
            defer { first = end }
            return first..<end
        }
    }
}
