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
            var node = SIMD16<Float>.zero
            for index in 0..<groups {
                node = subtree(gradients + (index &* group &* stride &+ k), stride: stride, leaves: group)
                // A binary counter: while the newest node is a right sibling, add it to the left one that waits.
                var level = 0
                while index >> level & 1 == 1 {
                    node = load16(pending + level &* 16) + node
                    level &+= 1
                }
                store16(node, pending + level &* 16)
            }
            node *= scale
            store16(node, sum + k)
            let l = SIMD8<Double>(node.lowHalf), h = SIMD8<Double>(node.highHalf)
            low += l * l
            high += h * h
            k &+= 16
        }
        let lanes = low + high
        var total = 0.0
        for lane in 0..<8 { total += lanes[lane] }
        return total
    }
}

/// The node over `leaves` (1, 2, 4 or 8) adjacent leaves at one place.
@inline(__always)
private func subtree(_ p: UnsafePointer<Float>, stride: Int, leaves: Int) -> SIMD16<Float> {
    switch leaves {
    case 1: return load16(p)
    case 2: return load16(p) + load16(p + stride)
    case 4: return (load16(p) + load16(p + stride)) + (load16(p + 2 &* stride) + load16(p + 3 &* stride))
    default:
        let left = (load16(p) + load16(p + stride)) + (load16(p + 2 &* stride) + load16(p + 3 &* stride))
        let q = p + 4 &* stride
        return left + ((load16(q) + load16(q + stride)) + (load16(q + 2 &* stride) + load16(q + 3 &* stride)))
    }
}

/// ⟨gradient, direction⟩ and |gradient|² over `count` floats, a multiple of 16: what one leaf's gradient says of a
/// direction in weight space. Lanes in single precision, their sum in double.
package func products(_ gradient: UnsafePointer<Float>, _ direction: UnsafePointer<Float>, count: Int) -> (along: Double, square: Double) {
    precondition(count % 16 == 0, "\(count) floats")
    // Two of each, so that an addition need not wait for the one before.
    var alongEven = SIMD16<Float>.zero, alongOdd = SIMD16<Float>.zero, squareEven = SIMD16<Float>.zero, squareOdd = SIMD16<Float>.zero
    var k = 0
    while k &+ 32 <= count {
        let even = load16(gradient + k), odd = load16(gradient + (k &+ 16))
        alongEven.addProduct(even, load16(direction + k))
        alongOdd.addProduct(odd, load16(direction + (k &+ 16)))
        squareEven.addProduct(even, even)
        squareOdd.addProduct(odd, odd)
        k &+= 32
    }
    if k < count {
        let last = load16(gradient + k)
        alongEven.addProduct(last, load16(direction + k))
        squareEven.addProduct(last, last)
    }
    return (total(alongEven) + total(alongOdd), total(squareEven) + total(squareOdd))
}

private func total(_ lanes: SIMD16<Float>) -> Double {
    let sums = SIMD8<Double>(lanes.lowHalf) + SIMD8<Double>(lanes.highHalf)
    var sum = 0.0
    for lane in 0..<8 { sum += sums[lane] }
    return sum
}

/// `out` (count) = `a` − `b`: how far the weights have moved.
package func difference(_ out: UnsafeMutablePointer<Float>, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) {
    var k = 0
    while k < count {
        store16(load16(a + k) - load16(b + k), out + k)
        k &+= 16
    }
}

/// `out` (count) = D ⊙ `gradient`: what AdamW at this step would take off the weights for that gradient alone, over its
/// whole decay in the first moment, before clipping.
package func preconditioned(
    _ out: UnsafeMutablePointer<Float>, _ gradient: UnsafePointer<Float>, secondMoment: UnsafePointer<Float>, _ constants: AdamWStep,
    count: Int
) {
    for k in 0..<count {
        out[k] = constants.learningRate * gradient[k] / (secondMoment[k].squareRoot() * constants.inverseRootCorrection2 + constants.epsilon)
    }
}

/// What is needed to ask a leaf about the update it took part in, without its having answered itself: `direction` (count)
/// becomes Δ − W ⊙ ḡ and `weight` (count) W = c/(M − 1), with Δ = θ′ − θ the update, ḡ the mean gradient and c = −∂Δ/∂ḡ,
/// through both moments; the clip factor is held. Had leaf i been like the mean of the others, the update would have been
/// Δ + W ⊙ (gᵢ − ḡ), to first order. At the very first step c is 0: Adam then steps by the sign alone.
package func leaveOneOut(
    direction: UnsafeMutablePointer<Float>, weight: UnsafeMutablePointer<Float>, _ constants: AdamWStep, leaves: Int,
    gradient: UnsafePointer<Float>, from old: StatePointers, into new: StatePointers, range: Range<Int>
) {
    let clip = constants.clipScale, c = constants.stepSize * (1 - constants.beta1) * clip / Float(leaves - 1)
    let correction = constants.inverseRootCorrection2, epsilon = constants.epsilon
    // What the second moment's growth takes back, per m′ ḡ / (√v′ · denominator).
    let back = correction * (1 - constants.beta2) * clip / (1 - constants.beta1)
    let before = old.parameters + range.lowerBound, after = new.parameters + range.lowerBound
    let m = new.firstMoment + range.lowerBound, v = new.secondMoment + range.lowerBound, mean = gradient + range.lowerBound
    for k in 0..<range.count {
        let g = mean[k], root = v[k].squareRoot(), denominator = root * correction + epsilon
        let w = c / denominator * (1 - back * m[k] * g / (root * denominator + Float.leastNormalMagnitude))
        weight[k] = w
        direction[k] = after[k] - before[k] - w * g
    }
}

/// ⟨g, direction + weight ⊙ g⟩ with g = scale · `gradient`, over `count` floats, a multiple of 16.
package func leaveOneOutProduct(
    _ gradient: UnsafePointer<Float>, scale: Float, direction: UnsafePointer<Float>, weight: UnsafePointer<Float>, count: Int
) -> Double {
    precondition(count % 16 == 0, "\(count) floats")
    var sum = SIMD16<Float>.zero
    var k = 0
    while k < count {
        let g = load16(gradient + k) * scale
        sum.addProduct(g, load16(direction + k).addingProduct(load16(weight + k), g))
        k &+= 16
    }
    return total(sum)
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
private func load16(_ p: UnsafePointer<Float>) -> SIMD16<Float> {
    UnsafeRawPointer(p).loadUnaligned(as: SIMD16<Float>.self)
}

@inline(__always)
private func store16(_ value: SIMD16<Float>, _ p: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(p).storeBytes(of: value, as: SIMD16<Float>.self)
}

@inline(__always)
private func bits16(_ p: UnsafeMutablePointer<Float>) -> SIMD16<UInt32> {
    UnsafeRawPointer(p).loadUnaligned(as: SIMD16<UInt32>.self)
}
