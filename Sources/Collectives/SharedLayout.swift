import RunSpec

/// The sizes that fix where everything lies in a run's shared memory. Launcher and workers derive the same layout
/// from the same configuration; the header carries a digest so that a disagreement is found before anything is read.
package struct SharedLayout: Equatable, Sendable {
    /// Chunks of the parameter vector, independent of the number of workers (DESIGN: S).
    package static let chunkCount = 256
    /// Copies of (θ, m, v): the committed one, the one being written, and one that a checkpoint may pin.
    package static let generationCount = 3
    /// Rows for workers and faults: fixed, so that a run can be taken up again with other numbers of them.
    package static let slotsMaximum = 64, faultsMaximum = 1024

    /// Floats of the flat parameter vector, padding included; a multiple of 16.
    package let parameterFloats: Int
    /// M.
    package let leaves: Int
    /// Units of a validation pass; 0 when there is no validation text.
    package let evaluationUnits: Int

    package init(parameterFloats: Int, leaves: Int, evaluationUnits: Int) {
        precondition(parameterFloats > 0 && parameterFloats % 16 == 0, "\(parameterFloats) floats")
        self.parameterFloats = parameterFloats
        self.leaves = leaves
        self.evaluationUnits = evaluationUnits
    }

    /// The floats of chunk `index`; empty for the last ones of a very small model.
    package func chunk(_ index: Int) -> Range<Int> {
        let size = (parameterFloats / 16 + Self.chunkCount - 1) / Self.chunkCount * 16
        return min(index * size, parameterFloats)..<min((index + 1) * size, parameterFloats)
    }

    // Byte offsets. Control words first, then tables of 64-bit words, then page-aligned blocks of floats.
    static let page = 4096
    var slotTable: Int { Self.page }
    var leafTable: Int { slotTable + Self.slotsMaximum * SlotWord.count * 8 }
    var chunkTable: Int { leafTable + leaves * LeafWord.count * 8 }
    var evaluationTable: Int { chunkTable + Self.chunkCount * ChunkWord.count * 8 }
    var faultTable: Int { evaluationTable + evaluationUnits * EvaluationWord.count * 8 }
    var blocks: Int { (faultTable + Self.faultsMaximum * 8 + Self.page - 1) / Self.page * Self.page }
    var blockBytes: Int { (parameterFloats * 4 + Self.page - 1) / Self.page * Self.page }

    /// Floats from one leaf's gradient to the next.
    package var gradientStride: Int { blockBytes / 4 }
    /// Bytes of the segment: tables, M gradients, the reduced gradient, three generations of (θ, m, v).
    package var byteCount: Int { blocks + (leaves + 1 + 3 * Self.generationCount) * blockBytes }

    func gradientOffset(_ leaf: Int) -> Int { blocks + leaf * blockBytes }
    var reducedOffset: Int { blocks + leaves * blockBytes }
    func stateOffset(generation: Int, part: Int) -> Int { blocks + (leaves + 1 + generation * 3 + part) * blockBytes }
}

/// Control words, in 64-bit units from the start of the segment.
enum ControlWord: Int {
    case magic, layoutVersion, byteCount, identity
    case bell                  // two 32-bit words: rings, sleepers
    case view, committedStep, currentGeneration, nextGeneration, stop
}

/// Words of a slot's row.
enum SlotWord: Int {
    case replica, state, admitted, allocations, peakFlops
    /// A cache line each: workers write their own row at every step.
    static let count = 8
}

enum LeafWord: Int {
    case owner, stamp, replica, lossSum, tokens
    static let count = 5
}

enum ChunkWord: Int {
    case owner, reducedStamp, sumOfSquares, updatedStamp, fingerprint0, fingerprint1, fingerprint2
    static let count = 7
}

enum EvaluationWord: Int {
    case owner, stamp, lossSum, tokens
    static let count = 4
}
