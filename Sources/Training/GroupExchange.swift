import Collectives
import CSystem
import Glibc
import Kernels
import Ledger
import Model
import RunSpec

/// The exchange where several workers compute a microbatch together: each has some of the model's layers, as a stage of a
/// pipeline, or a share of every layer, as a tensor-parallel rank. The members of a view, in the order of ranks, are cut into
/// data-parallel groups with one of each; each group computes its share of the leaves. A member adds up the leaves of its own
/// part of the model, those with the same part in all groups complete the sums as in `MessageExchange`, and all of them update
/// the part's chunks. Within a group of stages goes what chunks that are not aligned with blocks, and a tied head, make one
/// need of another's. Everybody votes when everybody has what it needs of the next state. Only all together can compute: a loss
/// ends the attempt and all workers, and new ones begin from the newest checkpoint.
final class GroupExchange: GradientExchange {
    /// How a group computes.
    enum Work {
        case pipeline(Pipeline)
        case ranks(TensorPeers)
    }

    private let context: StepContext
    private let shared: SharedState, config: RunConfig
    private let parts: GroupParts
    private let configurationWord: UInt64
    private let transformers: [Transformer]
    private let table: Range<Int>?
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
        /// This worker's group; and those with its part of the model, by group.
        let within: MessageGroup, across: MessageGroup
        /// By chunk.
        let owners: [Int]
        /// Of the part's chunks, with the group of the owner.
        let segments: [Segment]
        let work: Work
        var rank: Int { across.rank * within.size + within.rank }
        var owned: [Int] { owners.indices.filter { owners[$0] == rank } }
        var groups: [MessageGroup] { [within, across] }
    }

    /// - Parameters:
    ///   - transformer: of the worker's part.
    ///   - parts: of all members of a group.
    ///   - groups: how many data-parallel groups there are.
    init(_ context: StepContext, _ options: SessionOptions, _ transformer: Transformer, _ parts: GroupParts, groups: Int, identity: UInt64) throws {
        (self.context, shared, config) = (context, context.shared, context.config)
        (self.parts, configurationWord) = (parts, identity)
        let member = context.slot % parts.size, layout = context.shared.layout, hasShard = layout.shards > 1
        let inFlight = hasShard ? 1 : Pipeline.inFlight(stage: member, of: parts.size, microbatches: (layout.leaves + groups - 1) / groups)
        transformers = [transformer] + (1..<inFlight).map { _ in Transformer(sharingScratchOf: transformer) }
        table = config.model.tied ? transformer.layout.tokenTable : nil
        first = hasShard ? layout.shard(member).lowerBound : 0
        place = try MeetingPlace(context, options)
        // What other stages own lies beside what belongs to the own chunks; a shard has nothing of others.
        let copied = hasShard ? [] : (0..<parts.size).filter { $0 != member }.flatMap { parts.read(by: member, ownedBy: $0) }
        state = OwnState(context, copied: copied, shard: hasShard ? (transformer.layout, member) : nil)
        let own = parts.owns[member], middle = own.lowerBound + own.count / 2
        // What a worker does not have cannot be struck.
        state.struck = { part in part == 0 ? copied.first?.lowerBound ?? middle : middle }
        reduced = PrivateMemory(floats: layout.chunkedFloats)
        store = NodeStore(floats: layout.chunkedFloats, range: parts.computes[member])
    }

    private var layout: SharedLayout { shared.layout }
    /// This worker's place in its group: its stage, its tensor-parallel rank.
    private var member: Int { context.slot % parts.size }
    private var others: [Int] { (0..<parts.size).filter { $0 != member } }

    var parameters: UnsafePointer<Float> { UnsafePointer(state.current.parameters + first) }
    var isDisturbed: Bool { place.isOver(channels?.view) }
    var isAsked: Bool { state.isAsked }
    var rounds: RoundPeers? { nil }
    var work: Work? { channels?.work }
    /// All ranks of a group have the same losses.
    var tellsResults: Bool { layout.shards == 1 || member == 0 }

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
        state.deposit(step, owned: channels?.owned ?? [])
    }

    func gradient(_ leaf: Int) -> UnsafeMutablePointer<Float> {
        leafGradient = store.take()
        return leafGradient!.base + first
    }

    func publish(_ leaf: Int) {
        guard let gradient = leafGradient else { return }
        store.push(leaf: leaf, gradient)
        leafGradient = nil
    }

    /// The same in two steps, for a pipeline that has several under way.
    func takeGradient() -> PrivateMemory { store.take() }
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
            let spreading = try Spreading(channels.across, channels.segments, reduced, kind: 0) { _, _ in true }
            var squares = Array(repeating: UInt64(0), count: SharedLayout.chunkCount)
            try Reduction(channels.across, channels.segments, held: held, mine: mine).finish(
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
            for chunk in squares.indices { shared.setSumOfSquares(chunk, Double(bitPattern: all[channels.owners[chunk]][chunk])) }
        }
    }

    /// Gradients of floats whose chunks belong to another member go there, as part of the same nodes.
    private func sendForeign(_ nodes: [PrivateMemory], _ channels: Channels) throws {
        for (index, node) in nodes.enumerated() {
            let leaving = try channels.within.region(node.base, bytes: node.count * 4), arriving = try channels.within.region(node.base, bytes: node.count * 4)
            for other in others {
                send([parts.computed(by: member, ownedBy: other)], leaving, to: other, .gradient, index)
                receive([parts.computed(by: other, ownedBy: member)], arriving, from: other, .gradient, index)
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
            let sharedNext = shared.nextGeneration, owned = channels.owned
            let theta = state.next(0), next = state.next
            let arriving = try channels.within.region(theta.base, bytes: theta.count * 4), leaving = try channels.within.region(theta.base, bytes: theta.count * 4)
            for other in others { receive(parts.read(by: member, ownedBy: other), arriving, from: other, .parameters) }
            for chunk in parts.chunks[member] {
                let range = layout.chunk(chunk), isOwn = channels.owners[chunk] == channels.rank
                if state.isDamaged(chunk) { try context.reportDamage(chunk) }
                context.update(chunk, constants, gradient: reduced.base, from: state.current, into: next)
                if isOwn { shared.setFingerprint(chunk, generation: sharedNext, fingerprint(next, range: range)) }
                context.faults.strike(.update, step: step)
            }
            context.enter(.transfer, step)
            for other in others { send(parts.read(by: other, ownedBy: member), leaving, to: other, .parameters) }
            try state.checkCopies()
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
        try state.depositLast(owned: channels?.owned ?? [])
        place.leave(channels?.groups ?? [])
    }

    // MARK: Messages

    private enum Kind: UInt64 { case hello = 2, words = 3, gradient = 11, parameters = 12 }
    private static func tag(_ kind: Kind, _ index: Int = 0, _ part: Int = 0) -> UInt64 { kind.rawValue << 60 | UInt64(index) << 20 | UInt64(part) }

    private func send(_ floats: [Range<Int>], _ region: MessageRegion, to peer: Int, _ kind: Kind, _ index: Int = 0) {
        for (part, range) in floats.enumerated() where !range.isEmpty {
            region.send(to: peer, tag: Self.tag(kind, index, part), offset: range.lowerBound * 4, bytes: range.count * 4)
        }
    }

    private func receive(_ floats: [Range<Int>], _ region: MessageRegion, from peer: Int, _ kind: Kind, _ index: Int = 0) {
        for (part, range) in floats.enumerated() where !range.isEmpty {
            region.receive(from: peer, tag: Self.tag(kind, index, part), offset: range.lowerBound * 4, bytes: range.count * 4)
        }
    }

    /// `words` of every rank, by rank. Nobody has them before everybody has called.
    private func everybody(_ words: [UInt64], _ channels: Channels, _ kind: Kind = .words) throws -> [[UInt64]] {
        let group = try channels.within.exchange([0] + words, tag: Self.tag(kind))
        let groups = try channels.across.exchange(group.flatMap { $0 }, tag: Self.tag(kind))
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
        let own = parts.owns[member]
        for part in 0..<3 {
            let floats = part == 0 && layout.shards == 1 ? parts.reads[member] + [own] : [own]
            for range in floats { state.load(range, part: part) }
        }
    }

    /// - Throws: `Disturbed` when another view is announced meanwhile.
    private func form() throws -> Channels {
        drop()
        let view = shared.view, members = shared.members, size = parts.size
        guard let rank = members.firstIndex(of: context.slot), members.count % size == 0, shared.view == view else { throw Disturbed() }
        precondition(rank % size == member, "worker \(context.slot), number \(member) of its group, has rank \(rank)")
        let group = rank / size, groups = members.count / size
        let within = try place.group(rank: member, size: size), across = try place.group(rank: group, size: groups)
        let links = others.map { (group: within, peer: $0, slot: members[group * size + $0]) }
            + (0..<groups).filter { $0 != group }.map { (group: across, peer: $0, slot: members[$0 * size + member]) }
        try place.connect(links, [within, across], members, view: view)
        let owners = parts.owners(groups: groups)
        let segments = Segment.cut(layout, owners: owners.map { $0 % size == member ? $0 / size : groups }).filter { $0.owner < groups }
        return Channels(view: view, members: members, within: within, across: across, owners: owners, segments: segments, work: try work(within))
    }

    private func work(_ group: MessageGroup) throws -> Work {
        let waiting = { [place] in place.passWaits($0) }
        if layout.shards == 1 { return .pipeline(try Pipeline(group, transformers, table: table, waiting: waiting)) }
        // Rows of the residual stream, or two sums for each row of logits.
        return .ranks(try TensorPeers(group, longest: transformers[0].rows * max(2, config.model.width), waiting: waiting))
    }
}
