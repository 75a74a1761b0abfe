import CSystem
import Glibc
import Kernels

/// Zeroed memory of this process alone, whose pages exist once they are written to and until they are given back. So a
/// vector can have its whole length and take only what of it is in use.
package final class PrivateMemory {
    package let base: UnsafeMutablePointer<Float>
    package let count: Int
    private static let page = 4096

    /// - Parameter givenBackOften: whether pages are often given back and had again, which the system does 2 MB at a time where it can:
    ///   measured 0.1 ns a byte, and 0.5 otherwise. Then what is in use is rounded up to that.
    package init(floats count: Int, givenBackOften: Bool = false) {
        let bytes = max(count * 4, 1)
        let made = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let made, made != MAP_FAILED else { preconditionFailure("\(bytes) bytes of address space cannot be had: errno \(errno)") }
        if givenBackOften { madvise(made, bytes, MADV_HUGEPAGE) }
        (base, self.count) = (made.assumingMemoryBound(to: Float.self), count)
    }

    deinit { munmap(base, max(count * 4, 1)) }

    /// Gives the pages back that lie wholly in `range` of floats; they read as zeros again.
    package func release(_ range: Range<Int>) {
        let first = (range.lowerBound * 4 + Self.page - 1) / Self.page * Self.page
        let end = range.upperBound == count ? (count * 4 + Self.page - 1) / Self.page * Self.page : range.upperBound * 4 / Self.page * Self.page
        if first < end { madvise(UnsafeMutableRawPointer(base) + first, end - first, MADV_DONTNEED) }
    }
}

/// A worker's own copy of the training state: two generations of (θ, m, v), of which it fills what it holds.
package final class PrivateState {
    package let floats: Int
    private let parts: [PrivateMemory]
    package static let generationCount = 2

    /// - Parameter floats: of the whole parameter vector.
    package init(floats: Int) {
        self.floats = floats
        parts = (0..<3 * Self.generationCount).map { _ in PrivateMemory(floats: floats) }
    }

    package func memory(generation: Int, part: Int) -> PrivateMemory { parts[generation * 3 + part] }

    package func pointers(_ generation: Int) -> StatePointers {
        StatePointers(parameters: memory(generation: generation, part: 0).base, firstMoment: memory(generation: generation, part: 1).base,
            secondMoment: memory(generation: generation, part: 2).base)
    }
}

/// The gradients a worker has computed for the step under way, added up as far as the tree allows.
package final class NodeStore {
    package private(set) var nodes: [TreeNode: PrivateMemory] = [:]
    private let floats: Int, range: Range<Int>
    private var free: [PrivateMemory] = []
    /// Vectors in use, and the most of this step.
    private var used = 0, most = 0

    /// - Parameter range: of the floats that are added up; nil for all.
    package init(floats: Int, range: Range<Int>? = nil) { (self.floats, self.range) = (floats, range ?? 0..<floats) }

    /// A vector, for instance for a leaf's gradient. Garbage before.
    package func take() -> PrivateMemory {
        used += 1
        most = max(most, used)
        return free.popLast() ?? PrivateMemory(floats: floats)
    }

    /// What `take` gave is needed no more. It is the last to be taken again: of the mean gradient only a part may have pages.
    package func giveBack(_ vector: PrivateMemory) {
        used -= 1
        free.insert(vector, at: 0)
    }

    /// What becomes of a leaf's gradient: while its sibling is here too, the two become their parent.
    package struct Merge {
        /// Each pair's sum comes to lie where the left one does.
        fileprivate var pairs: [(left: PrivateMemory, right: PrivateMemory)] = []
        fileprivate var siblings: [TreeNode] = []
        fileprivate var node: TreeNode, sum: PrivateMemory

        /// In stretches, each once.
        package func add(_ floats: Range<Int>) {
            for (left, right) in pairs { addNode(left.base + floats.lowerBound, right.base + floats.lowerBound, count: floats.count) }
        }
    }

    package func merge(leaf: Int, _ gradient: PrivateMemory) -> Merge {
        var merge = Merge(node: TreeNode(level: 0, index: leaf), sum: gradient)
        while let other = nodes[merge.node.sibling] {
            let (left, right) = merge.node.index & 1 == 1 ? (other, merge.sum) : (merge.sum, other)
            merge.pairs.append((left, right))
            merge.siblings.append(merge.node.sibling)
            (merge.node, merge.sum) = (merge.node.parent, left)
        }
        return merge
    }

    /// The nodes as they will be.
    package func nodes(after merge: Merge) -> [TreeNode: PrivateMemory] {
        var after = nodes
        for sibling in merge.siblings { after[sibling] = nil }
        after[merge.node] = merge.sum
        return after
    }

    /// All stretches are added.
    package func push(_ merge: Merge) {
        nodes = nodes(after: merge)
        free += merge.pairs.map(\.right)
        used -= merge.pairs.count
    }

    /// A leaf's gradient, written into what `take` gave.
    package func push(leaf: Int, _ gradient: PrivateMemory) {
        let merge = merge(leaf: leaf, gradient)
        merge.add(range)
        push(merge)
    }

    /// Forgets the step. Memory that it did not need goes back to the system.
    package func removeAll() {
        used -= nodes.count
        free += nodes.values
        nodes.removeAll()
        free.removeFirst(max(0, free.count + used - most))
        most = used
    }
}
