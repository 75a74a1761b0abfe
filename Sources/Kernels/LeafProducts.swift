// What single leaves say of an update: products of their gradients with directions in weight space, over a slice of the
// flat parameter vector. They change nothing of the update.

/// ⟨gradient, direction⟩ and |gradient|² over `count` floats, a multiple of 16: what one leaf's gradient says of a
/// direction in weight space. Lanes in single precision, their sum in double.
package func products(_ gradient: UnsafePointer<Float>, _ direction: UnsafePointer<Float>, count: Int) -> (along: Double, square: Double) {
    precondition(count % 16 == 0, "\(count) floats")
    // Two of each, so that an addition need not wait for the one before.
    var alongEven = Vector.zero, alongOdd = Vector.zero, squareEven = Vector.zero, squareOdd = Vector.zero
    var k = 0
    while k &+ 32 <= count {
        let even = load(gradient + k), odd = load(gradient + (k &+ 16))
        alongEven.addProduct(even, load(direction + k))
        alongOdd.addProduct(odd, load(direction + (k &+ 16)))
        squareEven.addProduct(even, even)
        squareOdd.addProduct(odd, odd)
        k &+= 32
    }
    if k < count {
        let last = load(gradient + k)
        alongEven.addProduct(last, load(direction + k))
        squareEven.addProduct(last, last)
    }
    return (total(alongEven) + total(alongOdd), total(squareEven) + total(squareOdd))
}

private func total(_ lanes: Vector) -> Double { (SIMD8<Double>(lanes.lowHalf) + SIMD8<Double>(lanes.highHalf)).total }

/// `out` (count) = `a` − `b`: how far the weights have moved.
package func difference(_ out: UnsafeMutablePointer<Float>, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) {
    var k = 0
    while k < count {
        store(load(a + k) - load(b + k), out + k)
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
    var sum = Vector.zero
    var k = 0
    while k < count {
        let g = load(gradient + k) * scale
        sum.addProduct(g, load(direction + k).addingProduct(load(weight + k), g))
        k &+= 16
    }
    return total(sum)
}
