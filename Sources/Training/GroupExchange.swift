import Collectives
import Kernels
import Ledger
import Model
import RunSpec

/// The exchange where several workers compute a microbatch together: each has some of the model's layers, as a stage of a
/// pipeline, or a share of every layer, as a tensor-parallel rank, or a share of some. The members of a view, in the order of
/// ranks, are cut into data-parallel groups with one of each; each group computes its share of the leaves. A member adds up the
/// leaves of its own part of the model, and those with the same part in all groups complete the sums as in `MessageExchange`.
/// Then all of them update the part's chunks; or, as zero1, each those that it owns. Between stages goes what chunks that are
/// not aligned with blocks, and a tied head, make one need of another's.
/// Everybody votes when everybody has what it needs of the next state. Only all together can compute: a loss
/// ends the attempt and all workers, and new ones begin from the newest checkpoint.
final class GroupExchange: GradientExchange {
    /// How a group computes.
    enum Work {
        /// (with the ranks of the stage)
        case pipeline(Pipeline, TensorPeers)
        case ranks(TensorPeers)
    }

    private let context: StepContext
    private let shared: SharedState, config: RunConfig
    private let parts: GroupParts
    /// Moments lie with a chunk's owner alone.
    private let isSharded: Bool
    private let configurationWord: UInt64
    private let transformers: [Transformer]
    private let table: Range<Int>?
    /// By chunk the owner's rank, which is its slot: all members are in every view. The chunks that this one owns, and those
    /// that it updates.
    private let owners: [Int], owned: [Int], updates: [Int]
    /// Of the part's chunks, with the group of the owner.
    private let segments: [Segment]
    /// Where what this worker computes begins among all chunks' floats: a shard's own vector lies there, a stage's blocks have
    /// their places in the whole one.
    private let first: Int
    private let place: MeetingPlace
    private let state: OwnState
    /// The mean gradient of the step, where this worker has it.
    private let reduced: PrivateMemory
    private let store: NodeStore
    /// (stays with a leaf from `gradient` to `publish`)
    private var leafGradient: PrivateMemory?

    private var channels: Channels?

    /// A view's connections.
    private struct Channels {
        let view: Int, members: [Int]
        /// Of this worker's group the stages with its rank, and the ranks of its stage; and those with its part of the model,
        /// by group.
        let stages: MessageGroup, ranks: MessageGroup, across: MessageGroup
        let work: Work
        var groups: [MessageGroup] { [stages, ranks, across] }
    }

    /// - Parameters:
    ///   - transformer: of the worker's part.
    ///   - parts: of all members of a group.
    ///   - groups: how many data-parallel groups there are.
    init(_ context: StepContext, _ options: SessionOptions, _ transformer: Transformer, _ parts: GroupParts, groups: Int, identity: UInt64) throws {
        (self.context, shared, config) = (context, context.shared, context.config)
        let isSharded = options.sharding == .zero1
        (self.parts, configurationWord, self.isSharded) = (parts, identity, isSharded)
        let member = context.slot % parts.size, (stage, rank) = member.quotientAndRemainder(dividingBy: parts.ranks), layout = context.shared.layout
        let inFlight = PipelineSchedule.inFlight(of: parts.stages, microbatches: (layout.leaves + groups - 1) / groups)
        transformers = [transformer] + (1..<inFlight).map { _ in Transformer(sharingScratchOf: transformer) }
        first = layout.shard(rank).lowerBound
        let tokens = transformer.layout.tokenTable
        table = config.model.tied ? first + tokens.lowerBound..<first + tokens.upperBound : nil
        place = try MeetingPlace(context, options)
        let owners = parts.owners(groups: groups), owned = owners.indices.filter { owners[$0] == context.slot }
        let updates = isSharded ? owned : Array(parts.chunks[member])
        (self.owners, self.owned, self.updates) = (owners, owned, updates)
        segments = Segment.cut(layout, owners: owners.map { $0 % parts.size == member ? $0 / parts.size : groups }).filter { $0.owner < groups }
        // Beside what it updates lies what other stages do, and what others with its part do.
        let copied = (0..<parts.stages).filter { $0 != stage }.flatMap { parts.read(by: member, ownedBy: $0 * parts.ranks + rank) }
            + parts.chunks[member].filter { !updates.contains($0) }.map { layout.chunk($0) }
        state = OwnState(context, copied: copied, shard: layout.shards > 1 ? (transformer.layout, rank) : nil)
        let filled = updates.filter { !layout.chunk($0).isEmpty }, middle = filled.isEmpty ? first : layout.chunk(filled[filled.count / 2]).lowerBound
        // What a worker does not have cannot be struck.
        state.struck = { part in part == 0 ? copied.first?.lowerBound ?? middle : middle }
        reduced = PrivateMemory(floats: layout.chunkedFloats)
        store = NodeStore(floats: layout.chunkedFloats, range: parts.computes[member])
    }

    private var layout: SharedLayout { shared.layout }
    /// This worker's place in its group, the other stages, and who has its rank there.
    private var member: Int { context.slot % parts.size }
    private var otherStages: [Int] { (0..<parts.stages).filter { $0 != member / parts.ranks } }
    private func member(at stage: Int) -> Int { stage * parts.ranks + member % parts.ranks }

    var parameters: UnsafePointer<Float> { UnsafePointer(state.current.parameters + first) }
    var isDisturbed: Bool { place.isOver(channels?.view) }
    var isAsked: Bool { state.isAsked }
    var rounds: RoundPeers? { nil }
    var work: Work? { channels?.work }
    /// All ranks of a stage have the same losses.
    var tellsResults: Bool { member % parts.ranks == 0 }

    /// The share of this worker's group: of `range`, cut evenly; of leaves, so that sums go far within a group.
    var leaves: Range<Int> {
        guard let channels else { return 0..<0 }
        return leaves(of: channels.across.rank, of: channels.across.size)
    }
    private func leaves(of group: Int, of groups: Int) -> Range<Int> { group * layout.leaves / groups..<(group + 1) * layout.leaves / groups }

    /// The held-out units of this worker's group, dealt in turn.
    func units(_ due: Range<Int>) -> [Int] {
        guard let channels else { return [] }
        return due.filter { ($0 - due.lowerBound) % channels.across.size == channels.across.rank }
    }

    // MARK: A turn

    func begin(_ step: Int) throws {
        _ = try state.takeCommit(step)
        try place.awaitTurn()
        store.removeAll()
        if state.step != step || isDisturbed { try settle(step) }
        place.passesBegin()
        try state.deposit(step, owned: owned)
    }

    func gradient(_ leaf: Int) -> UnsafeMutablePointer<Float> {
        leafGradient = store.take()
        return base(of: leafGradient!)
    }

    func publish(_ leaf: Int) {
        guard let gradient = leafGradient else { return }
        store.push(leaf: leaf, gradient)
        leafGradient = nil
    }

    /// The same in two steps, for a pipeline that has several under way.
    func takeGradient() -> PrivateMemory { store.take() }
    /// Where in it the part's own vector begins.
    func base(of gradient: PrivateMemory) -> UnsafeMutablePointer<Float> { gradient.base + first }
    func push(_ leaf: Int, _ gradient: PrivateMemory) { store.push(leaf: leaf, gradient) }

    func reduce(_ step: Int) throws {
        place.passesEnd()
        try exchanging(step) {
            guard let channels else { throw Disturbed() }
            let groups = channels.across.size, scale = Float(1 / Double(config.tokensPerStep))
            let held = (0..<groups).map { group in TreeNode.covering(leaves: layout.leaves) { leaves(of: group, of: groups).contains($0) } }
            let mine = held[channels.across.rank].map { store.nodes[$0]! }
            context.enter(.transfer, step)
            try sendForeign(mine, channels)
            let spreading = try Spreading(channels.across, segments, reduced, kind: .mean) { _, _ in !isSharded }
            var squares = Array(repeating: UInt64(0), count: SharedLayout.chunkCount)
            try Reduction(channels.across, segments, held: held, mine: mine).finish(
                layout: layout, scale: scale, into: reduced.base,
                activity: { context.enter($0 == .adding ? .reduce : .transfer, step) },
                squares: { squares[$0] = context.parameters.square(of: $0, reduced.base, whole: $1).bitPattern },
                done: { segment in
                    spreading.send(segment)
                    context.faults.strike(.reduce, step: step)
                })
            context.enter(.transfer, step)
            try spreading.finish()
            let all = try everybody(squares, channels)
            for chunk in squares.indices { shared.setSumOfSquares(chunk, Double(bitPattern: all[owners[chunk]][chunk])) }
        }
    }

    /// Gradients of floats whose chunks belong to another stage go there, as part of the same nodes.
    private func sendForeign(_ nodes: [PrivateMemory], _ channels: Channels) throws {
        for (index, node) in nodes.enumerated() {
            let leaving = try channels.stages.region(node.base, bytes: node.count * 4), arriving = try channels.stages.region(node.base, bytes: node.count * 4)
            for stage in otherStages {
                send([parts.computed(by: member, ownedBy: member(at: stage))], leaving, to: stage, .stageGradient, index)
                receive([parts.computed(by: member(at: stage), ownedBy: member)], arriving, from: stage, .stageGradient, index)
            }
            try arriving.finishReceives()
            try leaving.finishSends()
        }
    }

    func update(_ step: Int) throws {
        try exchanging(step) {
            guard let channels else { throw Disturbed() }
            let constants = context.optimizerStep(step, gradientNorm: shared.gradientNorm)
            context.enter(.update, step)
            let sharedNext = shared.nextGeneration
            let theta = state.next(0), next = state.next
            let arriving = try channels.stages.region(theta.base, bytes: theta.count * 4), leaving = try channels.stages.region(theta.base, bytes: theta.count * 4)
            for stage in otherStages { receive(parts.read(by: member, ownedBy: member(at: stage)), arriving, from: stage, .stageParameters) }
            let spreading = try Spreading(channels.across, segments, theta, kind: .updated) { _, _ in isSharded }
            for chunk in updates {
                let range = layout.chunk(chunk), isOwn = owners[chunk] == context.slot
                if state.isDamaged(chunk) { try context.reportDamage(chunk) }
                context.update(chunk, constants, gradient: reduced.base, from: state.current, into: next)
                if isOwn { shared.setFingerprint(chunk, generation: sharedNext, fingerprint(next, range: range)) }
                context.faults.strike(.update, step: step)
            }
            context.enter(.transfer, step)
            for segment in segments where segment.owner == channels.across.rank { spreading.send(segment) }
            try state.checkCopies()
            try spreading.finish()
            for stage in otherStages { send(parts.read(by: member(at: stage), ownedBy: member), leaving, to: stage, .stageParameters) }
            try arriving.finishReceives()
            try leaving.finishSends()
            state.noteCopies()
            state.votes()
            _ = try everybody([], channels)
            place.measure()
            for chunk in owned { shared.updates.markDone(chunk, turn: context.turn) }
            shared.ring()
            if shared.updates.allDone(turn: context.turn) { context.ringDoorbell() }
            context.faults.strike(.vote, step: step)
        }
    }

    func leave(_ step: Int) throws {
        _ = try state.takeLastCommit()
        try state.depositLast(owned: owned)
        place.leave(channels?.groups ?? [])
    }

    // MARK: Messages

    private func send(_ floats: [Range<Int>], _ region: MessageRegion, to peer: Int, _ kind: MessageKind, _ index: Int = 0) {
        for (part, range) in floats.enumerated() where !range.isEmpty {
            region.send(to: peer, tag: kind.tag(index, part), offset: range.lowerBound * 4, bytes: range.count * 4)
        }
    }

    private func receive(_ floats: [Range<Int>], _ region: MessageRegion, from peer: Int, _ kind: MessageKind, _ index: Int = 0) {
        for (part, range) in floats.enumerated() where !range.isEmpty {
            region.receive(from: peer, tag: kind.tag(index, part), offset: range.lowerBound * 4, bytes: range.count * 4)
        }
    }

    /// `words` of every rank, by rank. Nobody has them before everybody has called.
    private func everybody(_ words: [UInt64], _ channels: Channels, _ kind: MessageKind = .words) throws -> [[UInt64]] {
        let ranks = try channels.ranks.exchange([0] + words, kind)
        let stages = try channels.stages.exchange(ranks.flatMap { $0 }, kind)
        let groups = try channels.across.exchange(stages.flatMap { $0 }, kind)
        let count = words.count + 1
        return groups.flatMap { group in (0..<parts.size).map { Array(group[$0 * count + 1..<($0 + 1) * count]) } }
    }

    func exchanging(_ step: Int, _ body: () throws -> Void) throws {
        try place.exchanging(step, view: { channels?.view }, drop: drop, body)
    }

    private func drop() {
        guard let channels else { return }
        place.close(channels.groups)
        self.channels = nil
    }

    // MARK: Views

    /// Meets the other members of the view. Whoever has no state takes its part of the deposit.
    private func settle(_ step: Int) throws {
        try exchanging(step) {
            context.enter(.regroup, step)
            let formed = try form()
            channels = formed
            let hello = [configurationWord, UInt64(formed.view), UInt64(context.turn), state.step == step || shared.depositStep == step ? 1 : 0]
            let all = try everybody(hello, formed, .hello)
            if let other = all.firstIndex(where: { $0[0] != configurationWord }) {
                throw UserError(.badInput, "worker \(formed.members[other]) has another configuration than worker \(context.slot); all workers of a run must be started from the same run folder")
            }
            if all.contains(where: { $0[1...2] != hello[1...2] }) { throw MessageFailure.peer("a member has another plan") }
            guard all.allSatisfy({ $0[3] == 1 }) else {
                shared.reportLostState(turn: context.turn)
                context.ringDoorbell()
                try context.wait { shared.stopRequested || shared.view != formed.view }
                throw Disturbed()
            }
            if state.step != step {
                load()
                state.hold(step)
            }
            place.settled(formed.groups, view: formed.view)
        }
    }

    private func load() {
        for range in parts.reads[member] + [parts.owns[member]] { state.load(range, part: 0) }
        for part in 1..<3 { for chunk in updates { state.load(layout.chunk(chunk), part: part) } }
    }

    /// - Throws: `Disturbed` when another view is announced meanwhile.
    private func form() throws -> Channels {
        drop()
        let view = shared.view, members = shared.members, size = parts.size
        guard let rank = members.firstIndex(of: context.slot), members.count % size == 0, shared.view == view else { throw Disturbed() }
        precondition(rank == context.slot, "worker \(context.slot), number \(member) of its group, has rank \(rank)")
        let group = rank / size, groups = members.count / size, (stage, share) = member.quotientAndRemainder(dividingBy: parts.ranks)
        let stages = try place.group(rank: stage, size: parts.stages), ranks = try place.group(rank: share, size: parts.ranks)
        let across = try place.group(rank: group, size: groups)
        let links = otherStages.map { (group: stages, peer: $0, slot: members[group * size + member(at: $0)]) }
            + (0..<parts.ranks).filter { $0 != share }.map { (group: ranks, peer: $0, slot: members[rank - share + $0]) }
            + (0..<groups).filter { $0 != group }.map { (group: across, peer: $0, slot: members[$0 * size + member]) }
        try place.connect(links, [stages, ranks, across], members, view: view)
        return Channels(view: view, members: members, stages: stages, ranks: ranks, across: across, work: try work(stages, ranks))
    }

    private func work(_ stages: MessageGroup, _ ranks: MessageGroup) throws -> Work {
        let waiting = { [place] in place.passWaits($0) }
        // Rows of the residual stream, or two sums for each row of logits.
        let peers = try TensorPeers(ranks, longest: transformers[0].rows * max(2, config.model.width), waiting: waiting)
        return stages.size == 1 ? .ranks(peers) : .pipeline(try Pipeline(stages, transformers, table: table, waiting: waiting), peers)
    }
}
