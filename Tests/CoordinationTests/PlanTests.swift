import Coordination
import Testing

@Suite struct PlanTests {
    private func counts(_ owners: [Int]) -> [Int: Int] { owners.reduce(into: [:]) { $0[$1, default: 0] += 1 } }

    @Test(arguments: 1...16)
    func `shares are equal to within one, those of leaves and chunks contiguous in rank order`(workers: Int) {
        let members = (0..<workers).map { 3 * $0 + 2 }
        for units in [workers, workers + 1, 16, 17, 64, 100, 256] where units >= workers {
            let plan = Plan(members: members, leaves: units, chunkBlocks: [0..<256], evaluationUnits: units + 3)
            #expect(plan.leafOwners == plan.leafOwners.sorted() && plan.chunkOwners == plan.chunkOwners.sorted(), "\(units) units")
            // Of the held-out units any range may fall due: every stretch is shared.
            #expect(Set(plan.evaluationOwners[3..<3 + workers]).count == workers, "\(units) units")
            for owners in [plan.leafOwners, plan.chunkOwners, plan.evaluationOwners] {
                let counts = counts(owners)
                #expect(counts.keys.sorted() == members && counts.values.max()! - counts.values.min()! <= 1, "\(units) units")
            }
            #expect(plan.leafOwners.count == units && plan.chunkOwners.count == 256 && plan.evaluationOwners.count == units + 3)
        }
    }

    @Test(arguments: 1...8)
    func `of each block of chunks everybody has an equal share in a row, and of all`(workers: Int) {
        let blocks = [0..<7, 7..<49, 49..<91, 91..<133, 133..<175, 175..<217, 217..<256, 256..<256]
        let plan = Plan(members: Array(0..<workers), leaves: 8, chunkBlocks: blocks, evaluationUnits: 0)
        #expect(plan.chunkOwners.count == 256)
        for block in blocks where block.count >= workers {
            let owners = plan.chunkOwners[block], counts = counts(Array(owners))
            #expect(counts.count == workers && counts.values.max()! - counts.values.min()! <= 1)
            #expect(zip(owners, owners.dropFirst()).count { $0 != $1 } == workers - 1)
        }
        let all = counts(plan.chunkOwners).values
        #expect(all.max()! - all.min()! <= 4)
    }

    @Test func `fewer units than members go to different members`() {
        let plan = Plan(members: [0, 1, 2, 3, 4], leaves: 2, chunkBlocks: [0..<5], evaluationUnits: 0)
        #expect(Set(plan.leafOwners).count == 2 && plan.chunkOwners == [0, 1, 2, 3, 4] && plan.evaluationOwners.isEmpty)
    }

    @Test func `units of the dead go to whoever has the least left, and nothing else moves`() {
        var plan = Plan(members: [0, 1, 2, 3], leaves: 16, chunkBlocks: [0..<8], evaluationUnits: 4)
        // 0 has two leaves left, 1 none, 3 three; 2 died with all four of its own.
        let unfinished = Unfinished(leaves: [2, 3, 8, 9, 10, 11, 13, 14, 15], chunks: [4, 5], evaluationUnits: [2])
        let before = plan
        #expect(plan.reassign(unfinished, to: [0, 1, 3]) == 4)
        #expect(plan.leafOwners[8...11].allSatisfy { [0, 1, 3].contains($0) })
        #expect((0..<16).allSatisfy { (8...11).contains($0) || plan.leafOwners[$0] == before.leafOwners[$0] })
        let left = counts(unfinished.leaves.map { plan.leafOwners[$0] })
        #expect(left == [0: 3, 1: 3, 3: 3])
        #expect(Set(plan.chunkOwners[4...5]).count == 2 && plan.evaluationOwners[2] == 0)
    }

    @Test func `finished units of the dead stay theirs`() {
        var plan = Plan(members: [0, 1], leaves: 4, chunkBlocks: [0..<4], evaluationUnits: 4)
        #expect(plan.reassign(Unfinished(leaves: [0, 1]), to: [0]) == 0)
        #expect(plan == Plan(members: [0, 1], leaves: 4, chunkBlocks: [0..<4], evaluationUnits: 4))
    }

    @Test func `without members nothing moves`() {
        var plan = Plan(members: [0, 1], leaves: 4, chunkBlocks: [0..<4], evaluationUnits: 0)
        let before = plan
        #expect(plan.reassign(Unfinished(leaves: [0, 3], chunks: [1]), to: []) == 0)
        #expect(plan == before)
    }
}
