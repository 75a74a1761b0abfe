import Collectives
import RunSpec
import Testing

@Suite struct UnitTableTests {
    let segment = Segment()
    let shared: SharedState

    init() throws { shared = try segment.create(leaves: 8, evaluationUnits: 5) }

    @Test func `tables have a row per unit`() {
        #expect(shared.leaves.count == 8 && shared.evaluations.count == 5)
        #expect(shared.reductions.count == SharedLayout.chunkCount && shared.updates.count == SharedLayout.chunkCount)
    }

    @Test func `a stamp counts for its step and all before, and for none after`() {
        let table = shared.leaves
        #expect(!table.isDone(3, turn: 0))
        table.markDone(3, turn: 6)
        #expect(table.isDone(3, turn: 6) && table.isDone(3, turn: 0) && !table.isDone(3, turn: 7))
        #expect(!table.isDone(2, turn: 0) && !table.isDone(4, turn: 0))
    }

    @Test func `a table is done when its every unit is`() {
        let table = shared.evaluations
        for unit in 0..<5 {
            #expect(!table.allDone(turn: 2) && table.unfinished(turn: 2) == Array(unit..<5))
            table.markDone(unit, turn: 2)
        }
        #expect(table.allDone(turn: 2) && table.unfinished(turn: 2).isEmpty && !table.allDone(turn: 3))
    }

    @Test func `the next unit is the owner's first that is not done, from the start given`() {
        let table = shared.leaves
        for unit in 0..<8 { table.assign(unit, to: unit % 2) }
        #expect(table.nextOwned(by: 1, turn: 0) == 1 && table.nextOwned(by: 1, turn: 0, from: 4) == 5)
        table.markDone(1, turn: 0)
        #expect(table.nextOwned(by: 1, turn: 0) == 3 && table.nextOwned(by: 1, turn: 1) == 1)
        #expect(table.nextOwned(by: 2, turn: 0) == nil && table.nextOwned(by: 1, turn: 0, from: 8) == nil)
        table.assign(0, to: 1)
        #expect(table.nextOwned(by: 1, turn: 0) == 0 && table.owner(of: 0) == 1)
    }

    @Test func `reductions and updates share owners but not stamps`() {
        shared.reductions.assign(17, to: 5)
        shared.reductions.markDone(17, turn: 3)
        #expect(shared.updates.owner(of: 17) == 5 && shared.reductions.isDone(17, turn: 3) && !shared.updates.isDone(17, turn: 0))
    }

    @Test func `every word of every table has a place of its own`() {
        for leaf in 0..<8 {
            shared.leaves.assign(leaf, to: 10 + leaf)
            shared.leaves.markDone(leaf, turn: 20 + leaf)
            shared.setLeafResult(leaf, LossSum(nats: Double(leaf) + 0.5, tokens: 100 + leaf), replica: 30 + leaf)
        }
        for chunk in 0..<SharedLayout.chunkCount {
            shared.updates.assign(chunk, to: chunk + 1)
            shared.reductions.markDone(chunk, turn: chunk + 1000)
            shared.updates.markDone(chunk, turn: chunk + 2000)
            shared.setSumOfSquares(chunk, Double(chunk))
            for generation in 0..<3 { shared.setFingerprint(chunk, generation: generation, UInt64(chunk * 10 + generation)) }
        }
        for unit in 0..<5 {
            shared.evaluations.assign(unit, to: 40 + unit)
            shared.evaluations.markDone(unit, turn: 50 + unit)
            shared.setEvaluationResult(unit, LossSum(nats: 2, tokens: 7))
        }
        for leaf in 0..<8 {
            #expect(shared.leaves.owner(of: leaf) == 10 + leaf && shared.leafReplica(leaf) == 30 + leaf)
            #expect(shared.leaves.isDone(leaf, turn: 20 + leaf) && !shared.leaves.isDone(leaf, turn: 21 + leaf))
        }
        for chunk in 0..<SharedLayout.chunkCount {
            #expect(shared.reductions.owner(of: chunk) == chunk + 1)
            #expect(shared.reductions.isDone(chunk, turn: chunk + 1000) && !shared.reductions.isDone(chunk, turn: chunk + 1001))
            #expect(shared.updates.isDone(chunk, turn: chunk + 2000) && !shared.updates.isDone(chunk, turn: chunk + 2001))
        }
        for generation in 0..<3 { #expect(shared.fingerprints(generation: generation) == (0..<256).map { UInt64($0 * 10 + generation) }) }
        for unit in 0..<5 { #expect(shared.evaluations.owner(of: unit) == 40 + unit && !shared.evaluations.isDone(unit, turn: 51 + unit)) }
        #expect(shared.stepLoss == LossSum(nats: 32, tokens: 828) && shared.evaluationLoss == LossSum(nats: 10, tokens: 35))
        #expect(shared.gradientNorm == Double(255 * 256 / 2).squareRoot())
    }

    @Test func `losses are added in unit order, one rounding each`() {
        let random = Philox(key: 3)
        let losses = (0..<8).map { random.uniform(.sampling, 0, 0, index: $0) * 1000 }
        for leaf in (0..<8).reversed() { shared.setLeafResult(leaf, LossSum(nats: losses[leaf], tokens: 1), replica: 1) }
        #expect(shared.stepLoss.nats.bitPattern == losses.reduce(0, +).bitPattern)
    }

    @Test func `the gradient norm adds the chunks in order, whoever set them first`() {
        let random = Philox(key: 4)
        let squares = (0..<UInt32(SharedLayout.chunkCount)).map { random.uniform(.sampling, 0, 0, index: $0) }
        for chunk in squares.indices.reversed() { shared.setSumOfSquares(chunk, squares[chunk]) }
        #expect(shared.gradientNorm.bitPattern == squares.reduce(0, +).squareRoot().bitPattern)
    }
}
