import Collectives
import RunSpec

/// What of the training state this worker holds, where every worker has memory of its own: which chunks' moments (zero3: and θ)
/// beside what everybody has. When members of a view meet they tell each other, send what somebody lacks, and make the parity
/// that a loss is made good from, if that is what the run has.
final class StateHoldings {
    let state: OwnState
    private let context: StepContext
    private var shared: SharedState { context.shared }
    private var layout: SharedLayout { context.shared.layout }
    private let sharding: Sharding.State, redundancy: Sharding.Redundancy
    private let configurationWord: UInt64
    private let parity: Parity?
    /// Whether all members have the plan's parity of the committed state, or need none: as they last told each other.
    private var isProtected = false

    /// Chunks whose moments this worker holds; and those whose next ones the update of the turn under way has made.
    private var holdsMoments = Array(repeating: false, count: SharedLayout.chunkCount)
    private var updated = Array(repeating: false, count: SharedLayout.chunkCount)

    init(_ context: StepContext, _ options: SessionOptions, identity: UInt64) {
        self.context = context
        (sharding, redundancy, configurationWord) = (options.sharding, options.redundancy, identity)
        let layout = context.shared.layout, hasCopies = options.sharding == .zero1 || options.sharding == .zero2
        state = OwnState(context, copied: hasCopies ? (0..<SharedLayout.chunkCount).map { layout.chunk($0) } : [])
        parity = options.redundancy == .parity ? Parity(layout, parts: options.sharding == .zero3 ? 3 : 2) : nil
        // What a worker does not have cannot be struck.
        state.struck = { [unowned self] part in
            let held = keptParts.contains(part) ? holdsMoments.indices.filter { holdsMoments[$0] && !layout.chunk($0).isEmpty } : []
            return held.isEmpty ? layout.parameterFloats / 2 : layout.chunk(held[held.count / 2]).lowerBound
        }
    }

    /// Of (θ, m, v) those that only their keepers have.
    private var keptParts: Range<Int> { sharding == .zero3 ? 0..<3 : 1..<3 }

    /// Whether a rank keeps the moments of what `owner` owns, and so makes its updates.
    func keeps(owner: Int, _ rank: Int, of size: Int) -> Bool {
        sharding == .ddp || owner == rank || redundancy == .shadow && (owner + 1) % size == rank
    }
    private func keeps(_ channels: MessageExchange.Channels, _ rank: Int, _ chunk: Int) -> Bool { keeps(owner: channels.owners[chunk], rank, of: channels.members.count) }

    /// The chunks that are this worker's to deposit, as far as it has them: also while no group is formed. Of chunks that have
    /// no floats nothing is held.
    var owned: [Int] {
        holdsMoments.indices.filter { shared.reductions.owner(of: $0) == context.slot && (holdsMoments[$0] || layout.chunk($0).isEmpty) }
    }

    // MARK: Steps

    func takeCommit(_ step: Int) throws {
        if try state.takeCommit(step) { noteUpdated() }
    }

    func takeLastCommit() throws {
        if try state.takeLastCommit() { noteUpdated() }
    }

    private func noteUpdated() {
        for chunk in holdsMoments.indices { holdsMoments[chunk] = holdsMoments[chunk] && updated[chunk] }
        parity?.advance()
    }

    /// The update of the turn under way has made the chunk's next state.
    func hasUpdated(_ chunk: Int) { updated[chunk] = true }

    /// An attempt was thrown away, and with it what was prepared.
    func dropNext() {
        state.dropNext()
        parity?.dropNext()
        updated = updated.map { _ in false }
    }

    // MARK: Views

    /// Members say who they are, what they know and what they hold, and send each other what somebody lacks.
    /// - Returns: whether a part of the state is lost.
    func share(_ channels: MessageExchange.Channels, _ step: Int) throws -> Bool {
        let ownersWord = channels.owners.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        var bits = Array(repeating: UInt64(0), count: SharedLayout.chunkCount / 64)
        if state.step == step { for (chunk, holds) in holdsMoments.enumerated() where holds { bits[chunk / 64] |= 1 << UInt64(chunk % 64) } }
        let hello = [configurationWord, UInt64(channels.view), UInt64(context.turn), ownersWord, state.step == step ? 1 : 0, shared.depositStep == step ? 1 : 0] + bits
            + (parity.map { (state.step == step ? $0.plan : nil)?.words ?? Array(repeating: 0, count: StripePlan.wordCount) } ?? [])
        let all = try channels.group.exchange(hello, .hello)
        if let other = all.firstIndex(where: { $0[0] != configurationWord }) {
            throw UserError(.badInput, "rank \(other) has another configuration than worker \(context.slot); all workers of a run must be started from the same run folder")
        }
        // Somebody is already further, or not as far: the launcher has changed something in between.
        if all.contains(where: { $0[1...3] != hello[1...3] }) { throw MessageFailure.peer("a member has another plan") }
        func has(_ rank: Int, _ chunk: Int) -> Bool { all[rank][6 + chunk / 64] >> UInt64(chunk % 64) & 1 == 1 }
        let deposited = all.allSatisfy { $0[5] == 1 }, plans = parity == nil ? [] : all.map { StripePlan(words: $0[(6 + bits.count)...], layout) }
        // While the deposit has all of this state it needs no more.
        let stripes = stripes(channels)
        isProtected = parity == nil || deposited || stripes == nil || plans.prefix(channels.members.count).allSatisfy { $0 == stripes }

        var transfers = StateTransfers(layout, slots: channels.slots, owners: channels.owners, deposited: deposited, has: has)
        let sources = all.indices.filter { all[$0][4] == 1 }
        if sharding != .zero3 { for to in channels.members.indices where all[to][4] == 0 { transfers.addParameters(from: sources, to: to) } }
        // What one has lost can be had from the others' parity, if all of them have it.
        // Where only some came to a new parity, the one that most have counts.
        let found = deposited ? [] : plans.compactMap { $0 }.map { (plan: $0, missing: $0.missing(from: channels.slots, plans, has: has)) }
        if let (plan, missing) = found.min(by: { $0.missing.count < $1.missing.count }) { transfers.mayRestore(plan, missing: missing) }
        for to in channels.members.indices { transfers.addKept(to: to) { keeps(channels, to, $0) } }
        if transfers.isLost { return true }
        try look(at: transfers, channels)
        if let (lost, plan) = transfers.lost, !transfers.restored.isEmpty, plan.members.contains(context.slot), lost != context.slot {
            try parity!.restore(lost, plan, channels.group, slots: channels.slots, keptParts.map { state.current($0) })
        }
        try carry(transfers, channels)
        if state.step != step { state.hold(step) }
        for chunk in channels.owners.indices where keeps(channels, channels.rank, chunk) {
            // A parity that is not what it was shows only now: it was all that there is.
            if transfers.restored.contains(chunk), state.isDamaged(chunk) {
                if sharding != .zero3, state.isCopyDamaged(chunk) { try context.reportDamage(chunk) }
                return true
            }
            holdsMoments[chunk] = true
        }
        return false
    }

    /// What is handed on, or restores what another has lost, is looked at first: it would pass as good there.
    private func look(at transfers: StateTransfers, _ channels: MessageExchange.Channels) throws {
        for transfer in transfers.all where transfer.from == channels.rank {
            for chunk in channels.owners.indices where layout.chunk(chunk).overlaps(transfer.floats) {
                if holdsMoments[chunk] ? state.isDamaged(chunk) : transfer.part == .parameters && state.isCopyDamaged(chunk) { try context.reportDamage(chunk) }
            }
        }
        guard let plan = transfers.lost?.plan, !transfers.restored.isEmpty else { return }
        for chunk in plan.owners.indices where plan.owners[chunk] == context.slot && holdsMoments[chunk] && state.isDamaged(chunk) { try context.reportDamage(chunk) }
    }

    private func carry(_ transfers: StateTransfers, _ channels: MessageExchange.Channels) throws {
        let memories = (0..<3).map { state.current($0) }
        let regions = try memories.map { memory in try channels.slots.map { _ in try channels.group.region(memory.base, bytes: memory.count * 4) } }
        let leaving = try memories.map { try channels.group.region($0.base, bytes: $0.count * 4) }
        for (index, transfer) in transfers.all.enumerated() {
            for part in transfer.part == .parameters ? 0..<1 : keptParts {
                let tag = MessageKind.transfer.tag(index, part), offset = transfer.floats.lowerBound * 4, bytes = transfer.floats.count * 4
                if transfer.to == channels.rank {
                    if let from = transfer.from {
                        regions[part][from].receive(from: from, tag: tag, offset: offset, bytes: bytes)
                    } else {
                        state.load(transfer.floats, part: part)
                    }
                } else if transfer.from == channels.rank {
                    leaving[part].send(to: transfer.to, tag: tag, offset: offset, bytes: bytes)
                }
            }
        }
        for region in regions.joined() { try region.finishReceives() }
        for region in leaving { try region.finishSends() }
    }

    private func stripes(_ channels: MessageExchange.Channels) -> StripePlan? {
        channels.members.count > 1 ? StripePlan(members: channels.members, owners: channels.owners.map { channels.members[$0] }, layout) : nil
    }

    /// Makes the parity of the next state, if there is to be one and anybody to have it.
    func protectNext(_ channels: MessageExchange.Channels, activity: (ExchangeActivity) -> Void) throws {
        guard let parity else { return }
        guard let plan = stripes(channels) else { return parity.dropNext() }
        try parity.make(plan, channels.group, slots: channels.slots, keptParts.map { state.next($0) }, activity: activity)
    }

    /// Makes that of the committed state where its owners are others now; after `share`. Until all have it the one before is
    /// good, and who leaves stays.
    func protectCommitted(_ channels: MessageExchange.Channels) throws {
        guard let parity, !isProtected, let plan = stripes(channels) else { return }
        if !channels.leavers.contains(context.slot) {
            for chunk in channels.owners.indices where channels.owners[chunk] == channels.rank && state.isDamaged(chunk) { try context.reportDamage(chunk) }
            try parity.make(plan, channels.group, slots: channels.slots, keptParts.map { state.current($0) })
        }
        _ = try channels.group.exchange([0], .protected)
        parity.advance()
    }

    /// Gives back the memory of moments that others keep.
    func release(_ channels: MessageExchange.Channels) {
        guard sharding != .ddp else { return }
        var first: Int?
        for chunk in 0...channels.owners.count {
            if chunk < channels.owners.count, !keeps(channels, channels.rank, chunk) {
                first = first ?? chunk
                holdsMoments[chunk] = false
            } else if let from = first {
                state.release(layout.chunk(from).lowerBound..<layout.chunk(chunk - 1).upperBound, parts: keptParts)
                first = nil
            }
        }
    }
}
