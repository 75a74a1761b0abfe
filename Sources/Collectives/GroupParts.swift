/// Which floats each member of a data-parallel group has to do with. A stage of a pipeline computes its own blocks, one
/// stretch of the flat vector; chunks are not aligned with blocks, and belong to the stage that has their first float. A
/// tensor-parallel rank has its shard, and chunks end where shards do.
package struct GroupParts: Sendable {
    /// (member): the floats whose gradients it computes.
    package let computes: [Range<Int>]
    /// (member): the floats of θ that its passes read: those, and of a pipeline the token table where a tied head is not on
    /// the first stage.
    package let reads: [[Range<Int>]]
    /// (member): the chunks it reduces and updates, and their floats.
    package let chunks: [Range<Int>], owns: [Range<Int>]

    /// Of the stages of a pipeline.
    /// - Parameters:
    ///   - computes: without gaps, in order.
    ///   - table: what the last stage reads of the first one's floats; nil for nothing.
    package init(_ layout: SharedLayout, computes: [Range<Int>], table: Range<Int>?) {
        self.computes = computes
        let last = computes.count - 1
        reads = computes.indices.map { stage in stage == last && stage > 0 && table != nil ? [table!, computes[stage]] : [computes[stage]] }
        func firstChunk(from float: Int) -> Int { (0..<SharedLayout.chunkCount).first { layout.chunk($0).lowerBound >= float } ?? SharedLayout.chunkCount }
        // Chunks without floats are the last stage's.
        let firsts = computes.map { firstChunk(from: $0.lowerBound) } + [SharedLayout.chunkCount]
        chunks = computes.indices.map { firsts[$0]..<firsts[$0 + 1] }
        let ends = firsts.map { $0 < SharedLayout.chunkCount ? layout.chunk($0).lowerBound : layout.parameterFloats }
        owns = computes.indices.map { ends[$0]..<ends[$0 + 1] }
    }

    /// Of tensor-parallel ranks.
    package init(shardsOf layout: SharedLayout) {
        let shards = (0..<layout.shards).map { layout.shard($0) }
        (computes, reads, owns) = (shards, shards.map { [$0] }, shards)
        chunks = (0..<layout.shards).map { layout.chunks(ofShard: $0) }
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
        chunks.enumerated().flatMap { member, chunks in chunks.map { ($0 - chunks.lowerBound) * groups / chunks.count * size + member } }
    }
}
