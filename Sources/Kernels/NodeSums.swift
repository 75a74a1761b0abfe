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
    return sources.withUnsafeBufferPointer { sources in
        // A place for each level's left sibling that waits for its right one: 1,024 bytes, what Swift puts on the stack.
        // The root of 65,536 leaves, which waits for nobody, has none.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 256) { places in
            let pending = places.baseAddress!
            var low = SIMD8<Double>.zero, high = SIMD8<Double>.zero
            var k = 0
            while k < count {
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
                node *= scale
                store(node, sum + k)
                let l = SIMD8<Double>(node.lowHalf), h = SIMD8<Double>(node.highHalf)
                low += l * l
                high += h * h
                k &+= 16
            }
            return (low + high).total
        }
    }
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
