import Foundation
import RunSpec
import Testing

/// Against the C library, whose results are within an ulp (1.1e-16 relative) of the truth.
@Suite struct PortableMathTests {
    /// 20,000 numbers in `range`, and its ends.
    private func numbers(_ range: ClosedRange<Double>, seed: UInt64) -> [Double] {
        let random = Philox(key: seed)
        return [range.lowerBound, range.upperBound] + (0..<20_000).map {
            range.lowerBound + random.uniform(.sampling, 0, 0, index: $0) * (range.upperBound - range.lowerBound)
        }
    }

    private func worst(_ values: [Double], _ error: (Double) -> Double) -> (x: Double, error: Double) {
        values.map { ($0, error($0)) }.max { $0.1 < $1.1 }!
    }

    private func relative(_ found: Double, _ expected: Double) -> Double { abs(found / expected - 1) }

    @Test(arguments: [-700.0...700, -1...1, -1e-3...1e-3, -1e-12...1e-12])
    func `exp is within a relative 1e-15 of the C library`(range: ClosedRange<Double>) {
        let found = worst(numbers(range, seed: 1)) { relative(PortableMath.exp($0), exp($0)) }
        #expect(found.error < 1e-15, "at \(found.x)")
    }

    @Test func `exp is 0 far below and infinite far above`() {
        #expect(PortableMath.exp(0) == 1)
        #expect(PortableMath.exp(-709) == 0 && PortableMath.exp(-1e9) == 0 && PortableMath.exp(-.infinity) == 0)
        #expect(PortableMath.exp(709.1) == .infinity && PortableMath.exp(.infinity) == .infinity)
        #expect(PortableMath.exp(-708).isNormal && PortableMath.exp(709).isFinite)
    }

    @Test(arguments: [-700.0...700, -40...40, 1...2])
    func `log is within a relative 1e-15 of the C library away from 1`(exponents: ClosedRange<Double>) {
        let found = worst(numbers(exponents, seed: 2).map { exp($0) }.filter { abs($0 - 1) > 0.01 }) {
            relative(PortableMath.log($0), log($0))
        }
        #expect(found.error < 1e-15, "at \(found.x)")
    }

    @Test func `log near 1 is within an absolute 1e-17 of the C library, and exact at 1`() {
        #expect(PortableMath.log(1) == 0)
        let found = worst(numbers(0.99...1.01, seed: 3)) { abs(PortableMath.log($0) - log($0)) }
        #expect(found.error < 1e-17, "at \(found.x)")
    }

    @Test func `log takes the smallest and the largest numbers`() {
        for x in [Double.leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude] {
            #expect(relative(PortableMath.log(x), log(x)) < 1e-15, "at \(x)")
        }
    }

    /// y log x has up to a hundred times the magnitude of its own last digit, which exp turns into relative error.
    @Test func `pow with a real exponent is within a relative 1e-13 of the C library`() {
        let random = Philox(key: 5)
        for index in 0..<20_000 as Range<UInt32> {
            let x = exp(random.uniform(.sampling, 0, 0, index: index) * 20 - 10)
            let y = random.uniform(.sampling, 1, 0, index: index) * 20 - 10
            #expect(relative(PortableMath.pow(x, y), pow(x, y)) < 1e-13, "\(x) to the \(y)")
        }
    }

    /// As AdamW needs it: β to the number of the step. Each squaring doubles the relative error and adds half an ulp.
    @Test func `gamma is within a relative 1e-13 of the C library, and a factorial at whole numbers`() {
        let found = worst(numbers(0.5...20, seed: 5)) { relative(PortableMath.gamma($0), tgamma($0)) }
        #expect(found.error < 1e-13, "at \(found.x)")
        #expect(relative(PortableMath.gamma(6), 120) < 1e-13)
    }

    @Test(arguments: [0.9, 0.95, 0.99, 0.999, 0.9999])
    func `pow with a whole exponent is within a relative 1e-15 or n ulps of the C library`(x: Double) {
        #expect(PortableMath.pow(x, 0) == 1 && PortableMath.pow(x, 1) == x)
        for n in Array(0...300) + [1000, 4095, 4096, 6000] {
            #expect(relative(PortableMath.pow(x, n), pow(x, Double(n))) < max(1e-15, Double(n) * 1.2e-16), "\(x) to the \(n)")
        }
        #expect(PortableMath.pow(x, 100_000_000) == 0)
    }

    @Test(arguments: [-Double.pi...Double.pi, -100...100, -1e6...1e6, -1e-9...1e-9])
    func `sine and cosine are within an absolute 1e-15 times the angle of the C library`(range: ClosedRange<Double>) {
        let found = worst(numbers(range, seed: 6)) {
            let (s, c) = PortableMath.sinCos($0)
            return max(abs(s - sin($0)), abs(c - cos($0))) / max(1, abs($0))
        }
        #expect(found.error < 1e-15, "at \(found.x)")
    }

    @Test func `sine and cosine are right in every quadrant and on its borders`() {
        for quarter in -9...9 {
            for offset in [-0.1, -1e-9, 0, 1e-9, 0.1] {
                let x = Double(quarter) * .pi / 2 + offset
                let (s, c) = PortableMath.sinCos(x)
                #expect(abs(s - sin(x)) < 1e-14 && abs(c - cos(x)) < 1e-14, "at \(x)")
            }
        }
        #expect(PortableMath.sinCos(0) == (0, 1))
    }
}
