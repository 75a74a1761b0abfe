import COpenBLAS
import Kernels
import Testing

@Suite("Matrix products") struct MatrixTests {
    init() { openblas_set_num_threads(1) }

    @Test("sgemm equals the naive product for every transposition, with room between the rows",
          arguments: [(1, 1, 1), (15, 17, 16), (50, 33, 7), (128, 65, 96)],
          [(false, false), (false, true), (true, false), (true, true)])
    func products(shape: (Int, Int, Int), transposed: (Bool, Bool)) {
        let (m, n, k) = shape, (tA, tB) = transposed
        let lda = (tA ? m : k) + 3, ldb = (tB ? k : n) + 5, ldc = n + 2
        let a = sample((tA ? k : m) * lda, seed: 1), b = sample((tB ? n : k) * ldb, seed: 2)
        let start = sample(m * ldc, seed: 3)
        let c = Floats(start)

        sgemm(transposeA: tA, transposeB: tB, m: m, n: n, k: k, alpha: 0.5, a, lda, b, ldb, beta: 2, c.base, ldc)

        let expected = (0..<m * ldc).map { i -> Double in
            let (row, column) = (i / ldc, i % ldc)
            guard column < n else { return Double(start[i]) }
            var sum = 0.0
            for l in 0..<k {
                let left = tA ? a[l * lda + row] : a[row * lda + l]
                let right = tB ? b[column * ldb + l] : b[l * ldb + column]
                sum += Double(left) * Double(right)
            }
            return 2 * Double(start[i]) + 0.5 * sum
        }
        #expect(relativeError(c.values, expected) < 1e-6)
        #expect(c.isIntact)
    }

    @Test("beta 0 does not read what was there") func betaZero() {
        let c = Floats(repeating: .nan, count: 4)

        sgemm(m: 2, n: 2, k: 1, [1, 2], 1, [3, 4], 2, beta: 0, c.base, 2)

        #expect(c.values == [3, 4, 6, 8])
    }

    @Test("a linear layer's three products agree: the derivative of y · dY is in dX and dW", arguments: [false, true])
    func linear(byBlocks: Bool) {
        let (rows, inputs, outputs) = (5, 17, 6), arena = Arena(count: 17 * 16)
        let linear = Linear(inputs: inputs, outputs: outputs, arena: arena, byBlocks: byBlocks)
        let x = sample(rows * inputs, seed: 1), w = sample(outputs * inputs, seed: 2)
        let dY = sample(rows * outputs, seed: 3), bias = sample(outputs, seed: 4)
        let y = Floats(repeating: .nan, count: rows * outputs), dX = Floats(repeating: .nan, count: rows * inputs)
        let dW = Floats(repeating: .nan, count: outputs * inputs)
        func twin(_ x: [Double], _ w: [Double]) -> [Double] {
            (0..<rows * outputs).map { i -> Double in
                let (row, output) = (i / outputs, i % outputs)
                var sum = Double(bias[output])
                for k in 0..<inputs { sum += x[row * inputs + k] * w[output * inputs + k] }
                return sum
            }
        }

        linear.turn(w)
        linear.forward(y.base, bias: bias, x, w, rows: rows)
        linear.inputGradient(dX.base, dY, w, rows: rows)
        linear.weightGradient(dW.base, adding: false, dY, x, rows: rows)
        let once = dW.values
        linear.weightGradient(dW.base, adding: true, dY, x, rows: rows)

        let (x64, w64, d64) = (doubles(x), doubles(w), doubles(dY))
        #expect(relativeError(y.values, twin(x64, w64)) < 1e-6)
        #expect(relativeError(dX.values, numericGradient(x64) { dot(twin($0, w64), d64) }) < 1e-6)
        let expected = numericGradient(w64) { dot(twin(x64, $0), d64) }
        #expect(relativeError(once, expected) < 1e-6)
        #expect(relativeError(dW.values, expected.map { 2 * $0 }) < 1e-6)
    }

    @Test("products block by block are the whole ones, where blocks do not divide rows or columns",
          arguments: [(150, 200, 150), (1, 300, 5), (130, 64, 260)])
    func blocks(rows: Int, inputs: Int, outputs: Int) {
        let x = sample(rows * inputs, seed: 1), w = sample(outputs * inputs, seed: 2), dY = sample(rows * outputs, seed: 3)
        let results = [false, true].map { byBlocks -> [Float] in
            let arena = Arena(count: Arena.wholeLines(inputs * outputs))
            let linear = Linear(inputs: inputs, outputs: outputs, arena: arena, byBlocks: byBlocks)
            let y = Floats(repeating: .nan, count: rows * outputs), dX = Floats(repeating: .nan, count: rows * inputs)
            let dW = Floats(repeating: .nan, count: outputs * inputs)

            linear.turn(w)
            linear.forward(y.base, adding: false, x, w, rows: rows)
            linear.forward(y.base, adding: true, x, w, rows: rows)
            linear.inputGradient(dX.base, dY, w, rows: rows)
            linear.weightGradient(dW.base, adding: false, dY, x, rows: rows)
            linear.weightGradient(dW.base, adding: true, dY, x, rows: rows)

            #expect(y.isIntact && dX.isIntact && dW.isIntact)
            return y.values + dX.values + dW.values
        }

        #expect(relativeError(results[1], doubles(results[0])) < 1e-6)
    }
}

@Suite("Arena") struct ArenaTests {
    @Test("windows start on cache lines, do not overlap and are zero") func windows() {
        let arena = Arena(count: 16 + 32 + 16)

        let (a, b, c) = (arena.carve(1), arena.carve(17), arena.carve(16))

        #expect([a, b, c].allSatisfy { UInt(bitPattern: $0) % 64 == 0 })
        #expect(b - a == 16 && c - b == 32 && arena.carved == 64)
        #expect((0..<64).allSatisfy { arena.base[$0] == 0 })
    }

    @Test("carving measures first: the arena has exactly the size of its windows") func measured() {
        let (arena, windows) = Arena.carving { [$0.carve(5), $0.carve(100)] }

        #expect(arena.count == 16 + 112 && arena.carved == arena.count)
        #expect(windows[1] - arena.base == 16)
    }
}
