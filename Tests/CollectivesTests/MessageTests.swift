import Collectives
import Foundation
import Glibc
import Kernels
import RunSpec
import Testing

/// Ranks as threads of this process: each has its own group, and its own sockets on the loopback interface.
struct Ranks {
    let size: Int

    /// Runs `body` on a thread per rank, each with a connected group, and gives what they return by rank.
    func run<Result: Sendable>(_ body: @escaping @Sendable (MessageGroup) throws -> Result) throws -> [Result] {
        // As every program that exchanges messages does.
        signal(SIGPIPE, SIG_IGN)
        let meeting = Meeting(size)
        let threads = (0..<size).map { rank in
            Thread {
                do {
                    let device = try MessageDevice(host: "127.0.0.1")
                    let group = try MessageGroup(device: device, rank: rank, size: size, timeoutMilliseconds: 10_000)
                    var addresses = [UInt8](repeating: 0, count: size * MessageGroup.addressBytes)
                    for peer in 0..<size where peer != rank {
                        try addresses.withUnsafeMutableBufferPointer { try group.address(for: peer, into: $0.baseAddress! + peer * MessageGroup.addressBytes) }
                    }
                    let all = meeting.exchange(addresses, rank)
                    for peer in 0..<size where peer != rank {
                        try all[peer].withUnsafeBufferPointer { try group.connect(peer, $0.baseAddress! + rank * MessageGroup.addressBytes) }
                    }
                    let result = try body(group)
                    meeting.finish(rank, Swift.Result<Result, any Error>.success(result))
                    group.close()
                } catch {
                    meeting.finish(rank, Swift.Result<Result, any Error>.failure(error))
                }
            }
        }
        for thread in threads {
            thread.stackSize = 8 << 20
            thread.start()
        }
        return try meeting.results().map { try ($0 as! Swift.Result<Result, any Error>).get() }
    }

    private final class Meeting: @unchecked Sendable {
        private let condition = NSCondition()
        private var blobs: [[UInt8]?], outcomes: [Any?]

        init(_ size: Int) { (blobs, outcomes) = (Array(repeating: nil, count: size), Array(repeating: nil, count: size)) }

        func exchange(_ blob: [UInt8], _ rank: Int) -> [[UInt8]] {
            condition.withLock {
                blobs[rank] = blob
                condition.broadcast()
                while blobs.contains(where: { $0 == nil }) { condition.wait() }
                return blobs.map { $0! }
            }
        }

        func finish(_ rank: Int, _ outcome: Any) {
            condition.withLock {
                outcomes[rank] = outcome
                condition.broadcast()
            }
        }

        func results() -> [Any] {
            condition.withLock {
                while outcomes.contains(where: { $0 == nil }) { condition.wait() }
                return outcomes.map { $0! }
            }
        }
    }
}

@Suite(.enabled(if: Messages.areAvailable, "built without Gloo"), .serialized)
struct MessageTests {
    private static func value(_ leaf: Int, _ at: Int) -> Float {
        Float(Int((UInt64(leaf + 1) &* 2_654_435_761 ^ UInt64(at) &* 40_503) % 20_011) - 10_005) * 1.37e-3
    }

    /// What `reduceTree` makes of all leaves, and the squares of chunks.
    private static func expected(_ layout: SharedLayout, scale: Float) -> (sum: [Float], squares: [Double]) {
        let count = layout.parameterFloats, leaves = layout.leaves
        var gradients = [Float](repeating: 0, count: count * leaves), sum = [Float](repeating: 0, count: count)
        for leaf in 0..<leaves { for at in 0..<count { gradients[leaf * count + at] = value(leaf, at) } }
        let squares = (0..<SharedLayout.chunkCount).map { chunk in
            reduceTree(&gradients, stride: count, leaves: leaves, range: layout.chunk(chunk), scale: scale, into: &sum)
        }
        return (sum, squares)
    }

    @Test("what one member has lost comes back out of the others' parity", arguments: 2...5)
    func parityRestores(ranks: Int) throws {
        let layout = SharedLayout(parameterFloats: 256 * 1_600 + 48, leaves: 8, heldOut: HeldOutUnits(validation: 0), sequences: 1)
        // Slots are not ranks, shares are not equal, and one has its chunks in two places.
        let members = (0..<ranks).map { 3 * $0 + 1 }, owners = (0..<SharedLayout.chunkCount).map { members[$0 < 7 ? 0 : ($0 * $0 / 256) * ranks / 255 % ranks] }
        let plan = StripePlan(members: members, owners: owners, layout)
        #expect(StripePlan(words: plan.words[...], layout) == plan && StripePlan(words: Array(repeating: 0, count: StripePlan.wordCount)[...], layout) == nil)
        for owner in members {
            let floats = members.filter { $0 != owner }.flatMap { plan.stripe(of: owner, at: $0) }.flatMap(\.floats).sorted()
            #expect(floats == owners.indices.filter { owners[$0] == owner }.flatMap { layout.chunk($0) }, "all of an owner's floats, each in one stripe")
        }
        for lost in members {
            let wrong = try Ranks(size: ranks).run { group in
                let slot = members[group.rank], parity = Parity(layout, parts: 2)
                let vectors = (0..<2).map { _ in PrivateMemory(floats: layout.parameterFloats) }
                func fill(_ step: Int) {
                    for chunk in owners.indices where owners[chunk] == slot { for (part, vector) in vectors.enumerated() { for at in layout.chunk(chunk) { vector.base[at] = Self.value(step * 2 + part, at) } } }
                }
                // The committed one counts, not the one that is being made.
                fill(1)
                try parity.make(plan, group, slots: members, vectors)
                parity.advance()
                fill(2)
                try parity.make(plan, group, slots: members, vectors)
                parity.dropNext()
                fill(1)
                guard slot != lost else { return 0 }
                try parity.restore(lost, plan, group, slots: members, vectors)
                return plan.stripe(of: lost, at: slot).flatMap(\.floats).count { at in (0..<2).contains { vectors[$0].base[at] != Self.value(2 + $0, at) } }
            }
            #expect(wrong.allSatisfy { $0 == 0 }, "\(wrong) floats are not what slot \(lost) had")
        }
    }

    @Test("gradients summed and gathered in messages have the bits of the tree in one memory, for any number of ranks", arguments: 1...6)
    func sameBitsAsTheTree(ranks: Int) throws {
        let layout = SharedLayout(parameterFloats: 256 * 80 + 48, leaves: 8, heldOut: HeldOutUnits(validation: 0), sequences: 1), scale: Float = 0.37
        let (sum, squares) = Self.expected(layout, scale: scale)
        // Contiguous shares; and with three ranks also one that somebody helped.
        var holders = (0..<8).map { $0 * ranks / 8 }
        if ranks == 3 { holders[7] = 0 }
        let owners = (0..<SharedLayout.chunkCount).map { ($0 * 7 / 5) * ranks / 400 % ranks }
        let segments = Collectives.Segment.cut(layout, owners: owners)
        #expect(segments.reduce(0) { $0 + $1.floats.count } == layout.parameterFloats)
        let (holderOf, segmentsOf) = (holders, segments)
        let results = try Ranks(size: ranks).run { group in
            let store = NodeStore(floats: layout.parameterFloats)
            for leaf in 0..<8 where holderOf[leaf] == group.rank {
                let memory = store.take()
                for at in 0..<layout.parameterFloats { memory.base[at] = Self.value(leaf, at) }
                store.push(leaf: leaf, memory)
            }
            let held = (0..<ranks).map { rank in TreeNode.covering(leaves: 8) { holderOf[$0] == rank } }
            #expect(Set(store.nodes.keys) == Set(held[group.rank]))
            let reduced = PrivateMemory(floats: layout.parameterFloats)
            var found = [Double](repeating: .nan, count: SharedLayout.chunkCount)
            let gathering = try Spreading(group, segmentsOf, reduced, kind: .mean) { _, _ in true }
            let reduction = try Reduction(group, segmentsOf, held: held, mine: held[group.rank].map { store.nodes[$0]! })
            // In stretches, as a backward pass makes them, or all at once.
            if group.rank % 2 == 0 { for first in stride(from: layout.parameterFloats, to: 0, by: -99) { reduction.send(from: first) } }
            try reduction.finish(layout: layout, scale: scale, into: reduced.base, activity: { _ in }, squares: { found[$0] = $1 }, done: { gathering.send($0) })
            try gathering.finish()
            let all = try group.exchange(found.map(\.bitPattern), .words)
            let known = (0..<SharedLayout.chunkCount).map { chunk in all.map { Double(bitPattern: $0[chunk]) }.first { !$0.isNaN } ?? 0 }
            return (Array(UnsafeBufferPointer(start: reduced.base, count: layout.parameterFloats)), known)
        }
        for (gathered, found) in results {
            #expect(gathered.map(\.bitPattern) == sum.map(\.bitPattern))
            #expect(found.map(\.bitPattern) == squares.map(\.bitPattern))
        }
    }

    @Test("a peer that closes is an error for whoever waits for it")
    func closedPeer() throws {
        let results = try Ranks(size: 3).run { group -> String in
            // All are connected.
            _ = try group.exchange([0], .hello)
            if group.rank == 1 {
                group.close()
                return "closed"
            }
            do {
                _ = try group.exchange([1, 2, 3], .words)
                return "exchanged"
            } catch let failure as MessageFailure {
                group.close()
                if case .peer = failure { return "lost" }
                return "\(failure)"
            }
        }
        #expect(results == ["lost", "closed", "lost"])
    }
}

@Suite struct TreeNodeTests {
    @Test("a contiguous range is covered as the canonical decomposition has it", arguments: [8, 32])
    func canonical(leaves: Int) {
        for low in 0..<leaves {
            for high in low + 1...leaves {
                var expected: [TreeNode] = [], at = low
                while at < high {
                    var size = at == 0 ? leaves : at & -at
                    while size > high - at { size /= 2 }
                    expected.append(TreeNode(level: size.trailingZeroBitCount, index: at / size))
                    at += size
                }
                #expect(TreeNode.covering(leaves: leaves) { low <= $0 && $0 < high } == expected)
            }
        }
    }
}
