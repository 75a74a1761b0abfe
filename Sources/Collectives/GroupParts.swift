/// Which floats each member of a data-parallel group has to do with. Stages divide the layers among them, ranks every layer:
/// member = stage · ranks + rank. A rank's shard is a stretch of all chunks' floats, and chunks end where shards do; of it a
/// stage computes its own blocks, again one stretch. Chunks are not aligned with blocks, and belong to the stage that has
/// their first float.
package struct GroupParts: Sendable {
    package let stages: Int, ranks: Int
    /// (member): the floats whose gradients it computes.
    package let computes: [Range<Int>]
    /// (member): the floats of θ that its passes read: those, and the token table where a tied head is not on the first stage.
    package let reads: [[Range<Int>]]
    /// (member): the chunks it reduces and updates, and their floats.
    package let chunks: [Range<Int>], owns: [Range<Int>]

    /// - Parameters:
    ///   - cuts: (stage): what it computes of a shard's floats, without gaps, in order.
    ///   - table: what the last stage reads of the first one's floats of the shard; nil for nothing.
    package init(_ layout: SharedLayout, computes cuts: [Range<Int>], table: Range<Int>?) {
        (stages, ranks) = (cuts.count, layout.shards)
        var computes: [Range<Int>] = [], reads: [[Range<Int>]] = [], chunks: [Range<Int>] = [], owns: [Range<Int>] = []
        for stage in cuts.indices {
            for rank in 0..<layout.shards {
                let shard = layout.shard(rank), all = layout.chunks(ofShard: rank)
                func placed(_ floats: Range<Int>) -> Range<Int> { shard.lowerBound + floats.lowerBound..<shard.lowerBound + floats.upperBound }
                // Chunks without floats are the last stage's.
                func firstChunk(from cut: Int) -> Int {
                    cut == cuts.count ? all.upperBound : all.first { layout.chunk($0).lowerBound >= placed(cuts[cut]).lowerBound } ?? all.upperBound
                }
                func start(of chunk: Int) -> Int { chunk < all.upperBound ? layout.chunk(chunk).lowerBound : shard.upperBound }
                let own = placed(cuts[stage]), mine = firstChunk(from: stage)..<firstChunk(from: stage + 1)
                computes.append(own)
                reads.append(stage > 0 && stage == cuts.count - 1 && table != nil ? [placed(table!), own] : [own])
                chunks.append(mine)
                owns.append(start(of: mine.lowerBound)..<start(of: mine.upperBound))
            }
        }
        (self.computes, self.reads, self.chunks, self.owns) = (computes, reads, chunks, owns)
    }

    /// Members of a group.
    package var size: Int { computes.count }

    /// The floats whose gradients `member` computes and `owner` adds up.
    package func computed(by member: Int, ownedBy owner: Int) -> Range<Int> { computes[member].clamped(to: owns[owner]) }

    /// The floats of θ that `member` reads and `owner` updates.
    package func read(by member: Int, ownedBy owner: Int) -> [Range<Int>] { reads[member].map { $0.clamped(to: owns[owner]) }.filter { !$0.isEmpty } }

    /// For each chunk the rank that owns it: the workers with the same place in all groups share its chunks evenly, in order.
    /// - Parameter groups: of data-parallel workers; rank = group · size + member.
    package func owners(groups: Int) -> [Int] {
        var owners = Array(repeating: 0, count: SharedLayout.chunkCount)
        for (member, chunks) in chunks.enumerated() {
            for chunk in chunks { owners[chunk] = (chunk - chunks.lowerBound) * groups / chunks.count * size + member }
        }
        return owners
    }
}
