// The vector on which every kernel of this module works, and the few functions the standard library has no fast or no
// portable form of. Sixteen lanes whatever the processor: the order of every sum is then the same everywhere.

typealias Vector = SIMD16<Float>
typealias Lanes = SIMDMask<SIMD16<Int32>>

/// p[0 ..< 16], at any alignment.
@inline(__always) func load(_ p: UnsafePointer<Float>) -> Vector {
    UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
}
@inline(__always) func load(_ p: UnsafeMutablePointer<Float>) -> Vector { load(UnsafePointer(p)) }

@inline(__always) func store(_ v: Vector, _ p: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(p).storeBytes(of: v, as: Vector.self)
}

/// p[0 ..< count] and zeros, for the last `count` < 16 floats of a row: memory behind them is not touched.
@inline(__always) func load(_ p: UnsafePointer<Float>, first count: Int) -> Vector {
    var v = Vector.zero
    for lane in 0..<count { v[lane] = p[lane] }
    return v
}
@inline(__always) func load(_ p: UnsafeMutablePointer<Float>, first count: Int) -> Vector {
    load(UnsafePointer(p), first: count)
}

@inline(__always) func store(_ v: Vector, _ p: UnsafeMutablePointer<Float>, first count: Int) {
    for lane in 0..<count { p[lane] = v[lane] }
}

/// The lanes 0 ..< count; all of them from 16 on, none up to 0. Compared as floats: for integers the library has a loop
/// over the lanes.
@inline(__always) func lanes(first count: Int) -> Lanes {
    Vector(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) .< Vector(repeating: Float(count))
}

extension SIMD16<Float> {
    /// The sum of the lanes, halves first: a fixed tree.
    @inline(__always) var total: Float {
        let eight = lowHalf + highHalf, four = eight.lowHalf + eight.highHalf, two = four.lowHalf + four.highHalf
        return two.x + two.y
    }
    /// The largest lane.
    @inline(__always) var largest: Float {
        let eight = lowHalf.replacing(with: highHalf, where: highHalf .> lowHalf)
        let four = eight.lowHalf.replacing(with: eight.highHalf, where: eight.highHalf .> eight.lowHalf)
        let two = four.lowHalf.replacing(with: four.highHalf, where: four.highHalf .> four.lowHalf)
        return two.x > two.y ? two.x : two.y
    }
    /// Lane by lane, the larger one; `self` where `other` is not a number.
    @inline(__always) func larger(_ other: Self) -> Self { replacing(with: other, where: other .> self) }
}

extension SIMD8<Double> {
    /// The sum of the lanes in order.
    @inline(__always) var total: Double {
        var sum = 0.0
        for lane in 0..<8 { sum += self[lane] }
        return sum
    }
}

/// log₂ e: kernels fold it into a factor they multiply with anyway.
let log2e: Float = 1.44269504

/// 2^t per lane for t ≤ 127, relative error below 2e-7; 0 below −126.5. Not a number stays not a number.
///
/// t = n + f with |f| ≤ 1/2; 2^f by a polynomial of least relative error (9e-8 before rounding) through 1, 2^n by its
/// exponent bits. The C library's exp2f has other last bits on other processors, hence this one.
@inline(__always) func powerOfTwo(_ t: Vector) -> Vector {
    let low = Vector(repeating: -127), t = t.replacing(with: low, where: t .< low)
    // Adding 1.5·2^23 rounds to an integer, which then stands in the low bits of the sum; 127 is the exponent's bias.
    let magic = Vector(repeating: 12_582_912 + 127), shifted = t + magic
    let f = t - (shifted - magic)
    var p = Vector(repeating: 1.3264727e-3)
    p = Vector(repeating: 9.6715130e-3).addingProduct(p, f)
    p = Vector(repeating: 5.5507336e-2).addingProduct(p, f)
    p = Vector(repeating: 2.4022242e-1).addingProduct(p, f)
    p = Vector(repeating: 6.9314700e-1).addingProduct(p, f)
    p = Vector(repeating: 1).addingProduct(p, f)
    return p * unsafeBitCast(unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &<< 23, to: Vector.self)
}

/// 1 / (1 + 2^t) per lane: the logistic function of −t · ln 2.
@inline(__always) func logistic(powerOfTwo t: Vector) -> Vector {
    let high = Vector(repeating: 126)
    return 1 / (1 + powerOfTwo(t.replacing(with: high, where: t .> high)))
}
