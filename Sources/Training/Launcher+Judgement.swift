import Collectives
import Coordination
import CSystem
import Kernels
import Ledger
import RunSpec

/// A step whose microbatches are looked at twice before it may be committed.
struct Recheck {
    struct Leaf {
        var reason: String
        /// Who computed it, and what came out, in order.
        var results: [(replica: Int, bits: UInt64)]
    }
    var step: Int
    var leaves: [Int: Leaf]
    /// Of those that are being computed again: the slot.
    var owners: [Int: Int] = [:]
}

/// Whether a step that everybody voted for may be committed. A gradient that makes no sense, no number or far from what is
/// usual, is computed again elsewhere: if other bits come out, somebody is broken and is ended; if the same do, it is the
/// text or the weights, and the update is left out. So are microbatches drawn for an audit, whose results look like any
/// others. All of it follows from reduced values of the lineage alone, so that every run decides alike.
extension Launcher {
    enum Judgement { case accept, again, leaveOut }

    /// A microbatch whose gradient is so many times as long as the median of its step's is looked at first.
    private static let outlier = 3.0

    func judge(step: Int) throws -> Judgement {
        if recheck?.step == step { return try judgeAgain(step) }
        let suspects = suspects()
        let audited = (0..<config.batch.microbatches).filter { isAudited(step, $0) }
        var leaves: [Int: Recheck.Leaf] = [:]
        for leaf in audited { leaves[leaf] = Recheck.Leaf(reason: "audit", results: [result(leaf)]) }
        for (leaf, reason) in suspects { leaves[leaf] = Recheck.Leaf(reason: reason, results: [result(leaf)]) }
        if leaves.isEmpty { return makesSense ? .accept : .leaveOut }
        recheck = Recheck(step: step, leaves: leaves)
        try computeAgain(Array(leaves.keys))
        return .again
    }

    /// Of the step under way: whether its loss and its gradient are numbers.
    var isFinite: Bool { shared.stepLoss.nats.isFinite && shared.gradientNorm.isFinite }

    private var makesSense: Bool { isFinite && !pastUpdates.isSpike(shared.gradientNorm, factor: config.optimizer.spike) }

    /// A function of the run and the step, whoever computes.
    private func isAudited(_ step: Int, _ leaf: Int) -> Bool {
        let share = description.options.auditShare
        return share > 0 && Philox(key: config.seed).uniform(.audit, UInt32(truncatingIfNeeded: step), 0, index: UInt32(leaf)) < share
    }

    /// The microbatches that a gradient which makes no sense came from.
    private func suspects() -> [(leaf: Int, reason: String)] {
        // With messages gradients are where nobody else sees them.
        if makesSense || sendsMessages { return [] }
        let leaves = 0..<config.batch.microbatches
        let lengths = leaves.map { products(shared.gradient($0), shared.gradient($0), count: parameters.count).square.squareRoot() }
        guard isFinite else { return leaves.filter { !shared.leafLoss($0).isFinite || !lengths[$0].isFinite }.map { ($0, "non-finite") } }
        let limit = min(Self.outlier * lengths.sorted()[lengths.count / 2], lengths.max()!)
        return leaves.filter { lengths[$0] >= limit }.map { ($0, "spike") }
    }

    private func result(_ leaf: Int) -> (replica: Int, bits: UInt64) {
        let gradient = cs_crc32c(0, shared.gradient(leaf), 4 * parameters.count)
        var loss = shared.leafLoss(leaf).bitPattern
        return (shared.leafReplica(leaf), UInt64(gradient) << 32 | UInt64(cs_crc32c(0, &loss, 8)))
    }

    /// Has the leaves computed by workers that have not computed them yet, as far as there are such; the others' results
    /// stay.
    private func computeAgain(_ leaves: [Int]) throws {
        try noteSetback(.recheck)
        recheck!.owners = [:]
        for leaf in leaves { recheck!.owners[leaf] = -1 }
        assignRechecked()
        // Nobody may help out: it could be the one that is to be checked.
        shared.setHelps(false)
        ownersMoved = true
        let rest = (0..<config.batch.microbatches).filter { !leaves.contains($0) }
        shared.discardAttempt(keepingLeaves: rest, units: shared.due(step, config))
        shared.ring()
    }

    /// Owners of the leaves that are being computed again: whoever has them keeps them, unless he is gone.
    func assignRechecked() {
        guard let owners = recheck?.owners else { return }
        let members = views.view.members
        var load = Dictionary(uniqueKeysWithValues: members.map { ($0, 0) })
        for (leaf, owner) in owners.sorted(by: { $0.key < $1.key }) {
            let before = Set(recheck!.leaves[leaf]!.results.map(\.replica))
            let fresh = members.filter { slot in !before.contains(self.members[slot]?.row.replica ?? -1) }
            guard let lightest = (fresh.isEmpty ? members : fresh).min(by: { (load[$0]!, $0) < (load[$1]!, $1) }) else { continue }
            let slot = members.contains(owner) ? owner : lightest
            load[slot]! += 1
            recheck!.owners[leaf] = slot
            shared.leaves.assign(leaf, to: slot)
        }
    }

    private func judgeAgain(_ step: Int) throws -> Judgement {
        var open: [Int] = []
        for leaf in recheck!.leaves.keys.sorted() where !isSettled(recheck!.leaves[leaf]!) {
            recheck!.leaves[leaf]!.results.append(result(leaf))
            if !isSettled(recheck!.leaves[leaf]!) { open.append(leaf) }
        }
        if let hopeless = open.first(where: { recheck!.leaves[$0]!.results.count > 2 }) {
            throw UserError(.runFailed, "microbatch \(hopeless) of step \(step) gave three different gradients in three tries; this machine cannot be trusted, \(step) steps are committed")
        }
        // Two against each other: a third decides.
        guard open.isEmpty else {
            try computeAgain(open)
            return .again
        }
        // What was computed again with the rest, for the loss of a worker, may have come out as no number, too.
        let fresh = suspects().filter { recheck!.leaves[$0.leaf] == nil }
        guard fresh.isEmpty else {
            for (leaf, reason) in fresh { recheck!.leaves[leaf] = Recheck.Leaf(reason: reason, results: [result(leaf)]) }
            try computeAgain(fresh.map(\.leaf))
            return .again
        }
        let done = recheck!
        recheck = nil
        shared.setHelps(description.options.helps)
        for (leaf, entry) in done.leaves.sorted(by: { $0.key < $1.key }) { try settle(leaf, entry, step) }
        return makesSense ? .accept : .leaveOut
    }

    /// Whether two agree.
    private func isSettled(_ leaf: Recheck.Leaf) -> Bool { Set(leaf.results.map(\.bits)).count < leaf.results.count }

    /// Books what came of a check, and ends whoever is contradicted by two others.
    private func settle(_ leaf: Int, _ entry: Recheck.Leaf, _ step: Int) throws {
        let wrong = entry.results.first { result in entry.results.count { $0.bits == result.bits } == 1 }
        let now = MonotonicClock.nanoseconds()
        try ledger.append(RecheckRow(
            session: session, step: step, leaf: leaf, nanoseconds: now, reason: entry.reason, replicas: entry.results.map(\.replica),
            verdict: wrong == nil ? .agree : .differ, culprit: wrong?.replica))
        guard let wrong, let (slot, member) = members.first(where: { $0.value.row.replica == wrong.replica }), member.incident == nil else { return }
        let fault = culprit { [.nonfinite, .bitflip].contains($0.kind) && $0.target == .gradient && $0.worker == slot }
        members[slot]!.incident = try open(.corruption, member, onset: now, isExact: false, fault: fault?.index, detected: now,
            "worker \(slot) computed other bits for microbatch \(leaf) of step \(step) than two others (\(entry.reason))")
        member.process.kill()
    }

    // MARK: The state in memory

    /// The owner of a chunk found that it is not what was committed. Whatever was computed from it counts for nothing;
    /// an older state that still lies in memory and is whole takes its place, else a checkpoint.
    func lookAtDamage() throws {
        guard let (chunk, owner) = shared.takeDamagedChunk(), shared.committedStep == step, !shared.stopRequested else { return }
        let now = MonotonicClock.nanoseconds()
        guard let member = members[owner] ?? members.values.first else { return }
        let fault = culprit { $0.kind == .bitflip && $0.target != .gradient }
        lossUnderWay = try open(.memory, member, onset: fault?.fired ?? now, fault: fault?.index, detected: now,
            "chunk \(chunk) of the state after step \(step) is not what was committed")
        if sendsMessages {
            // Its memory cannot be trusted; what it held others have, or it is lost.
            if members[owner]?.row.admittedNanoseconds != nil {
                members[owner]!.incident = lossUnderWay
                members[owner]!.process.kill()
            }
            // Others may have made updates of its gradients, and what was found with its weights is looked at again. Where all
            // stop, everything goes back as a whole.
            if description.options.lossPolicy != .restart {
                if evaluated == step { evaluated = nil }
                probeRows.removeAll { $0.step >= step }
                probes = ProbeSchedule(probeRows, units: description.heldOut, from: step, to: config.steps)
                shared.discardAttempt(units: 0..<0)
                try noteSetback(.discard)
                attemptDiscarded = true
                shared.ring()
                // The view without it is there already: the others' channels are of the attempt that is over.
                if !views.view.members.contains(owner) { try apply(views.receive(.channelsLost), ring: true) }
            }
            return
        }
        let older = recentStates.filter { $0.key != shared.currentGeneration && $0.value.step < step }.sorted { $0.value.step > $1.value.step }
        for (generation, state) in older
        where PreparedRun.fingerprintState(shared, config.model, generation: generation, step: state.step) == state.hash {
            let damaged = shared.currentGeneration
            try goBack(to: state.step, hash: state.hash, state.pastUpdates, "the state after step \(state.step) is still whole in memory")
            setProbe()
            shared.rewind(to: state.step, generation: generation, next: writer?.generation == damaged ? shared.nextGeneration : damaged)
            shared.ring()
            return
        }
        try apply(views.receive(.stateLost), ring: true)
    }
}
