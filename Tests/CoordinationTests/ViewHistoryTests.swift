import Coordination
import RunSpec
import Testing

/// The view machine through random histories, beside a model of what its workers have published.
@Suite struct ViewHistoryTests {
    @Test func `in any history views grow by one and every unit left to do has a living owner`() {
        var begun = 0, announcements = 0
        for seed in 0..<1000 as Range<UInt64> {
            var history = ViewHistory(seed: seed)
            for _ in 0..<150 {
                history.next()
                if let broken = history.broken {
                    Issue.record("seed \(seed), event \(history.events): \(broken)")
                    return
                }
            }
            begun += history.announcements > 0 ? 1 : 0
            announcements += history.announcements
        }
        // Histories in which nothing happens prove nothing.
        #expect(begun > 950 && announcements > 10_000)
    }
}

struct ViewHistory {
    private let random: Philox
    private var draws: UInt32 = 0
    private var machine: ViewMachine
    private let slots: Int, leaves: Int, chunks: Int, evaluationUnits: Int
    private var left: Unfinished
    private(set) var events = 0, announcements = 0
    private(set) var gaveUp = false, stopping = false
    /// What does not hold, in words.
    private(set) var broken: String?

    init(seed: UInt64) {
        random = Philox(key: seed)
        slots = 1 + Int(seed % 6)
        leaves = 1 << (3 + seed / 6 % 3)
        chunks = 11
        evaluationUnits = Int(seed % 4)
        machine = ViewMachine(workers: slots, leaves: leaves, chunks: chunks, evaluationUnits: evaluationUnits, lastView: Int(seed % 3))
        left = Unfinished()
        left = all
    }

    private var all: Unfinished {
        Unfinished(leaves: Array(0..<leaves), chunks: Array(0..<chunks), evaluationUnits: Array(0..<evaluationUnits))
    }

    private mutating func draw(_ count: Int) -> Int {
        draws += 1
        return Int(random.uniform(.faultSchedule, 0, 0, index: draws) * Double(count))
    }

    /// Some units are published, then something happens to somebody.
    mutating func next() {
        publish()
        events += 1
        let slot = draw(slots), before = machine
        let event: ViewMachine.Event
        switch draw(100) {
        case ..<45: event = .ready(slot: slot)
        case ..<75: event = .ended(slot: slot, unfinished: left)
        case ..<99: event = .committed
        default: event = draw(8) == 0 ? .stopping : .committed
        }
        // The launcher commits only what members have computed, and hears of the end of processes it started.
        if case .committed = event {
            if before.view.members.isEmpty { return }
            left = all
        }
        if case .stopping = event { stopping = true }
        check(event, before, machine.receive(event))
    }

    /// Each member finishes some of what it owns.
    private mutating func publish() {
        let plan = machine.view.plan, members = machine.view.members
        var finished = left
        finished.leaves.removeAll { members.contains(plan.leafOwners[$0]) && draw(3) == 0 }
        finished.chunks.removeAll { members.contains(plan.chunkOwners[$0]) && draw(3) == 0 }
        finished.evaluationUnits.removeAll { members.contains(plan.evaluationOwners[$0]) && draw(3) == 0 }
        left = finished
    }

    private mutating func check(_ event: ViewMachine.Event, _ before: ViewMachine, _ effects: [ViewMachine.Effect]) {
        func need(_ condition: Bool, _ what: String) { if !condition && broken == nil { broken = "\(event): \(what), \(effects)" } }
        let view = machine.view
        var number = before.view.number, spawned: [Int] = []
        for effect in effects {
            switch effect {
            case .announce(let announced, let moved, _):
                announcements += 1
                number += 1
                need(announced.number == number, "the view's number is not one more")
                need(!announced.members.isEmpty && announced == view, "another view than the machine's is announced")
                if case .ended(let slot, _) = event, before.view.members.contains(where: { $0 != slot }) {
                    let changed = zip(announced.plan.leafOwners, before.view.plan.leafOwners).count { $0 != $1 }
                    need(changed == moved, "\(changed) leaves changed hands")
                }
            case .replan(let plan): need(plan == view.plan && event == .committed, "a plan changes within a step")
            case .spawn(let slot): spawned.append(slot)
            case .abandon(let slot, _):
                need(!stopping && before.slots[slot] != .abandoned && machine.slots[slot] == .abandoned, "a slot is abandoned that is not")
            case .dismiss, .kill, .rewind, .close, .discard: need(false, "not in an elastic run of a fixed size")
            case .giveUp:
                gaveUp = true
                need(!stopping && machine.slots.allSatisfy { $0 == .abandoned }, "gave up with a slot left")
            }
        }
        need(view.number == number, "the view changed unannounced")
        need(view.members == machine.slots.indices.filter { machine.slots[$0] == .member }, "members are not the member slots")
        if !view.members.isEmpty {
            let members = Set(view.members)
            need(left.leaves.allSatisfy { members.contains(view.plan.leafOwners[$0]) }, "a leaf is left with somebody who is gone")
            need(left.chunks.allSatisfy { members.contains(view.plan.chunkOwners[$0]) }, "a chunk is left with somebody who is gone")
            need(left.evaluationUnits.allSatisfy { members.contains(view.plan.evaluationOwners[$0]) }, "a validation unit is left with somebody who is gone")
        }
        need(view.plan.leafOwners.count == leaves && view.plan.chunkOwners.count == chunks, "units were lost")
        for slot in 0..<slots where machine.slots[slot] == .member && before.slots[slot] != .member {
            need(event == .committed || before.view.members.isEmpty || view.members.allSatisfy { before.slots[$0] != .member },
                "slot \(slot) joined within a step")
        }
        for slot in 0..<slots where before.slots[slot] == .abandoned { need(machine.slots[slot] == .abandoned, "slot \(slot) came back") }
        if case .ended(let slot, _) = event {
            need(spawned == (machine.slots[slot] == .starting ? [slot] : []), "the wrong slots are started")
            need(!stopping || spawned.isEmpty, "a worker is started while stopping")
        } else {
            need(spawned.isEmpty, "a worker is started that did not end")
        }
        let mayBegin = machine.slots.contains(.ready) && (announcements > 0 || !machine.slots.contains(.starting))
        need(!(view.members.isEmpty && mayBegin), "somebody is ready and nobody computes")
    }
}
