import Collectives
import Kernels
import Ledger
import RunSpec

/// The exchange in messages: each worker has memory of its own, gradients travel to the owners of chunks and what is made of
/// them travels back. Members of a view form a group, tell each other what of the state they hold, and send what somebody
/// lacks; from then on a step is reduce, norm, update, gather. A worker votes for its chunks when it has everything of the
/// next state: so whoever survives a commit has all that was committed, but for the moments that only the dead had.
final class MessageExchange: GradientExchange {
    private let context: StepContext
    private let shared: SharedState, config: RunConfig
    private let sharding: Sharding.State, redundancy: Sharding.Redundancy
    private let place: MeetingPlace
    private let holdings: StateHoldings
    private var state: OwnState { holdings.state }
    /// The mean gradient of the step, where this worker has it: a vector that the node store has to spare, while it is needed.
    private var reduced: PrivateMemory?
    private let store: NodeStore
    /// In rounds: the nodes of owned floats by level, and a leaf's gradient.
    private let levels: [PrivateMemory], gradient: PrivateMemory
    private let blocks: [Range<Int>], chunkBlocks: [Range<Int>], isTied: Bool
    /// (stays with a leaf from `gradient` to `publish`)
    private var leafGradient: PrivateMemory?
    /// The step's reduction, where it has begun before all leaves are there; it belongs to `channels`.
    private var early: Result<Reduction, any Error>?
    private var lastMerge: NodeStore.Merge?

    /// The turn that `store` holds leaves of.
    private var storeTurn = -1
    private var channels: Channels?

    /// A group and the plan it works by.
    struct Channels {
        let group: MessageGroup
        /// The view it is for, and the turn in which its members met.
        let view: Int, turn: Int
        /// Slots by rank: the view's members, then those who leave.
        let members: [Int], leavers: [Int]
        /// Ranks, by chunk.
        let owners: [Int]
        let segments: [Segment]
        var slots: [Int] { members + leavers }
        var rank: Int { group.rank }
        var hasLeavers: Bool { !leavers.isEmpty }
    }

    init(_ context: StepContext, _ options: SessionOptions, blocks: [Range<Int>], identity: UInt64) throws {
        (self.context, shared, config) = (context, context.shared, context.config)
        (sharding, redundancy) = (options.sharding, options.redundancy)
        place = try MeetingPlace(context, options)
        holdings = StateHoldings(context, options, identity: identity)
        let layout = context.shared.layout, floats = layout.parameterFloats
        store = NodeStore(floats: floats)
        levels = (0...layout.leaves.trailingZeroBitCount).map { _ in PrivateMemory(floats: floats) }
        gradient = PrivateMemory(floats: floats, givenBackOften: true)
        (self.blocks, chunkBlocks, isTied) = (blocks, layout.chunkBlocks(blocks), context.config.model.tied)
    }

    private var layout: SharedLayout { shared.layout }

    var parameters: UnsafePointer<Float> { UnsafePointer(state.current.parameters) }
    var isDisturbed: Bool { place.isOver(channels?.view) }
    var isAsked: Bool { state.isAsked }

    private(set) var rounds: RoundPeers?

    // MARK: A turn

    func begin(_ step: Int) throws {
        try holdings.takeCommit(step)
        try place.awaitTurn()
        if storeTurn != context.turn {
            // Messages of an attempt that is over are under way.
            if early != nil { drop() }
            if let reduced { store.giveBack(reduced) }
            reduced = nil
            store.removeAll()
            storeTurn = context.turn
            holdings.dropNext()
        }
        // Somebody may wait for a message that is not to come: the end of the old channels tells it.
        if isDisturbed { drop() }
        let view = shared.view
        if cannotWait(step) { try settle(step, in: view) }
        precondition(state.step == step, "worker \(context.slot) is to compute with the state after step \(step) and has that after \(state.step.map { "\($0)" } ?? "none")")
        rounds?.parameters = state.current(0)
        if sharding.isInRounds { place.passesBegin() }
        try state.deposit(step, owned: holdings.owned)
    }

    /// Whether members must meet before anything is computed; all else can wait for the exchange. All have to decide alike, or
    /// some meet while others wait for their leaves.
    private func cannotWait(_ step: Int) -> Bool {
        // Whoever has just come needs the state from the others before it can do anything; whoever leaves waits to hand over.
        if mustForm, shared.hasNewcomers || sharding != .ddp && !shared.leavers.isEmpty { return true }
        // Nobody exchanges anything any more, and what the owners have is asked for.
        return (sharding.isInRounds || step == config.steps) && (mustForm || ownersMoved)
    }

    /// Whether the view's members have to meet: for a new view, and with every turn while the launcher says that somebody has
    /// no state, since a commit may come when only some of them have met. (An attempt is thrown away for a new view only.)
    private var mustForm: Bool { isDisturbed || shared.hasNewcomers && channels?.turn != context.turn }

    func gradient(_ leaf: Int) -> UnsafeMutablePointer<Float> {
        if let rounds { return rounds.gradient.base }
        leafGradient = store.take()
        return leafGradient!.base
    }

    func publish(_ leaf: Int) {
        guard let gradient = leafGradient else { return }
        if let merge = lastMerge {
            store.push(merge)
            place.passesEnd()
        } else {
            store.push(leaf: leaf, gradient)
        }
        (leafGradient, lastMerge) = (nil, nil)
    }

    func lastLeaf(_ leaf: Int) -> LastLeaf? {
        let turn = context.turn, isLast = (0..<layout.leaves).allSatisfy { $0 == leaf || shared.leaves.owner(of: $0) != context.slot || shared.leaves.isDone($0, turn: turn) }
        guard isLast, early == nil, let channels, channels.group.size > 1, !channels.hasLeavers, !isDisturbed, !ownersMoved else { return nil }
        let held = nodes(among: channels.members) { shared.leaves.owner(of: $0) }
        return LastLeaf { [self] block in
            if block == blocks.count - 1 {
                place.passesBegin()
                let merge = store.merge(leaf: leaf, leafGradient!), nodes = store.nodes(after: merge), mine = held[channels.rank].compactMap { nodes[$0] }
                lastMerge = merge
                // The launcher may be giving out leaves anew just now.
                if mine.count == nodes.count, mine.count == held[channels.rank].count {
                    early = Result { try Reduction(channels.group, channels.segments, held: held, mine: mine) }
                }
            }
            lastMerge?.add(blocks[block])
            if case .success(let reduction) = early { reduction.send(from: blocks[block].lowerBound) }
        }
    }

    /// For each rank the nodes of the leaves that are its slot's.
    private func nodes(among members: [Int], slot: (Int) -> Int?) -> [[TreeNode]] {
        members.map { member in TreeNode.covering(leaves: layout.leaves) { slot($0) == member } }
    }

    func reduce(_ step: Int) throws {
        if sharding.isInRounds { place.passesEnd() }
        let view = shared.view
        try exchanging(step) {
            let members = try sharding.isInRounds ? channels?.members ?? [] : membersWithAllLeaves()
            if !sharding.isInRounds, isDisturbed || ownersMoved { try settle(step, in: view) }
            guard let channels, channels.members == members else { throw Disturbed() }
            let scale = Float(1 / Double(config.tokensPerStep))
            // Whoever keeps the moments of a chunk makes its update, and needs its mean gradient for that.
            let reduced = self.reduced ?? store.take()
            self.reduced = reduced
            let spreading = try Spreading(channels.group, channels.segments, reduced, kind: .mean) { holdings.keeps(owner: $0, $1, of: channels.group.size) }
            var squares = Array(repeating: UInt64(0), count: SharedLayout.chunkCount)
            func finish(_ segment: Segment) {
                spreading.send(segment)
                context.faults.strike(.reduce, step: step)
            }
            if sharding.isInRounds {
                context.enter(.reduce, step)
                let root = levels[levels.count - 1].base
                for segment in channels.segments where segment.owner == channels.rank {
                    for chunk in segment.chunks {
                        let range = layout.chunk(chunk), source = NodeSource(level: levels.count - 1, index: 0, floats: root + range.lowerBound)
                        if !range.isEmpty { squares[chunk] = reduceNodes([source], count: range.count, scale: scale, into: reduced.base + range.lowerBound).bitPattern }
                    }
                    finish(segment)
                }
            } else {
                let held = nodes(among: members) { shared.claimant(of: $0, turn: context.turn) }
                guard held[channels.rank].allSatisfy({ store.nodes[$0] != nil }) else { throw Disturbed() }
                // What was begun in part, or for other leaves, cannot be taken back.
                let begun = try early?.get()
                if let begun, begun.held != held { throw MessageFailure.peer("leaves are elsewhere") }
                let reduction = try begun ?? Reduction(channels.group, channels.segments, held: held, mine: held[channels.rank].map { store.nodes[$0]! })
                try reduction.finish(
                    layout: layout, scale: scale, into: reduced.base, activity: { context.enter($0 == .adding ? .reduce : .transfer, step) },
                    squares: { squares[$0] = $1.bitPattern }, done: finish)
                early = nil
            }
            context.enter(.transfer, step)
            try spreading.finish()
            let all = try channels.group.exchange(squares, .words)
            for chunk in squares.indices { shared.setSumOfSquares(chunk, Double(bitPattern: all[channels.owners[chunk]][chunk])) }
        }
    }

    /// The view's members, when all leaves are with them.
    /// When somebody is gone, leaves are forgotten before the view without him is announced: seen in this order, nobody meets
    /// the others before all leaves are there again.
    /// - Throws: `Disturbed` when a leaf is gone.
    private func membersWithAllLeaves() throws -> [Int] {
        let members = shared.members
        guard shared.leaves.allDone(turn: context.turn),
            (0..<layout.leaves).allSatisfy({ shared.claimant(of: $0, turn: context.turn).map(members.contains) ?? false })
        else { throw Disturbed() }
        return members
    }

    func update(_ step: Int) throws {
        try exchanging(step) {
            guard let channels, let reduced else { throw Disturbed() }
            let constants = context.optimizerStep(step, gradientNorm: shared.gradientNorm)
            context.enter(.update, step)
            let sharedNext = shared.nextGeneration, next = state.next
            let size = channels.group.size, rank = channels.rank
            let spreading = try Spreading(channels.group, channels.segments, state.next(0), kind: .updated) {
                sharding != .zero3 && !holdings.keeps(owner: $0, $1, of: size)
            }
            let mine = channels.owners.indices.filter { channels.owners[$0] == rank }
            var prints = Array(repeating: UInt64(0), count: SharedLayout.chunkCount)
            // The own ones first: others wait for them.
            for segment in channels.segments.filter({ $0.owner == rank }) + channels.segments.filter({ $0.owner != rank && holdings.keeps(owner: $0.owner, rank, of: size) }) {
                let isDoubled = segment.owner == rank || sharding != .ddp
                for chunk in segment.chunks {
                    let range = layout.chunk(chunk)
                    // Whoever computes with it looks, not only who owns it.
                    if state.isDamaged(chunk) { try context.reportDamage(chunk) }
                    context.update(chunk, constants, gradient: reduced.base, from: state.current, into: next)
                    holdings.hasUpdated(chunk)
                    if isDoubled { prints[chunk] = fingerprint(next, range: range) }
                    if segment.owner == rank { shared.setFingerprint(chunk, generation: sharedNext, prints[chunk]) }
                }
                if segment.owner == rank { spreading.send(segment) }
                context.faults.strike(.update, step: step)
            }
            if redundancy == .shadow, size > 1 { try compare(prints, channels) }
            try holdings.protectNext(channels) { context.enter($0 == .adding ? .update : .transfer, step) }
            // Chunks that have no floats belong to somebody, too.
            for chunk in mine where layout.chunk(chunk).isEmpty {
                shared.setFingerprint(chunk, generation: sharedNext, fingerprint(next, range: layout.chunk(chunk)))
            }
            context.enter(.transfer, step)
            try state.checkCopies()
            try spreading.finish()
            state.noteCopies()
            state.votes()
            place.measure()
            for chunk in mine { shared.updates.markDone(chunk, turn: context.turn) }
            shared.ring()
            if shared.updates.allDone(turn: context.turn) { context.ringDoorbell() }
            context.faults.strike(.vote, step: step)
        }
    }

    func leave(_ step: Int) throws {
        try holdings.takeLastCommit()
        let step = SharedState.step(of: context.turn)
        if sharding != .ddp, state.step == step, shared.leavers.contains(context.slot) { try handOver(step) }
        try state.depositLast(owned: holdings.owned)
        place.leave(channels.map { [$0.group] } ?? [])
    }

    /// The others take what only this worker has, when they come to it.
    private func handOver(_ step: Int) throws {
        context.enter(.regroup, step)
        do {
            let formed = try form(shared.view, with: shared.leavers)
            channels = formed
            if try !holdings.share(formed, step) { try holdings.protectCommitted(formed) }
        } catch is MessageFailure {
        } catch is Disturbed {
        } catch is TurnIsOver {
            // They do without.
        }
    }

    // MARK: Groups

    /// Whether the launcher has given chunks to others since the group was formed.
    private var ownersMoved: Bool {
        guard let channels else { return true }
        return channels.owners.indices.contains { channels.members[channels.owners[$0]] != shared.reductions.owner(of: $0) }
    }

    /// What an owner and its partner made of the same chunk must be the same; else nobody votes.
    private func compare(_ prints: [UInt64], _ channels: Channels) throws {
        context.enter(.transfer, state.step!)
        let all = try channels.group.exchange(prints, .prints)
        for (chunk, owner) in channels.owners.enumerated() where !layout.chunk(chunk).isEmpty && all[owner][chunk] != all[(owner + 1) % channels.group.size][chunk] {
            shared.reportMismatch(chunk: chunk, turn: context.turn)
            context.ringDoorbell()
            try context.wait { shared.stopRequested }
            throw TurnIsOver()
        }
    }

    func exchanging(_ step: Int, _ body: () throws -> Void) throws {
        try place.exchanging(step, view: { channels?.view }, drop: drop, body)
    }

    private func drop() {
        guard let channels else { return }
        place.close([channels.group])
        (self.channels, rounds, early) = (nil, nil, nil)
    }

    /// Forms the view's group, unless only owners have changed, and puts everybody in possession of what the plan has it keep.
    /// - Parameter view: for which it was found that its members have to meet; in another one they may have to compute first.
    private func settle(_ step: Int, in view: Int) throws {
        do {
            try meet(step, in: view)
        } catch let over as TurnIsOver {
            // In the next attempt nobody takes up what was settled in part: the end of these channels tells the others.
            drop()
            throw over
        }
    }

    private func meet(_ step: Int, in view: Int) throws {
        try place.exchanging(step, view: { channels?.view ?? view }, drop: drop) {
            context.enter(.regroup, step)
            // What was begun with other owners cannot be taken back.
            if early != nil, ownersMoved { throw MessageFailure.peer("chunks are elsewhere") }
            if mustForm, sharding != .ddp, !shared.leavers.isEmpty {
                channels = try form(view, with: shared.leavers)
                try takePossession(step)
            }
            channels = mustForm || channels?.hasLeavers == true ? try form(view) : try replanned()
            let formed = try takePossession(step)
            place.settled([formed.group], view: formed.view)
            holdings.release(formed)
            guard sharding.isInRounds else { return }
            let parts = BlockParts(layout, blocks: blocks, owners: formed.owners, size: formed.group.size) { holdings.keeps(owner: $0, formed.rank, of: formed.group.size) }
            rounds = RoundPeers(formed.group, parts, gathers: sharding == .zero3, isTied: isTied, parameters: state.current(0),
                gradient: gradient, levels: levels, waiting: { [place] in place.passWaits($0) }, isFull: { [place] in place.noteMemory() })
        }
    }

    /// Everybody gets what the plan has it keep, and its parity, or nobody goes on.
    @discardableResult
    private func takePossession(_ step: Int) throws -> Channels {
        guard let channels else { throw Disturbed() }
        guard try !holdings.share(channels, step) else {
            shared.reportLostState(turn: context.turn)
            context.ringDoorbell()
            try context.wait { shared.stopRequested || shared.view != channels.view }
            if shared.turn != context.turn { throw TurnIsOver() }
            throw Disturbed()
        }
        try holdings.protectCommitted(channels)
        return channels
    }

    /// The same group with the plan as it is now.
    private func replanned() throws -> Channels {
        guard let channels, let owners = owners(among: channels.members) else { throw Disturbed() }
        return Channels(group: channels.group, view: channels.view, turn: channels.turn, members: channels.members, leavers: [], owners: owners, segments: channels.owners == owners ? channels.segments : Segment.cut(layout, owners: owners, parts: chunkBlocks))
    }

    /// The ranks that own the chunks; nil while the launcher writes another plan.
    private func owners(among members: [Int]) -> [Int]? {
        let owners = (0..<SharedLayout.chunkCount).compactMap { members.firstIndex(of: shared.reductions.owner(of: $0)) }
        return owners.count == SharedLayout.chunkCount ? owners : nil
    }

    /// Meets the other members of the view, as long as it is the one that is announced.
    /// - Parameter leavers: who was a member until now, and hands over what only he has: the ranks after the members'.
    /// - Throws: `Disturbed` when another is announced meanwhile.
    private func form(_ view: Int, with leavers: [Int] = []) throws -> Channels {
        drop()
        let members = shared.members, everybody = members + leavers
        guard let rank = everybody.firstIndex(of: context.slot), let owners = owners(among: members), shared.view == view, leavers.isEmpty || shared.leavers == leavers else { throw Disturbed() }
        let group = try place.group(rank: rank, size: everybody.count)
        let links = everybody.enumerated().filter { $0.offset != rank }.map { (group: group, peer: $0.offset, slot: $0.element) }
        try place.connect(links, [group], everybody, view: view, handsOver: !leavers.isEmpty)
        return Channels(group: group, view: view, turn: context.turn, members: members, leavers: leavers, owners: owners, segments: Segment.cut(layout, owners: owners, parts: chunkBlocks))
    }
}
