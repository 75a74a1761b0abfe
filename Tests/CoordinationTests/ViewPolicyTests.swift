import Coordination
import Testing

/// What the view machine makes of losses under each policy, of spares, and of workers that come and go on purpose.
@Suite struct ViewPolicyTests {
    static let units = ViewMachineTests.units

    private func machine(_ workers: Int, spares: Int = 0, _ policy: LossPolicy = .elastic) -> ViewMachine {
        ViewMachine(workers: workers, spares: spares, policy: policy, leaves: 8, chunkBlocks: [0..<8], evaluationUnits: 4, lastView: 0)
    }

    private func running(_ workers: Int, spares: Int = 0, _ policy: LossPolicy = .elastic) -> ViewMachine {
        var machine = machine(workers, spares: spares, policy)
        for slot in 0..<workers + spares { _ = machine.receive(.ready(slot: slot)) }
        return machine
    }

    private func members(_ effects: [ViewMachine.Effect]) -> [Int]? {
        for case .announce(let view, _, _) in effects { return view.members }
        return nil
    }

    // MARK: Spares

    @Test(arguments: [LossPolicy.elastic, .discard])
    func `a ready spare takes a lost member's place and units at once`(policy: LossPolicy) {
        var machine = running(2, spares: 1, policy)
        #expect(machine.view.members == [0, 1] && machine.slots[2] == .ready)
        let effects = machine.receive(.ended(slot: 0, unfinished: Self.units))
        #expect(members(effects) == [1, 2] && effects.contains(.spawn(slot: 0)))
        #expect(machine.view.plan.leafOwners == [2, 2, 2, 2, 1, 1, 1, 1])
        // The replacement is the new spare.
        #expect(machine.receive(.ready(slot: 0)) == [] && machine.receive(.committed) == [.replan(machine.view.plan)] && machine.slots[0] == .ready)
    }

    @Test func `a spare that is still starting takes nobody's place`() {
        var machine = machine(2, spares: 1)
        for slot in 0..<3 { _ = machine.receive(.ready(slot: slot)) }
        #expect(machine.receive(.ended(slot: 2, unfinished: Self.units)) == [.spawn(slot: 2)])
        #expect(members(machine.receive(.ended(slot: 1, unfinished: Self.units))) == [0])
    }

    @Test func `when the only member is lost its spare goes on with what is left`() {
        var machine = running(1, spares: 1)
        let effects = machine.receive(.ended(slot: 0, unfinished: Unfinished(leaves: [6, 7], chunks: [], evaluationUnits: [])))
        #expect(members(effects) == [1] && machine.view.plan.leafOwners == [0, 0, 0, 0, 0, 0, 1, 1])
    }

    // MARK: Discard

    @Test func `under discard a loss throws the attempt away, and the lost one's whole share goes to the others`() {
        var machine = running(2, .discard)
        let effects = machine.receive(.ended(slot: 1, unfinished: Unfinished(leaves: [7], chunks: [], evaluationUnits: [])))
        #expect(effects.first == .discard && members(effects) == [0])
        #expect(machine.view.plan.leafOwners == Array(repeating: 0, count: 8))
        #expect(machine.view.plan.chunkOwners == Array(repeating: 0, count: 8))
    }

    @Test func `under discard the loss of all throws the attempt away too`() {
        var machine = running(1, .discard)
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.discard, .spawn(slot: 0)])
        #expect(members(machine.receive(.ready(slot: 0))) == [0])
    }

    @Test(arguments: LossPolicy.allCases)
    func `a worker that is lost before it takes part costs nobody anything`(policy: LossPolicy) {
        var machine = running(2, spares: 1, policy)
        #expect(machine.receive(.ended(slot: 2, unfinished: Self.units)) == [.spawn(slot: 2)])
        #expect(machine.view.members == [0, 1] && machine.view.number == 1)
    }

    // MARK: Restart

    @Test func `under restart a loss ends everybody, the run is wound back when nobody lives, and all begin together again`() {
        var machine = running(2, spares: 1, .restart)
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.kill(slots: [0, 2])])
        #expect(machine.view.members.isEmpty)
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [])
        #expect(machine.receive(.ended(slot: 2, unfinished: Self.units)) == [.rewind, .spawn(slot: 0), .spawn(slot: 1), .spawn(slot: 2)])
        #expect(machine.receive(.ready(slot: 0)) == [] && machine.receive(.ready(slot: 1)) == [])
        let effects = machine.receive(.ready(slot: 2))
        #expect(effects == [.announce(machine.view, leavesReassigned: 0, reason: "the run begins again from its checkpoint")])
        #expect(machine.view.members == [0, 1] && machine.view.number == 2)
    }

    @Test func `under restart those who were ended for another are no failures of their slots`() {
        var machine = running(2, .restart)
        for _ in 0..<2 * ViewMachine.startFailuresMaximum {
            _ = machine.receive(.committed)
            _ = machine.receive(.ended(slot: 1, unfinished: Self.units))
            #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.rewind, .spawn(slot: 0), .spawn(slot: 1)])
            for slot in 0..<2 { _ = machine.receive(.ready(slot: slot)) }
        }
        #expect(machine.view.members == [0, 1])
    }

    @Test func `under restart a slot that fails three times is left out of the next beginning`() {
        var machine = running(2, .restart)
        for _ in 0..<2 {
            _ = machine.receive(.ended(slot: 1, unfinished: Self.units))
            #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.rewind, .spawn(slot: 0), .spawn(slot: 1)])
            for slot in 0..<2 { _ = machine.receive(.ready(slot: slot)) }
        }
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)).contains(.abandon(slot: 1, reason: ViewMachineTests.failed)))
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.rewind, .spawn(slot: 0)])
        #expect(members(machine.receive(.ready(slot: 0))) == [0])
    }

    @Test func `while everybody is being ended nobody comes, and as many begin again as are wanted by then`() {
        var machine = running(2, .restart)
        _ = machine.receive(.ended(slot: 0, unfinished: Self.units))
        // The step may have been voted for completely when everybody was ended.
        #expect(machine.receive(.resize(workers: 3)) == [] && members(machine.receive(.committed)) == nil)
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.rewind, .spawn(slot: 0), .spawn(slot: 1), .spawn(slot: 2)])
        _ = machine.receive(.ready(slot: 2))
        _ = machine.receive(.ended(slot: 2, unfinished: Self.units))
        #expect(machine.receive(.ready(slot: 0)) == [] && machine.receive(.ready(slot: 1)) == [])
    }

    @Test func `a slot that is wanted no more when everybody begins again is closed`() {
        var machine = running(2, .restart)
        _ = machine.receive(.ended(slot: 0, unfinished: Self.units))
        #expect(machine.receive(.resize(workers: 1)) == [])
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.rewind, .spawn(slot: 0), .close(slot: 1)])
    }

    // MARK: Draining

    @Test(arguments: LossPolicy.allCases)
    func `a member that asks to go computes to the boundary, leaves there and is replaced`(policy: LossPolicy) {
        var machine = running(2, policy)
        #expect(machine.receive(.draining(slot: 1)) == [] && machine.view.members == [0, 1])
        let effects = machine.receive(.committed)
        #expect(effects.first == .dismiss(slot: 1) && members(effects) == [0] && machine.slots[1] == .leaving)
        #expect(effects.contains { if case .announce(_, _, "worker 1 left in order") = $0 { true } else { false } })
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.spawn(slot: 1)])
        _ = machine.receive(.ready(slot: 1))
        #expect(members(machine.receive(.committed)) == [0, 1])
    }

    @Test func `a spare takes the place of one that leaves in order, at the same boundary`() {
        var machine = running(2, spares: 1)
        _ = machine.receive(.draining(slot: 0))
        #expect(members(machine.receive(.committed)) == [1, 2])
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.spawn(slot: 0)])
    }

    @Test func `a worker that asks to go and dies before the boundary is a loss like any other`() {
        var machine = running(2)
        _ = machine.receive(.draining(slot: 1))
        let effects = machine.receive(.ended(slot: 1, unfinished: Self.units))
        #expect(members(effects) == [0] && effects.contains(.spawn(slot: 1)))
    }

    @Test func `when all leave in order the first replacement goes on`() {
        var machine = running(1)
        _ = machine.receive(.draining(slot: 0))
        #expect(machine.receive(.committed) == [.dismiss(slot: 0)] && machine.view.members.isEmpty)
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.spawn(slot: 0)])
        #expect(members(machine.receive(.ready(slot: 0))) == [0])
    }

    @Test func `a spare that asks to go needs no boundary, and is no failure of its slot`() {
        var machine = running(1, spares: 1)
        for _ in 0..<2 * ViewMachine.startFailuresMaximum {
            #expect(machine.receive(.draining(slot: 1)) == [] && machine.slots[1] == .leaving)
            #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.spawn(slot: 1)])
            _ = machine.receive(.ready(slot: 1))
        }
    }

    // MARK: Resizing

    @Test func `more workers are started at once and join at the boundary`() {
        var machine = running(2)
        #expect(machine.receive(.resize(workers: 4)) == [.spawn(slot: 2), .spawn(slot: 3)])
        for slot in 2..<4 { #expect(machine.receive(.ready(slot: slot)) == []) }
        #expect(members(machine.receive(.committed)) == [0, 1, 2, 3])
    }

    @Test func `of too many the last are dismissed at the boundary, and their slots closed when they are gone`() {
        var machine = running(4)
        #expect(machine.receive(.resize(workers: 2)) == [] && machine.view.members == [0, 1, 2, 3])
        let effects = machine.receive(.committed)
        #expect(Array(effects.prefix(2)) == [.dismiss(slot: 2), .dismiss(slot: 3)] && members(effects) == [0, 1])
        for slot in 2..<4 { #expect(machine.receive(.ended(slot: slot, unfinished: Self.units)) == [.close(slot: slot)]) }
        #expect(machine.slots == [.member, .member, .closed, .closed])
        #expect(machine.receive(.resize(workers: 3)) == [.spawn(slot: 2)])
    }

    @Test func `one that does not compute yet is dismissed at once`() {
        var machine = running(2)
        _ = machine.receive(.resize(workers: 3))
        #expect(machine.receive(.resize(workers: 2)) == [.dismiss(slot: 2)])
        #expect(machine.receive(.ready(slot: 2)) == [] && machine.receive(.ended(slot: 2, unfinished: Self.units)) == [.close(slot: 2)])
    }

    @Test func `there are never more slots than were ever wanted, for one whose worker is leaving is used again`() {
        var machine = running(4)
        _ = machine.receive(.resize(workers: 1))
        _ = machine.receive(.committed)
        #expect(machine.receive(.resize(workers: 4)) == [])
        for slot in 1..<4 { #expect(machine.receive(.ended(slot: slot, unfinished: Self.units)) == [.spawn(slot: slot)]) }
        #expect(machine.slots == [.member, .starting, .starting, .starting])
    }

    @Test func `an abandoned slot is tried again when somebody asks for workers`() {
        var machine = running(2)
        for _ in 0..<ViewMachine.startFailuresMaximum { _ = machine.receive(.ended(slot: 1, unfinished: Self.units)) }
        #expect(machine.slots == [.member, .abandoned])
        #expect(machine.receive(.resize(workers: 2)) == [.spawn(slot: 1)])
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.spawn(slot: 1)])
    }

    @Test(arguments: [0, 9])
    func `nobody can want no workers, or more than there are leaves`(workers: Int) {
        var machine = running(2)
        #expect(machine.receive(.resize(workers: workers)) == [] && machine.receive(.committed) == [])
    }

    // MARK: Stopping, and a step that an earlier launcher's workers finished

    @Test(arguments: [LossPolicy.elastic, .discard])
    func `while stopping the others finish the step of one that is lost`(policy: LossPolicy) {
        var machine = running(2, policy)
        _ = machine.receive(.stopping)
        #expect(members(machine.receive(.ended(slot: 1, unfinished: Self.units))) == [0])
        #expect(machine.slots == [.member, .abandoned])
    }

    @Test func `a restart run that is stopping ends everybody at a loss and goes no further back than its last commit`() {
        var machine = running(3, .restart)
        _ = machine.receive(.stopping)
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [.kill(slots: [0, 2])])
        for slot in [0, 2] { #expect(machine.receive(.ended(slot: slot, unfinished: Self.units)) == []) }
        #expect(machine.slots == [.abandoned, .abandoned, .abandoned])
    }

    @Test func `a run that is told to stop while it is being wound back stays where it is`() {
        var machine = running(2, .restart)
        _ = machine.receive(.ended(slot: 0, unfinished: Self.units))
        _ = machine.receive(.stopping)
        #expect(machine.receive(.ended(slot: 1, unfinished: Self.units)) == [])
    }

    @Test(arguments: LossPolicy.allCases)
    func `while stopping nobody is started for more workers`(policy: LossPolicy) {
        var machine = running(2, policy)
        _ = machine.receive(.stopping)
        #expect(machine.receive(.resize(workers: 4)) == [])
    }

    @Test func `when a step commits before all have come, whoever is ready begins, and goes on at once if it is lost`() {
        var machine = machine(2)
        _ = machine.receive(.ready(slot: 0))
        #expect(members(machine.receive(.committed)) == [0])
        #expect(machine.receive(.ended(slot: 0, unfinished: Self.units)) == [.spawn(slot: 0)])
        #expect(members(machine.receive(.ready(slot: 0))) == [0])
    }
}
