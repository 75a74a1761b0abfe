import Checkpointing
import Foundation

/// Blocks of a small model whose files have two and three pages; every float is the state's own.
final class SmallState {
    static let entries = [
        StateEntry(name: "wte", shape: [11, 100], offset: 0, count: 1100),
        StateEntry(name: "ln", shape: [3], offset: 1100, count: 3),
    ]
    var blocks: [[Float]]

    /// The state with this hash, or nothing but zeros.
    init(_ hash: String? = nil) {
        let seed = hash?.utf8.reduce(0) { ($0 * 31 + Int($1)) % 9973 }
        blocks = (0..<3).map { block in
            var floats = [Float](repeating: 0, count: 1105)
            for entry in Self.entries {
                guard let seed else { break }
                for i in 0..<entry.count { floats[entry.offset + i] = Float(i * 3 + block) / 7 + Float(seed) }
            }
            return floats
        }
    }

    var bits: [[UInt32]] { blocks.map { $0.map(\.bitPattern) } }
}

extension CheckpointStore {
    @discardableResult
    func saveSmall(_ step: Int, _ stateHash: String) throws(CheckpointError) -> Checkpoint {
        let state = SmallState(stateHash)
        return try save(
            .sample(step: step, stateHash: stateHash), entries: SmallState.entries, parameters: state.blocks[0],
            firstMoments: state.blocks[1], secondMoments: state.blocks[2])
    }

    func restoreSmall() throws(CheckpointError) -> (Restoration, bits: [[UInt32]]) {
        let state = SmallState()
        var (parameters, first, second) = (state.blocks[0], state.blocks[1], state.blocks[2])
        let found = try restoreNewest(
            entries: SmallState.entries, parameters: &parameters, firstMoments: &first, secondMoments: &second,
            mismatch: { $0.traits == .sample ? nil : .traits([]) })
        state.blocks = [parameters, first, second]
        return (found, state.bits)
    }
}

/// What a store has promised so far about the checkpoints in view, by step and state hash.
struct Promise: Hashable {
    /// Announced, and neither pruned nor set aside since: there, and whole.
    var required: [Int: String] = [:]
    /// So many are whole, at least, whichever.
    var leastKept = 0
    /// All that may be there, and then is whole.
    var possible: [Int: Set<String>] = [:]
    /// Damaged by the medium, and perhaps not yet replaced.
    var damaged: Set<Int> = []

    mutating func count() { leastKept = min(2, required.count) }
}

/// A folder of checkpoints on a volatile disk. After each call of a store, every state that a power cut could leave
/// is written to a folder of its own and read there by another store, which must find what was promised.
final class PowerCuts {
    private let run: TemporaryFolder
    let disk: VolatileDisk
    private let mutation: Mutation?
    private(set) var promise = Promise()
    private(set) var violations: [String] = []
    private(set) var syncs: Set<String> = []
    private(set) var mutationsApplied = 0
    private let album: Album
    var looks: Bool

    var folder: String { run.path + "/live/checkpoints" }

    /// What was looked at already, each state once for each promise.
    final class Album {
        fileprivate var seen: [Promise: Set<Tree>] = [:], outlived: Set<Tree> = []
        var states: Int { seen.values.reduce(0) { $0 + $1.count } }
    }

    init(_ mutation: Mutation? = nil, looks: Bool = true, album: Album = Album()) throws {
        run = try TemporaryFolder(inMemory: true)
        self.album = album
        try DiskStorage().makeDirectory(run.path + "/live")
        disk = VolatileDisk(root: run.path + "/live")
        self.mutation = mutation
        self.looks = looks
        disk.changed = { [unowned self] in look() }
    }

    // MARK: What stores do

    /// One process with a store.
    final class Actor {
        let store: CheckpointStore, writer: Writer
        init(_ store: CheckpointStore, _ writer: Writer) {
            self.store = store
            self.writer = writer
        }
    }

    /// - Parameter process: a number above the kernel's limit is certainly not alive.
    func actor(_ process: pid_t) -> Actor {
        let writer = Writer(disk, mutation)
        return Actor(CheckpointStore(folder: folder, storage: writer, process: process), writer)
    }

    private func act<Value>(
        _ actor: Actor, _ name: String, _ body: () throws(CheckpointError) -> Value
    ) throws(CheckpointError) -> Value {
        let before = actor.writer.mutationsApplied
        actor.writer.begin(name)
        defer {
            syncs.formUnion(actor.writer.syncs)
            mutationsApplied += actor.writer.mutationsApplied - before
        }
        return try body()
    }

    func cleanUp(_ actor: Actor) throws(CheckpointError) {
        try act(actor, "clean up") { () throws(CheckpointError) in _ = try actor.store.removeAbandoned() }
    }

    func save(_ actor: Actor, _ step: Int, _ stateHash: String? = nil) throws(CheckpointError) {
        let stateHash = stateHash ?? "state-\(step)"
        promise.possible[step, default: []].insert(stateHash)
        let saved = try act(actor, "save") { () throws(CheckpointError) in try actor.store.saveSmall(step, stateHash) }
        promise.required[step] = saved.manifest.stateHash
        promise.possible[step] = [saved.manifest.stateHash]
        promise.damaged.remove(step)
        promise.count()
        look()
    }

    func prune(_ actor: Actor, keepLast keep: Int = 2) throws(CheckpointError) {
        for step in promise.possible.keys.sorted().dropLast(keep) { promise.required[step] = nil }
        for step in try act(actor, "prune", { () throws(CheckpointError) in try actor.store.prune(KeepRules(last: keep)) }) {
            promise.possible[step] = nil
            promise.damaged.remove(step)
        }
        look()
    }

    func setAside(_ actor: Actor, _ step: Int) throws(CheckpointError) {
        promise.required[step] = nil
        promise.count()
        _ = try act(actor, "set aside") { () throws(CheckpointError) in try actor.store.setAside(step, as: .damaged) }
        promise.possible[step] = nil
        look()
    }

    func damage(_ step: Int, _ file: String) throws {
        promise.required[step] = nil
        promise.possible[step] = nil
        promise.count()
        promise.damaged.insert(step)
        try disk.damage("\(folder)/\(CheckpointStore.sampleName(of: step))/\(file)") { $0[$0.count / 2] ^= 1 }
        look()
    }

    // MARK: What is found afterwards

    /// Looks at every state that a power cut now could leave. One violation is enough.
    func look() {
        guard looks, violations.isEmpty else { return }
        for tree in disk.cuts() where album.seen[promise, default: []].insert(tree).inserted {
            if let violation = violation(in: tree) {
                violations.append(violation)
                return
            }
        }
    }

    private struct Broken: Error { let what: String }

    private func violation(in tree: Tree) -> String? {
        let path = run.path + "/cut"
        defer { try? DiskStorage().remove(path) }
        do {
            try tree.write(to: path)
            let store = CheckpointStore(folder: path + "/checkpoints", storage: Writer.unsynced, process: .max - 9)
            let listings = try examine(store)
            if album.outlived.insert(tree).inserted { try goOn(store, listings) }
            return nil
        } catch {
            return (error as? Broken)?.what ?? "\(error)"
        }
    }

    private func examine(_ store: CheckpointStore) throws -> [CheckpointListing] {
        let listings = try store.list(.hashes)
        for listing in listings {
            let step = listing.step, hash = listing.manifest?.stateHash ?? "no manifest"
            if let damage = listing.damage {
                guard promise.damaged.contains(step) else { throw Broken(what: "step \(step) \(damage)") }
            } else if promise.possible[step]?.contains(hash) != true {
                throw Broken(what: "step \(step) is there with \(hash)")
            }
        }
        let whole = listings.filter { $0.damage == nil }
        for (step, hash) in promise.required where whole.first(where: { $0.step == step })?.manifest?.stateHash != hash {
            throw Broken(what: "step \(step) with \(hash) was durable and is gone")
        }
        guard whole.count >= promise.leastKept else {
            throw Broken(what: "\(whole.map(\.step)) are fewer than \(promise.leastKept)")
        }
        let expected = listings.prefix { $0.damage != nil }.map(\.step)
        try expect(store, whole.first?.step, whole.first?.manifest?.stateHash, passingOver: expected)
        return listings
    }

    /// Damaged ones are replaced, the next one is saved, and nothing half done stays.
    private func goOn(_ store: CheckpointStore, _ listings: [CheckpointListing]) throws {
        try store.removeAbandoned()
        for listing in listings where listing.damage != nil { try store.saveSmall(listing.step, "again") }
        let next = (listings.first?.step ?? 0) + 20
        try store.saveSmall(next, "next")
        try store.prune(KeepRules(last: 2))
        try expect(store, next, "next", passingOver: [])
        let left = try FileManager.default.contentsOfDirectory(atPath: store.folder).filter {
            $0.contains("tmp") && !$0.hasSuffix("tmp-\(getpid())") && !$0.hasSuffix("tmp-\(getppid())")
        }
        guard left.isEmpty else { throw Broken(what: "\(left) are left") }
    }

    /// Both ways of restoring find this one, and say which they passed over.
    private func expect(_ store: CheckpointStore, _ step: Int?, _ stateHash: String?, passingOver damaged: [Int]) throws {
        let search = try store.newestValid(), (restored, bits) = try store.restoreSmall()
        guard search.checkpoint?.step == step, search.checkpoint == restored.checkpoint,
            search.checkpoint?.manifest.stateHash == stateHash
        else { throw Broken(what: "restored step \(search.checkpoint?.step ?? -1) instead of \(step ?? -1)") }
        guard search.rejected.map(\.step) == damaged, restored.rejected.map(\.step) == damaged,
            search.rejected.allSatisfy({ $0.fallback == step })
        else { throw Broken(what: "\(search.rejected) instead of \(damaged)") }
        guard step == nil || bits == SmallState(stateHash).bits else { throw Broken(what: "other bits in step \(step!)") }
    }
}
