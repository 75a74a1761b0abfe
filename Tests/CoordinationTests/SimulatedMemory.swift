// The memory of a simulated run: the words of Collectives' segment that matter, and numbers in place of floats.

/// Splitmix64: one multiplication or two for a draw, so that a hundred thousand schedules stay cheap.
struct SeededRandom {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return mix(state, 0)
    }
    /// 0 ..< `count`.
    mutating func draw(_ count: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(count)) }
    mutating func draw(_ range: ClosedRange<Int>) -> Int { range.lowerBound + draw(range.count) }
    mutating func isOne(in count: Int) -> Bool { draw(count) == 0 }
}

/// A number that depends on both and on their order.
func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    var x = a &+ b &* 0xD6E8_FEB8_6659_FD93
    x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
    return x ^ x >> 31
}

/// What a step makes of the state: the same for workers and for the chain they are compared with.
enum Arithmetic {
    static let initial: UInt64 = 77

    static func weights(_ state: [UInt64]) -> UInt64 { state.reduce(1) { mix($0, $1) } }
    static func leaf(_ leaf: Int, step: Int, weights: UInt64) -> UInt64 { mix(mix(UInt64(step), UInt64(leaf)), weights) }
    static func reduced(_ gradients: [UInt64], chunk: Int) -> UInt64 { gradients.reduce(UInt64(chunk)) { mix($0, $1) } }
    static func norm(_ squares: [UInt64]) -> UInt64 { squares.reduce(2) { mix($0, $1) } }
    static func updated(_ old: UInt64, _ reduced: UInt64, norm: UInt64, step: Int) -> UInt64 { mix(mix(old, reduced), mix(norm, UInt64(step))) }
    static func evaluation(_ unit: Int, weights: UInt64) -> UInt64 { mix(weights, UInt64(1000 + unit)) }

    /// The state after each number of steps of a run in which nothing happens to anybody.
    static func chain(steps: Int, leaves: Int, chunks: Int) -> [[UInt64]] {
        var states = [(0..<chunks).map { mix(initial, UInt64($0)) }]
        for step in 0..<steps {
            let old = states[step], weights = weights(old)
            let gradients = (0..<leaves).map { leaf($0, step: step, weights: weights) }
            let sums = (0..<chunks).map { reduced(gradients, chunk: $0) }
            let norm = norm(sums.map { mix($0, 3) })
            states.append((0..<chunks).map { updated(old[$0], sums[$0], norm: norm, step: step) })
        }
        return states
    }
}

/// A `UnitTable`.
struct SimulatedTable {
    var owners: [Int]
    private var stamps: [Int]
    /// All of a turn counts; a mutation looks at its step alone.
    private let mask: Int

    init(_ count: Int, mask: Int) {
        (owners, stamps, self.mask) = (Array(repeating: 0, count: count), Array(repeating: 0, count: count), mask)
    }

    func isDone(_ unit: Int, _ turn: Int) -> Bool { stamps[unit] >= turn & mask + 1 }
    mutating func markDone(_ unit: Int, _ turn: Int) { stamps[unit] = turn & mask + 1 }
    func allDone(_ turn: Int, below end: Int? = nil) -> Bool {
        for unit in 0..<(end ?? stamps.count) where !isDone(unit, turn) { return false }
        return true
    }
    func nextOwned(by slot: Int, _ turn: Int, from start: Int = 0, below end: Int? = nil) -> Int? {
        var unit = start
        while unit < end ?? stamps.count {
            if owners[unit] == slot && !isDone(unit, turn) { return unit }
            unit += 1
        }
        return nil
    }
    func unfinished(_ turn: Int, below end: Int? = nil) -> [Int] { (0..<(end ?? stamps.count)).filter { !isDone($0, turn) } }
}

struct SimulatedMemory {
    static let generationCount = 3, slotsMaximum = 8
    /// In place of a replica: dismissed.
    static let nobody = Int(UInt32.max)
    enum SlotState { case empty, starting, ready, draining }

    var view = 0, turn = 0, current = 0, next = 1, stop = false, helps = false, wantedWorkers = 0
    var slots = Array(repeating: (replica: 0, state: SlotState.empty, admitted: 0), count: slotsMaximum)
    var leaves: SimulatedTable, evaluations: SimulatedTable
    /// Share their owners, as in the real memory: whoever writes those of one writes those of both.
    var reductions: SimulatedTable, updates: SimulatedTable
    var claims: [(attempt: Int, slot: Int)]
    var gradients: [UInt64], reduced: [UInt64], squares: [UInt64], results: [UInt64]
    var generations: [[UInt64]], fingerprints: [[UInt64]]
    /// How many attempts had been thrown away when the leaf's computation began: no word of the real memory.
    var leafDiscards: [Int]

    init(_ shape: StepSimulation.Shape, state: [UInt64], stampMask mask: Int) {
        let (leaves, chunks, evaluations) = (shape.leaves, StepSimulation.chunkCount, shape.evaluations)
        self.leaves = SimulatedTable(leaves, mask: mask)
        (reductions, updates) = (SimulatedTable(chunks, mask: mask), SimulatedTable(chunks, mask: mask))
        self.evaluations = SimulatedTable(evaluations, mask: mask)
        claims = Array(repeating: (0, 0), count: leaves)
        gradients = Array(repeating: 0, count: leaves)
        leafDiscards = Array(repeating: 0, count: leaves)
        (reduced, squares) = (Array(repeating: 0, count: chunks), Array(repeating: 0, count: chunks))
        results = Array(repeating: 0, count: evaluations)
        generations = Array(repeating: Array(repeating: 0, count: chunks), count: Self.generationCount)
        fingerprints = generations
        generations[0] = state
    }

    static func step(of turn: Int) -> Int { turn & 0xFFFF_FFFF }
    var step: Int { Self.step(of: turn) }
    func nextTurn(at step: Int) -> Int { ((turn >> 32) + 1) << 32 | step }

    /// The slot that computes the leaf in this turn, or has.
    func claimant(of leaf: Int, _ turn: Int) -> Int? { claims[leaf].attempt == (turn >> 32) + 1 ? claims[leaf].slot : nil }

    mutating func releaseClaims(of slot: Int) {
        for leaf in claims.indices where claimant(of: leaf, turn) == slot && !leaves.isDone(leaf, turn) { claims[leaf] = (0, 0) }
    }

    /// As in `SharedState`: the first own one, else the last of whoever has most left and has begun or has two.
    func freeLeaf(for slot: Int, _ turn: Int) -> Int? {
        var own: Int?, most = 0, found: Int?
        var index = 0
        while index < claims.count {
            let owner = leaves.owners[index]
            var count = 0, last = index, ownerHasBegun = false
            while index < claims.count, leaves.owners[index] == owner {
                let claimant = claimant(of: index, turn)
                if claimant == owner { ownerHasBegun = true }
                if claimant == nil, !leaves.isDone(index, turn) {
                    if owner == slot, own == nil { own = index }
                    (count, last) = (count + 1, index)
                }
                index += 1
            }
            if helps, count > (ownerHasBegun ? 0 : 1), count > most { (most, found) = (count, last) }
        }
        return own ?? found
    }
}
