import RunSpec

/// Sizes around the vector width of 16, a width that is no multiple of anything, and a real one.
let awkwardSizes = [1, 15, 16, 17, 50, 768]

/// Floats in memory with 16 more on either side, to catch a kernel that writes where it should not. Starts one float
/// off a cache line: kernels may not depend on alignment.
final class Floats {
    let count: Int
    let base: UnsafeMutablePointer<Float>
    private let block: UnsafeMutablePointer<Float>
    private static let sentinel: Float = -12_345.678

    init(_ values: [Float]) {
        count = values.count
        block = .allocate(capacity: count + 33)
        block.initialize(repeating: Self.sentinel, count: count + 33)
        base = block + 17
        for (i, value) in values.enumerated() { base[i] = value }
    }

    convenience init(repeating value: Float, count: Int) { self.init(Array(repeating: value, count: count)) }

    deinit { block.deallocate() }

    var values: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }

    /// Whether everything around the values is as it was.
    var isIntact: Bool {
        (0..<17).allSatisfy { block[$0] == Self.sentinel }
            && (0..<16).allSatisfy { base[count + $0] == Self.sentinel }
    }
}

/// `count` floats spread evenly over −`scale` ..< `scale`, a function of `seed`.
func sample(_ count: Int, seed: UInt64, scale: Double = 1) -> [Float] {
    let generator = Philox(key: seed)
    return (0..<count).map { Float((generator.uniform(.tales, 0, 0, index: UInt32($0)) * 2 - 1) * scale) }
}

/// ‖found − expected‖ / ‖expected‖; absolute where the expected values are all zero.
func relativeError(_ found: some Collection<Float>, _ expected: some Collection<Double>) -> Double {
    precondition(found.count == expected.count, "\(found.count) and \(expected.count) values")
    var difference = 0.0, size = 0.0
    for (a, b) in zip(found, expected) {
        difference += (Double(a) - b) * (Double(a) - b)
        size += b * b
    }
    return size == 0 ? difference.squareRoot() : (difference / size).squareRoot()
}

func doubles(_ values: [Float]) -> [Double] { values.map(Double.init) }

/// The gradient of `loss` at `x` by central differences, for twins in double precision: error about 1e-9.
func numericGradient(_ x: [Double], _ loss: ([Double]) -> Double) -> [Double] {
    x.indices.map { i in
        let step = 1e-5 * max(1, abs(x[i]))
        var up = x, down = x
        up[i] += step
        down[i] -= step
        return (loss(up) - loss(down)) / (2 * step)
    }
}

func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
