import Kernels
import RunSpec

/// A stretch of whole chunks with one owner: what a message carries.
package struct Segment: Equatable, Sendable {
    /// Rank.
    package let owner: Int
    package let chunks: Range<Int>, floats: Range<Int>

    /// A share of four segments or less is cut finer, so that something is under way both ways.
    static let bytesMaximum = ShardingCosts.segmentBytes, bytesMinimum = bytesMaximum / 2

    /// Cuts the vector into segments, in order.
    /// - Parameter owners: rank, by chunk.
    package static func cut(_ layout: SharedLayout, owners: [Int]) -> [Segment] {
        let share = layout.chunkedFloats * 4 / (Set(owners).count * 4), bytes = min(max(share, bytesMinimum), bytesMaximum)
        var segments: [Segment] = [], first = 0
        for chunk in 1...owners.count {
            let begins = layout.chunk(first).lowerBound
            guard chunk == owners.count || owners[chunk] != owners[first] || (layout.chunk(chunk).upperBound - begins) * 4 > bytes else { continue }
            let floats = begins..<layout.chunk(chunk - 1).upperBound
            if !floats.isEmpty { segments.append(Segment(owner: owners[first], chunks: first..<chunk, floats: floats)) }
            first = chunk
        }
        return segments
    }
}

/// What a worker does at the moment, for its account.
package enum ExchangeActivity { case adding, waiting }

/// Gradients to owners and results to everybody, in messages. The order of additions is the tree's, whoever holds which node.
/// Every rank must make the same calls with the same nodes and segments.
package struct TreeExchange {
    private let group: MessageGroup
    private let segments: [Segment]
    package init(_ group: MessageGroup, _ segments: [Segment]) { (self.group, self.segments) = (group, segments) }

    private var peers: [Int] { (1..<group.size).map { (group.rank + $0) % group.size } }

    /// The group's landing place, at least so long.
    private func memory(floats: Int) -> PrivateMemory {
        if let landing = group.landing, landing.count >= floats { return landing }
        let made = PrivateMemory(floats: floats)
        group.landing = made
        return made
    }
    private func owned(by rank: Int) -> [Int] { segments.indices.filter { segments[$0].owner == rank } }

    /// Adds up the owned segments from everybody's nodes.
    /// - Parameters:
    ///   - held: for each rank its nodes, in the order of leaves; together they cover all leaves once.
    ///   - mine: where this rank's nodes lie, whole vectors, in the same order.
    ///   - sum: the whole vector's home; of it the owned segments are written, times `scale`.
    ///   - layout: where chunks begin; each is summed for itself, `squares` (chunk, its sum of squares) tells it.
    ///   - done: called when a segment is there.
    package func reduce(
        held: [[TreeNode]], mine: [PrivateMemory], layout: SharedLayout, scale: Float, into sum: UnsafeMutablePointer<Float>,
        activity: (ExchangeActivity) -> Void, squares: (Int, Double) -> Void, done: (Segment) -> Void
    ) throws {
        let rank = group.rank, own = owned(by: rank)
        // (slot of the window, peer, node): a segment's part.
        let longest = own.map { segments[$0].floats.count }.max() ?? 0
        let parts = peers.map { held[$0].count }, window = ShardingCosts.segmentsUnderWay(parts: parts.reduce(0, +))
        let staging = memory(floats: min(window, own.count) * parts.reduce(0, +) * longest)
        var landing: [[MessageRegion]] = []
        var place = 0
        func floats(_ slot: Int, _ peer: Int, _ node: Int) -> Int { ((slot * parts.reduce(0, +)) + parts[..<peer].reduce(0, +) + node) * longest }
        for slot in 0..<min(window, own.count) {
            landing.append(try peers.indices.map { peer in
                place = floats(slot, peer, 0)
                return try group.region(staging.base + place, bytes: max(parts[peer] * longest * 4, 4))
            })
        }
        func expect(_ index: Int) {
            let segment = segments[own[index]], bytes = segment.floats.count * 4
            for (p, peer) in peers.enumerated() {
                for node in held[peer].indices {
                    landing[index % window][p].receive(from: peer, tag: Self.tag(own[index], node), offset: node * longest * 4, bytes: bytes)
                }
            }
        }
        for index in 0..<min(window, own.count) { expect(index) }
        // To everybody in turn, so that nobody waits for its first part until others have their last.
        let leaving = try mine.map { try group.region($0.base, bytes: $0.count * 4) }
        let theirs = peers.map { owned(by: $0) }
        for index in 0..<(theirs.map(\.count).max() ?? 0) {
            for (p, peer) in peers.enumerated() where index < theirs[p].count {
                let segment = segments[theirs[p][index]]
                for node in mine.indices {
                    leaving[node].send(to: peer, tag: Self.tag(theirs[p][index], node), offset: segment.floats.lowerBound * 4, bytes: segment.floats.count * 4)
                }
            }
        }
        for index in own.indices {
            let segment = segments[own[index]]
            activity(.waiting)
            for region in landing[index % window] { try region.finishReceives() }
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
                    for (n, node) in held[peer].enumerated() {
                        sources.append(NodeSource(level: node.level, index: node.index, floats: staging.base + floats(index % window, p, n) + at))
                    }
                }
                sources.sort { $0.index << $0.level < $1.index << $1.level }
                squares(chunk, reduceNodes(sources, count: range.count, scale: scale, into: sum + range.lowerBound))
            }
            if index + window < own.count { expect(index + window) }
            done(segment)
        }
        activity(.waiting)
        for region in leaving { try region.finishSends() }
    }

    /// Owned segments of a vector, from each owner to those that `goes` names; `kind` keeps two such exchanges apart that are
    /// under way at once. Receiving begins at once, so that what others have ready arrives while this rank still makes its own.
    package func spread(_ vector: PrivateMemory, kind: Int, goes: @escaping (_ owner: Int, _ to: Int) -> Bool) throws -> Spreading {
        try Spreading(group, segments, vector, kind: kind, goes: goes)
    }

    package struct Spreading {
        private let receivers: [Int], arriving: [MessageRegion], leaving: MessageRegion
        private let segments: [Segment], kind: Int

        fileprivate init(_ group: MessageGroup, _ segments: [Segment], _ vector: PrivateMemory, kind: Int, goes: (Int, Int) -> Bool) throws {
            let others = (1..<group.size).map { (group.rank + $0) % group.size }, senders = others.filter { goes($0, group.rank) }
            (receivers, self.segments, self.kind) = (others.filter { goes(group.rank, $0) }, segments, kind)
            arriving = try senders.map { _ in try group.region(vector.base, bytes: vector.count * 4) }
            leaving = try group.region(vector.base, bytes: vector.count * 4)
            for (region, peer) in zip(arriving, senders) {
                for (index, segment) in segments.enumerated() where segment.owner == peer {
                    region.receive(from: peer, tag: TreeExchange.tag(index, TreeExchange.spreadTag - kind), offset: segment.floats.lowerBound * 4, bytes: segment.floats.count * 4)
                }
            }
        }

        /// An own segment is there: it goes out.
        package func send(_ segment: Segment) {
            guard let index = segments.firstIndex(of: segment) else { preconditionFailure("no such segment: \(segment)") }
            for peer in receivers {
                leaving.send(to: peer, tag: TreeExchange.tag(index, TreeExchange.spreadTag - kind), offset: segment.floats.lowerBound * 4, bytes: segment.floats.count * 4)
            }
        }

        package func finish() throws {
            for region in arriving { try region.finishReceives() }
            try leaving.finishSends()
        }
    }

    /// Messages of one pair with the same tag come in the order they were sent in; within a call every one has its own.
    fileprivate static func tag(_ segment: Int, _ node: Int) -> UInt64 { 1 << 60 | UInt64(segment) << 20 | UInt64(node) }
    fileprivate static let spreadTag = 1 << 20 - 1
}

extension MessageGroup {
    /// `words` of every rank, by rank; all have as many.
    package func exchange(_ words: [UInt64], tag: UInt64) throws -> [[UInt64]] {
        let count = words.count, peers = (0..<size).filter { $0 != rank }
        let all = UnsafeMutablePointer<UInt64>.allocate(capacity: size * count)
        defer { all.deallocate() }
        (all + rank * count).update(from: words, count: count)
        try withExtendedLifetime(peers.map { _ in try region(all, bytes: size * count * 8) }) { arriving in
            for (region, peer) in zip(arriving, peers) { region.receive(from: peer, tag: tag, offset: peer * count * 8, bytes: count * 8) }
            let leaving = try region(all, bytes: size * count * 8)
            for peer in peers { leaving.send(to: peer, tag: tag, offset: rank * count * 8, bytes: count * 8) }
            for region in arriving { try region.finishReceives() }
            try leaving.finishSends()
        }
        return (0..<size).map { Array(UnsafeBufferPointer(start: all + $0 * count, count: count)) }
    }
}
