/// Which slot computes which leaves and validation units and owns which chunks. A result never depends on it.
package struct Plan: Equatable, Sendable {
    package var leafOwners: [Int]
    package var chunkOwners: [Int]
    package var evaluationOwners: [Int]

    /// Contiguous, equal cuts over `members` in rank order; with no members everything belongs to slot 0.
    /// - Parameter chunkBlocks: ranges of chunks, in order, that are cut each for itself, since their floats travel one range
    ///   after the other and all are to have a part in each. Who begins changes from one to the next, so that what cannot be
    ///   divided falls to everybody in turn.
    package init(members: [Int], leaves: Int, chunkBlocks: [Range<Int>], evaluationUnits: Int) {
        func cut(_ count: Int, from first: Int = 0) -> [Int] {
            (0..<count).map { members.isEmpty ? 0 : members[($0 * members.count / count + first) % members.count] }
        }
        leafOwners = cut(leaves)
        chunkOwners = chunkBlocks.enumerated().flatMap { cut($0.element.count, from: $0.offset) }
        // Dealt in turn: of any range of units that falls due everybody has an equal share.
        evaluationOwners = (0..<evaluationUnits).map { members.isEmpty ? 0 : members[$0 % members.count] }
    }

    /// Gives each of `unfinished` whose owner is not in `members` to the member with the least left to do.
    /// - Returns: how many leaves changed hands.
    package mutating func reassign(_ unfinished: Unfinished, to members: [Int]) -> Int {
        func move(_ owners: inout [Int], _ units: [Int]) -> Int {
            var load = Dictionary(uniqueKeysWithValues: members.map { ($0, 0) })
            for unit in units { load[owners[unit]]? += 1 }
            var moved = 0
            for unit in units where load[owners[unit]] == nil {
                guard let lightest = members.min(by: { load[$0]! < load[$1]! }) else { return moved }
                owners[unit] = lightest
                load[lightest]! += 1
                moved += 1
            }
            return moved
        }
        _ = move(&chunkOwners, unfinished.chunks)
        _ = move(&evaluationOwners, unfinished.evaluationUnits)
        return move(&leafOwners, unfinished.leaves)
    }
}

/// What of the step under way nobody has published yet.
package struct Unfinished: Equatable, Sendable {
    package var leaves: [Int], chunks: [Int], evaluationUnits: [Int]

    package init(leaves: [Int] = [], chunks: [Int] = [], evaluationUnits: [Int] = []) {
        (self.leaves, self.chunks, self.evaluationUnits) = (leaves, chunks, evaluationUnits)
    }
}
