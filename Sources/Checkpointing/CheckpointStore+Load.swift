import Glibc

extension CheckpointStore {
    /// Reads the checkpoint of `step` into the caller's blocks, at the offsets of `entries`; floats between them are
    /// left alone. Without moments only the weights are read. Everything is compared with its hashes on the way,
    /// so after an error the blocks hold garbage. `mismatch` may refuse it by its manifest.
    package func load(
        step: Int, entries: [StateEntry], parameters: UnsafeMutablePointer<Float>,
        firstMoments: UnsafeMutablePointer<Float>? = nil, secondMoments: UnsafeMutablePointer<Float>? = nil,
        mismatch: (Manifest) -> CheckpointMismatch? = { _ in nil }
    ) throws(CheckpointError) -> Checkpoint {
        precondition((firstMoments == nil) == (secondMoments == nil), "moments come in pairs")
        let checkpoint = try inspect(step, .sizes)
        if let mismatch = mismatch(checkpoint.manifest) { throw .mismatch(step: step, mismatch) }
        func targets(_ prefix: String, _ base: UnsafeMutablePointer<Float>) -> [Target] {
            entries.map { entry in
                let bytes = UnsafeMutableRawBufferPointer(start: base + entry.offset, count: 4 * entry.count)
                return Target(name: prefix + entry.name, shape: entry.shape, bytes: bytes)
            }
        }
        let weights = targets("", parameters)
        guard let firstMoments, let secondMoments else {
            try fill(weights, from: .weights, of: checkpoint)
            return checkpoint
        }
        let moments = targets("m.", firstMoments) + targets("v.", secondMoments)
        nonisolated(unsafe) let store = self
        try Self.forEachFile(of: checkpoint.manifest) { file throws(CheckpointError) in
            try store.fill(file == .weights ? weights : moments, from: file, of: checkpoint)
        }
        return checkpoint
    }

    /// `load` from the newest checkpoint that is whole; damaged ones are passed over and reported. When
    /// all are damaged the blocks hold garbage. A mismatch is an error: older ones of the run would not fit either.
    /// - Parameter stateHash: the run's own hash of the blocks as the state after a step; a checkpoint whose manifest
    ///   names another counts as damaged.
    package func restoreNewest(
        entries: [StateEntry], parameters: UnsafeMutablePointer<Float>,
        firstMoments: UnsafeMutablePointer<Float>? = nil, secondMoments: UnsafeMutablePointer<Float>? = nil,
        mismatch: (Manifest) -> CheckpointMismatch? = { _ in nil }, stateHash: ((_ step: Int) -> String)? = nil
    ) throws(CheckpointError) -> Restoration {
        try newest { step throws(CheckpointError) in
            try restore(
                step, entries: entries, parameters: parameters, firstMoments: firstMoments, secondMoments: secondMoments,
                mismatch: mismatch, stateHash: stateHash)
        }
    }

    /// `load`, and a look at the state itself.
    package func restore(
        _ step: Int, entries: [StateEntry], parameters: UnsafeMutablePointer<Float>,
        firstMoments: UnsafeMutablePointer<Float>? = nil, secondMoments: UnsafeMutablePointer<Float>? = nil,
        mismatch: (Manifest) -> CheckpointMismatch? = { _ in nil }, stateHash: ((_ step: Int) -> String)? = nil
    ) throws(CheckpointError) -> Checkpoint {
        let checkpoint = try load(
            step: step, entries: entries, parameters: parameters, firstMoments: firstMoments,
            secondMoments: secondMoments, mismatch: mismatch)
        if let found = stateHash?(step), found != checkpoint.manifest.stateHash {
            throw .damaged(step: step, .state(found: found, expected: checkpoint.manifest.stateHash))
        }
        return checkpoint
    }

    /// A place that one thread fills.
    private struct Target: @unchecked Sendable {
        let name: String
        let shape: [Int]
        let bytes: UnsafeMutableRawBufferPointer
    }

    /// Fills the targets from one file. A mismatch counts only once the hashes show that the file really says so:
    /// a flipped bit in a name is damage, not another model.
    private func fill(
        _ targets: [Target], from file: CheckpointFile, of checkpoint: Checkpoint
    ) throws(CheckpointError) {
        var open = Dictionary(uniqueKeysWithValues: targets.map { ($0.name, $0) }), mismatch: CheckpointMismatch?
        do throws(CheckpointDamage) {
            var reader = try VerifiedFile(folder: checkpoint.path, checkpoint.manifest.record(of: file))
            for tensor in try reader.header().tensors {
                guard tensor.type == .f32 else {
                    throw .format(
                        file: file.rawValue, .type(name: tensor.name, found: tensor.type, expected: .f32))
                }
                let target = open.removeValue(forKey: tensor.name)
                if let target, target.shape == tensor.shape {
                    try reader.read(into: target.bytes)
                    continue
                }
                try reader.skip(tensor.bytes.count)
                mismatch = mismatch ?? target.map {
                    .shape(name: tensor.name, found: tensor.shape, expected: $0.shape)
                } ?? .unknownTensor(tensor.name)
            }
            try reader.finish()
        } catch {
            throw damagedOrGone(checkpoint.step, error)
        }
        if let missing = targets.first(where: { open[$0.name] != nil }) {
            mismatch = mismatch ?? .missingTensor(missing.name)
        }
        if let mismatch { throw .mismatch(step: checkpoint.step, mismatch) }
    }
}
