// Elementary functions built from additions, multiplications and bit operations only. The C library picks other
// code, with other last bits, on other processors; a run's numbers must not depend on that.

package enum PortableMath {
    private static let ln2High = 6.93147180369123816490e-01, ln2Low = 1.90821492927058770002e-10

    /// e^x in double precision, relative error below 1e-15 for |x| < 700; 0 and infinity beyond.
    package static func exp(_ x: Double) -> Double {
        if x < -708 { return 0 }
        if x > 709 { return .infinity }
        let n = (x * 1.4426950408889634).rounded(.toNearestOrEven)
        let r = (x - n * ln2High) - n * ln2Low
        var sum = 1.0
        for k in stride(from: 14.0, through: 1, by: -1) { sum = 1 + r / k * sum }
        return sum * Double(sign: .plus, exponent: Int(n), significand: 1)
    }

    /// The natural logarithm of a positive finite `x`, relative error below 1e-15 away from 1.
    package static func log(_ x: Double) -> Double {
        precondition(x > 0 && x.isFinite, "log of \(x)")
        var exponent = Double(x.exponent), m = x.significand
        if m > 1.4142135623730951 { m /= 2; exponent += 1 }
        // ln m = 2 artanh((m-1)/(m+1)); |s| < 0.1716, so the series converges by 30-fold per term.
        let s = (m - 1) / (m + 1), s2 = s * s
        var sum = 0.0
        for k in stride(from: 23.0, through: 3, by: -2) { sum = (sum + 1 / k) * s2 }
        return exponent * ln2High + (2 * s * (1 + sum) + exponent * ln2Low)
    }

    /// ln Γ(x) for x > 0: Stirling's series above 10, the recurrence below.
    package static func logGamma(_ x: Double) -> Double {
        var x = x, shift = 0.0
        while x < 10 {
            shift -= log(x)
            x += 1
        }
        let y = 1 / (x * x)
        let series = (1.0 / 12 - y * (1.0 / 360 - y * (1.0 / 1260 - y * (1.0 / 1680 - y / 1188)))) / x
        return shift + (x - 0.5) * log(x) - x + 0.918938533204672742 + series
    }

    /// x^y for positive x.
    package static func pow(_ x: Double, _ y: Double) -> Double { exp(y * log(x)) }

    /// x^n by repeated squaring.
    package static func pow(_ x: Double, _ n: Int) -> Double {
        precondition(n >= 0)
        var result = 1.0, square = x, left = n
        while left > 0 {
            if left & 1 == 1 { result *= square }
            square *= square
            left >>= 1
        }
        return result
    }

    /// Γ(x) for x from 0.5 to 20, relative error below 1e-13: Lanczos' approximation with g = 7 and nine terms.
    package static func gamma(_ x: Double) -> Double {
        precondition(x >= 0.5 && x <= 20, "gamma of \(x)")
        let terms = [
            676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905, -0.13857109526572012,
            9.9843695780195716e-6, 1.5056327351493116e-7,
        ]
        var sum = 0.99999999999980993
        for (k, term) in terms.enumerated() { sum += term / (x + Double(k)) }
        let t = x + 6.5
        return 2.5066282746310002 * pow(t, x - 0.5) * exp(-t) * sum   // √(2π)
    }

    /// (sin x, cos x) for |x| below 1e6 radians, absolute error below 1e-15 · max(1, |x|).
    package static func sinCos(_ x: Double) -> (sin: Double, cos: Double) {
        let n = (x * 0.6366197723675814).rounded(.toNearestOrEven)   // 2 / π
        let r = ((x - n * 1.5707963267341256) - n * 6.077100506303966e-11) - n * 2.0222662487959506e-21
        let r2 = r * r
        var s = 1.0, c = 1.0
        for k in stride(from: 19.0, through: 3, by: -2) { s = 1 - s * r2 / (k * (k - 1)) }
        for k in stride(from: 18.0, through: 2, by: -2) { c = 1 - c * r2 / (k * (k - 1)) }
        s *= r
        switch Int(n) & 3 {
        case 0: return (s, c)
        case 1: return (c, -s)
        case 2: return (-s, -c)
        default: return (-c, s)
        }
    }
}
