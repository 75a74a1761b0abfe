import Collectives
import Kernels
import Model

/// The tensor-parallel ranks of a data-parallel group, for one group of messages: each computes its share of every layer of
/// the same microbatch, in lockstep. For a sum everybody sends its summands to everybody and adds them up in the order of
/// ranks, so that all have the same bits.
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

    /// - Parameter longest: how many floats a call has at most.
    init(_ group: MessageGroup, longest: Int, waiting: @escaping (Bool) -> Void) throws {
        (self.group, self.longest, self.waiting) = (group, longest, waiting)
        staging = PrivateMemory(floats: group.size * longest)
        places = try (0..<group.size).map { [staging] in try group.region(staging.base + $0 * longest, bytes: longest * 4) }
    }

    var degree: Int { group.size }

    func willRead(block: Int, in pass: Pass) {}
    func hasRead(block: Int, in pass: Pass) {}
    func gradientIsComplete(block: Int) {}

    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) throws {
        try gather(values, count)
        Rows.add(values, place(0), place(1), rows: 1, width: count)
        for rank in 2..<Swift.max(2, degree) { Rows.add(values, values, place(rank), rows: 1, width: count) }
    }

    func max(_ values: UnsafeMutablePointer<Float>, count: Int) throws {
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
        precondition(count <= longest, "\(count) floats, at most \(longest) are prepared for")
        place(group.rank).update(from: values, count: count)
        for rank in 0..<group.size where rank != group.rank { try places[rank].receive(from: rank, tag: Self.tag, offset: 0, bytes: count * 4) }
        for rank in 0..<group.size where rank != group.rank { try places[group.rank].send(to: rank, tag: Self.tag, offset: 0, bytes: count * 4) }
        waiting(true)
        for rank in 0..<group.size where rank != group.rank { try places[rank].finishReceives() }
        try places[group.rank].finishSends()
        waiting(false)
    }

    /// One call follows the other on all ranks, and messages of a pair with the same tag come in order.
    private static let tag: UInt64 = 13 << 60
}
