/// Which floats of the flat vector each stage of a pipeline has to do with. A stage computes its own blocks, one stretch;
/// chunks are not aligned with blocks, and belong to the stage that has their first float.
package struct StageParts: Sendable {
    /// (stage): the floats whose gradients it computes.
    package let computes: [Range<Int>]
    /// (stage): the floats of θ that its passes read: those, and the token table where a tied head is not on the first stage.
    package let reads: [[Range<Int>]]
    /// (stage): the chunks it reduces and updates, and their floats.
    package let chunks: [Range<Int>], owns: [Range<Int>]

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

    package var stages: Int { computes.count }

    /// The floats whose gradients `stage` computes and `owner` adds up.
    package func computed(by stage: Int, ownedBy owner: Int) -> Range<Int> { computes[stage].clamped(to: owns[owner]) }

    /// The floats of θ that `stage` reads and `owner` updates.
    package func read(by stage: Int, ownedBy owner: Int) -> [Range<Int>] { reads[stage].map { $0.clamped(to: owns[owner]) }.filter { !$0.isEmpty } }

    /// For each chunk the rank that owns it: the workers of a stage share its chunks evenly, in order.
    /// - Parameter groups: of data-parallel workers; rank = group · stages + stage.
    package func owners(groups: Int) -> [Int] {
        chunks.enumerated().flatMap { stage, chunks in chunks.map { ($0 - chunks.lowerBound) * groups / chunks.count * stages + stage } }
    }
}
