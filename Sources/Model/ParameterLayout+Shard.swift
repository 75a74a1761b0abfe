/// A rank's parameters as entries of the whole model's: taken from a whole flat vector, and put back into one.
extension ParameterLayout {
    /// Writes `shard` (`count` floats), padding included, given the vector of the whole model.
    package func takeShard(_ shard: UnsafeMutablePointer<Float>, from whole: UnsafePointer<Float>) {
        shard.initialize(repeating: 0, count: count)
        for slot in slots {
            slot.forEachRun { own, origin, count in
                (shard + slot.offset + own).update(from: whole + slot.whole.offset + origin, count: count)
            }
        }
    }

    /// Writes this rank's entries to `whole`, the vector of the whole model, and leaves all others and the padding alone.
    /// What all ranks have is rank 0's to write. After the calls of all ranks every entry is written, once.
    package func putShard(_ shard: UnsafePointer<Float>, into whole: UnsafeMutablePointer<Float>) {
        for slot in slots where share.rank == 0 || !slot.isReplicated {
            slot.forEachRun { own, origin, count in
                (whole + slot.whole.offset + origin).update(from: shard + slot.offset + own, count: count)
            }
        }
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
