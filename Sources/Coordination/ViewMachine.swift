// Who is in. A value type: no process, clock or memory inside, so that a test can drive it through any history.

/// A membership with a number that only grows, and the plan that goes with it.
package struct View: Equatable, Sendable {
    package var number: Int
    /// Slots by rank.
    package var members: [Int]
    package var plan: Plan
}

/// Decides views: who computes, who joins when, who is replaced, when to give up.
package struct ViewMachine: Sendable {
    /// A slot whose workers end this often in a row before one takes part in a commit is given up: something other than
    /// chance kills them, and starting more would hide it.
    package static let startFailuresMaximum = 3

    package enum Slot: Equatable, Sendable {
        case starting
        /// Ready, waiting for the next step boundary.
        case ready
        case member
        case abandoned
    }

    package enum Event: Equatable, Sendable {
        /// A worker reported ready.
        case ready(slot: Int)
        /// A worker is gone: fenced and reaped, so that it can write nothing more.
        case ended(slot: Int, unfinished: Unfinished)
        /// The step's commit is recorded. Whoever is ready joins now.
        case committed
        /// Start no more workers.
        case stopping
    }

    package enum Effect: Equatable, Sendable {
        case spawn(slot: Int)
        /// No more workers are started for the slot.
        case abandon(slot: Int, reason: String)
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
    private var begun = false
    private var stopping = false
    private let leaves: Int, chunks: Int, evaluationUnits: Int

    /// All slots are starting; the first view forms when none is any more.
    /// - Parameter lastView: the number of the last view of an earlier session, 0 for none.
    package init(slots: Int, leaves: Int, chunks: Int, evaluationUnits: Int, lastView: Int) {
        self.slots = Array(repeating: .starting, count: slots)
        startFailures = Array(repeating: 0, count: slots)
        hasCommitted = Array(repeating: false, count: slots)
        (self.leaves, self.chunks, self.evaluationUnits) = (leaves, chunks, evaluationUnits)
        view = View(number: lastView, members: [],
            plan: Plan(members: [], leaves: leaves, chunks: chunks, evaluationUnits: evaluationUnits))
    }

    package mutating func receive(_ event: Event) -> [Effect] {
        switch event {
        case .ready(let slot): return ready(slot)
        case .ended(let slot, let unfinished): return ended(slot, unfinished)
        case .committed: return boundary()
        case .stopping:
            stopping = true
            return []
        }
    }

    private mutating func ready(_ slot: Int) -> [Effect] {
        guard slots[slot] == .starting else { return [] }
        slots[slot] = .ready
        return formIfNobodyComputes()
    }

    /// At the very start, all begin together. After the death of all, the first to be ready goes on at once.
    private mutating func formIfNobodyComputes() -> [Effect] {
        guard view.members.isEmpty, slots.contains(.ready), begun || !slots.contains(.starting) else { return [] }
        let reason = begun ? "restarted after the loss of every worker" : "the run begins"
        begun = true
        return [announce(admitReady(), leavesReassigned: 0, reason: reason)]
    }

    private mutating func boundary() -> [Effect] {
        for slot in view.members { (startFailures[slot], hasCommitted[slot]) = (0, true) }
        let joining = slots.indices.filter { slots[$0] == .ready }
        guard joining.isEmpty else {
            let who = joining.map { String($0) }.joined(separator: ", ")
            return [announce(admitReady(), leavesReassigned: 0, reason: "worker \(who) joined")]
        }
        let even = balancedPlan(view.members)
        guard even != view.plan else { return [] }
        view.plan = even
        return [.replan(even)]
    }

    private mutating func ended(_ slot: Int, _ unfinished: Unfinished) -> [Effect] {
        let was = slots[slot]
        guard was != .abandoned else { return [] }
        if !hasCommitted[slot] { startFailures[slot] += 1 }
        hasCommitted[slot] = false
        slots[slot] = stopping || startFailures[slot] >= Self.startFailuresMaximum ? .abandoned : .starting
        var effects: [Effect] = []
        if was == .member {
            view.members.removeAll { $0 == slot }
            let moved = view.plan.reassign(unfinished, to: view.members)
            if !view.members.isEmpty {
                effects.append(announce(view.members, plan: view.plan, leavesReassigned: moved, reason: "worker \(slot) left"))
            }
        }
        if slots[slot] == .starting {
            effects.append(.spawn(slot: slot))
        } else if !stopping {
            effects.append(.abandon(slot: slot, reason: "it ended \(Self.startFailuresMaximum) times in a row before its first commit"))
        }
        effects += formIfNobodyComputes()
        if slots.allSatisfy({ $0 == .abandoned }) && !stopping {
            effects.append(.giveUp(reason: "every worker ended \(Self.startFailuresMaximum) times in a row before its first commit"))
        }
        return effects
    }

    private mutating func admitReady() -> [Int] {
        for slot in slots.indices where slots[slot] == .ready { slots[slot] = .member }
        return slots.indices.filter { slots[$0] == .member }
    }

    private func balancedPlan(_ members: [Int]) -> Plan {
        Plan(members: members, leaves: leaves, chunks: chunks, evaluationUnits: evaluationUnits)
    }

    private mutating func announce(_ members: [Int], plan: Plan? = nil, leavesReassigned: Int, reason: String) -> Effect {
        view = View(number: view.number + 1, members: members, plan: plan ?? balancedPlan(members))
        return .announce(view, leavesReassigned: leavesReassigned, reason: reason)
    }
}
