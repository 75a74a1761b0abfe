import Glibc
import Synchronization

/// How far a check of a checkpoint goes.
package enum CheckDepth: Sendable {
    /// The manifest and the sizes of the files: does not read the data.
    case sizes
    /// Every byte.
    case hashes
}

/// One checkpoint of a folder, whole or damaged.
package struct CheckpointListing: Hashable, Sendable {
    package let step: Int
    /// Has its size (`bytes`) and the time of its creation; nil when it cannot be read.
    package let manifest: Manifest?
    /// Nil when no damage was found at the depth of the check.
    package let damage: CheckpointDamage?
}

/// What a search for the newest whole checkpoint found.
package struct Restoration: Sendable {
    /// Nil when no checkpoint is whole; there may be none at all.
    package let checkpoint: Checkpoint?
    /// The damaged ones that were passed over, newest first.
    package let rejected: [Rejection]

    package struct Rejection: Hashable, CustomStringConvertible, Sendable {
        package let step: Int
        package let damage: CheckpointDamage
        /// The step that is taken in its place.
        package let fallback: Int?

        package var description: String {
            let fate = fallback.map { "restoring step-\($0) instead" } ?? "no older checkpoint is whole"
            return "\(CheckpointError.damaged(step: step, damage)); \(fate)"
        }
    }
}

extension CheckpointStore {
    /// All checkpoints, newest first, each with what is wrong with it.
    package func list(_ depth: CheckDepth = .sizes) throws(CheckpointError) -> [CheckpointListing] {
        var listings: [CheckpointListing] = []
        for step in try steps() {
            var manifest: Manifest?, damage: CheckpointDamage?
            do throws(CheckpointError) {
                let found = try self.manifest(of: step)
                manifest = found
                try check(found, depth)
            } catch {
                switch error {
                case .damaged(_, let found): damage = found
                case .missing: continue   // pruned while we looked
                default: throw error
                }
            }
            listings.append(CheckpointListing(step: step, manifest: manifest, damage: damage))
        }
        return listings
    }

    /// The newest checkpoint whose manifest and hashes are right, every byte read.
    package func newestValid() throws(CheckpointError) -> Restoration {
        try newest { step throws(CheckpointError) in try inspect(step, .hashes) }
    }

    /// The first step, newest first, for which `attempt` finds no damage.
    func newest(_ attempt: (Int) throws(CheckpointError) -> Checkpoint) throws(CheckpointError) -> Restoration {
        var rejected: [(step: Int, damage: CheckpointDamage)] = [], found: Checkpoint?
        for step in try steps() where found == nil {
            do throws(CheckpointError) {
                found = try attempt(step)
            } catch {
                switch error {
                // Older ones of another headway could not be read either: that is no reason to begin again.
                case .damaged(_, .otherFormat): throw error
                case .damaged(_, let damage): rejected.append((step, damage))
                case .missing: continue   // pruned while we looked
                default: throw error
                }
            }
        }
        return Restoration(
            checkpoint: found,
            rejected: rejected.map { .init(step: $0.step, damage: $0.damage, fallback: found?.step) })
    }

    /// The checkpoint of `step`, after a check of this depth.
    package func inspect(_ step: Int, _ depth: CheckDepth) throws(CheckpointError) -> Checkpoint {
        let manifest = try manifest(of: step)
        try check(manifest, depth)
        return Checkpoint(path: path(of: step), manifest: manifest)
    }

    private func check(_ manifest: Manifest, _ depth: CheckDepth) throws(CheckpointError) {
        let folder = path(of: manifest.step)
        do throws(CheckpointDamage) {
            switch depth {
            case .sizes: for record in manifest.files { _ = try VerifiedFile.open(folder: folder, record) }
            case .hashes:
                try Self.forEachFile(of: manifest) { file throws(CheckpointDamage) in
                    var reader = try VerifiedFile(folder: folder, manifest.record(of: file))
                    try reader.skip(manifest.record(of: file).bytes)
                    try reader.finish()
                }
            }
        } catch {
            throw damagedOrGone(manifest.step, error)
        }
    }

    /// All files at once, each on a thread of its own; small ones in turn.
    /// - Throws: the failure of the first file that has one.
    static func forEachFile<Failure>(
        of manifest: Manifest, _ body: @Sendable (CheckpointFile) throws(Failure) -> Void
    ) throws(Failure) {
        let files = CheckpointFile.allCases
        if manifest.bytes < PieceHasher.pieceBytes {
            for file in files { try body(file) }
            return
        }
        let results = Mutex<[CheckpointFile: Result<Void, Failure>]>([:])
        withoutActuallyEscaping(body) { body in
            SerialThread.concurrently(files.map { file in
                {
                    let result = Result { () throws(Failure) in try body(file) }
                    results.withLock { $0[file] = result }
                }
            })
        }
        let all = results.withLock { $0 }
        for file in files { try all[file]!.get() }
    }

    /// Files may be missing because somebody prunes in this moment.
    func damagedOrGone(_ step: Int, _ damage: CheckpointDamage) -> CheckpointError {
        access(path(of: step), F_OK) == 0 ? .damaged(step: step, damage) : .missing(step: step, folder: folder)
    }

    private func manifest(of step: Int) throws(CheckpointError) -> Manifest {
        do throws(CheckpointDamage) {
            let manifest = try Manifest(sealed: try sealedManifest(of: step))
            guard manifest.step == step else { throw .manifest("it belongs to step \(manifest.step)") }
            return manifest
        } catch {
            throw damagedOrGone(step, error)
        }
    }

    private func sealedManifest(of step: Int) throws(CheckpointDamage) -> [UInt8] {
        let file = try VerifiedFile.open("\(path(of: step))/\(Manifest.name)", absent: .manifestMissing)
        guard file.size <= Manifest.limitBytes else {
            throw .manifest("it has \(file.size) bytes, and \(Manifest.limitBytes) are the limit")
        }
        do throws(StorageError) {
            // Bytes beyond an end that moved meanwhile are 0, and the digest tells.
            return try byteArray(file.size) { buffer throws(StorageError) in _ = try file.read(into: buffer, at: 0) }
        } catch {
            throw .unreadable(error)
        }
    }
}
