import Glibc
import Kernels
import Testing

/// The polynomial is good to 2e-7, and a handful of roundings come on top.
private let tolerance = 1e-6

@Suite("GELU") struct GELUTests {
    private static func twin(_ x: Double) -> Double {
        0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }

    @Test("the forward pass equals the tanh form", arguments: awkwardSizes)
    func forward(count: Int) {
        let x = sample(count, seed: 1, scale: 6), out = Floats(repeating: .nan, count: count)

        GELU.forward(out: out.base, x: x, count: count)

        #expect(relativeError(out.values, x.map { Self.twin(Double($0)) }) < tolerance)
        #expect(out.isIntact)
    }

    @Test("the backward pass gives the derivative, the output once more, and the column sums", arguments: awkwardSizes)
    func backward(width: Int) {
        let rows = 5, x = sample(rows * width, seed: 2, scale: 5), d = sample(rows * width, seed: 3)
        let startBias = sample(width, seed: 4)
        let (dOut, out, dBias) = (Floats(d), Floats(repeating: .nan, count: rows * width), Floats(startBias))

        GELU.backward(dOut: dOut.base, out: out.base, dBias: dBias.base, x: x, rows: rows, width: width)

        let expected = zip(x, d).map { x, d in
            let x = Double(x), h = 1e-5
            return Double(d) * (Self.twin(x + h) - Self.twin(x - h)) / (2 * h)
        }
        let sums = (0..<width).map { i in
            (0..<rows).reduce(Double(startBias[i])) { $0 + expected[$1 * width + i] }
        }
        #expect(relativeError(dOut.values, expected) < tolerance)
        #expect(relativeError(out.values, x.map { Self.twin(Double($0)) }) < tolerance)
        #expect(relativeError(dBias.values, sums) < tolerance)
        #expect(dOut.isIntact && out.isIntact && dBias.isIntact)
    }

    @Test("far from zero it is x or nothing, and what is not a number stays so")
    func extremes() {
        let x: [Float] = [100, 1e9, -100, -1e9, .nan, .infinity, 0], out = Floats(repeating: 1, count: 7)

        GELU.forward(out: out.base, x: x, count: 7)

        #expect(out.values[0] == 100 && out.values[1] == 1e9)
        #expect(out.values[2].magnitude < 1e-28 && out.values[3].magnitude < 1e-28)
        #expect(out.values[4].isNaN && out.values[5] == .infinity && out.values[6] == 0)
    }
}

@Suite("SwiGLU") struct SwiGLUTests {
    private static func twin(_ gate: Double, _ up: Double) -> Double { gate / (1 + exp(-gate)) * up }

    @Test("the forward pass equals silu(gate) · up", arguments: awkwardSizes)
    func forward(width: Int) {
        let rows = 3, gateUp = sample(rows * 2 * width, seed: 1, scale: 8)
        let out = Floats(repeating: .nan, count: rows * width)

        SwiGLU.forward(out: out.base, gateUp: gateUp, rows: rows, width: width)

        let expected = (0..<rows * width).map { i in
            let at = i / width * 2 * width + i % width
            return Self.twin(Double(gateUp[at]), Double(gateUp[at + width]))
        }
        #expect(relativeError(out.values, expected) < tolerance)
        #expect(out.isIntact)
    }

    @Test("the backward pass gives both derivatives, and the output in the gradient's place", arguments: awkwardSizes)
    func backward(width: Int) {
        let rows = 3, gateUp = sample(rows * 2 * width, seed: 2, scale: 6), d = sample(rows * width, seed: 3)
        let (both, dGateUp) = (Floats(d), Floats(repeating: .nan, count: rows * 2 * width))

        SwiGLU.backward(dGateUp: dGateUp.base, dOutThenOut: both.base, gateUp: gateUp, rows: rows, width: width)

        var expected = [Double](repeating: 0, count: rows * 2 * width), out: [Double] = []
        for i in 0..<rows * width {
            let at = i / width * 2 * width + i % width, h = 1e-5
            let (gate, up) = (Double(gateUp[at]), Double(gateUp[at + width]))
            expected[at] = Double(d[i]) * (Self.twin(gate + h, up) - Self.twin(gate - h, up)) / (2 * h)
            expected[at + width] = Double(d[i]) * Self.twin(gate, 1)
            out.append(Self.twin(gate, up))
        }
        #expect(relativeError(dGateUp.values, expected) < tolerance)
        #expect(relativeError(both.values, out) < tolerance)
        #expect(both.isIntact && dGateUp.isIntact)
    }
}
