import Kernels
import Testing

/// Float32 rounds at 6e-8; a row's sums over up to 768 entries in 16 lanes stay below 50 roundings.
private let tolerance = 3e-6
private let epsilon = 1e-5
private let rows = 3

@Suite("LayerNorm") struct LayerNormTests {
    /// The twin: y for all rows.
    private static func twin(_ x: [Double], _ gain: [Double], _ bias: [Double]) -> [Double] {
        let width = gain.count
        return stride(from: 0, to: x.count, by: width).flatMap { start -> [Double] in
            let row = x[start..<start + width], mean = row.reduce(0, +) / Double(width)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
            return (0..<width).map { (x[start + $0] - mean) / (variance + epsilon).squareRoot() * gain[$0] + bias[$0] }
        }
    }

    @Test("the forward pass equals the definition, and leaves x plus the bias of the branch in next",
          arguments: awkwardSizes, [true, false])
    func forward(width: Int, hasBias: Bool) {
        let x = sample(rows * width, seed: 1, scale: 3), gain = sample(width, seed: 2), bias = sample(width, seed: 3)
        let branchBias = sample(width, seed: 4)
        let (out, next) = (Floats(repeating: .nan, count: rows * width), Floats(repeating: .nan, count: rows * width))
        let (mean, rstd) = (Floats(repeating: .nan, count: rows), Floats(repeating: .nan, count: rows))

        bias.withUnsafeBufferPointer { bias in
            LayerNorm.forward(
                out: out.base, mean: mean.base, rstd: rstd.base, next: next.base, nextBias: branchBias, x: x, gain: gain,
                bias: hasBias ? bias.baseAddress : nil, rows: rows, width: width, epsilon: Float(epsilon))
        }

        let zeros = [Double](repeating: 0, count: width)
        let expected = Self.twin(doubles(x), doubles(gain), hasBias ? doubles(bias) : zeros)
        #expect(relativeError(out.values, expected) < tolerance)
        #expect(next.values == x.indices.map { x[$0] + branchBias[$0 % width] })
        #expect(out.isIntact && next.isIntact && mean.isIntact && rstd.isIntact)
    }

    // Not with one entry per row: the output hardly depends on x then, and a relative error means nothing.
    @Test("the gradients equal finite differences and add to what is there; the output comes again, bit for bit",
          arguments: [15, 16, 17, 50, 768])
    func backward(width: Int) {
        let x = sample(rows * width, seed: 5, scale: 2), dOut = sample(rows * width, seed: 7)
        let gain = sample(width, seed: 6), bias = sample(width, seed: 8)
        let start = sample(rows * width, seed: 9), startGain = sample(width, seed: 10)
        let (dX, dGain, dBias) = (Floats(start), Floats(startGain), Floats(startGain))
        let out = Floats(repeating: 0, count: rows * width)
        let (mean, rstd) = (Floats(repeating: 0, count: rows), Floats(repeating: 0, count: rows))

        LayerNorm.forward(
            out: out.base, mean: mean.base, rstd: rstd.base, next: nil, nextBias: nil, x: x, gain: gain, bias: bias,
            rows: rows, width: width, epsilon: Float(epsilon))
        let again = Floats(repeating: .nan, count: rows * width)
        LayerNorm.backward(
            dX: dX.base, dGain: dGain.base, dBias: dBias.base, out: again.base, dOut: dOut, x: x, mean: mean.base,
            rstd: rstd.base, gain: gain, bias: bias, rows: rows, width: width)

        let (x64, gain64, bias64, d64) = (doubles(x), doubles(gain), doubles(bias), doubles(dOut))
        let third = Floats(repeating: .nan, count: rows * width)
        LayerNorm.again(out: third.base, x: x, mean: mean.base, rstd: rstd.base, gain: gain, bias: bias, rows: rows, width: width)
        #expect(third.values == out.values && third.isIntact)
        let wrtX = numericGradient(x64) { dot(Self.twin($0, gain64, bias64), d64) }
        let wrtGain = numericGradient(gain64) { dot(Self.twin(x64, $0, bias64), d64) }
        let wrtBias = numericGradient(bias64) { dot(Self.twin(x64, gain64, $0), d64) }
        #expect(relativeError(dX.values, zip(wrtX, start).map { $0 + Double($1) }) < tolerance)
        #expect(relativeError(dGain.values, zip(wrtGain, startGain).map { $0 + Double($1) }) < tolerance)
        #expect(relativeError(dBias.values, zip(wrtBias, startGain).map { $0 + Double($1) }) < tolerance)
        #expect(again.values == out.values)
        #expect(dX.isIntact && dGain.isIntact && dBias.isIntact && again.isIntact)
    }
}

@Suite("RMSNorm") struct RMSNormTests {
    private static func twin(_ x: [Double], _ gain: [Double]) -> [Double] {
        let width = gain.count
        return stride(from: 0, to: x.count, by: width).flatMap { start -> [Double] in
            let square = x[start..<start + width].reduce(0) { $0 + $1 * $1 } / Double(width)
            return (0..<width).map { x[start + $0] / (square + epsilon).squareRoot() * gain[$0] }
        }
    }

    @Test("the forward pass equals the definition and copies x to next", arguments: awkwardSizes)
    func forward(width: Int) {
        let x = sample(rows * width, seed: 1, scale: 3), gain = sample(width, seed: 2)
        let (out, next) = (Floats(repeating: .nan, count: rows * width), Floats(repeating: .nan, count: rows * width))
        let rstd = Floats(repeating: .nan, count: rows)

        RMSNorm.forward(out: out.base, rstd: rstd.base, next: next.base, x: x, gain: gain, rows: rows, width: width,
                        epsilon: Float(epsilon))

        #expect(relativeError(out.values, Self.twin(doubles(x), doubles(gain))) < tolerance)
        #expect(next.values == x)
        #expect(out.isIntact && next.isIntact && rstd.isIntact)
    }

    @Test("the gradients equal finite differences and add to what is there; the output comes again, bit for bit",
          arguments: [15, 16, 17, 50, 768])
    func backward(width: Int) {
        let x = sample(rows * width, seed: 5, scale: 2), dOut = sample(rows * width, seed: 7)
        let gain = sample(width, seed: 6), start = sample(rows * width, seed: 9), startGain = sample(width, seed: 10)
        let (dX, dGain) = (Floats(start), Floats(startGain))
        let (out, rstd) = (Floats(repeating: 0, count: rows * width), Floats(repeating: 0, count: rows))

        RMSNorm.forward(out: out.base, rstd: rstd.base, next: nil, x: x, gain: gain, rows: rows, width: width,
                        epsilon: Float(epsilon))
        let again = Floats(repeating: .nan, count: rows * width)
        RMSNorm.backward(dX: dX.base, dGain: dGain.base, out: again.base, dOut: dOut, x: x, rstd: rstd.base, gain: gain,
                         rows: rows, width: width)

        let third = Floats(repeating: .nan, count: rows * width)
        RMSNorm.again(out: third.base, x: x, rstd: rstd.base, gain: gain, rows: rows, width: width)
        #expect(third.values == out.values && third.isIntact)
        let (x64, gain64, d64) = (doubles(x), doubles(gain), doubles(dOut))
        let wrtX = numericGradient(x64) { dot(Self.twin($0, gain64), d64) }
        let wrtGain = numericGradient(gain64) { dot(Self.twin(x64, $0), d64) }
        #expect(relativeError(dX.values, zip(wrtX, start).map { $0 + Double($1) }) < tolerance)
        #expect(relativeError(dGain.values, zip(wrtGain, startGain).map { $0 + Double($1) }) < tolerance)
        #expect(again.values == out.values)
        #expect(dX.isIntact && dGain.isIntact && again.isIntact)
    }
}
