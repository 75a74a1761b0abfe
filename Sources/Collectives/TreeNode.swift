/// The sum of the gradients of an aligned range of leaves, [index · 2^level, (index + 1) · 2^level): a node of the tree that
/// fixes the order of additions.
package struct TreeNode: Hashable, Sendable {
    package var level: Int, index: Int

    package init(level: Int, index: Int) { (self.level, self.index) = (level, index) }

    package var leaves: Range<Int> { index << level..<(index + 1) << level }
    package var parent: TreeNode { TreeNode(level: level + 1, index: index >> 1) }
    /// The other one of the two whose sum the parent is.
    package var sibling: TreeNode { TreeNode(level: level, index: index ^ 1) }

    /// The fewest nodes that cover exactly the leaves for which `holds` is true, in the order of leaves.
    /// - Parameter leaves: M, a power of two.
    package static func covering(leaves: Int, _ holds: (Int) -> Bool) -> [TreeNode] {
        precondition(leaves > 0 && leaves & (leaves - 1) == 0, "\(leaves) leaves")
        var nodes: [TreeNode] = []
        for leaf in 0..<leaves where holds(leaf) {
            var node = TreeNode(level: 0, index: leaf)
            while node.index & 1 == 1, nodes.last == node.sibling, 1 << node.level < leaves {
                nodes.removeLast()
                node = node.parent
            }
            nodes.append(node)
        }
        return nodes
    }
}
