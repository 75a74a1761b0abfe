import RunSpec

/// The sizes that fix where everything lies in a run's shared memory. Launcher and workers derive the same layout
/// from the same configuration; the header carries its size and the configuration's identity so that a disagreement is found before anything is read.
package struct SharedLayout: Equatable, Sendable {
    /// Chunks of the parameter vector, independent of the number of workers (DESIGN: S).
    package static let chunkCount = 256
    /// Copies of (θ, m, v): the committed one, the one being written, and one that a checkpoint may pin.
    package static let generationCount = 3
    /// Rows for workers and faults: fixed, so that a run can be taken up again with other numbers of them.
    package static let slotsMaximum = 64, faultsMaximum = 16_384

    /// Floats of the flat parameter vector, padding included; a multiple of 16.
    package let parameterFloats: Int
    /// What chunks are cut from: the flat parameter vector; or, where ranks share every layer, their shards of it one after the
    /// other, so that each chunk is of one shard. How many there are, and floats of each: a multiple of 16.
    package let shards: Int, shardFloats: Int
    /// M.
    package let leaves: Int
    package let heldOut: HeldOutUnits
    /// b, sequences of a microbatch.
    package let sequences: Int
    /// With messages the floats are the workers' own; of them only a deposit lies here, one copy of the state from which
    /// workers begin and checkpoints are written.
    package let transport: Transport

    /// - Parameter shardFloats: nil where the vector is its only shard.
    package init(
        parameterFloats: Int, leaves: Int, heldOut: HeldOutUnits, sequences: Int, transport: Transport = .shared, shards: Int = 1, shardFloats: Int? = nil
    ) {
        precondition(parameterFloats > 0 && parameterFloats % 16 == 0, "\(parameterFloats) floats")
        let floats = shardFloats ?? parameterFloats
        precondition(shards == 1 ? floats == parameterFloats : shards > 1 && Self.chunkCount % shards == 0 && floats % 16 == 0, "\(shards) shards of \(floats) floats")
        (self.shards, self.shardFloats) = (shards, floats)
        self.parameterFloats = parameterFloats
        self.leaves = leaves
        self.heldOut = heldOut
        self.sequences = sequences
        self.transport = transport
    }

    /// How many copies of (θ, m, v) take turns.
    package var generations: Int { transport == .shared ? Self.generationCount : PrivateState.generationCount }

    /// Floats of all chunks.
    package var chunkedFloats: Int { shards * shardFloats }

    /// The floats of chunk `index`; empty for the last ones of a shard of a very small model.
    package func chunk(_ index: Int) -> Range<Int> {
        let count = Self.chunkCount / shards, size = (shardFloats / 16 + count - 1) / count * 16
        let first = index / count * shardFloats, place = index % count
        return first + min(place * size, shardFloats)..<first + min((place + 1) * size, shardFloats)
    }

    /// The floats of a rank's shard among all chunks', and its chunks.
    package func shard(_ rank: Int) -> Range<Int> { rank * shardFloats..<(rank + 1) * shardFloats }
    package func chunks(ofShard rank: Int) -> Range<Int> { rank * Self.chunkCount / shards..<(rank + 1) * Self.chunkCount / shards }

    // Byte offsets. Control words first, then tables of 64-bit words, then page-aligned blocks of floats.
    static let page = 4096
    var slotTable: Int { Self.page }
    var leafTable: Int { slotTable + Self.slotsMaximum * SlotWord.count * 8 }
    var chunkTable: Int { leafTable + leaves * LeafWord.count * 8 }
    var evaluationTable: Int { chunkTable + Self.chunkCount * ChunkWord.count * 8 }
    var faultTable: Int { evaluationTable + heldOut.count * EvaluationWord.count * 8 }
    var probeTable: Int { faultTable + Self.faultsMaximum * FaultWord.count * 8 }
    var leafSumTable: Int { probeTable + heldOut.probe * sequences * 8 }
    var addressTable: Int { leafSumTable + leaves * LeafSum.allCases.count * Self.chunkCount * 8 }
    private var addressBytes: Int { transport == .shared ? 0 : Self.slotsMaximum * Self.slotsMaximum * MessageGroup.addressBytes }
    var blocks: Int { (addressTable + addressBytes + Self.page - 1) / Self.page * Self.page }
    var blockBytes: Int { (parameterFloats * 4 + Self.page - 1) / Self.page * Self.page }

    /// Floats from one leaf's gradient to the next.
    package var gradientStride: Int { blockBytes / 4 }
    /// Blocks of floats: M gradients, the reduced gradient, three generations of (θ, m, v), the probe's gradient.
    /// With messages: the deposit.
    private var blockCount: Int { transport == .shared ? leaves + 1 + 3 * Self.generationCount + (heldOut.probe > 0 ? 1 : 0) : 3 }
    /// Bytes of the segment.
    package var byteCount: Int { blocks + blockCount * blockBytes }

    private func offset(ofShared block: Int) -> Int {
        precondition(transport == .shared, "with messages gradients are the workers' own")
        return blocks + block * blockBytes
    }
    func gradientOffset(_ leaf: Int) -> Int { offset(ofShared: leaf) }
    var reducedOffset: Int { offset(ofShared: leaves) }
    /// With messages: of the deposit, whatever the generation.
    func stateOffset(generation: Int, part: Int) -> Int {
        transport == .shared ? offset(ofShared: leaves + 1 + generation * 3 + part) : blocks + part * blockBytes
    }
    var probeGradientOffset: Int { offset(ofShared: leaves + 1 + 3 * Self.generationCount) }
}

/// Control words, in 64-bit units from the start of the segment.
enum ControlWord: Int {
    case magic, layoutVersion, byteCount, identity
    case bell                  // two 32-bit words: rings, sleepers
    case view, viewFrom        // its number, and the first attempt it holds for
    case turn, currentGeneration, nextGeneration, stop
    case previousGeneration    // one more than its number; 0 when there is none
    case probeStep, gradientStep   // one more than the step; 0 for none
    case helps                 // whether workers may compute leaves that others own
    case wantedWorkers         // what a user asked for; 0 for nothing new
    case sessionStart          // CLOCK_MONOTONIC, nanoseconds
    case damagedChunk          // the attempt, and one more than the chunk whose fingerprint does not hold; 0 for none
    // With messages:
    case members, newcomers    // a bit for each slot: of the view; of them, that had no state when the view or the step was announced
    case leavers               // a bit for each slot that was in the view before and hands over what it has
    case depositWanted, depositStep   // one more than the step; 0 for none
    case stateLost             // one more than the turn in which nobody had a part of the state; 0 for none
    case mismatch              // the attempt, and one more than a chunk that its two keepers made different things of; 0 for none
    case channelsLost          // the view whose messages failed though nobody is known to be gone
}

/// Words of a slot's row.
enum SlotWord: Int {
    case replica, state, admitted, allocations, peakFlops, leaves, lateLeaves, leafNanoseconds
    // With messages: the group its addresses are for, whether it has a state, and what it has measured.
    case addressStamp, holdsState, sentBytes, hiddenBytes, residentBytes
    /// Two cache lines each: workers write their own row at every step.
    static let count = 16
}

enum FaultWord: Int {
    case fired, mechanism      // CLOCK_MONOTONIC, 0 before; one more than its place among all, 0 for none
    static let count = 2
}

enum LeafWord: Int {
    case owner, stamp, claim, replica, lossSum, tokens
    static let count = 6
}

enum ChunkWord: Int {
    case owner, reducedStamp, sumOfSquares, updatedStamp, fingerprint0, fingerprint1, fingerprint2, depositedStamp
    static let count = 8
}

/// Sums over a chunk that tell leaf from leaf; see `CommitRow` and `ContributionRow` for what they become.
package enum LeafSum: Int, CaseIterable {
    /// ⟨gᵢ, θ − θ′⟩, |gᵢ|², ⟨gᵢ, D ⊙ q⟩, with gᵢ and q the gradients of sums of token losses; and ⟨gᵢ, Δᵢ⟩ with mean
    /// gradients, Δᵢ this step's update as it would be without leaf i.
    case moved, square, probed, moving
}

enum EvaluationWord: Int {
    case owner, stamp, lossSum, tokens
    static let count = 4
}
