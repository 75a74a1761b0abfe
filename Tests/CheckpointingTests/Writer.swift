import Checkpointing
import Foundation

/// A change of the protocol that must show.
enum Mutation: Hashable, CustomStringConvertible, Sendable {
    /// Leaves out the syncs that `Writer.syncs` names so.
    case without(String)
    /// The file is synced only after the folder has its name.
    case syncedAfterRename(String)
    /// The folder gets its name before this file is created in it.
    case renamedBefore(String)
    /// Pruning removes checkpoints where they are.
    case prunedInPlace

    var description: String {
        switch self {
        case .without(let sync): "without \(sync)"
        case .syncedAfterRename(let file): "\(file) synced after the rename"
        case .renamedBefore(let file): "renamed before \(file) is there"
        case .prunedInPlace: "pruned in place"
        }
    }
}

/// What one process does with a disk: it can die between two calls, another can come between them, and the calls can
/// be those of a mutated protocol.
final class Writer: Storage {
    private let disk: any Storage
    private let mutation: Mutation?
    /// What the store is doing.
    var act = ""
    /// After so many calls the process does nothing any more.
    var lifetime = Int.max
    /// What another process does when so many calls are done.
    var interruption: (calls: Int, body: () -> Void)?
    private(set) var calls = 0
    private var previous = "begin"
    /// The syncs so far, each by what it syncs, in which act and after which call.
    private(set) var syncs: Set<String> = []
    private(set) var mutationsApplied = 0
    private var late: [OpenFile] = [], renamed: (from: String, to: String)?

    init(_ disk: any Storage, _ mutation: Mutation? = nil) {
        self.disk = disk
        self.mutation = mutation
    }

    /// A real disk whose syncs are left out, where only the outcome counts.
    static var unsynced: Writer {
        let writer = Writer(DiskStorage())
        writer.neverSyncs = true
        return writer
    }
    private var neverSyncs = false

    func begin(_ act: String) {
        self.act = act
        previous = "begin"
    }

    private func enter(_ call: String, _ operation: StorageError.Operation, _ path: String) throws(StorageError) {
        if let interruption, interruption.calls == calls {
            self.interruption = nil
            interruption.body()
        }
        guard calls < lifetime else { throw StorageError(operation, path, code: EIO) }
        calls += 1
        previous = call
    }

    /// Whether the mutation leaves the sync out.
    private func omits(_ what: String) -> Bool {
        let name = "the sync of \(what) after \(previous) in \(act)"
        if neverSyncs { return true }
        syncs.insert(name)
        guard mutation == .without(name) else { return false }
        mutationsApplied += 1
        return true
    }

    private func actual(_ path: String) -> String {
        guard let renamed, path.hasPrefix(renamed.from) else { return path }
        return renamed.to + path.dropFirst(renamed.from.count)
    }

    private static func name(_ path: String) -> String {
        let name = (path as NSString).lastPathComponent
        return name.hasPrefix("step-") ? "step" : name
    }

    func makeDirectory(_ path: String) throws(StorageError) {
        try enter("makeDirectory", .makeDirectory, path)
        try disk.makeDirectory(path)
    }
    func create(_ path: String) throws(StorageError) -> OpenFile {
        try enter("create", .create, path)
        if case .renamedBefore(let name) = mutation, path.hasSuffix(name) {
            let temporary = (path as NSString).deletingLastPathComponent
            let final = String(temporary[..<temporary.range(of: ".tmp-")!.lowerBound])
            if access(final, F_OK) != 0 {
                try disk.rename(temporary, to: final)
                renamed = (temporary, final)
                mutationsApplied += 1
            }
        }
        return try disk.create(actual(path))
    }
    func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int {
        try enter("write", .write, file.path)
        return try disk.write(bytes, to: file)
    }
    func sync(_ file: OpenFile) throws(StorageError) {
        let omitted = omits(Self.name(file.path))
        try enter("sync", .sync, file.path)
        if case .syncedAfterRename(let name) = mutation, file.path.hasSuffix(name) {
            late.append(file)
        } else if !omitted {
            try disk.sync(file)
        }
    }
    func close(_ file: OpenFile) throws(StorageError) {
        if late.contains(file) { return }
        // Closed in any case: that is what the end of the process does.
        try disk.close(file)
        try enter("close", .close, file.path)
    }
    func syncDirectory(_ path: String) throws(StorageError) {
        let omitted = omits(Self.name(path))
        try enter("syncDirectory", .syncDirectory, path)
        if !omitted { try disk.syncDirectory(actual(path)) }
    }
    func rename(_ from: String, to: String) throws(StorageError) {
        try enter("rename", .rename, from)
        if let renamed, renamed == (from, to) {
            self.renamed = nil
            return
        }
        if mutation == .prunedInPlace, act == "prune" {
            renamed = (to, from)
            return
        }
        try disk.rename(actual(from), to: actual(to))
        if from.contains(".tmp-"), !to.contains(".tmp-") {
            for file in late {
                try disk.sync(file)
                try disk.close(file)
                mutationsApplied += 1
            }
            late = []
        }
    }
    func remove(_ path: String) throws(StorageError) {
        try enter("remove", .remove, path)
        if mutation == .prunedInPlace, act == "prune", renamed != nil {
            mutationsApplied += 1
            try disk.remove(actual(path))
            renamed = nil
            return
        }
        try disk.remove(path)
    }
    func availableBytes(in path: String) throws(StorageError) -> Int { try disk.availableBytes(in: path) }
}
