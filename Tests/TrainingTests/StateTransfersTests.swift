import Collectives
import RunSpec
import Testing
import Training

@Suite struct StateTransfersTests {
    private let layout = SharedLayout(parameterFloats: 256 * 160 + 48, leaves: 8, heldOut: HeldOutUnits(validation: 0), sequences: 1, transport: .gloo)

    /// Chunks in order, the same share each.
    private func owners(_ ranks: Int) -> [Int] { (0..<SharedLayout.chunkCount).map { $0 * ranks / SharedLayout.chunkCount } }

    /// How often each float of the vector comes to a rank.
    private func arrivals(_ transfers: StateTransfers, _ part: StateTransfers.Part, to: Int) -> [Int] {
        var counts = Array(repeating: 0, count: layout.parameterFloats)
        for transfer in transfers.all where transfer.part == part && transfer.to == to { for float in transfer.floats { counts[float] += 1 } }
        return counts
    }

    @Test func `who comes gets all of θ from everybody in turn, and its own range from whoever has it`() {
        // Two have halves; now three are to have thirds.
        let before = owners(2), after = owners(3)
        var transfers = StateTransfers(layout, slots: [0, 1, 5], owners: after, deposited: false) { rank, chunk in before[chunk] == rank }
        transfers.addParameters(from: [0, 1], to: 2)
        for to in 0..<3 { transfers.addKept(to: to) { after[$0] == to } }
        #expect(!transfers.isLost && transfers.restored.isEmpty)
        #expect(arrivals(transfers, .parameters, to: 2).allSatisfy { $0 == 1 })
        #expect(Set(transfers.all.filter { $0.part == .parameters }.map(\.from)) == [0, 1])
        for to in 0..<3 {
            let kept = arrivals(transfers, .kept, to: to)
            for chunk in after.indices { #expect(layout.chunk(chunk).allSatisfy { kept[$0] == (after[chunk] == to && before[chunk] != to ? 1 : 0) }, "chunk \(chunk) to \(to)") }
        }
        for transfer in transfers.all where transfer.part == .kept {
            #expect(after.indices.allSatisfy { !layout.chunk($0).overlaps(transfer.floats) || before[$0] == transfer.from }, "\(transfer)")
        }
    }

    @Test func `what nobody has is lost, or is in the deposit`() {
        for deposited in [false, true] {
            var transfers = StateTransfers(layout, slots: [0, 2], owners: owners(2), deposited: deposited) { _, chunk in chunk < 200 }
            transfers.addKept(to: 1) { $0 >= 200 }
            #expect(transfers.isLost == !deposited && transfers.all.map(\.from) == [nil] && transfers.all[0].floats == layout.chunk(200).lowerBound..<layout.parameterFloats)
        }
    }

    @Test func `what one has lost comes in stripes from the others, and what two have lost does not`() {
        let members = [0, 1, 4], slots = [0, 4], plan = StripePlan(members: members, owners: owners(3).map { members[$0] }, layout)
        func has(_ rank: Int, _ chunk: Int) -> Bool { plan.owners[chunk] == slots[rank] }
        let missing = plan.missing(from: slots, [plan, plan], has: has)
        #expect(missing == [1] && plan.missing(from: slots, [plan, nil], has: has) == [1, 4] && plan.missing(from: slots, [plan, plan]) { $0 == 0 && has($0, $1) } == [1, 4])
        var transfers = StateTransfers(layout, slots: slots, owners: owners(2), deposited: false, has: has)
        transfers.mayRestore(plan, missing: missing)
        for to in 0..<2 { transfers.addKept(to: to) { self.owners(2)[$0] == to } }
        #expect(!transfers.isLost && transfers.lost?.slot == 1 && transfers.restored == Set(plan.owners.indices.filter { plan.owners[$0] == 1 }))
        // A stripe that the receiver has restored itself needs no transfer.
        for (to, slot) in slots.enumerated() {
            let own = Set(plan.stripe(of: 1, at: slot).flatMap(\.floats)), kept = arrivals(transfers, .kept, to: to)
            for chunk in transfers.restored where owners(2)[chunk] == to { #expect(layout.chunk(chunk).allSatisfy { kept[$0] == (own.contains($0) ? 0 : 1) }) }
        }
        transfers = StateTransfers(layout, slots: slots, owners: owners(2), deposited: false, has: has)
        transfers.mayRestore(plan, missing: [1, 4])
        transfers.addKept(to: 0) { plan.owners[$0] == 1 }
        #expect(transfers.isLost && transfers.lost == nil)
    }
}
