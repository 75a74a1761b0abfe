import Coordination
import RunSpec
import Testing

/// The view machine through random histories, beside a model of its processes and of what they have published.
@Suite struct ViewHistoryTests {
    @Test(arguments: LossPolicy.allCases)
    func `in any history views grow by one and every unit left to do has a living owner`(policy: LossPolicy) {
        var counts = ViewHistory.Counts()
        for seed in 0..<4000 as Range<UInt64> {
            var history = ViewHistory(seed: seed, policy: policy)
            for _ in 0..<150 where history.broken == nil { history.next() }
            history.settle()
            if let broken = history.broken {
                Issue.record("seed \(seed), \(policy), event \(history.events): \(broken)")
                return
            }
            counts.add(history.counts)
        }
        print("4000 histories, \(policy): \(counts)")
        // Histories in which nothing happens prove nothing.
        #expect(counts.announced > 10_000 && counts.dismissed > 5_000 && counts.closed > 5_000 && counts.abandoned > 5_000 && counts.settled > 2_000)
        #expect((policy == .restart) == (counts.rewound > 4_000) && (policy == .discard) == (counts.discarded > 10_000))
        #expect(policy == .restart || counts.stoodIn > 3_000)
    }
}

struct ViewHistory {
    struct Counts {
        var announced = 0, dismissed = 0, closed = 0, abandoned = 0, rewound = 0, discarded = 0, stoodIn = 0, settled = 0

        mutating func add(_ more: Counts) {
            (announced, dismissed, closed, abandoned) = (announced + more.announced, dismissed + more.dismissed, closed + more.closed, abandoned + more.abandoned)
            (rewound, discarded, stoodIn, settled) = (rewound + more.rewound, discarded + more.discarded, stoodIn + more.stoodIn, settled + more.settled)
        }
    }

    private let random: Philox, policy: LossPolicy
    private var draws: UInt32 = 0
    private var machine: ViewMachine
    private let leaves: Int, chunks: Int, evaluationUnits: Int, spares: Int
    private var workers: Int, mostWanted: Int
    private var left = Unfinished()
    /// Slots whose process lives, and those of them that are told to go.
    private var living: Set<Int>, told: Set<Int> = []
    private(set) var events = 0, counts = Counts()
    private var gaveUp = false, stopping = false, begun = false
    /// What does not hold, in words.
    private(set) var broken: String?

    init(seed: UInt64, policy: LossPolicy) {
        (random, self.policy) = (Philox(key: seed), policy)
        workers = 1 + Int(seed % 6)
        spares = Int(seed / 6 % 3)
        leaves = 1 << (3 + seed / 18 % 3)
        chunks = 11
        evaluationUnits = Int(seed % 4)
        mostWanted = workers + spares
        living = Set(0..<workers + spares)
        machine = ViewMachine(workers: workers, spares: spares, policy: policy, leaves: leaves, chunkBlocks: [0..<chunks], evaluationUnits: evaluationUnits,
            lastView: Int(seed % 3))
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
        let slot = draw(machine.slots.count)
        switch draw(200) {
        case ..<80: if living.contains(slot) { receive(.ready(slot: slot)) }
        // What is gone already may be reported gone again, if nobody has taken its place.
        case ..<130: if living.contains(slot) || [.closed, .abandoned].contains(machine.slots[slot]) { receive(.ended(slot: slot, unfinished: left)) }
        case ..<136: if living.contains(slot) { receive(.draining(slot: slot)) }
        case ..<142: receive(.resize(workers: draw(8)))
        case ..<144: receive(.channelsLost)
        case ..<199: commit()
        default: if draw(6) == 0 { receive(.stopping) }
        }
    }

    /// The launcher commits only what members have computed.
    private mutating func commit() { if !machine.view.members.isEmpty { receive(.committed) } }

    /// Nothing more befalls anybody: whoever is told to go goes, whoever comes is ready, and soon as many compute as are
    /// wanted.
    mutating func settle() {
        guard broken == nil, !stopping, !gaveUp else { return }
        for _ in 0..<3 {
            while let slot = told.min() { receive(.ended(slot: slot, unfinished: left)) }
            for slot in living.sorted() where machine.slots[slot] == .starting { receive(.ready(slot: slot)) }
            commit()
        }
        if broken != nil || gaveUp { return }
        let able = machine.slots.count { [.member, .ready].contains($0) }
        need(machine.view.members.count == min(workers, able) && told.isEmpty, "at rest \(machine.view.members.count) of \(workers) compute, \(machine.slots)")
        need(machine.slots.contains(.abandoned) || able == workers + spares, "at rest \(able) of \(workers + spares) live, \(machine.slots)")
        counts.settled += 1
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

    private mutating func need(_ condition: Bool, _ what: String) { if !condition && broken == nil { broken = what } }

    private mutating func receive(_ event: ViewMachine.Event) {
        events += 1
        let before = machine
        switch event {
        case .stopping: stopping = true
        case .committed: left = all
        case .ended(let slot, _):
            living.remove(slot)
            told.remove(slot)
        case .draining(let slot): if [.ready, .starting].contains(before.slots[slot]) { told.insert(slot) }
        case .resize(let wanted): if !stopping && wanted > 0 && wanted <= leaves { (workers, mostWanted) = (wanted, max(mostWanted, wanted + spares)) }
        case .ready, .stateLost, .channelsLost: break
        }
        let effects = machine.receive(event)
        var number = before.view.number
        for effect in effects { check(effect, of: event, before, &number) }
        check(event, before)
        need(machine.view.number == number, "the view changed unannounced")
        if let what = broken { broken = "\(event): \(what), \(effects)" }
    }

    private mutating func check(_ effect: ViewMachine.Effect, of event: ViewMachine.Event, _ before: ViewMachine, _ number: inout Int) {
        switch effect {
        case .announce(let announced, let moved, _):
            (number, begun, counts.announced) = (number + 1, true, counts.announced + 1)
            need(announced.number == number, "the view's number is not one more")
            need(!announced.members.isEmpty && announced == machine.view, "another view than the machine's is announced")
            let leaving = before.view.members.filter { machine.slots[$0] == .leaving }
            need(announced.leavers.sorted() == (event == .committed ? leaving : []), "\(announced.leavers) go with the view, and \(leaving) were let go")
            if case .ended(let slot, _) = event, before.view.members.contains(where: { $0 != slot }) {
                let changed = zip(announced.plan.leafOwners, before.view.plan.leafOwners).count { $0 != $1 }
                need(changed == moved, "\(changed) leaves changed hands")
            }
        case .replan(let plan): need(plan == machine.view.plan && event == .committed, "a plan changes within a step")
        case .spawn(let slot):
            need(living.insert(slot).inserted, "slot \(slot) has two workers")
            need(!stopping, "a worker is started while stopping")
        case .dismiss(let slot):
            counts.dismissed += 1
            need(living.contains(slot) && told.insert(slot).inserted, "slot \(slot) is dismissed twice, or empty")
        case .kill(let slots):
            need(policy == .restart && !slots.contains(slot(of: event)) && living.isSuperset(of: slots), "not to be killed")
            told.formUnion(slots)
        case .rewind:
            counts.rewound += 1
            need(policy == .restart && living.isEmpty && !stopping, "wound back while somebody lives")
            (left, begun) = (all, false)
        case .close(let slot):
            counts.closed += 1
            need(!living.contains(slot), "a slot is closed that somebody is in")
        case .discard:
            counts.discarded += 1
            need(policy == .discard, "an attempt is thrown away")
            left = all
        case .abandon(let slot, _):
            counts.abandoned += 1
            need(!stopping && before.slots[slot] != .abandoned && machine.slots[slot] == .abandoned, "a slot is abandoned that is not")
        case .giveUp:
            gaveUp = true
            need(!stopping && living.isEmpty && machine.slots.allSatisfy { $0 == .abandoned || $0 == .closed }, "gave up with a slot left")
        }
    }

    private func slot(of event: ViewMachine.Event) -> Int { if case .ended(let slot, _) = event { slot } else { -1 } }

    private mutating func check(_ event: ViewMachine.Event, _ before: ViewMachine) {
        let view = machine.view, slots = machine.slots, members = Set(view.members)
        need(view.members == slots.indices.filter { slots[$0] == .member || slots[$0] == .draining }, "members are not the member slots")
        need(members.isSubset(of: living.subtracting(told)), "a member is gone, or going")
        need(slots.count <= mostWanted, "\(slots.count) slots, and never more than \(mostWanted) were wanted")
        need(slots.count { [.starting, .ready, .member].contains($0) } <= max(workers + spares, before.slots.count { [.starting, .ready, .member].contains($0) }),
            "more workers than are wanted")
        if !members.isEmpty {
            need(left.leaves.allSatisfy { members.contains(view.plan.leafOwners[$0]) }, "a leaf is left with somebody who is gone")
            need(left.chunks.allSatisfy { members.contains(view.plan.chunkOwners[$0]) }, "a chunk is left with somebody who is gone")
            need(left.evaluationUnits.allSatisfy { members.contains(view.plan.evaluationOwners[$0]) }, "a validation unit is left with somebody who is gone")
        }
        need(view.plan.leafOwners.count == leaves && view.plan.chunkOwners.count == chunks, "units were lost")
        if event == .committed { need(!slots.contains(.draining) && view.members.count <= workers, "who is to leave stays over a boundary") }
        let joined = slots.indices.filter { slots[$0] == .member && (!before.slots.indices.contains($0) || before.slots[$0] != .member) }
        let stays = view.members.contains { before.view.members.contains($0) }
        if event != .committed && stays && !joined.isEmpty {
            counts.stoodIn += 1
            need(spares > 0 && joined.count == 1 && before.slots[joined[0]] == .ready, "slots \(joined) joined within a step")
        }
        if case .resize = event {} else {
            for slot in before.slots.indices where before.slots[slot] == .abandoned { need(slots[slot] == .abandoned, "slot \(slot) came back") }
        }
        let mayBegin = slots.contains(.ready) && (begun || !slots.contains(.starting) && !slots.contains(.leaving))
        need(!(members.isEmpty && mayBegin), "somebody is ready and nobody computes")
    }
}
