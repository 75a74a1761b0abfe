import Lab
import Testing

@Suite struct GateTests {
    private let figure = Figure.named("effective_goodput")!

    private func gate(_ before: [CellResult], _ after: [CellResult], leastDrop: Double = 1) throws -> Gate {
        let (old, new) = (try Results(before), try Results(after))
        return Gate(before: old.file, after: new.file, figure: figure, leastDrop: leastDrop)
    }

    @Test func `a fall that is no chance and large enough is a regression, and only of its variation`() throws {
        let before = Results.rows("elastic", "10", [0.80, 0.81, 0.79]) + Results.rows("restart", "10", [0.40, 0.41, 0.39])
        let after = Results.rows("elastic", "10", [0.70, 0.71, 0.69]) + Results.rows("restart", "10", [0.40, 0.42, 0.39])
        let gate = try gate(before, after)
        #expect(gate.lines.map(\.verdict) == [.regressed, .held] && !gate.passed)
        #expect(gate.text.contains("elastic  10     80.00  70.00      -10.00") && gate.text.contains("REGRESSED"), "\(gate.text)")
    }

    @Test func `a fall that does not matter, one that may be chance, and a rise pass`() throws {
        let sharp = try gate(Results.rows("elastic", "10", [0.800, 0.801, 0.799]), Results.rows("elastic", "10", [0.795, 0.796, 0.794]))
        #expect(sharp.lines.map(\.verdict) == [.held] && sharp.lines[0].probability! < 0.05)
        let stricter = try gate(Results.rows("elastic", "10", [0.800, 0.801, 0.799]), Results.rows("elastic", "10", [0.795, 0.796, 0.794]), leastDrop: 0.4)
        #expect(stricter.lines.map(\.verdict) == [.regressed])
        let noisy = try gate(Results.rows("elastic", "10", [0.8, 0.5, 0.7]), Results.rows("elastic", "10", [0.6, 0.7, 0.4]))
        #expect(noisy.lines.map(\.verdict) == [.held])
        #expect(try gate(Results.rows("elastic", "10", [0.6, 0.6]), Results.rows("elastic", "10", [0.9, 0.9])).passed)
    }

    /// p is 0.036 alone, and 0.18 as one of five.
    @Test func `more variations need a clearer fall`() throws {
        let before = Results.rows("elastic", "1", [0.80, 0.82, 0.78]), after = Results.rows("elastic", "1", [0.75, 0.77, 0.73])
        #expect(try !gate(before, after).passed)
        let others = (2...5).flatMap { Results.rows("elastic", "\($0)", [0.5, 0.6, 0.4]) }
        #expect(try gate(before + others, after + others).passed)
    }

    @Test func `what is missing blocks, what cannot be decided does not`() throws {
        let before = Results.rows("elastic", "10", [0.8, 0.8]) + Results.rows("discard", "10", [0.8, 0.8]) + Results.rows("restart", "10", [0.8, 0.8])
        let after = Results.rows("elastic", "10", [0.1]) + [Results.row("restart", "10", seed: 1, .failed), Results.row("restart", "10", seed: 2, .void)]
        let gate = try gate(before, after)
        #expect(gate.lines.map(\.verdict) == [.undecided, .missing, .missing] && !gate.passed)
        #expect(gate.text.contains("1 variations are undecided"))
    }
}
