import Collectives
import CSystem
import Kernels
import Model
import RunSpec

/// What of the training state lies in a worker's own memory, and after which step it is: the committed generation, and the
/// one that the update of the turn under way writes.
final class OwnState {
    private let context: StepContext
    private var shared: SharedState { context.shared }
    private let memories: PrivateState
    /// Where this worker has a shard, in the place that shards have among all chunks' floats: what it is of the whole model's
    /// vector, which the deposit has, and where it begins.
    private let shard: ParameterLayout?, first: Int
    /// The generation that is committed, here and in the launcher's count.
    private var generation = 0, sharedGeneration = 0
    /// The committed step whose state is here; nil before there is one.
    private(set) var step: Int?
    /// Stretches of θ that are here without what belongs to them, and so without a fingerprint; their checksums in each generation.
    private let copied: [Range<Int>]
    private var copies: [[UInt32]] = [[], []]
    /// The float of a part that a fault strikes.
    var struck: (_ part: Int) -> Int = { _ in 0 }
    /// The update of the turn under way is there, whole.
    private var hasNext = false
    private var depositedTurn = -1

    /// - Parameters:
    ///   - copied: floats of θ that are to be looked at alone.
    ///   - shard: of a tensor-parallel rank.
    init(_ context: StepContext, copied: [Range<Int>], shard: (layout: ParameterLayout, rank: Int)? = nil) {
        (self.context, self.copied) = (context, copied)
        let first = shard.map { context.shared.layout.shard($0.rank).lowerBound } ?? 0
        (self.shard, self.first) = (shard?.layout, first)
        memories = PrivateState(floats: context.shared.layout.chunkedFloats)
        context.faults.state = { [unowned self] in
            let isCommitted = hasNext && shared.currentGeneration != sharedGeneration
            return memories.memory(generation: isCommitted ? 1 - generation : generation, part: $0).base + struck($0)
        }
    }

    var current: StatePointers { memories.pointers(generation) }
    var next: StatePointers { memories.pointers(1 - generation) }
    /// - Parameter part: 0 to 2: θ, m, v.
    func current(_ part: Int) -> PrivateMemory { memories.memory(generation: generation, part: part) }
    func next(_ part: Int) -> PrivateMemory { memories.memory(generation: 1 - generation, part: part) }

    /// - Returns: whether the chunk is not what was committed.
    func isDamaged(_ chunk: Int) -> Bool {
        fingerprint(current, range: shared.layout.chunk(chunk)) != shared.fingerprint(chunk, generation: sharedGeneration)
    }

    /// θ of the next state is there.
    func noteCopies() { copies[1 - generation] = copied.map { checksum($0, next.parameters) } }

    /// - Returns: whether a stretch of θ is not what came.
    func isCopyDamaged(_ index: Int) -> Bool { copies[generation][index] != checksum(copied[index], current.parameters) }

    /// Reports the first stretch that is not what came, by the chunk it begins in.
    func checkCopies() throws {
        guard let damaged = copied.indices.first(where: isCopyDamaged) else { return }
        try context.reportDamage((0..<SharedLayout.chunkCount).first { shared.layout.chunk($0).contains(copied[damaged].lowerBound) } ?? 0)
    }

    private func checksum(_ floats: Range<Int>, _ parameters: UnsafeMutablePointer<Float>) -> UInt32 {
        cs_crc32c(0, parameters + floats.lowerBound, 4 * floats.count)
    }

    /// Whoever votes has all of the next state.
    func votes() { hasNext = true }

    /// The launcher has announced a commit, or several things at once: what was prepared becomes current.
    /// - Returns: whether the state is another now.
    func takeCommit(_ committed: Int) throws -> Bool {
        guard let held = step, held != committed else { return false }
        let swapped = shared.currentGeneration != sharedGeneration
        sharedGeneration = shared.currentGeneration
        guard held + 1 == committed, !swapped || hasNext else {
            throw UserError(.system, "worker \(context.slot) has the state after step \(held) and step \(committed) is committed without its vote: this is a mistake in headway; please report it")
        }
        if swapped { generation = 1 - generation }
        (step, hasNext) = (committed, false)
        return swapped
    }

    /// To be called by whoever is told to go. When it has voted, the commit that lets it go is being announced.
    /// - Returns: as `takeCommit`.
    func takeLastCommit() throws -> Bool {
        let swapped = try takeCommit(SharedState.step(of: context.turn))
        guard hasNext else { return swapped }
        try context.wait { false }
        context.turn = shared.turn
        return try takeCommit(SharedState.step(of: context.turn))
    }

    /// An attempt was thrown away, and with it what was prepared.
    func dropNext() { hasNext = false }

    /// The state after `committed` is here, from others or from the deposit.
    func hold(_ committed: Int) {
        (step, sharedGeneration, hasNext) = (committed, shared.currentGeneration, false)
        copies[generation] = copied.map { checksum($0, current.parameters) }
        shared.setHoldsState(context.slot, true)
    }

    /// Takes floats of a part from the deposit.
    func load(_ range: Range<Int>, part: Int) {
        let deposit = shared.state(generation: 0, part: part)
        if let shard { shard.takeShard(current(part).base + first, range.lowerBound - first..<range.upperBound - first, from: deposit) } else { copy(range, deposit, to: current(part).base) }
    }

    /// Whether chunks of this worker's are asked for and not deposited.
    var isAsked: Bool { shared.depositWanted == step && step != nil && shared.deposits.nextOwned(by: context.slot, turn: context.turn) != nil }

    /// Copies the owned chunks to where a checkpoint is written from, if one is due. They are looked at first, as long as
    /// somebody can still draw the consequences; the writer looks, too.
    func deposit(_ committed: Int, owned: [Int]) throws {
        guard shared.depositWanted == committed, depositedTurn != context.turn || shared.deposits.nextOwned(by: context.slot, turn: context.turn) != nil else { return }
        context.enter(.snapshot, committed)
        for chunk in owned {
            let range = shared.layout.chunk(chunk)
            if !shared.stopRequested, isDamaged(chunk) { try context.reportDamage(chunk) }
            for part in 0..<3 {
                let deposit = shared.state(generation: 0, part: part)
                if let shard {
                    shard.putShard(current(part).base + first, range.lowerBound - first..<range.upperBound - first, into: deposit)
                } else {
                    copy(range, current(part).base, to: deposit)
                }
            }
            shared.deposits.markDone(chunk, turn: context.turn)
        }
        depositedTurn = context.turn
        if shared.deposits.allDone(turn: context.turn) { context.ringDoorbell() }
        context.enter(.glue, committed)
    }

    /// The launcher asks for the last state as soon as nothing is written from the one before.
    func depositLast(owned: [Int]) throws {
        guard let step, step == SharedState.step(of: context.turn), shared.admitted(context.slot) == context.replica else { return }
        try context.wait { shared.depositWanted == step || shared.depositStep == step }
        try deposit(step, owned: owned)
    }

    /// Gives back the memory of floats that others keep.
    func release(_ range: Range<Int>, parts: Range<Int>) {
        for part in parts { for generation in 0..<PrivateState.generationCount { memories.memory(generation: generation, part: part).release(range) } }
    }

    private func copy(_ range: Range<Int>, _ from: UnsafeMutablePointer<Float>, to: UnsafeMutablePointer<Float>) {
        (to + range.lowerBound).update(from: from + range.lowerBound, count: range.count)
    }
}
