/// A gradient node that is there, at the place where its floats of a slice begin.
package struct NodeSource {
    package let level: Int, index: Int
    package let floats: UnsafePointer<Float>

    package init(level: Int, index: Int, floats: UnsafePointer<Float>) { (self.level, self.index, self.floats) = (level, index, floats) }
}

/// Completes the gradient tree over a slice from the nodes in `sources`, which cover all leaves once, in the order of leaves:
/// the same additions as `reduceTree` makes, so the same bits. Writes the root times `scale` to `sum` (`count` floats).
/// - Returns: the sum of squares of what it wrote, in the lanes and order of `reduceTree`.
package func reduceNodes(_ sources: [NodeSource], count: Int, scale: Float, into sum: UnsafeMutablePointer<Float>) -> Double {
    precondition(count % 16 == 0 && !sources.isEmpty && sources.allSatisfy { $0.level < 17 }, "\(sources.count) nodes, \(count) floats")
    // Few nodes over all leaves leave few shapes of the tree above them.
    let levels = sources.map(\.level), nodes = sources.map { Node(floats: $0.floats) }
    switch sources.count {
    case 1: return write(nodes[0], count, scale, into: sum)
    case 2: return write(Sum(nodes[0], nodes[1]), count, scale, into: sum)
    case 3 where levels[0] > levels[2]: return write(Sum(nodes[0], Sum(nodes[1], nodes[2])), count, scale, into: sum)
    case 3: return write(Sum(Sum(nodes[0], nodes[1]), nodes[2]), count, scale, into: sum)
    case 4 where levels.allSatisfy { $0 == levels[0] }:
        return write(Sum(Sum(nodes[0], nodes[1]), Sum(nodes[2], nodes[3])), count, scale, into: sum)
    default:
        return sources.withUnsafeBufferPointer { sources in
            // A place for each level's left sibling that waits for its right one: 1,024 bytes, what Swift puts on the stack.
            // The root of 65,536 leaves, which waits for nobody, has none.
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 256) { places in
                write(AnyTree(sources: sources, pending: places.baseAddress!), count, scale, into: sum)
            }
        }
    }
}

/// What a tree over some nodes adds up to: `value` at a place, in floats.
private protocol Tree {
    func value(_ k: Int) -> Vector
}

private struct Node: Tree {
    let floats: UnsafePointer<Float>
    @inline(__always) func value(_ k: Int) -> Vector { load(floats + k) }
}

private struct Sum<Left: Tree, Right: Tree>: Tree {
    let left: Left, right: Right
    init(_ left: Left, _ right: Right) { (self.left, self.right) = (left, right) }
    @inline(__always) func value(_ k: Int) -> Vector { left.value(k) + right.value(k) }
}

private struct AnyTree: Tree {
    let sources: UnsafeBufferPointer<NodeSource>, pending: UnsafeMutablePointer<Float>

    @inline(__always) func value(_ k: Int) -> Vector {
        var node = Vector.zero
        for source in sources {
            node = load(source.floats + k)
            var level = source.level, index = source.index
            while index & 1 == 1 {
                node = load(pending + level &* 16) + node
                level &+= 1
                index >>= 1
            }
            if level < 16 { store(node, pending + level &* 16) }
        }
        return node
    }
}

/// Writes `count` floats, what the tree adds up to times `scale`, and gives the sum of their squares.
@inline(__always)
private func write(_ tree: some Tree, _ count: Int, _ scale: Float, into sum: UnsafeMutablePointer<Float>) -> Double {
    var low = SIMD8<Double>.zero, high = SIMD8<Double>.zero
    var k = 0
    while k < count {
        let value = tree.value(k) * scale
        store(value, sum + k)
        let l = SIMD8<Double>(value.lowHalf), h = SIMD8<Double>(value.highHalf)
        low += l * l
        high += h * h
        k &+= 16
    }
    return (low + high).total
}

/// `left` becomes the node above `left` and `right`, siblings in this order: `count` floats, one rounding each.
package func addNode(_ left: UnsafeMutablePointer<Float>, _ right: UnsafePointer<Float>, count: Int) {
    precondition(count % 16 == 0, "\(count) floats")
    var k = 0
    while k < count {
        store(load(left + k) + load(right + k), left + k)
        k &+= 16
    }
}

/// Leaf `index`, in the order of leaves, joins those before it: `levels[l]` holds the node of level l that waits for its
/// right sibling, as a binary counter has it; after the last of 2^l leaves `levels[l]` is their root.
/// - Parameter levels: for each level where its floats of the slice begin; `count` floats.
package func pushLeaf(_ gradient: UnsafePointer<Float>, index: Int, levels: [UnsafeMutablePointer<Float>], count: Int) {
    let height = (~index).trailingZeroBitCount
    precondition(count % 16 == 0 && height < levels.count, "\(count) floats, leaf \(index) with \(levels.count) levels")
    levels.withUnsafeBufferPointer { levels in
        var k = 0
        while k < count {
            var node = load(gradient + k)
            for level in 0..<height { node = load(levels[level] + k) + node }
            store(node, levels[height] + k)
            k &+= 16
        }
    }
}
