// The optimizer's side of a step, over a slice of the flat parameter vector: add up the leaves, update, fingerprint.
// Slices begin and end on multiples of 16 floats, so that lane k always holds the elements k modulo 16.

import RunSpec

/// Adds the slices of `leaves` gradients in the canonical tree, node = left + right, and scales the sum.
/// - Parameters:
///   - gradients: leaf i begins at `gradients + i · stride`; each holds the whole parameter vector.
///   - leaves: M, a power of two up to 65,536.
///   - range: the slice, in floats.
///   - scale: one over the tokens of the whole step.
///   - sum: the whole vector's home; only `range` of it is written.
/// - Returns: the sum of the squares of the scaled slice, in double precision, lane by lane, then over lanes.
package func reduceTree(
    _ gradients: UnsafePointer<Float>, stride: Int, leaves: Int, range: Range<Int>, scale: Float,
    into sum: UnsafeMutablePointer<Float>
) -> Double {
    precondition(leaves > 0 && leaves & (leaves - 1) == 0 && leaves <= 65_536, "\(leaves) leaves")
    precondition(range.lowerBound % 16 == 0 && range.upperBound % 16 == 0 && stride % 16 == 0, "slice \(range), stride \(stride)")
    // The lowest levels, up to eight leaves, stay in registers; above, one place per level for a left sibling that
    // waits for its right one: 14 of them, 896 bytes, stay on the stack, where Swift puts at most 1,024; it is
    // not aligned to a vector, so the places are read and written unaligned.
    let group = min(leaves, 8), groups = leaves / group
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: 224) { places in
        let pending = places.baseAddress!
        var low = SIMD8<Double>.zero, high = SIMD8<Double>.zero
        var k = range.lowerBound
        while k < range.upperBound {
            var node = Vector.zero
            for index in 0..<groups {
                node = subtree(gradients + (index &* group &* stride &+ k), stride: stride, leaves: group)
                // A binary counter: while the newest node is a right sibling, add it to the left one that waits.
                var level = 0
                while index >> level & 1 == 1 {
                    node = load(pending + level &* 16) + node
                    level &+= 1
                }
                store(node, pending + level &* 16)
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

/// The node over `leaves` (1, 2, 4 or 8) adjacent leaves at one place.
@inline(__always)
private func subtree(_ p: UnsafePointer<Float>, stride: Int, leaves: Int) -> Vector {
    switch leaves {
    case 1: return load(p)
    case 2: return load(p) + load(p + stride)
    case 4: return (load(p) + load(p + stride)) + (load(p + 2 &* stride) + load(p + 3 &* stride))
    default:
        let left = (load(p) + load(p + stride)) + (load(p + 2 &* stride) + load(p + 3 &* stride))
        let q = p + 4 &* stride
        return left + ((load(q) + load(q + stride)) + (load(q + 2 &* stride) + load(q + 3 &* stride)))
    }
}

/// The constants of one AdamW update (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019),
/// computed once per step in double precision.
package struct AdamWStep: Sendable {
    let beta1, beta2, epsilon, inverseRootCorrection2, learningRate, stepSize, keep: Float
    let clipScale: Float

    /// - Parameters:
    ///   - step: committed steps before this update, from 0.
    ///   - gradientNorm: of the mean gradient, before clipping.
    ///   - clip: largest norm let through, 0 for any. The factor is clip / (norm + 1e-6), as in PyTorch.
    package init(
        step: Int, learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double,
        gradientNorm: Double, clip: Double
    ) {
        self.beta1 = Float(beta1)
        self.beta2 = Float(beta2)
        self.epsilon = Float(epsilon)
        inverseRootCorrection2 = Float(1 / (1 - PortableMath.pow(beta2, step + 1)).squareRoot())
        self.learningRate = Float(learningRate)
        stepSize = Float(learningRate / (1 - PortableMath.pow(beta1, step + 1)))
        keep = Float(1 - learningRate * weightDecay)
        clipScale = clip > 0 && gradientNorm > clip ? Float(clip / (gradientNorm + 1e-6)) : 1
    }
}

/// Where (θ, m, v) of one generation begin; each is a whole parameter vector.
package struct StatePointers {
    package let parameters, firstMoment, secondMoment: UnsafeMutablePointer<Float>

    package init(parameters: UnsafeMutablePointer<Float>, firstMoment: UnsafeMutablePointer<Float>, secondMoment: UnsafeMutablePointer<Float>) {
        (self.parameters, self.firstMoment, self.secondMoment) = (parameters, firstMoment, secondMoment)
    }
}

/// Updates `range` of `old` into `new`. Nothing of `old` is touched.
/// - Parameters:
///   - gradient: the mean gradient over the whole vector, not yet clipped.
///   - decays: whether the range belongs to a matrix, which weight decay shrinks.
package func adamW(
    _ constants: AdamWStep, range: Range<Int>, decays: Bool, gradient: UnsafePointer<Float>, from old: StatePointers, into new: StatePointers
) {
    let b1 = constants.beta1, b2 = constants.beta2, c1 = 1 - b1, c2 = 1 - b2
    let epsilon = constants.epsilon, correction = constants.inverseRootCorrection2, size = constants.stepSize
    let keep = decays ? constants.keep : 1, scale = constants.clipScale
    let p = old.parameters, m = old.firstMoment, v = old.secondMoment
    let pNew = new.parameters, mNew = new.firstMoment, vNew = new.secondMoment
    for i in range {
        let g = gradient[i] * scale
        let first = b1 * m[i] + c1 * g
        let second = b2 * v[i] + c2 * (g * g)
        mNew[i] = first
        vNew[i] = second
        pNew[i] = keep * p[i] - size * first / (second.squareRoot() * correction + epsilon)
    }
}

/// A 64-bit fingerprint of (θ, m, v) over a chunk. Each of 48 lanes is a polynomial hash modulo 2^32 with an odd
/// multiplier, hence a bijection of every single word: any one changed element changes the fingerprint's lane.
package func fingerprint(_ state: StatePointers, range: Range<Int>) -> UInt64 {
    precondition(range.lowerBound % 16 == 0 && range.upperBound % 16 == 0, "slice \(range)")
    let multiplier = SIMD16<UInt32>(repeating: 0x9E37_79B1)
    var a = SIMD16<UInt32>(repeating: 1), b = SIMD16<UInt32>(repeating: 2), c = SIMD16<UInt32>(repeating: 3)
    var k = range.lowerBound
    while k < range.upperBound {
        a = a &* multiplier &+ bits16(state.parameters + k)
        b = b &* multiplier &+ bits16(state.firstMoment + k)
        c = c &* multiplier &+ bits16(state.secondMoment + k)
        k &+= 16
    }
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    fold(a, into: &hash)
    fold(b, into: &hash)
    fold(c, into: &hash)
    return hash
}

private func fold(_ lanes: SIMD16<UInt32>, into hash: inout UInt64) {
    for lane in 0..<16 {
        hash = (hash ^ UInt64(lanes[lane])) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
    }
}

@inline(__always)
private func bits16(_ p: UnsafeMutablePointer<Float>) -> SIMD16<UInt32> {
    UnsafeRawPointer(p).loadUnaligned(as: SIMD16<UInt32>.self)
}
