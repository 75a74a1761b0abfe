import Checkpointing
import Foundation

/// What a path holds.
indirect enum Tree: Hashable {
    case file(Content)
    case folder([String: Tree])

    /// Bytes that are hashed once.
    struct Content: Hashable {
        let bytes: [UInt8]
        private let digest: Int

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            digest = bytes.hashValue
        }
        func hash(into hasher: inout Hasher) { hasher.combine(digest) }
    }

    func write(to path: String) throws(StorageError) {
        let disk = DiskStorage()
        switch self {
        case .file(let content):
            let file = try disk.create(path)
            var done = 0
            while done < content.bytes.count {
                done += try content.bytes.span.withUnsafeBytes { all throws(StorageError) in
                    try disk.write(UnsafeRawBufferPointer(rebasing: all[done...]), to: file)
                }
            }
            try disk.close(file)
        case .folder(let entries):
            try disk.makeDirectory(path)
            for (name, tree) in entries { try tree.write(to: "\(path)/\(name)") }
        }
    }
}

/// The file system below a folder, with a model beside it of what a power cut would leave. POSIX promises only that
/// what was synced is there: the contents and size of a synced file, the names in a synced folder. Each name is
/// changed at once or not at all, and changes that were not synced may be kept in any combination.
final class VolatileDisk: Storage {
    static let pageBytes = 4096, sectorBytes = 512
    /// Changes of one folder of which every subset is looked at, and combinations of what different files and folders
    /// may hold. Above, each is varied alone, while the others keep nothing or all.
    static let mostChanges = 6, mostCombinations = 24

    private final class File {
        var synced: [UInt8] = [] { didSet { known = nil } }
        var written: [UInt8] = [] { didSet { known = nil } }
        private var known: [Tree]?

        /// What it may hold after a power cut now, with the least first and all that was written last.
        var cuts: [Tree] {
            if let known { return known }
            let found = VolatileDisk.contents(synced: synced, written: written).map { Tree.file(.init($0)) }
            known = found
            return found
        }
    }
    private final class Folder {
        var entries: [String: Node] = [:], synced: [String: Node] = [:], unsynced: [Change] = []

        func change(_ removed: String?, _ name: String? = nil, _ node: Node? = nil) {
            let change = Change(removed: removed, name: name, node: node)
            change.apply(to: &entries)
            unsynced.append(change)
        }
    }
    private enum Node { case file(File), folder(Folder) }
    /// A name goes, a name comes, or, in a rename, both.
    private struct Change {
        let removed, name: String?, node: Node?

        func apply(to entries: inout [String: Node]) {
            if let removed { entries[removed] = nil }
            if let name { entries[name] = node }
        }
    }

    private let disk = DiskStorage(), root: String, top = Folder()
    private var open: [Int32: File] = [:]
    /// Called after each change, or sync, of the disk.
    var changed: () -> Void = {}

    /// An empty folder.
    init(root: String) { self.root = root }

    // MARK: Storage

    func makeDirectory(_ path: String) throws(StorageError) {
        try disk.makeDirectory(path)
        let (parent, name) = place(path)
        parent.change(nil, name, .folder(Folder()))
        changed()
    }
    func create(_ path: String) throws(StorageError) -> OpenFile {
        let handle = try disk.create(path), (parent, name) = place(path)
        if case .file(let file)? = parent.entries[name] {
            file.written = []
            open[handle.descriptor] = file
        } else {
            let file = File()
            parent.change(nil, name, .file(file))
            open[handle.descriptor] = file
        }
        changed()
        return handle
    }
    func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int {
        let count = try disk.write(bytes, to: file)
        open[file.descriptor]!.written += bytes.prefix(count)
        changed()
        return count
    }
    func sync(_ file: OpenFile) throws(StorageError) {
        let file = open[file.descriptor]!
        file.synced = file.written
        changed()
    }
    func close(_ file: OpenFile) throws(StorageError) {
        open[file.descriptor] = nil
        try disk.close(file)
    }
    func syncDirectory(_ path: String) throws(StorageError) {
        let folder = folder(parts(path))
        folder.synced = folder.entries
        folder.unsynced = []
        changed()
    }
    func rename(_ from: String, to: String) throws(StorageError) {
        try disk.rename(from, to: to)
        let (parent, name) = place(from), (other, new) = place(to)
        precondition(parent === other, "\(from) to \(to)")
        parent.change(name, new, parent.entries[name])
        changed()
    }
    func remove(_ path: String) throws(StorageError) {
        try disk.remove(path)
        let (parent, name) = place(path)
        guard parent.entries[name] != nil else { return }
        remove(name, from: parent)
        changed()
    }
    private func remove(_ name: String, from parent: Folder) {
        if case .folder(let folder)? = parent.entries[name] {
            for child in folder.entries.keys.sorted() { remove(child, from: folder) }
        }
        parent.change(name)
    }
    func availableBytes(in path: String) throws(StorageError) -> Int { .max }

    /// A fault of the medium.
    func damage(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
        let (parent, name) = place(path)
        guard case .file(let file)? = parent.entries[name] else { preconditionFailure("\(path) is not a file") }
        if file.synced == file.written { change(&file.synced) }
        change(&file.written)
        try Data(file.written).write(to: URL(fileURLWithPath: path))
    }

    // MARK: Paths

    private func parts(_ path: String) -> ArraySlice<Substring> {
        precondition(path.hasPrefix(root), "\(path) is not in \(root)")
        var parts: ArraySlice<Substring> = []
        for part in path.dropFirst(root.count).split(separator: "/") {
            if part == ".." { parts.removeLast() } else { parts.append(part) }
        }
        return parts
    }
    private func folder(_ parts: ArraySlice<Substring>) -> Folder {
        parts.reduce(top) { folder, part in
            guard case .folder(let next)? = folder.entries[String(part)] else { preconditionFailure("no folder \(parts)") }
            return next
        }
    }
    private func place(_ path: String) -> (parent: Folder, name: String) {
        let parts = parts(path)
        return (folder(parts.dropLast()), String(parts.last!))
    }

    // MARK: Power cuts

    /// What the folder may hold after a power cut now.
    func cuts() -> Set<Tree> { Set(Self.cuts(of: .folder(top))) }

    /// With the least first and with all that was written last.
    private static func cuts(of node: Node) -> [Tree] {
        switch node {
        case .file(let file): file.cuts
        case .folder(let folder):
            entries(of: folder).flatMap { entries in combinations(entries.mapValues(cuts)).map(Tree.folder) }
        }
    }

    /// The kernel writes pages in any order and the size before or after them; space that was given to a file and not
    /// written reads as zeros. So: nothing; the first pages with the size they reach (ext4 with ordered data); the
    /// first pages in a file of full size (the others still zeros), down to size alone; one page that is missing among
    /// the others; an end in the middle of a page; everything.
    private static func contents(synced: [UInt8], written new: [UInt8]) -> [[UInt8]] {
        if synced == new { return [new] }
        func zeroed(_ range: Range<Int>) -> [UInt8] {
            new[..<range.lowerBound] + [UInt8](repeating: 0, count: range.count) + new[range.upperBound...]
        }
        var found = [synced, Array(new.prefix(new.count / 2 / sectorBytes * sectorBytes))]
        for start in stride(from: 0, to: new.count, by: pageBytes) {
            found += [Array(new.prefix(start)), zeroed(start..<new.count), zeroed(start..<min(start + pageBytes, new.count))]
        }
        return found + [new]
    }

    private static func entries(of folder: Folder) -> [[String: Node]] {
        let changes = folder.unsynced, all = Array(changes.indices)
        var kept: [[Int]]
        if changes.count <= mostChanges {
            kept = (0..<1 << changes.count).map { mask in all.filter { mask >> $0 & 1 == 1 } }
        } else {
            kept = [[]] + all.map { [$0] }
            for count in 1...changes.count {
                kept += (0..<count).map { omitted in all.prefix(count).filter { $0 != omitted } } + [Array(all.prefix(count))]
            }
        }
        return kept.map { kept in kept.reduce(into: folder.synced) { changes[$1].apply(to: &$0) } }
    }

    private static func combinations(_ choices: [String: [Tree]]) -> [[String: Tree]] {
        if choices.values.reduce(1, { $0 * $1.count }) <= mostCombinations {
            return choices.reduce([[:]]) { found, choice in
                choice.value.flatMap { tree in found.map { $0.merging([choice.key: tree]) { $1 } } }
            }
        }
        let least = choices.mapValues { $0.first! }, most = choices.mapValues { $0.last! }
        return choices.flatMap { name, trees in
            trees.flatMap { tree in [least, most].map { $0.merging([name: tree]) { $1 } } }
        } + [most]
    }
}
