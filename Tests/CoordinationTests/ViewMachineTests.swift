import Coordination
import Testing

@Suite struct ViewMachineTests {
    static let units = Unfinished(leaves: Array(0..<8), chunks: Array(0..<8), evaluationUnits: Array(0..<4))

    static let failed = "it ended 3 times in a row before its first commit"

    private func machine(_ slots: Int, lastView: Int = 0) -> ViewMachine {
        ViewMachine(workers: slots, leaves: 8, chunkBlocks: [0..<8], evaluationUnits: 4, lastView: lastView)
    }

    /// A machine whose slots are all members.
    private func running(_ slots: Int) -> ViewMachine {
        var machine = machine(slots)
        for slot in 0..<slots { _ = machine.receive(.ready(slot: slot)) }
        return machine
    }

    private func announced(_ effects: [ViewMachine.Effect]) -> View? {
        for case .announce(let view, _, _) in effects { return view }
        return nil
    }

    private func moved(_ effects: [ViewMachine.Effect]) -> Int? {
        for case .announce(_, let moved, _) in effects { return moved }
        return nil
    }

    private func expectEven(_ view: View, number: Int, members: [Int], at location: SourceLocation = #_sourceLocation) {
        let even = Plan(members: members, leaves: 8, chunkBlocks: [0..<8], evaluationUnits: 4)
        #expect(view.number == number && view.members == members && view.plan == even, sourceLocation: location)
    }

    private func gaveUp(_ effects: [ViewMachine.Effect]) -> Bool {
        effects.contains { if case .giveUp = $0 { true } else { false } }
    }

    @Test func `the first view forms when all are ready, and includes all`() {
        var machine = machine(3, lastView: 6)
        #expect(machine.receive(.ready(slot: 2)) == [])
        #expect(machine.receive(.ready(slot: 0)) == [])
        let effects = machine.receive(.ready(slot: 1))
        #expect(effects == [.announce(machine.view, leavesReassigned: 0, reason: "the run begins")])
        expectEven(machine.view, number: 7, members: [0, 1, 2])
        #expect(machine.slots == [.member, .member, .member])
    }

    @Test func `a worker that reports ready twice is counted once`() {
        var machine = machine(2)
        #expect(machine.receive(.ready(slot: 0)) == [] && machine.receive(.ready(slot: 0)) == [])
        #expect(announced(machine.receive(.ready(slot: 1)))?.members == [0, 1])
        #expect(machine.receive(.ready(slot: 1)) == [] && machine.view.number == 1)
    }

    @Test func `a worker that dies before the first view is replaced, and the others wait for it`() {
        var machine = machine(2)
        _ = machine.receive(.ready(slot: 0))
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.spawn(slot: 0)])
        #expect(machine.receive(.ready(slot: 1)) == [])
        #expect(announced(machine.receive(.ready(slot: 0)))?.members == [0, 1])
    }

    @Test func `a replacement joins at the step boundary and not before`() {
        var machine = running(2)
        _ = machine.receive(.ended(slot: 1, unfinished: Self.units))
        #expect(machine.receive(.ready(slot: 1)) == [])
        #expect(machine.view.members == [0] && machine.slots[1] == .ready)
        #expect(announced(machine.receive(.committed)) == machine.view)
        expectEven(machine.view, number: 3, members: [0, 1])
    }

    @Test func `a view names those who go with it, and none who went when there was none`() {
        var machine = running(2)
        _ = machine.receive(.draining(slot: 1))
        #expect(announced(machine.receive(.committed))?.leavers == [1])
        _ = machine.receive(.draining(slot: 0))
        // Nobody is left to hand anything to; the replacement of one comes before the other's.
        #expect(announced(machine.receive(.committed)) == nil)
        for slot in 0..<2 { _ = machine.receive(.ended(slot: slot, unfinished: Self.units)) }
        #expect(announced(machine.receive(.ready(slot: 1)))?.leavers == [])
    }

    @Test func `a death gives the dead worker's unfinished units to the least loaded and leaves the rest where it is`() {
        var machine = running(4)
        let before = machine.view.plan
        // Of two leaves each, 0 has one left, 1 none, 2 both, 3 both.
        let unfinished = Unfinished(leaves: [1, 4, 5, 6, 7], chunks: [6], evaluationUnits: [])
        let effects = machine.receive(.ended(slot: 3, unfinished: unfinished))
        let view = announced(effects)
        #expect(view?.number == 2 && view?.members == [0, 1, 2] && moved(effects) == 2)
        #expect(effects.contains(.spawn(slot: 3)))
        #expect(Array(view!.plan.leafOwners[..<6]) == Array(before.leafOwners[..<6]))
        // 1 had nothing left and takes the first; then 0 and 1 are level.
        #expect(view!.plan.leafOwners[6] == 1 && [0, 1].contains(view!.plan.leafOwners[7]))
        #expect(view!.plan.chunkOwners[7] == 3 && view!.plan.chunkOwners[6] != 3)
    }

    @Test func `after a death the next boundary cuts evenly again without a new view`() {
        var machine = running(3)
        _ = machine.receive(.ended(slot: 1, unfinished: Self.units))
        let even = Plan(members: [0, 2], leaves: 8, chunkBlocks: [0..<8], evaluationUnits: 4)
        #expect(machine.view.plan != even)
        #expect(machine.receive(.committed) == [.replan(even)])
        #expect(machine.receive(.committed) == [] && machine.view.number == 2 && machine.view.plan == even)
    }

    @Test func `after the death of all, the first to be ready goes on at once with all units`() {
        var machine = running(3)
        for slot in 0..<2 { _ = machine.receive(.ended(slot: slot, unfinished: Self.units)) }
        let last = machine.receive(.ended(slot: 2, unfinished: Self.units))
        #expect(last == [.spawn(slot: 2)] && machine.view.members.isEmpty)
        #expect(announced(machine.receive(.ready(slot: 1))) == machine.view)
        expectEven(machine.view, number: 4, members: [1])
    }

    @Test func `when the last member dies while a replacement waits, the replacement goes on at once`() {
        var machine = running(2)
        _ = machine.receive(.ended(slot: 0, unfinished: Self.units))
        _ = machine.receive(.ready(slot: 0))
        let effects = machine.receive(.ended(slot: 1, unfinished: Self.units))
        #expect(announced(effects)?.members == [0] && effects.contains(.spawn(slot: 1)))
        #expect(announced(effects)?.plan.leafOwners == Array(repeating: 0, count: 8))
    }

    @Test func `three starts in a row that fail abandon a slot, and the others begin without it`() {
        var machine = machine(2)
        _ = machine.receive(.ready(slot: 0))
        for _ in 0..<2 { #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.spawn(slot: 1)]) }
        let effects = machine.receive(.ended(slot: 1, unfinished: Self.units))
        #expect(machine.slots == [.member, .abandoned] && announced(effects)?.members == [0])
        #expect(effects.contains(.abandon(slot: 1, reason: Self.failed)) && effects.count == 2)
        #expect(machine.receive(.ready(slot: 1)) == [] && machine.receive(.ended(slot: 1, unfinished: Self.units)) == [])
    }

    @Test func `a commit that a worker takes part in forgives its slot the failures before it`() {
        var machine = running(2)
        _ = machine.receive(.committed)
        for _ in 0..<4 {
            for _ in 0..<3 { #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)).contains(.spawn(slot: 1))) }
            _ = machine.receive(.ready(slot: 1))
            #expect(announced(machine.receive(.committed))?.members == [0, 1])
            #expect(machine.receive(.committed) == [])
        }
    }

    @Test(arguments: [false, true])
    func `a slot whose workers end in their first step, ready or not, is abandoned while others commit`(first: Bool) {
        var machine = running(2)
        if !first { _ = machine.receive(.committed) }
        // One that had taken part in a commit does not count.
        if !first { #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)).contains(.spawn(slot: 1))) }
        for failure in 1...3 {
            if machine.slots[1] == .starting {
                _ = machine.receive(.ready(slot: 1))
                #expect(announced(machine.receive(.committed))?.members == [0, 1])
            }
            let effects = machine.receive(.ended(slot: 1, unfinished: Self.units))
            #expect(effects.contains(.abandon(slot: 1, reason: Self.failed)) == (failure == 3))
        }
        #expect(machine.slots == [.member, .abandoned])
    }

    @Test func `a slot is not abandoned for deaths of which each comes after a commit`() {
        var machine = machine(1)
        for _ in 0..<10 {
            #expect(announced(machine.receive(.ready(slot: 0)))?.members == [0])
            #expect(machine.receive(.committed) == [])
            #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.spawn(slot: 0)])
        }
    }

    @Test func `when the only worker ends in every first step the machine gives up`() {
        var machine = machine(1)
        for failure in 1...3 {
            #expect(announced(machine.receive(.ready(slot: 0)))?.members == [0])
            #expect(gaveUp(machine.receive(.ended(slot: 0, unfinished: Self.units))) == (failure == 3))
        }
    }

    @Test func `the machine gives up when every slot is abandoned, and only then`() {
        var machine = machine(2)
        var effects: [ViewMachine.Effect] = []
        for slot in 0..<2 {
            for _ in 0..<ViewMachine.startFailuresMaximum {
                #expect(!gaveUp(effects))
                effects = machine.receive(.ended(slot: slot, unfinished: Self.units))
            }
        }
        #expect(effects == [.abandon(slot: 1, reason: Self.failed), .giveUp(reason: "every worker ended 3 times in a row before its first commit")])
    }

    @Test func `while stopping nobody is started and nothing is given up`() {
        var machine = running(2)
        #expect(machine.receive(.stopping) == [])
        let effects = machine.receive(.ended(slot: 0, unfinished: Self.units))
        #expect(announced(effects)?.members == [1] && effects.count == 1)
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [])
        #expect(machine.slots == [.abandoned, .abandoned] && machine.view.members.isEmpty)
    }
}
