// Who is in. A value type: no process, clock or memory inside, so that a test can drive it through any history.

/// A membership with a number that only grows, and the plan that goes with it.
package struct View: Equatable, Sendable {
    package var number: Int
    /// Slots by rank.
    package var members: [Int]
    /// Who was in until now and goes in order.
    package var leavers: [Int] = []
    package var plan: Plan
}

/// What happens when a worker is lost in the middle of a step.
package enum LossPolicy: String, Codable, CaseIterable, Sendable {
    /// The others keep what is published and share the rest.
    case elastic
    /// The others throw the whole attempt away and begin the step again without it, as quorum systems do.
    case discard
    /// All stop; the run goes on from the newest checkpoint with everybody new, as classic launchers do.
    case restart
}

/// Decides views: who computes, who joins when, who is replaced, who leaves, when to give up.
package struct ViewMachine: Sendable {
    /// A slot whose workers end this often in a row before one takes part in a commit is given up: something other than
    /// chance kills them, and starting more would hide it.
    package static let startFailuresMaximum = 3

    package enum Slot: Equatable, Sendable {
        case starting
        /// Ready, waiting for the next step boundary or for somebody to be lost.
        case ready
        case member
        /// A member that asked to go, and does at the next step boundary.
        case draining
        /// Told to go; its process is not gone yet.
        case leaving
        /// Nobody is there, and nobody is wanted.
        case closed
        case abandoned
    }

    package enum Event: Equatable, Sendable {
        /// A worker reported ready.
        case ready(slot: Int)
        /// A worker is gone: fenced and reaped, so that it can write nothing more.
        case ended(slot: Int, unfinished: Unfinished)
        /// A worker was told to make room and wants to leave in order.
        case draining(slot: Int)
        /// The step's commit is recorded. Whoever is ready joins now, whoever is to go goes.
        case committed
        /// From the next boundary on so many workers compute.
        case resize(workers: Int)
        /// The state in memory is lost: all stop, and begin again from the newest checkpoint.
        case stateLost
        /// Messages between members failed though all of them live: the same members begin another view.
        case channelsLost
        /// Start no more workers.
        case stopping
    }

    package enum Effect: Equatable, Sendable {
        case spawn(slot: Int)
        /// Let the worker go: nothing is left for it to do.
        case dismiss(slot: Int)
        /// End the workers at once: the run is to be wound back.
        case kill(slots: [Int])
        /// Nobody lives: go back to the newest checkpoint.
        case rewind
        /// The slot is not paid for any more.
        case close(slot: Int)
        /// No more workers are started for the slot.
        case abandon(slot: Int, reason: String)
        /// What was done of the step under way counts for nothing.
        case discard
        /// Write the owners, then the view's number. `leavesReassigned` counts leaves that changed hands mid-step.
        case announce(View, leavesReassigned: Int, reason: String)
        /// The owners change for the coming step, the members do not.
        case replan(Plan)
        /// No worker lives and none can be started.
        case giveUp(reason: String)
    }

    package private(set) var slots: [Slot]
    package private(set) var view: View
    /// Workers that ended before their first commit, since one of the slot took part in one.
    private var startFailures: [Int]
    /// Whether the slot's worker has taken part in a commit.
    private var hasCommitted: [Bool]
    private var begun = false, stopping = false, rewinding = false, hasRewound = false
    /// How many compute, and how many more stand ready.
    private var workers: Int
    private let spares: Int
    private let policy: LossPolicy
    /// Whether only all workers together can compute, as where each has a part of the model.
    private let isWhole: Bool
    private let leaves: Int, chunkBlocks: [Range<Int>], evaluationUnits: Int

    /// All slots are starting; the first view forms when none is any more.
    /// - Parameters:
    ///   - chunkBlocks: see `Plan`.
    ///   - lastView: the number of the last view of an earlier session, 0 for none.
    package init(
        workers: Int, spares: Int = 0, policy: LossPolicy = .elastic, isWhole: Bool = false, leaves: Int, chunkBlocks: [Range<Int>], evaluationUnits: Int, lastView: Int
    ) {
        precondition(!isWhole || policy == .restart && spares == 0, "\(policy) with \(spares) spares")
        slots = Array(repeating: .starting, count: workers + spares)
        startFailures = Array(repeating: 0, count: workers + spares)
        hasCommitted = Array(repeating: false, count: workers + spares)
        (self.workers, self.spares, self.policy, self.isWhole) = (workers, spares, policy, isWhole)
        (self.leaves, self.chunkBlocks, self.evaluationUnits) = (leaves, chunkBlocks, evaluationUnits)
        view = View(number: lastView, members: [],
            plan: Plan(members: [], leaves: leaves, chunkBlocks: chunkBlocks, evaluationUnits: evaluationUnits))
    }

    package mutating func receive(_ event: Event) -> [Effect] {
        switch event {
        case .ready(let slot): return ready(slot)
        case .ended(let slot, let unfinished): return ended(slot, unfinished)
        case .draining(let slot):
            // Without it nobody could go on: it stays as long as it is let.
            if isWhole { return [] }
            if slots[slot] == .member { slots[slot] = .draining } else if slots[slot] == .ready || slots[slot] == .starting { slots[slot] = .leaving }
            return []
        case .committed: return boundary()
        case .resize(let workers): return resize(workers)
        case .stateLost: return stopAll()
        case .channelsLost:
            return view.members.isEmpty ? [] : [announce(view.members, plan: view.plan, leavesReassigned: 0, reason: "messages failed and channels are made anew")]
        case .stopping:
            stopping = true
            return []
        }
    }

    /// How often in a row the slot's workers have ended before their first commit.
    package func startFailures(of slot: Int) -> Int { startFailures[slot] }

    private func count(_ states: Slot...) -> Int { slots.count { states.contains($0) } }

    /// Slots that are wanted and have, or will have, a worker.
    private var occupied: Int { count(.starting, .ready, .member) }

    // MARK: Coming

    private mutating func ready(_ slot: Int) -> [Effect] {
        guard slots[slot] == .starting else { return [] }
        slots[slot] = .ready
        return formIfNobodyComputes()
    }

    /// At the very start, and after a rewind, all begin together; after the death of all, the first to be ready goes on
    /// at once.
    private mutating func formIfNobodyComputes() -> [Effect] {
        guard view.members.isEmpty, !rewinding, slots.contains(.ready), begun || !slots.contains(.starting), !isWhole || count(.ready) == workers else { return [] }
        let reason = begun ? "restarted after the loss of every worker" : hasRewound ? "the run begins again from its checkpoint" : "the run begins"
        return [announce(admitReady(), leavesReassigned: 0, reason: reason)]
    }

    private mutating func resize(_ workers: Int) -> [Effect] {
        guard !stopping, !isWhole, workers > 0, workers <= leaves else { return [] }
        self.workers = workers
        // While everybody is being stopped nobody comes: who begins again is decided when nobody lives.
        if rewinding { return [] }
        var effects = fill(forgiving: true)
        // Whoever does not compute can go at once, the last ones first.
        while occupied > workers + spares, let slot = slots.lastIndex(where: { $0 == .starting || $0 == .ready }) {
            slots[slot] = .leaving
            effects.append(.dismiss(slot: slot))
        }
        return effects
    }

    /// Starts workers in free slots until as many are there as are wanted. There are never more slots than that: one whose
    /// worker is still leaving is used again when it is gone.
    /// - Parameter forgiving: whether an abandoned slot is tried again, as somebody asks for more workers.
    private mutating func fill(forgiving: Bool) -> [Effect] {
        var effects: [Effect] = []
        while occupied < workers + spares {
            let added = slots.count < workers + spares ? slots.count : nil
            guard let slot = slots.firstIndex(of: .closed) ?? added ?? (forgiving ? slots.firstIndex(of: .abandoned) : nil) else { break }
            if slot == slots.count {
                slots.append(.starting)
                startFailures.append(0)
                hasCommitted.append(false)
            }
            if forgiving { startFailures[slot] = 0 }
            (slots[slot], hasCommitted[slot]) = (.starting, false)
            effects.append(.spawn(slot: slot))
        }
        return effects
    }

    // MARK: A step boundary

    private mutating func boundary() -> [Effect] {
        for slot in view.members { (startFailures[slot], hasCommitted[slot]) = (0, true) }
        var going = view.members.filter { slots[$0] == .draining }
        going += view.members.filter { slots[$0] == .member }.dropFirst(workers)
        for slot in going { slots[slot] = .leaving }
        let joining = slots.indices.filter { slots[$0] == .ready }.prefix(max(0, workers - count(.member)))
        let effects = going.map { Effect.dismiss(slot: $0) }
        guard going.isEmpty && joining.isEmpty else {
            let members = admitReady()
            // Replacements will find the run where it is.
            guard !members.isEmpty else {
                view.members = []
                return effects
            }
            return effects + [announce(members, leavers: going, leavesReassigned: 0, reason: Self.sentence(joining, going))]
        }
        let even = balancedPlan(view.members)
        guard even != view.plan else { return [] }
        view.plan = even
        return [.replan(even)]
    }

    private static func sentence(_ joining: some Collection<Int>, _ going: [Int]) -> String {
        func list(_ slots: some Collection<Int>) -> String { slots.map { String($0) }.joined(separator: ", ") }
        let parts = [joining.isEmpty ? "" : "worker \(list(joining)) joined", going.isEmpty ? "" : "worker \(list(going)) left in order"]
        return parts.filter { !$0.isEmpty }.joined(separator: ", ")
    }

    // MARK: Going

    private mutating func ended(_ slot: Int, _ unfinished: Unfinished) -> [Effect] {
        let was = slots[slot]
        if was == .abandoned || was == .closed { return [] }
        if was != .leaving, !hasCommitted[slot] { startFailures[slot] += 1 }
        hasCommitted[slot] = false
        var effects: [Effect] = []
        slots[slot] = .closed
        if was == .member || was == .draining {
            view.members.removeAll { $0 == slot }
            effects += loss(of: slot, unfinished)
        }
        if stopping || startFailures[slot] >= Self.startFailuresMaximum {
            slots[slot] = .abandoned
            if !stopping { effects.append(.abandon(slot: slot, reason: "it ended \(Self.startFailuresMaximum) times in a row before its first commit")) }
        } else if rewinding {
            effects += rewindIfNobodyLives()
        } else if occupied < workers + spares {
            slots[slot] = .starting
            effects.append(.spawn(slot: slot))
        } else {
            effects.append(.close(slot: slot))
        }
        effects += formIfNobodyComputes()
        if !stopping, isWhole && slots[slot] == .abandoned || slots.allSatisfy({ $0 == .abandoned || $0 == .closed }) {
            let who = isWhole ? "worker \(slot), without which the others cannot go on," : "every worker"
            effects.append(.giveUp(reason: "\(who) ended \(Self.startFailuresMaximum) times in a row before its first commit"))
        }
        return effects
    }

    /// A member is gone and its step is not committed.
    private mutating func loss(of slot: Int, _ unfinished: Unfinished) -> [Effect] {
        switch policy {
        case .restart:
            return stopAll()
        case .elastic, .discard:
            // A spare takes the place at once; a replacement that has just come waits for the boundary.
            if spares > 0, let spare = slots.firstIndex(of: .ready) { slots[spare] = .member }
            let members = slots.indices.filter { slots[$0] == .member || slots[$0] == .draining }
            guard !members.isEmpty else { return policy == .discard ? [.discard] : [] }
            let left = policy == .discard ? everything : unfinished
            let moved = view.plan.reassign(left, to: members)
            let effects: [Effect] = policy == .discard ? [.discard] : []
            return effects + [announce(members, plan: view.plan, leavesReassigned: moved, reason: "worker \(slot) left")]
        }
    }

    private mutating func stopAll() -> [Effect] {
        // A run that is stopping ends with its last commit, which is still in memory.
        rewinding = !stopping
        let others = slots.indices.filter { [.starting, .ready, .member, .draining].contains(slots[$0]) }
        for other in others { slots[other] = .leaving }
        view.members = []
        return others.isEmpty ? [] : [.kill(slots: others)]
    }

    private var everything: Unfinished {
        Unfinished(leaves: Array(0..<leaves), chunks: Array(chunkBlocks.joined()), evaluationUnits: Array(0..<evaluationUnits))
    }

    private mutating func rewindIfNobodyLives() -> [Effect] {
        guard !slots.contains(.leaving) else { return [] }
        (rewinding, begun, hasRewound) = (false, false, true)
        let spawns = fill(forgiving: false)
        return [.rewind] + spawns + slots.indices.filter { slots[$0] == .closed }.map { .close(slot: $0) }
    }

    // MARK: Views

    private mutating func admitReady() -> [Int] {
        for slot in slots.indices where slots[slot] == .ready && count(.member) < workers { slots[slot] = .member }
        return slots.indices.filter { slots[$0] == .member || slots[$0] == .draining }
    }

    private func balancedPlan(_ members: [Int]) -> Plan {
        Plan(members: members, leaves: leaves, chunkBlocks: chunkBlocks, evaluationUnits: evaluationUnits)
    }

    private mutating func announce(_ members: [Int], leavers: [Int] = [], plan: Plan? = nil, leavesReassigned: Int, reason: String) -> Effect {
        begun = true
        view = View(number: view.number + 1, members: members, leavers: leavers, plan: plan ?? balancedPlan(members))
        return .announce(view, leavesReassigned: leavesReassigned, reason: reason)
    }
}
