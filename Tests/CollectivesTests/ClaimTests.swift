import Collectives
import RunSpec
import Testing

@Suite struct ClaimTests {
    /// Any owners, any paces, in any order of asking: whoever is not slow gets what is left, and nobody twice the same.
    @Test func `every leaf is claimed by exactly one worker, whatever the owners and however slow some are`() throws {
        let segment = Segment(), shared = try segment.create(leaves: 16), random = Philox(key: 3)
        var draws: UInt32 = 0
        func draw(_ count: Int) -> Int {
            draws += 1
            return Int(random.uniform(.tales, 1, 0, index: draws) * Double(count))
        }
        for round in 1...2000 {
            shared.announce(step: round, current: 0, next: 1, stop: false)
            let workers = 1 + draw(5), turn = shared.turn
            for leaf in 0..<16 { shared.leaves.assign(leaf, to: draw(workers)) }
            for slot in 0..<workers {
                shared.forgetPace(of: slot)
                if draw(4) > 0 { shared.noteLeaf(slot, nanoseconds: UInt64(1 + draw(1000))) }
            }
            var claimed: [Int] = [], refusals = 0
            while claimed.count < 16, refusals < 1000 {
                let slot = draw(workers)
                guard let leaf = shared.claimLeaf(for: slot, turn: turn, helping: true) else {
                    #expect(!shared.hasLeaf(for: slot, turn: turn, helping: true))
                    refusals += 1
                    continue
                }
                #expect(!claimed.contains(leaf) && shared.claimant(of: leaf, turn: turn) == slot)
                claimed.append(leaf)
            }
            #expect(claimed.count == 16, "round \(round): \(claimed.count) leaves claimed by \(workers) workers")
        }
    }

    @Test func `without help everybody computes what is theirs, and a claim lasts for its attempt`() throws {
        let segment = Segment(), shared = try segment.create(leaves: 4)
        for leaf in 0..<4 { shared.leaves.assign(leaf, to: leaf / 2) }
        shared.announce(step: 1, current: 0, next: 1, stop: false)
        var turn = shared.turn
        #expect((0..<3).map { _ in shared.claimLeaf(for: 1, turn: turn, helping: false) } == [2, 3, nil])
        shared.releaseClaims(of: 1, turn: turn)
        #expect(shared.claimLeaf(for: 1, turn: turn, helping: false) == 2)
        shared.leaves.markDone(2, turn: turn)
        shared.discardAttempt(keepingLeaves: [2], units: 0..<0)
        turn = shared.turn
        #expect(shared.claimLeaf(for: 1, turn: turn, helping: false) == 3, "what was kept is not computed again")
    }

    @Test func `a slow worker leaves to others what they will have done sooner, but takes its first`() throws {
        let segment = Segment(), shared = try segment.create(leaves: 8)
        for leaf in 0..<8 { shared.leaves.assign(leaf, to: leaf / 4) }
        shared.noteLeaf(0, nanoseconds: 100)
        shared.noteLeaf(1, nanoseconds: 1000)
        shared.announce(step: 1, current: 0, next: 1, stop: false)
        let turn = shared.turn
        #expect(shared.claimLeaf(for: 1, turn: turn, helping: true) == 4)
        #expect(shared.claimLeaf(for: 1, turn: turn, helping: true) == nil)
        #expect((0..<8).compactMap { _ in shared.claimLeaf(for: 0, turn: turn, helping: true) }.sorted() == [0, 1, 2, 3, 5, 6, 7])
        // Its pace is forgotten with the faster worker.
        shared.releaseClaims(of: 0, turn: turn)
        shared.forgetPace(of: 0)
        #expect(shared.claimLeaf(for: 1, turn: turn, helping: true) != nil)
    }
}
