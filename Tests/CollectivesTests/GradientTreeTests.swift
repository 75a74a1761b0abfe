import Kernels
import RunSpec
import Testing

/// The sum over leaves that every worker must round alike.
@Suite struct GradientTreeTests {
    private struct Leaves {
        let stride = 96, count: Int
        var floats: [Float]

        init(_ count: Int, seed: UInt64) {
            self.count = count
            let random = Philox(key: seed)
            floats = (0..<UInt32(count * 96)).map { index in
                // Magnitudes from 1e-6 to 1, either sign: sums in another order differ.
                let size = random.uniform(.sampling, 0, 0, index: index), sign = random.uniform(.sampling, 1, 0, index: index)
                return Float(PortableMath.exp(-14 * size) * (sign < 0.5 ? -1 : 1))
            }
        }

        /// The node over leaves `first ..< first + width` at element `k`.
        func node(_ first: Int, _ width: Int, _ k: Int) -> Float {
            width == 1 ? floats[first * stride + k] : node(first, width / 2, k) + node(first + width / 2, width / 2, k)
        }

        /// One leaf after the other.
        func naive(_ k: Int) -> Float { (1..<max(count, 1)).reduce(floats[k]) { $0 + floats[$1 * stride + k] } }
    }

    static let scale = Float(1.0 / 1536)

    @Test(arguments: [1, 2, 4, 8, 16, 32, 64], [0..<96, 16..<64, 32..<32])
    func `the sum has the bits of the recursive tree`(count: Int, range: Range<Int>) {
        let leaves = Leaves(count, seed: UInt64(count))
        var sum = [Float](repeating: .pi, count: 96)
        let squares = reduceTree(leaves.floats, stride: 96, leaves: count, range: range, scale: Self.scale, into: &sum)
        var lanes = [Double](repeating: 0, count: 16)
        for k in 0..<96 {
            guard range.contains(k) else {
                #expect(sum[k] == .pi, "element \(k) is outside the slice")
                continue
            }
            let expected = leaves.node(0, count, k) * Self.scale
            #expect(sum[k].bitPattern == expected.bitPattern, "element \(k)")
            lanes[k % 16] += Double(expected) * Double(expected)
        }
        let total = (0..<8).reduce(0.0) { $0 + (lanes[$1] + lanes[$1 + 8]) }
        #expect(squares.bitPattern == total.bitPattern)
    }

    @Test(arguments: [4, 8, 16, 32, 64])
    func `a plain running sum would have other bits`(count: Int) {
        let leaves = Leaves(count, seed: UInt64(count))
        #expect((0..<96).contains { leaves.naive($0) != leaves.node(0, count, $0) })
    }

    @Test(arguments: [1, 2, 16, 64])
    func `a slice by itself has the bits it has within the whole`(count: Int) {
        let leaves = Leaves(count, seed: 7)
        var whole = [Float](repeating: 0, count: 96), parts = whole
        _ = reduceTree(leaves.floats, stride: 96, leaves: count, range: 0..<96, scale: Self.scale, into: &whole)
        for start in Swift.stride(from: 80, through: 0, by: -16) {
            _ = reduceTree(leaves.floats, stride: 96, leaves: count, range: start..<start + 16, scale: Self.scale, into: &parts)
        }
        #expect(whole.map(\.bitPattern) == parts.map(\.bitPattern))
    }

    /// Every way of covering eight leaves: bit i of `cuts` says whether the nodes end after leaf i.
    @Test(arguments: [1, 2, 4, 8])
    func `nodes that are already added up give the bits of the whole tree`(count: Int) {
        let leaves = Leaves(count, seed: 11)
        var expected = [Float](repeating: 0, count: 96)
        let squares = reduceTree(leaves.floats, stride: 96, leaves: count, range: 0..<96, scale: Self.scale, into: &expected)
        for cuts in 0..<1 << (count - 1) {
            var nodes: [(first: Int, width: Int)] = [], first = 0
            for leaf in 0..<count where leaf == count - 1 || cuts >> leaf & 1 == 1 {
                while first <= leaf {
                    var width = first == 0 ? count : first & -first
                    while width > leaf + 1 - first { width /= 2 }
                    nodes.append((first, width))
                    first += width
                }
            }
            let sums = nodes.map { node in (0..<96).map { leaves.node(node.first, node.width, $0) } }
            let floats = UnsafeMutablePointer<Float>.allocate(capacity: 96 * sums.count)
            defer { floats.deallocate() }
            for (index, sum) in sums.enumerated() { (floats + 96 * index).initialize(from: sum, count: 96) }
            let sources = nodes.indices.map { NodeSource(level: nodes[$0].width.trailingZeroBitCount, index: nodes[$0].first / nodes[$0].width, floats: floats + 96 * $0) }
            var found = [Float](repeating: 0, count: 96)
            #expect(reduceNodes(sources, count: 96, scale: Self.scale, into: &found).bitPattern == squares.bitPattern)
            #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "\(nodes)")
        }
    }

    @Test func `the largest number of leaves is added in the same tree`() {
        let count = 65_536, floats = [Float](repeating: 0.1, count: 16 * count)
        var sum = [Float](repeating: 0, count: 16)
        _ = reduceTree(floats, stride: 16, leaves: count, range: 0..<16, scale: 1, into: &sum)
        // Doubling is exact; a running sum of 65,536 tenths is off by some hundreds.
        #expect(sum.allSatisfy { $0 == 0.1 * 65_536 })
    }
}
