/// A rank's parameters as entries of the whole model's: taken from a whole flat vector, and put back into one.
extension ParameterLayout {
    /// Writes `shard` (`count` floats), padding included, given the vector of the whole model.
    /// - Parameter range: of the shard's floats, those that are written; nil for all.
    package func takeShard(_ shard: UnsafeMutablePointer<Float>, _ range: Range<Int>? = nil, from whole: UnsafePointer<Float>) {
        let range = range ?? 0..<count
        (shard + range.lowerBound).initialize(repeating: 0, count: range.count)
        forEachRun(in: range, of: slots) { own, origin, count in (shard + own).update(from: whole + origin, count: count) }
    }

    /// Writes this rank's entries to `whole`, the vector of the whole model, and leaves all others and the padding alone.
    /// What all ranks have is rank 0's to write. After the calls of all ranks every entry is written, once.
    /// - Parameter range: of the shard's floats, those that are written; nil for all.
    package func putShard(_ shard: UnsafePointer<Float>, _ range: Range<Int>? = nil, into whole: UnsafeMutablePointer<Float>) {
        forEachRun(in: range ?? 0..<count, of: slots.filter { share.rank == 0 || !$0.isReplicated }) { own, origin, count in
            (whole + origin).update(from: shard + own, count: count)
        }
    }

    /// The longest runs of entries of `slots` that lie together both here and in the whole model's vector: (offset here,
    /// offset there, count).
    private func forEachRun(in range: Range<Int>, of slots: [ParameterSlot], _ body: (Int, Int, Int) -> Void) {
        for slot in slots where slot.offset < range.upperBound && slot.offset + slot.count > range.lowerBound {
            slot.forEachRun { own, origin, count in
                let run = (slot.offset + own..<slot.offset + own + count).clamped(to: range)
                if !run.isEmpty { body(run.lowerBound, slot.whole.offset + origin + run.lowerBound - slot.offset - own, run.count) }
            }
        }
    }

    /// The ranges of the flat vector, with the padding after them, that hold what rank 0 has too; none for rank 0.
    package var repeated: [Range<Int>] {
        share.rank == 0 ? [] : slots.filter(\.isReplicated).map { $0.offset..<($0.offset + $0.count + 15) & ~15 }
    }
}

extension ParameterSlot {
    /// The longest runs of entries that lie together both here and in the whole model's slot: (offset here, offset there,
    /// count), in order.
    func forEachRun(_ body: (Int, Int, Int) -> Void) {
        let lead = whole.shape.dropFirst().reduce(1, *), width = columns.count
        var own = 0
        for rows in rows {
            if width == lead {
                body(own, rows.lowerBound * lead, rows.count * lead)
                own += rows.count * lead
            } else {
                for row in rows {
                    body(own, row * lead + columns.lowerBound, width)
                    own += width
                }
            }
        }
    }
}
