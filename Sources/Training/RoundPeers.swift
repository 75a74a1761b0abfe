import Collectives
import Kernels
import Ledger
import Model

/// The other members during one round of passes, each over a microbatch of its own, in lockstep: blocks of parameters are
/// gathered from their owners just before a pass reads them and given back after (zero3), and each block's gradient goes to
/// its owners while the pass goes on (zero2, zero3), who add up leaf after leaf. All members go through the same blocks in
/// the same order; one that has no microbatch in the round attends: it serves and adds up what it owns.
final class RoundPeers: Peers {
    typealias Failure = any Error
    enum Kind { case evaluation, training }

    private let group: MessageGroup
    private let parts: BlockParts
    /// Whether parameters are sharded.
    private let gathers: Bool
    private let isTied: Bool
    /// Called when this worker waits for others, and when it goes on.
    private let waiting: (Bool) -> Void
    /// Called once a step, when as much memory is in use as ever is.
    private let isFull: () -> Void

    /// θ of the committed step, whole or in the blocks that are here.
    var parameters: PrivateMemory
    /// Of the microbatch under way; a block's pages are given back when its owners have it.
    let gradient: PrivateMemory
    /// The nodes of the owned floats, by level.
    private let levels: [PrivateMemory]

    // The pass under way.
    private var active = 0, firstLeaf = 0
    private var reads: [(block: Int, uses: Int)] = [], position = -1
    private var remaining: [Int: Int] = [:]
    private var arriving: [[MessageRegion]] = [], serving: MessageRegion?
    private var pending: (block: Int, slot: Int)?, completed = 0
    private var landing: [[MessageRegion]] = [], leaving: [MessageRegion] = []
    private let staging: PrivateMemory, longest: Int

    init(
        _ group: MessageGroup, _ parts: BlockParts, gathers: Bool, isTied: Bool, parameters: PrivateMemory, gradient: PrivateMemory, levels: [PrivateMemory],
        waiting: @escaping (Bool) -> Void, isFull: @escaping () -> Void
    ) {
        (self.group, self.parts, self.gathers, self.isTied, self.isFull) = (group, parts, gathers, isTied, isFull)
        (self.parameters, self.gradient, self.levels, self.waiting) = (parameters, gradient, levels, waiting)
        longest = parts.owned.map { $0[group.rank].reduce(0) { $0 + $1.count } }.max() ?? 0
        staging = PrivateMemory(floats: 2 * group.size * longest)
    }

    var place: (rank: Int, size: Int) { (group.rank, group.size) }
    private var rank: Int { group.rank }
    private var isActive: Bool { rank < active }
    private var others: [Int] { (0..<group.size).filter { $0 != rank } }
    private var lastBlock: Int { parts.blocks.count - 1 }

    // MARK: A round

    /// - Parameters:
    ///   - active: ranks below it have a microbatch.
    ///   - firstLeaf: rank 0's leaf, the others' follow.
    func begin(_ kind: Kind, active: Int, firstLeaf: Int = 0) throws {
        (self.active, self.firstLeaf, position, completed, pending, remaining) = (active, firstLeaf, -1, 0, nil, [:])
        reads = Self.reads(kind, last: lastBlock, isTied: isTied)
        if gathers {
            arriving = try (0..<2).map { _ in try others.map { _ in try group.region(parameters.base, bytes: parameters.count * 4) } }
            serving = try group.region(parameters.base, bytes: parameters.count * 4)
            post(read: 0)
        }
        guard kind == .training else { return }
        landing = try (0..<2).map { slot in
            try others.map { peer in try group.region(staging.base + (slot * group.size + peer) * longest, bytes: Swift.max(longest * 4, 4)) }
        }
        leaving = try (0..<2).map { _ in try group.region(gradient.base, bytes: gradient.count * 4) }
    }

    /// What a pass reads, in order; what it reads twice in a row is here for both.
    private static func reads(_ kind: Kind, last: Int, isTied: Bool) -> [(block: Int, uses: Int)] {
        let forward = (0..<last).map { (block: $0, uses: 1) }
        switch kind {
        case .evaluation: return forward + (isTied ? [(last, 1), (0, 1)] : [(last, 2)])
        case .training: return forward + [(last, 2)] + (isTied ? [(0, 1)] : []) + (1..<last).reversed().map { ($0, 1) }
        }
    }

    /// Takes part in a round without a microbatch.
    func attend(_ kind: Kind) throws {
        if gathers { for read in reads { for _ in 0..<read.uses { try willRead(block: read.block, in: .forward) }; for _ in 0..<read.uses { try hasRead(block: read.block, in: .forward) } } }
        if kind == .training { for block in (0...lastBlock).reversed() { try gradientIsComplete(block: block) } }
    }

    /// Waits for what is still under way.
    func end() throws {
        try absorbPending()
        if let serving { try finish([], [serving]) }
        (arriving, serving, landing, leaving) = ([], nil, [], [])
    }

    private func finish(_ arriving: [MessageRegion], _ leaving: [MessageRegion]) throws {
        guard arriving.contains(where: \.isReceiving) || leaving.contains(where: \.isSending) else { return }
        waiting(true)
        for region in arriving { try region.finishReceives() }
        for region in leaving { try region.finishSends() }
        waiting(false)
    }

    // MARK: Parameters

    private func post(read index: Int) {
        guard index < reads.count else { return }
        let block = reads[index].block
        for (place, peer) in others.enumerated() {
            if isActive {
                for (n, part) in parts.owned[block][peer].enumerated() {
                    arriving[index % 2][place].receive(from: peer, tag: MessageKind.block.tag(index, n), offset: part.lowerBound * 4, bytes: part.count * 4)
                }
            }
            guard peer < active else { continue }
            for (n, part) in parts.owned[block][rank].enumerated() {
                serving!.send(to: peer, tag: MessageKind.block.tag(index, n), offset: part.lowerBound * 4, bytes: part.count * 4)
            }
        }
    }

    func willRead(block: Int, in pass: Pass) throws {
        guard gathers, remaining[block] ?? 0 == 0 else { return }
        position += 1
        precondition(reads[position].block == block, "block \(block) is read, \(reads[position].block) was expected")
        try finish(arriving[position % 2], [])
        remaining[block] = reads[position].uses
        post(read: position + 1)
    }

    func hasRead(block: Int, in pass: Pass) throws {
        // Its gradient and the one before's are here, and the next block, if any is gathered.
        if pass == .backward, firstLeaf == 0, block == (lastBlock + 1) / 2 { isFull() }
        guard gathers else { return }
        remaining[block]! -= 1
        if remaining[block] == 0 { for part in parts.foreign[block] { parameters.release(part) } }
    }

    // MARK: Gradients

    func gradientIsComplete(block: Int) throws {
        let slot = completed % 2
        completed += 1
        for (place, peer) in others.enumerated() {
            if peer < active {
                var at = 0
                for (n, part) in parts.owned[block][rank].enumerated() {
                    landing[slot][place].receive(from: peer, tag: MessageKind.blockGradient.tag(block, n), offset: at * 4, bytes: part.count * 4)
                    at += part.count
                }
            }
            guard isActive else { continue }
            for (n, part) in parts.owned[block][peer].enumerated() {
                leaving[slot].send(to: peer, tag: MessageKind.blockGradient.tag(block, n), offset: part.lowerBound * 4, bytes: part.count * 4)
            }
        }
        try absorbPending()
        pending = (block, slot)
    }

    /// Adds up the block before the one that was just sent off.
    private func absorbPending() throws {
        guard let (block, slot) = pending else { return }
        pending = nil
        try finish(landing[slot], [])
        for leaf in 0..<active {
            var at = 0
            for part in parts.owned[block][rank] {
                let from = leaf == rank ? gradient.base + part.lowerBound : staging.base + (slot * group.size + leaf) * longest + at
                pushLeaf(from, index: firstLeaf + leaf, levels: levels.map { $0.base + part.lowerBound }, count: part.count)
                at += part.count
            }
        }
        guard isActive else { return }
        try finish([], [leaving[slot]])
        gradient.release(parts.blocks[block])
    }

    // MARK: Tensor parallelism: none here

    var degree: Int { 1 }
    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) {}
    func max(_ values: UnsafeMutablePointer<Float>, count: Int) {}
}
