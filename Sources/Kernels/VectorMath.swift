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

/// The lanes 0 ..< count; all of them from 16 on, none up to 0.
@inline(__always) func lanes(first count: Int) -> Lanes {
    SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        .< SIMD16(repeating: Int32(truncatingIfNeeded: count))
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

/// e^x per lane, relative error below 2e-7; below −87.3 the result of −87.3 (1.2e-38), above 88 that of 88. Not a
/// number stays not a number.
///
/// x = n ln 2 + r with |r| ≤ ln 2 / 2; e^r by the polynomial of Cephes' expf (S. Moshier), 2^n by its exponent bits.
/// The C library's expf has other last bits on other processors, hence this one.
@inline(__always) func exponential(_ x: Vector) -> Vector {
    let low = Vector(repeating: -87.3), high = Vector(repeating: 88)
    let clamped = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
    // Adding 1.5·2^23 rounds to an integer, which then stands in the low bits of the sum.
    let magic = Vector(repeating: 12_582_912)
    let shifted = magic.addingProduct(clamped, Vector(repeating: 1.44269504))
    let n = shifted - magic
    let r = clamped.addingProduct(n, Vector(repeating: -0.693359375)).addingProduct(n, Vector(repeating: 2.12194440e-4))
    var p = Vector(repeating: 1.9875691500e-4)
    p = Vector(repeating: 1.3981999507e-3).addingProduct(p, r)
    p = Vector(repeating: 8.3334519073e-3).addingProduct(p, r)
    p = Vector(repeating: 4.1665795894e-2).addingProduct(p, r)
    p = Vector(repeating: 1.6666665459e-1).addingProduct(p, r)
    p = Vector(repeating: 5.0000001201e-1).addingProduct(p, r)
    p = (r + 1).addingProduct(p, r * r)
    let exponent = unsafeBitCast(shifted, to: SIMD16<UInt32>.self) &<< 23
    return unsafeBitCast(unsafeBitCast(p, to: SIMD16<UInt32>.self) &+ exponent, to: Vector.self)
}

/// 1 / (1 + e^−x) per lane.
@inline(__always) func logistic(_ x: Vector) -> Vector { 1 / (1 + exponential(-x)) }
