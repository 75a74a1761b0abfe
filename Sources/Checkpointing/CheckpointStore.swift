// A folder of checkpoints, RUN/checkpoints:
//
//   step-0000000480/weights.safetensors      θ
//   step-0000000480/optimizer.safetensors    m and v
//   step-0000000480/manifest.json            hashes and sizes of both; see Manifest.swift
//   step-0000000500.tmp-4711/                being written, or left over by process 4711
//   step-0000000480.pin                      while it is there, the checkpoint of this step stays
//   step-0000000460.damaged/                 set aside: a restore found it damaged
//   step-0000000500.superseded/              set aside: the run went back behind it; .superseded-2 if there was one, and so on
//
// A checkpoint is a folder named by a step whose manifest and files are valid; nothing points at "the latest", the
// highest valid step is it. Everything is made durable under a temporary name first, contents before names,
// and the rename of the folder is the commit. So a crash at any point leaves the checkpoint whole or not there,
// and the earlier ones untouched. Other names in the folder are ignored.
import Glibc

/// A tensor of the model in the flat blocks θ, m and v. `offset` and `count` are floats; count = product(shape).
package struct StateEntry: Hashable, Sendable {
    package let name: String
    package let shape: [Int]
    package let offset: Int
    package let count: Int

    package init(name: String, shape: [Int], offset: Int, count: Int) {
        precondition(count == shape.reduce(1, *) && offset >= 0, "\(name) \(shape): \(count) floats at \(offset)")
        self.name = name
        self.shape = shape
        self.offset = offset
        self.count = count
    }
}

/// A checkpoint that was complete when it was looked at.
package struct Checkpoint: Hashable, Sendable {
    /// Its folder.
    package let path: String
    package let manifest: Manifest
    package var step: Int { manifest.step }
}

/// The checkpoints of one run. One process at a time should save; any number may read, pin and prune. Two that save or
/// prune at the same time lose nothing, but when both replace a damaged checkpoint of one step and one dies at it, the
/// step may go. Calls are synchronous.
package struct CheckpointStore {
    package static let lastStep = 9_999_999_999
    static let leastKept = 2

    package let folder: String
    let storage: any Storage
    let process: pid_t

    package init(folder: String, storage: any Storage = DiskStorage(), process: pid_t = getpid()) {
        self.folder = folder
        self.storage = storage
        self.process = process
    }

    // MARK: Names

    static func name(of step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 10 - digits.count)) + digits
    }

    static func step(of name: String) -> Int? {
        guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), Self.name(of: step) == name else {
            return nil
        }
        return step
    }

    /// The process that a temporary name belongs to, nil for any other name.
    static func owner(of name: String) -> pid_t? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 && parts[1] == "old", step(of: String(parts[0])) != nil,
            let last = parts.last, last.hasPrefix("tmp-")
        else { return nil }
        return pid_t(last.dropFirst(4)).flatMap { $0 > 0 ? $0 : nil }
    }

    func path(of step: Int) -> String { "\(folder)/\(Self.name(of: step))" }

    /// The files with data of a checkpoint, whether or not they are there.
    package func files(ofStep step: Int) -> [String] { CheckpointFile.allCases.map { "\(path(of: step))/\($0.rawValue)" } }

    /// Where a checkpoint of this process grows, and where one that is replaced or pruned waits for its removal.
    func temporaryPath(of step: Int) -> String { path(of: step) + ".tmp-\(process)" }
    func displacedPath(of step: Int) -> String { path(of: step) + ".old.tmp-\(process)" }

    /// Steps that have a folder, valid or not, newest first. None when the store's folder does not exist yet.
    package func steps() throws(CheckpointError) -> [Int] { try folderNames().compactMap(Self.step).sorted(by: >) }

    func folderNames() throws(CheckpointError) -> [String] {
        do throws(StorageError) {
            return try names(in: folder)
        } catch {
            if error.code == ENOENT { return [] }
            throw .storage(error)
        }
    }

    // MARK: Removal

    /// Removes the leftovers of processes that have ended, and of this process's number from an earlier life: so
    /// only before the first save. The names removed.
    @discardableResult
    package func removeAbandoned() throws(CheckpointError) -> [String] {
        let abandoned = try folderNames().sorted().filter { name in
            guard let owner = Self.owner(of: name) else { return false }
            return owner == process || kill(owner, 0) != 0 && errno == ESRCH
        }
        if abandoned.isEmpty { return [] }
        do throws(StorageError) {
            // One that was taken out of sight may come back in a power cut until this: then it must be whole.
            try storage.syncDirectory(folder)
            for name in abandoned { try storage.remove("\(folder)/\(name)") }
        } catch {
            throw .storage(error)
        }
        return abandoned
    }
}
