import Collectives

/// Who sends whom what of the state when members of a view meet. All compute the same from what they have told each other.
package struct StateTransfers {
    package enum Part: Sendable {
        /// θ, where everybody has it all.
        case parameters
        /// What only its keepers have.
        case kept
    }

    /// Ranks; from nobody is from the deposit.
    package struct Transfer: Equatable, Sendable {
        package var part: Part, from: Int?, to: Int, floats: Range<Int>
    }

    package private(set) var all: [Transfer] = []
    /// Whether nobody has something that is needed.
    package private(set) var isLost = false
    /// The slot whose floats can be had from the others' parity; and the chunks for which that is needed.
    package private(set) var lost: (slot: Int, plan: StripePlan)?
    package private(set) var restored: Set<Int> = []

    private let layout: SharedLayout
    private let slots: [Int], owners: [Int], deposited: Bool
    private let has: (_ rank: Int, _ chunk: Int) -> Bool

    /// - Parameters:
    ///   - slots: of the ranks; `owners`: ranks, by chunk.
    ///   - deposited: whether all can take the state from the deposit.
    ///   - has: whether a rank has what keepers have of a chunk.
    package init(_ layout: SharedLayout, slots: [Int], owners: [Int], deposited: Bool, has: @escaping (_ rank: Int, _ chunk: Int) -> Bool) {
        (self.layout, self.slots, self.owners, self.deposited, self.has) = (layout, slots, owners, deposited, has)
    }

    /// Chunks that nobody has are taken from the parity, if it is one member that has lost them.
    package mutating func mayRestore(_ plan: StripePlan, missing: [Int]) {
        if missing.count == 1 { lost = (missing[0], plan) }
    }

    /// - Parameter sources: ranks that have all of θ, who share the sending.
    package mutating func addParameters(from sources: [Int], to: Int) {
        for chunk in owners.indices { add(.parameters, share(of: sources, chunk), to, layout.chunk(chunk)) }
    }

    /// What a rank is to keep and does not have.
    package mutating func addKept(to: Int, keeps: (_ chunk: Int) -> Bool) {
        for chunk in owners.indices where keeps(chunk) && !has(to, chunk) {
            let holders = slots.indices.filter { has($0, chunk) }
            if holders.isEmpty, let lost, lost.plan.owners[chunk] == lost.slot {
                restored.insert(chunk)
                for holder in lost.plan.members where holder != lost.slot {
                    for piece in lost.plan.stripe(of: lost.slot, at: holder) { add(.kept, slots.firstIndex(of: holder), to, piece.floats.clamped(to: layout.chunk(chunk))) }
                }
            } else {
                add(.kept, share(of: holders, chunk), to, layout.chunk(chunk))
            }
        }
    }

    /// Which of the ranks that could sends a chunk; nil where none can.
    private func share(of ranks: [Int], _ chunk: Int) -> Int? { ranks.isEmpty ? nil : ranks[chunk * ranks.count / owners.count] }

    private mutating func add(_ part: Part, _ from: Int?, _ to: Int, _ floats: Range<Int>) {
        if floats.isEmpty || from == to { return }
        if from == nil && !deposited { isLost = true }
        if let last = all.last, last.part == part, last.from == from, last.to == to, last.floats.upperBound == floats.lowerBound {
            all[all.count - 1].floats = last.floats.lowerBound..<floats.upperBound
        } else {
            all.append(Transfer(part: part, from: from, to: to, floats: floats))
        }
    }
}
