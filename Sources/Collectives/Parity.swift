import Glibc
import RunSpec

/// Whose floats count in whose parity, as RAID 5 deals stripes over disks. Each owner's floats, one after the other, are cut
/// into W − 1 stripes of whole lines; stripe i, from 1, of owner j counts in the parity that member (j + i) mod W keeps. What
/// one has lost is at each other member its parity XOR the stripes that the rest have there.
package struct StripePlan: Equatable, Sendable {
    /// Slots, in order; slot, by chunk.
    package let members: [Int], owners: [Int]
    private let layout: SharedLayout

    /// - Parameter owners: of `members`.
    package init(members: [Int], owners: [Int], _ layout: SharedLayout) {
        precondition(members.count > 1, "the parity of \(members.count) owners")
        (self.members, self.owners, self.layout) = (members, owners, layout)
    }

    /// A stretch of floats, and where in the stripe it begins.
    package struct Piece: Equatable, Sendable {
        package let floats: Range<Int>, at: Int
    }

    /// What of an owner's floats counts at another member.
    package func stripe(of owner: Int, at holder: Int) -> [Piece] {
        let W = members.count, distance = (members.firstIndex(of: holder)! - members.firstIndex(of: owner)! + W) % W
        precondition(distance > 0, "slot \(owner) has no stripe at itself")
        let chunks = owners.indices.filter { owners[$0] == owner }.map { layout.chunk($0) }
        let lines = ShardingCosts.cut(chunks.reduce(0) { $0 + $1.count } / 16, among: W - 1, distance - 1)
        var pieces: [Piece] = [], position = 0
        for chunk in chunks {
            // The chunk has places from `position` on of all that the owner has.
            let places = (position..<position + chunk.count).clamped(to: lines.lowerBound * 16..<lines.upperBound * 16)
            position += chunk.count
            if places.isEmpty { continue }
            let first = chunk.lowerBound + places.lowerBound - (position - chunk.count), floats = first..<first + places.count
            if let last = pieces.last, last.floats.upperBound == first {
                pieces[pieces.count - 1] = Piece(floats: last.floats.lowerBound..<floats.upperBound, at: last.at)
            } else {
                pieces.append(Piece(floats: floats, at: places.lowerBound - lines.lowerBound * 16))
            }
        }
        return pieces
    }

    /// The members that have not all of their floats, or not this parity: one of them the others can make good.
    /// - Parameters:
    ///   - slots: of a group's ranks; `plans`: their parities'.
    ///   - has: whether a rank has a chunk.
    package func missing(from slots: [Int], _ plans: [StripePlan?], has: (_ rank: Int, _ chunk: Int) -> Bool) -> [Int] {
        members.filter { member in
            guard let rank = slots.firstIndex(of: member), plans[rank] == self else { return true }
            return !owners.indices.allSatisfy { owners[$0] != member || layout.chunk($0).isEmpty || has(rank, $0) }
        }
    }

    // MARK: As words of a message

    package static let wordCount = 1 + SharedLayout.chunkCount / 8

    /// The members, a bit each; the owners, a byte each.
    package var words: [UInt64] {
        var words = Array(repeating: UInt64(0), count: Self.wordCount)
        for member in members { words[0] |= 1 << UInt64(member) }
        for (chunk, owner) in owners.enumerated() { words[1 + chunk / 8] |= UInt64(owner) << UInt64(chunk % 8 * 8) }
        return words
    }

    /// Nil for words that are all zero, of a member that has no parity.
    package init?(words: ArraySlice<UInt64>, _ layout: SharedLayout) {
        let words = Array(words)
        guard words[0] != 0 else { return nil }
        self.init(
            members: (0..<64).filter { words[0] >> UInt64($0) & 1 == 1 }, owners: (0..<SharedLayout.chunkCount).map { Int(words[1 + $0 / 8] >> UInt64($0 % 8 * 8) & 0xFF) },
            layout)
    }
}

/// A member's parity of the state: of the committed generation; and of the one that the update under way makes, or of the
/// committed one by another plan.
package final class Parity {
    /// (generation, part)
    private let sums: [[PrivateMemory]]
    private var generation = 0
    /// What each generation's is the parity of; nil for one that is not whole.
    private var plans: [StripePlan?] = [nil, nil]

    /// - Parameter parts: how many vectors there is one of.
    package init(_ layout: SharedLayout, parts: Int) {
        sums = (0..<2).map { _ in (0..<parts).map { _ in PrivateMemory(floats: layout.chunkedFloats) } }
    }

    /// Of the committed generation.
    package var plan: StripePlan? { plans[generation] }

    /// What was made counts for nothing.
    package func dropNext() { plans[1 - generation] = nil }

    /// What was made is of the committed generation: that is committed, or all members of a view have the new plan's.
    package func advance() {
        plans[generation] = nil
        generation = 1 - generation
    }

    /// A parity beside the committed generation's, which stays good. All members of the plan call it.
    /// - Parameters:
    ///   - slots: of the group's ranks.
    ///   - vectors: the state's, whole.
    package func make(
        _ plan: StripePlan, _ group: MessageGroup, slots: [Int], _ vectors: [PrivateMemory], activity: (ExchangeActivity) -> Void = { _ in }
    ) throws {
        dropNext()
        try add(plan, plan.members, group, slots: slots, vectors, into: sums[1 - generation], activity)
        plans[1 - generation] = plan
    }

    /// Writes into the vectors what the lost member's stripe here was. All others of the committed plan call it, each with
    /// its own floats in the vectors. What was made beside it is gone.
    package func restore(
        _ lost: Int, _ plan: StripePlan, _ group: MessageGroup, slots: [Int], _ vectors: [PrivateMemory]
    ) throws {
        let scratch = sums[1 - generation]
        dropNext()
        try add(plan, plan.members.filter { $0 != lost }, group, slots: slots, vectors, into: scratch) { _ in }
        for (part, vector) in vectors.enumerated() {
            for piece in plan.stripe(of: lost, at: slots[group.rank]) {
                let to = vector.base + piece.floats.lowerBound
                to.update(from: scratch[part].base + piece.at, count: piece.floats.count)
                Self.add(sums[generation][part].base + piece.at, to: to, count: piece.floats.count)
            }
        }
    }

    /// The XOR of the stripes that `among` have at this member; as long as the longest of all members'.
    private func add(
        _ plan: StripePlan, _ among: [Int], _ group: MessageGroup, slots: [Int], _ vectors: [PrivateMemory], into sums: [PrivateMemory],
        _ activity: (ExchangeActivity) -> Void
    ) throws {
        let own = slots[group.rank], peers = (1..<group.size).map { (group.rank + $0) % group.size }.filter { among.contains(slots[$0]) }
        let going = peers.map { plan.stripe(of: own, at: slots[$0]) }, coming = peers.map { plan.stripe(of: slots[$0], at: own) }
        func length(_ stripes: [[StripePlan.Piece]]) -> Int { stripes.compactMap(\.last).map { $0.at + $0.floats.count }.max() ?? 0 }
        let longest = length(plan.members.filter { $0 != own }.map { plan.stripe(of: $0, at: own) })
        for sum in sums {
            memset(sum.base, 0, longest * 4)
            sum.release(longest..<sum.count)
        }

        activity(.waiting)
        let leaving = try vectors.map { try group.region($0.base, bytes: $0.count * 4) }
        for slice in Self.slices(of: length(going)) {
            for (part, region) in leaving.enumerated() {
                for (peer, stripe) in zip(peers, going) {
                    for piece in stripe.within(slice) {
                        region.send(to: peer, tag: MessageKind.stripe.tag(piece.at, part), offset: piece.floats.lowerBound * 4, bytes: piece.floats.count * 4)
                    }
                }
            }
        }
        let longestSlice = ShardingCosts.sliceFloats, staging = group.landing(floats: max(2 * peers.count * longestSlice, 1))
        func place(_ turn: Int, _ p: Int) -> UnsafeMutablePointer<Float> { staging.base + (turn % 2 * peers.count + p) * longestSlice }
        let landing = try (0..<2).map { turn in try peers.indices.map { try group.region(place(turn, $0), bytes: longestSlice * 4) } }
        let turns = Self.slices(of: longest).flatMap { slice in vectors.indices.map { (slice, $0) } }
        func post(_ turn: Int) {
            guard turn < turns.count else { return }
            let (slice, part) = turns[turn]
            for (p, peer) in peers.enumerated() {
                for piece in coming[p].within(slice) {
                    landing[turn % 2][p].receive(from: peer, tag: MessageKind.stripe.tag(piece.at, part), offset: (piece.at - slice.lowerBound) * 4, bytes: piece.floats.count * 4)
                }
            }
        }
        post(0)
        for (turn, (slice, part)) in turns.enumerated() {
            post(turn + 1)
            activity(.waiting)
            for region in landing[turn % 2] { try region.finishReceives() }
            activity(.adding)
            for p in peers.indices {
                for piece in coming[p].within(slice) {
                    Self.add(place(turn, p) + piece.at - slice.lowerBound, to: sums[part].base + piece.at, count: piece.floats.count)
                }
            }
        }
        activity(.waiting)
        for region in leaving { try region.finishSends() }
    }

    private static func slices(of length: Int) -> [Range<Int>] {
        stride(from: 0, to: length, by: ShardingCosts.sliceFloats).map { $0..<min($0 + ShardingCosts.sliceFloats, length) }
    }

    private static func add(_ from: UnsafePointer<Float>, to sum: UnsafeMutablePointer<Float>, count: Int) {
        precondition(count % 16 == 0, "\(count) floats")
        let lines = count / 16
        from.withMemoryRebound(to: SIMD16<UInt32>.self, capacity: lines) { from in
            sum.withMemoryRebound(to: SIMD16<UInt32>.self, capacity: lines) { sum in
                for line in 0..<lines { sum[line] ^= from[line] }
            }
        }
    }
}

extension [StripePlan.Piece] {
    /// The parts at these places of the stripe.
    fileprivate func within(_ places: Range<Int>) -> [StripePlan.Piece] {
        compactMap { piece in
            let common = places.clamped(to: piece.at..<piece.at + piece.floats.count)
            if common.isEmpty { return nil }
            let first = piece.floats.lowerBound + common.lowerBound - piece.at
            return StripePlan.Piece(floats: first..<first + common.count, at: common.lowerBound)
        }
    }
}
