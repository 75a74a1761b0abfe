import CSystem

/// A table of units of work: each has an owner (a slot) and a stamp that says for which turn its result is there: for
/// which attempt at which step. Turns only grow.
/// Leaves, chunks to reduce, chunks to update and validation units are all such tables over shared memory.
package struct UnitTable {
    private let base: UnsafeMutablePointer<UInt64>
    private let rowWords: Int
    private let ownerWord: Int, stampWord: Int
    package let count: Int

    init(base: UnsafeMutablePointer<UInt64>, rowWords: Int, ownerWord: Int, stampWord: Int, count: Int) {
        self.base = base
        self.rowWords = rowWords
        self.ownerWord = ownerWord
        self.stampWord = stampWord
        self.count = count
    }

    private func row(_ unit: Int) -> UnsafeMutablePointer<UInt64> { base + unit &* rowWords }

    package func owner(of unit: Int) -> Int { Int(cs_load(row(unit) + ownerWord)) }
    package func assign(_ unit: Int, to slot: Int) { cs_store(row(unit) + ownerWord, UInt64(slot)) }

    /// Whether the unit's result for `turn` is there.
    package func isDone(_ unit: Int, turn: Int) -> Bool { cs_load(row(unit) + stampWord) >= UInt64(turn + 1) }
    /// Publishes the unit's result for `turn`: everything written before is visible to who sees it done.
    package func markDone(_ unit: Int, turn: Int) { cs_store(row(unit) + stampWord, UInt64(turn + 1)) }
    /// The unit's result is gone with whoever had it.
    package func forget(_ unit: Int) { cs_store(row(unit) + stampWord, 0) }

    /// - Parameter range: nil for all units.
    package func allDone(turn: Int, in range: Range<Int>? = nil) -> Bool {
        for unit in range ?? 0..<count where !isDone(unit, turn: turn) { return false }
        return true
    }

    /// The next unit at or after `start` that `slot` owns and that lacks its result for `turn`.
    package func nextOwned(by slot: Int, turn: Int, from start: Int = 0, below end: Int? = nil) -> Int? {
        var unit = start
        while unit < end ?? count {
            if owner(of: unit) == slot && !isDone(unit, turn: turn) { return unit }
            unit &+= 1
        }
        return nil
    }

    package func unfinished(turn: Int, in range: Range<Int>? = nil) -> [Int] {
        (range ?? 0..<count).filter { !isDone($0, turn: turn) }
    }

    /// A further word of a unit's row, by its place in the row.
    func word(_ unit: Int, _ place: Int) -> UnsafeMutablePointer<UInt64> { row(unit) + place }
}

extension SharedState {
    package var leaves: UnitTable {
        UnitTable(base: word(layout.leafTable), rowWords: LeafWord.count, ownerWord: LeafWord.owner.rawValue,
            stampWord: LeafWord.stamp.rawValue, count: layout.leaves)
    }
    package var reductions: UnitTable {
        UnitTable(base: word(layout.chunkTable), rowWords: ChunkWord.count, ownerWord: ChunkWord.owner.rawValue,
            stampWord: ChunkWord.reducedStamp.rawValue, count: SharedLayout.chunkCount)
    }
    /// Shares its owners with `reductions`.
    package var updates: UnitTable {
        UnitTable(base: word(layout.chunkTable), rowWords: ChunkWord.count, ownerWord: ChunkWord.owner.rawValue,
            stampWord: ChunkWord.updatedStamp.rawValue, count: SharedLayout.chunkCount)
    }
    /// Chunks of the state copied to the deposit; shares its owners with `reductions`.
    package var deposits: UnitTable {
        UnitTable(base: word(layout.chunkTable), rowWords: ChunkWord.count, ownerWord: ChunkWord.owner.rawValue,
            stampWord: ChunkWord.depositedStamp.rawValue, count: SharedLayout.chunkCount)
    }
    package var evaluations: UnitTable {
        UnitTable(base: word(layout.evaluationTable), rowWords: EvaluationWord.count, ownerWord: EvaluationWord.owner.rawValue,
            stampWord: EvaluationWord.stamp.rawValue, count: layout.heldOut.count)
    }
}

// MARK: Claims: who computes a leaf

extension SharedState {
    private func claim(_ leaf: Int) -> UnsafeMutablePointer<UInt64> { leaves.word(leaf, LeafWord.claim.rawValue) }
    /// The turn's attempt and the slot. A claim of an earlier attempt is none.
    private static func claim(by slot: Int, _ turn: Int) -> UInt64 { (UInt64(turn >> 32) + 1) << 16 | UInt64(slot) }

    /// The slot that computes the leaf in this turn, or has; nil while nobody does.
    package func claimant(of leaf: Int, turn: Int) -> Int? {
        let word = cs_load(claim(leaf))
        return word >> 16 == UInt64(turn >> 32) + 1 ? Int(word & 0xFFFF) : nil
    }

    /// A leaf that nobody has begun, now the slot's to compute: the first that it owns, else, if it may help out, the last
    /// of whoever has most left. Every owner keeps one to begin with: a worker without any would be no part of the step.
    /// A slow worker takes none that the others will have done sooner.
    package func claimLeaf(for slot: Int, turn: Int, helping: Bool) -> Int? {
        while let leaf = freeLeaf(for: slot, turn: turn, helping: helping) {
            let seen = cs_load(claim(leaf))
            // Somebody was faster; or the attempt is over, and this worker has yet to see it.
            guard seen >> 16 != UInt64(turn >> 32) + 1 else { continue }
            guard seen >> 16 < UInt64(turn >> 32) + 1 else { return nil }
            if cs_exchange_if(claim(leaf), seen, Self.claim(by: slot, turn)) { return leaf }
        }
        return nil
    }

    private func freeLeaf(for slot: Int, turn: Int, helping: Bool) -> Int? {
        var own: Int?, left: (owner: Int, count: Int, last: Int)?
        var index = 0, free = 0
        let begun = slotsThatBegan(turn)
        while index < layout.leaves {
            let owner = leaves.owner(of: index)
            var count = 0, last = index
            // Owners have contiguous stretches, but for what they took over.
            while index < layout.leaves, leaves.owner(of: index) == owner {
                if claimant(of: index, turn: turn) == nil, !leaves.isDone(index, turn: turn) {
                    if owner == slot, own == nil { own = index }
                    (count, last, free) = (count + 1, index, free + 1)
                }
                index += 1
            }
            if helping, count > (begun & 1 << UInt64(owner) != 0 ? 0 : 1), count > left?.count ?? 0 { left = (owner, count, last) }
        }
        if helping, begun & 1 << UInt64(slot) != 0 || own == nil, othersAreSooner(than: slot, leaves: free) { return nil }
        return own ?? left?.last
    }

    /// A bit for each slot that has a leaf in this turn.
    private func slotsThatBegan(_ turn: Int) -> UInt64 {
        var slots: UInt64 = 0
        for leaf in 0..<layout.leaves { if let slot = claimant(of: leaf, turn: turn) { slots |= 1 << UInt64(slot) } }
        return slots
    }

    /// Whether the faster among the owners of leaves, each at its own pace, will have done so many before this one does
    /// another.
    private func othersAreSooner(than slot: Int, leaves free: Int) -> Bool {
        let mine = leafNanoseconds(slot)
        var others = 0, rate = 0.0, last = -1
        for leaf in 0..<layout.leaves {
            let owner = leaves.owner(of: leaf)
            guard owner != last, owner != slot else { continue }
            last = owner
            let time = leafNanoseconds(owner)
            if time > 0, time < mine * 3 / 4 { (others, rate) = (others + 1, rate + 1 / Double(time)) }
        }
        // They come free half a microbatch from now, in the mean.
        return others > 0 && Double(mine) > (Double(free) + 0.5 * Double(others)) / rate
    }

    /// Whether `claimLeaf` would find one.
    package func hasLeaf(for slot: Int, turn: Int, helping: Bool) -> Bool { freeLeaf(for: slot, turn: turn, helping: helping) != nil }

    /// Lets others compute what a worker that is gone had begun. With messages what it had done is gone, too: its leaves'
    /// gradients, and the chunks it owned.
    package func releaseClaims(of slot: Int, turn: Int) {
        let keepsDone = layout.transport == .shared
        for leaf in 0..<layout.leaves where claimant(of: leaf, turn: turn) == slot {
            if keepsDone && leaves.isDone(leaf, turn: turn) { continue }
            leaves.forget(leaf)
            cs_store(claim(leaf), 0)
        }
        if keepsDone { return }
        for chunk in 0..<SharedLayout.chunkCount where reductions.owner(of: chunk) == slot {
            for table in [reductions, updates, deposits] { table.forget(chunk) }
        }
    }
}

// MARK: What a unit's result carries besides its floats

/// A sum of token losses in nats and the number of tokens in it.
package struct LossSum: Equatable, Sendable {
    package var nats: Double
    package var tokens: Int
    package init(nats: Double, tokens: Int) { (self.nats, self.tokens) = (nats, tokens) }
}

extension SharedState {
    package func setLeafResult(_ leaf: Int, _ loss: LossSum, replica: Int) {
        store(loss, leaves.word(leaf, LeafWord.lossSum.rawValue), leaves.word(leaf, LeafWord.tokens.rawValue))
        cs_store(leaves.word(leaf, LeafWord.replica.rawValue), UInt64(replica))
    }
    /// The loss of a leaf, in nats over its tokens.
    package func leafLoss(_ leaf: Int) -> Double { Double(bitPattern: cs_load(leaves.word(leaf, LeafWord.lossSum.rawValue))) }
    package func leafReplica(_ leaf: Int) -> Int { Int(cs_load(leaves.word(leaf, LeafWord.replica.rawValue))) }

    package func setEvaluationResult(_ unit: Int, _ loss: LossSum) {
        store(loss, evaluations.word(unit, EvaluationWord.lossSum.rawValue), evaluations.word(unit, EvaluationWord.tokens.rawValue))
    }

    /// The loss of the step over its leaves, in leaf order.
    package var stepLoss: LossSum {
        total(leaves, LeafWord.lossSum.rawValue, LeafWord.tokens.rawValue, leaves.count)
    }
    /// The loss of a validation pass over its units, in order.
    package var evaluationLoss: LossSum {
        total(evaluations, EvaluationWord.lossSum.rawValue, EvaluationWord.tokens.rawValue, layout.heldOut.validation)
    }

    /// The nats of sequence `index` of the probes: even ones are the decision probe's, odd ones the audit probe's.
    package func probeLoss(_ index: Int) -> Double { Double(bitPattern: cs_load(word(layout.probeTable + index * 8))) }
    package func setProbeLoss(_ index: Int, _ nats: Double) { cs_store(word(layout.probeTable + index * 8), nats.bitPattern) }

    private func leafSum(_ leaf: Int, _ kind: LeafSum) -> UnsafeMutablePointer<UInt64> {
        word(layout.leafSumTable + (leaf * LeafSum.allCases.count + kind.rawValue) * SharedLayout.chunkCount * 8)
    }
    package func setLeafSum(_ leaf: Int, _ kind: LeafSum, chunk: Int, _ value: Double) {
        cs_store(leafSum(leaf, kind) + chunk, value.bitPattern)
    }
    /// For each leaf the sum over all chunks, in chunk order.
    package func leafSums(_ kind: LeafSum) -> [Double] {
        (0..<layout.leaves).map { leaf in
            let words = leafSum(leaf, kind)
            return (0..<SharedLayout.chunkCount).reduce(0) { $0 + Double(bitPattern: cs_load(words + $1)) }
        }
    }

    package func setSumOfSquares(_ chunk: Int, _ value: Double) {
        cs_store(reductions.word(chunk, ChunkWord.sumOfSquares.rawValue), value.bitPattern)
    }
    /// The norm of the mean gradient: the chunks' sums in chunk order, the same bits for everyone.
    package var gradientNorm: Double {
        var sum = 0.0
        for chunk in 0..<SharedLayout.chunkCount {
            sum += Double(bitPattern: cs_load(reductions.word(chunk, ChunkWord.sumOfSquares.rawValue)))
        }
        return sum.squareRoot()
    }

    package func setFingerprint(_ chunk: Int, generation: Int, _ value: UInt64) {
        cs_store(updates.word(chunk, ChunkWord.fingerprint0.rawValue + generation), value)
    }
    package func fingerprint(_ chunk: Int, generation: Int) -> UInt64 { cs_load(updates.word(chunk, ChunkWord.fingerprint0.rawValue + generation)) }
    /// The chunks' fingerprints of a generation, in chunk order.
    package func fingerprints(generation: Int) -> [UInt64] {
        (0..<SharedLayout.chunkCount).map { cs_load(updates.word($0, ChunkWord.fingerprint0.rawValue + generation)) }
    }

    private func store(_ loss: LossSum, _ nats: UnsafeMutablePointer<UInt64>, _ tokens: UnsafeMutablePointer<UInt64>) {
        cs_store(nats, loss.nats.bitPattern)
        cs_store(tokens, UInt64(loss.tokens))
    }

    private func total(_ table: UnitTable, _ nats: Int, _ tokens: Int, _ count: Int) -> LossSum {
        var sum = LossSum(nats: 0, tokens: 0)
        for unit in 0..<count {
            sum.nats += Double(bitPattern: cs_load(table.word(unit, nats)))
            sum.tokens += Int(cs_load(table.word(unit, tokens)))
        }
        return sum
    }
}
