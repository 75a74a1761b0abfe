import Glibc

/// Where a save is; reported just before the thing named happens, `writing` after each MiB.
package enum SaveProgress: Hashable, Sendable {
    /// The temporary folder is made, and its files come next.
    case files
    case writing(bytes: Int, of: Int)
    case manifest
    case rename
    /// The checkpoint is on disk for good.
    case durable
}

extension CheckpointStore {
    /// Writes the state as the checkpoint of `manifest.step` and returns when it is durable. The blocks hold the
    /// tensors at the offsets of `entries` and must not change meanwhile. If a valid checkpoint of the step is
    /// there already, it is returned when its state hash is the same, else an error; a damaged one is replaced.
    /// Any failure abandons the attempt and removes what it wrote: nothing that failed to sync is tried again.
    package func save(
        _ manifest: Manifest, entries: [StateEntry], parameters: UnsafePointer<Float>,
        firstMoments: UnsafePointer<Float>, secondMoments: UnsafePointer<Float>,
        progress: (SaveProgress) -> Void = { _ in }
    ) throws(CheckpointError) -> Checkpoint {
        if let existing = try existing(manifest) {
            progress(.durable)
            return existing
        }
        func tensors(_ prefix: String, _ base: UnsafePointer<Float>) -> [Safetensors.Tensor] {
            entries.map { .init(name: prefix + $0.name, shape: $0.shape, data: base + $0.offset) }
        }
        let contents = CheckpointFile.allCases.map { file in
            let tensors = switch file {
            case .weights: tensors("", parameters)
            case .optimizer: tensors("m.", firstMoments) + tensors("v.", secondMoments)
            }
            return Safetensors.Contents(tensors, metadata: Self.metadata(of: manifest))
        }
        let dataBytes = contents.reduce(0) { $0 + $1.bytes }
        let neededBytes = dataBytes + manifest.sizeBound(dataBytes: dataBytes)
        do throws(StorageError) {
            try makeFolder()
            try storage.remove(temporaryPath(of: manifest.step))
            try storage.remove(displacedPath(of: manifest.step))
            // Asked first, because a full disk also stops whoever else writes there.
            guard try storage.availableBytes(in: folder) >= neededBytes else {
                throw StorageError(.write, folder, code: ENOSPC)
            }
            let sealed = try write(manifest, contents, progress: progress)
            progress(.rename)
            try publish(manifest.step)
            progress(.durable)
            return Checkpoint(path: path(of: manifest.step), manifest: sealed)
        } catch {
            try? storage.remove(temporaryPath(of: manifest.step))
            try? storage.remove(displacedPath(of: manifest.step))
            // Another process may have saved the step meanwhile.
            if error.operation == .rename, let existing = try existing(manifest) {
                progress(.durable)
                return existing
            }
            guard error.isDiskFull else { throw .storage(error) }
            throw .diskFull(
                step: manifest.step, path: folder, neededBytes: neededBytes,
                availableBytes: (try? storage.availableBytes(in: folder)) ?? 0)
        }
    }

    /// The checkpoint of the same step and state, if it is there and every byte of it is right.
    private func existing(_ manifest: Manifest) throws(CheckpointError) -> Checkpoint? {
        guard let found = try? inspect(manifest.step, .hashes) else { return nil }
        guard found.manifest.stateHash == manifest.stateHash else {
            throw .otherState(step: manifest.step, found: found.manifest.stateHash, given: manifest.stateHash)
        }
        // Its writer may have died between the rename and this.
        do throws(StorageError) { try storage.syncDirectory(folder) } catch { throw .storage(error) }
        return found
    }

    private func makeFolder() throws(StorageError) {
        do throws(StorageError) {
            try storage.makeDirectory(folder)
        } catch {
            guard error.code == EEXIST else { throw error }
        }
    }

    private static func metadata(of manifest: Manifest) -> [String: String] {
        Safetensors.standardMetadata.merging(["run": manifest.run, "step": "\(manifest.step)"]) { $1 }
    }

    /// Makes the temporary folder with all three files, durable. The manifest comes last, with the records.
    private func write(
        _ manifest: Manifest, _ contents: [Safetensors.Contents], progress: (SaveProgress) -> Void
    ) throws(StorageError) -> Manifest {
        let temporary = temporaryPath(of: manifest.step)
        try storage.makeDirectory(temporary)
        progress(.files)
        var files = try zip(CheckpointFile.allCases, contents).map { file, contents throws(StorageError) in
            try FileWriter("\(temporary)/\(file.rawValue)", contents.head, contents.data, on: storage)
        }
        let dataBytes = contents.reduce(0) { $0 + $1.bytes }
        try FileWriter.write(files) { progress(.writing(bytes: $0, of: dataBytes)) }

        progress(.manifest)
        var sealed = manifest
        sealed.files = files.map { $0.record() }
        files.append(try FileWriter("\(temporary)/\(Manifest.name)", sealed.sealed(), on: storage))
        try FileWriter.write(files)
        // Nobody looks into the folder before it has its name: its contents may become durable in any order. And whoever made
        // the store's folder may have died before its name was durable.
        try storage.sync(files.map(\.file), [temporary, folder + "/.."])
        for file in files { try file.close() }
        return sealed
    }

    /// Gives the temporary folder its name: the commit.
    private func publish(_ step: Int) throws(StorageError) {
        do throws(StorageError) {
            try storage.rename(temporaryPath(of: step), to: path(of: step))
        } catch {
            // Something stands there: what failed `existing`, unless another process was quicker.
            let occupied = [ENOTEMPTY, EEXIST, ENOTDIR].contains(error.code)
            guard occupied, (try? inspect(step, .hashes)) == nil else { throw error }
            try storage.rename(path(of: step), to: displacedPath(of: step))
            try storage.rename(temporaryPath(of: step), to: path(of: step))
        }
        do throws(StorageError) {
            try storage.syncDirectory(folder)
        } catch {
            // Whether the new name survives a power cut is unknown: take it back, so that nobody relies on it.
            try? storage.rename(path(of: step), to: temporaryPath(of: step))
            throw error
        }
        try? storage.remove(displacedPath(of: step))
    }
}
