import Kernels

/// A stretch of whole chunks with one owner: what a message carries.
package struct Segment: Equatable, Sendable {
    /// Rank.
    package let owner: Int
    package let chunks: Range<Int>, floats: Range<Int>

    /// Bytes of a message: so many that what it costs beside its bytes is little, and few enough that they are in a cache
    /// when they are added up. A share of four segments or less is cut finer, so that something is under way both ways.
    static let bytesMaximum = 1 << 20, bytesMinimum = 1 << 19

    /// Cuts the vector into segments, in order.
    /// - Parameters:
    ///   - owners: rank, by chunk.
    ///   - parts: chunks of parts of the vector that are complete at different times; none goes on into another.
    package static func cut(_ layout: SharedLayout, owners: [Int], parts: [Range<Int>] = []) -> [Segment] {
        let begins = Set(parts.map(\.lowerBound))
        let share = layout.chunkedFloats * 4 / (Set(owners).count * 4), bytes = min(max(share, bytesMinimum), bytesMaximum)
        var segments: [Segment] = [], first = 0
        for chunk in 1...owners.count {
            let start = layout.chunk(first).lowerBound
            guard chunk == owners.count || owners[chunk] != owners[first] || begins.contains(chunk) || (layout.chunk(chunk).upperBound - start) * 4 > bytes else { continue }
            let floats = start..<layout.chunk(chunk - 1).upperBound
            if !floats.isEmpty { segments.append(Segment(owner: owners[first], chunks: first..<chunk, floats: floats)) }
            first = chunk
        }
        return segments
    }
}

/// What a worker does at the moment, for its account.
package enum ExchangeActivity { case adding, waiting }

/// Gradients to owners, in messages: everybody sends its nodes of a segment to the owner, who completes the tree. The order of
/// additions is the tree's, whoever holds which node. Every rank must make the same one, with the same nodes and segments. What
/// others have ready arrives from the beginning on, from the end of the vector to its beginning, as backward passes write it.
package final class Reduction {
    /// For each rank its nodes, in the order of leaves; together they cover all leaves once.
    package let held: [[TreeNode]]
    private let rank: Int, peers: [Int]
    private let segments: [Segment], own: [Int]
    /// Where this rank's nodes lie, whole vectors.
    private let mine: [PrivateMemory], leaving: [MessageRegion]
    /// (own segment, peer, node): the others' nodes.
    private let staging: PrivateMemory, longest: Int, parts: [Int]
    /// (own segment, peer)
    private var landing: [[MessageRegion]] = []
    private var isSent: [Bool]

    /// - Parameter mine: as `held` has this rank's.
    package init(_ group: MessageGroup, _ segments: [Segment], held: [[TreeNode]], mine: [PrivateMemory]) throws {
        let rank = group.rank
        (self.held, self.rank, self.segments, self.mine) = (held, rank, segments, mine)
        peers = (1..<group.size).map { (rank + $0) % group.size }
        own = segments.indices.reversed().filter { segments[$0].owner == rank }
        isSent = segments.map { $0.owner == rank }
        parts = peers.map { held[$0].count }
        longest = own.map { segments[$0].floats.count }.max() ?? 0
        staging = group.landing(floats: own.count * parts.reduce(0, +) * longest)
        leaving = try mine.map { try group.region($0.base, bytes: $0.count * 4) }
        for place in own.indices {
            landing.append(try peers.indices.map { try group.region(part(place, $0, 0), bytes: max(parts[$0] * longest * 4, 4)) })
            for (p, peer) in peers.enumerated() {
                for node in 0..<parts[p] {
                    landing[place][p].receive(from: peer, tag: MessageKind.node.tag(own[place], node), offset: node * longest * 4, bytes: segments[own[place]].floats.count * 4)
                }
            }
        }
    }

    private func part(_ place: Int, _ peer: Int, _ node: Int) -> UnsafeMutablePointer<Float> {
        staging.base + (place * parts.reduce(0, +) + parts[..<peer].reduce(0, +) + node) * longest
    }

    /// This rank's nodes are there from float `first` on, and go out as far as they have not yet: to everybody in turn, so that
    /// nobody waits for its first part until others have their last.
    package func send(from first: Int = 0) {
        let ready = peers.map { peer in segments.indices.reversed().filter { segments[$0].owner == peer && !isSent[$0] && segments[$0].floats.lowerBound >= first } }
        for index in 0..<(ready.map(\.count).max() ?? 0) {
            for (p, peer) in peers.enumerated() where index < ready[p].count {
                let segment = ready[p][index], floats = segments[segment].floats
                isSent[segment] = true
                for node in mine.indices { leaving[node].send(to: peer, tag: MessageKind.node.tag(segment, node), offset: floats.lowerBound * 4, bytes: floats.count * 4) }
            }
        }
    }

    /// Adds up the owned segments from everybody's nodes.
    /// - Parameters:
    ///   - layout: where chunks begin; each is summed for itself, `squares` (chunk, its sum of squares) tells it.
    ///   - sum: the whole vector's home; of it the owned segments are written, times `scale`.
    ///   - done: called when a segment is there.
    package func finish(
        layout: SharedLayout, scale: Float, into sum: UnsafeMutablePointer<Float>, activity: (ExchangeActivity) -> Void,
        squares: (Int, Double) -> Void, done: (Segment) -> Void
    ) throws {
        send()
        for place in own.indices {
            let segment = segments[own[place]]
            activity(.waiting)
            for region in landing[place] { try region.finishReceives() }
            activity(.adding)
            for chunk in segment.chunks {
                let range = layout.chunk(chunk), at = range.lowerBound - segment.floats.lowerBound
                if range.isEmpty {
                    squares(chunk, 0)
                    continue
                }
                var sources: [NodeSource] = []
                for (node, memory) in zip(held[rank], mine) { sources.append(NodeSource(level: node.level, index: node.index, floats: memory.base + range.lowerBound)) }
                for (p, peer) in peers.enumerated() {
                    for (n, node) in held[peer].enumerated() { sources.append(NodeSource(level: node.level, index: node.index, floats: part(place, p, n) + at)) }
                }
                sources.sort { $0.index << $0.level < $1.index << $1.level }
                squares(chunk, reduceNodes(sources, count: range.count, scale: scale, into: sum + range.lowerBound))
            }
            done(segment)
        }
        activity(.waiting)
        for region in leaving { try region.finishSends() }
    }
}

/// Owned segments of a vector, from each owner to those that `goes` names. Receiving begins at once, so that what others have
/// ready arrives while this rank still makes its own.
package struct Spreading {
    private let receivers: [Int], arriving: [MessageRegion], leaving: MessageRegion
    private let segments: [Segment], kind: MessageKind

    /// - Parameter kind: of two that are under way at once each has its own.
    package init(_ group: MessageGroup, _ segments: [Segment], _ vector: PrivateMemory, kind: MessageKind, goes: (_ owner: Int, _ to: Int) -> Bool) throws {
        let others = (1..<group.size).map { (group.rank + $0) % group.size }, senders = others.filter { goes($0, group.rank) }
        (receivers, self.segments, self.kind) = (others.filter { goes(group.rank, $0) }, segments, kind)
        arriving = try senders.map { _ in try group.region(vector.base, bytes: vector.count * 4) }
        leaving = try group.region(vector.base, bytes: vector.count * 4)
        for (region, peer) in zip(arriving, senders) {
            for (index, segment) in segments.enumerated() where segment.owner == peer {
                region.receive(from: peer, tag: kind.tag(index), offset: segment.floats.lowerBound * 4, bytes: segment.floats.count * 4)
            }
        }
    }

    /// An own segment is there: it goes out.
    package func send(_ segment: Segment) {
        guard let index = segments.firstIndex(of: segment) else { preconditionFailure("no such segment: \(segment)") }
        for peer in receivers { leaving.send(to: peer, tag: kind.tag(index), offset: segment.floats.lowerBound * 4, bytes: segment.floats.count * 4) }
    }

    package func finish() throws {
        for region in arriving { try region.finishReceives() }
        try leaving.finishSends()
    }
}

extension MessageGroup {
    /// Where others' parts of a sum land: at least so long, and there as long as the group.
    func landing(floats: Int) -> PrivateMemory {
        if let landing, landing.count >= floats { return landing }
        let made = PrivateMemory(floats: floats)
        landing = made
        return made
    }

    /// `words` of every rank, by rank; all have as many.
    package func exchange(_ words: [UInt64], _ kind: MessageKind) throws -> [[UInt64]] {
        let count = words.count, peers = (0..<size).filter { $0 != rank }
        let all = UnsafeMutablePointer<UInt64>.allocate(capacity: size * count)
        defer { all.deallocate() }
        (all + rank * count).update(from: words, count: count)
        try withExtendedLifetime(peers.map { _ in try region(all, bytes: size * count * 8) }) { arriving in
            for (region, peer) in zip(arriving, peers) { region.receive(from: peer, tag: kind.tag(), offset: peer * count * 8, bytes: count * 8) }
            let leaving = try region(all, bytes: size * count * 8)
            for peer in peers { leaving.send(to: peer, tag: kind.tag(), offset: rank * count * 8, bytes: count * 8) }
            for region in arriving { try region.finishReceives() }
            try leaving.finishSends()
        }
        return (0..<size).map { Array(UnsafeBufferPointer(start: all + $0 * count, count: count)) }
    }
}
