import Collectives
import Kernels
import Model

/// The tensor-parallel ranks of a data-parallel group, for one group of messages: each computes its share of every layer of
/// the same microbatch, in lockstep. Summands are added up in the order of ranks, so that all have the same bits: of two ranks
/// each sends its own to the other; of more each adds up its part of the vector and sends the others what came out. Of one
/// there is nothing to add up.
final class TensorPeers: Peers {
    typealias Failure = any Error

    private let group: MessageGroup
    /// Called when this worker waits for others, and when it goes on.
    private let waiting: (Bool) -> Void
    /// Floats of the longest vector.
    private let longest: Int
    /// (rank, longest): everybody's summands; this rank's go out from there.
    private let staging: PrivateMemory
    /// (rank): its place in `staging`.
    private let places: [MessageRegion]
    /// (longest): sums, part by part.
    private let sums: PrivateMemory, results: MessageRegion

    /// - Parameter longest: how many floats a call has at most.
    init(_ group: MessageGroup, longest: Int, waiting: @escaping (Bool) -> Void) throws {
        (self.group, self.longest, self.waiting) = (group, longest, waiting)
        staging = PrivateMemory(floats: group.size * longest)
        places = try (0..<group.size).map { [staging] in try group.region(staging.base + $0 * longest, bytes: longest * 4) }
        sums = PrivateMemory(floats: group.size > 2 ? longest : 1)
        results = try group.region(sums.base, bytes: sums.count * 4)
    }

    var degree: Int { group.size }

    func willRead(block: Int, in pass: Pass) {}
    func hasRead(block: Int, in pass: Pass) {}
    func gradientIsComplete(block: Int) {}

    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) throws {
        if degree == 1 { return }
        if degree > 2, count >= degree { return try sumInParts(values, count) }
        try gather(values, count)
        Rows.add(values, place(0), place(1), rows: 1, width: count)
        for rank in 2..<Swift.max(2, degree) { Rows.add(values, values, place(rank), rows: 1, width: count) }
    }

    private func sumInParts(_ values: UnsafeMutablePointer<Float>, _ count: Int) throws {
        let own = part(group.rank, of: count)
        prepare(values, count)
        try exchange(receiving: { (places[$0], own) }, sending: places[group.rank], { part($0, of: count) })
        let sum = sums.base + own.lowerBound
        Rows.add(sum, place(0) + own.lowerBound, place(1) + own.lowerBound, rows: 1, width: own.count)
        for rank in 2..<degree { Rows.add(sum, sum, place(rank) + own.lowerBound, rows: 1, width: own.count) }
        try exchange(receiving: { (results, part($0, of: count)) }, sending: results, { _ in own })
        values.update(from: sums.base, count: count)
    }

    /// Floats that `rank` adds up.
    private func part(_ rank: Int, of count: Int) -> Range<Int> { count * rank / degree..<count * (rank + 1) / degree }

    func max(_ values: UnsafeMutablePointer<Float>, count: Int) throws {
        if degree == 1 { return }
        try gather(values, count)
        values.update(from: place(0), count: count)
        for rank in 1..<degree {
            let others = place(rank)
            for i in 0..<count where others[i] > values[i] { values[i] = others[i] }
        }
    }

    private func place(_ rank: Int) -> UnsafeMutablePointer<Float> { staging.base + rank * longest }

    /// Has the `count` values of every rank in its place.
    private func gather(_ values: UnsafePointer<Float>, _ count: Int) throws {
        prepare(values, count)
        try exchange(receiving: { (places[$0], 0..<count) }, sending: places[group.rank], { _ in 0..<count })
    }

    /// Puts this rank's values where they go out from.
    private func prepare(_ values: UnsafePointer<Float>, _ count: Int) {
        precondition(count <= longest, "\(count) floats, at most \(longest) are prepared for")
        place(group.rank).update(from: values, count: count)
    }

    /// A message from and to each other rank. One call follows the other on all of them: one tag is enough.
    private func exchange(receiving: (Int) -> (MessageRegion, Range<Int>), sending: MessageRegion, _ sent: (Int) -> Range<Int>) throws {
        waiting(true)
        let others = (0..<degree).filter { $0 != group.rank }
        for rank in others {
            let (region, floats) = receiving(rank)
            region.receive(from: rank, tag: MessageKind.sum.tag(), offset: floats.lowerBound * 4, bytes: floats.count * 4)
        }
        for rank in others { sending.send(to: rank, tag: MessageKind.sum.tag(), offset: sent(rank).lowerBound * 4, bytes: sent(rank).count * 4) }
        for rank in others { try receiving(rank).0.finishReceives() }
        try sending.finishSends()
        waiting(false)
    }
}
