import Testing
import Reports

@Suite struct StatusLineTests {
    private let line = StatusLine(
        step: 412, steps: 6000, loss: 1.23456, tokensPerSecond: 30_512.4, recentGoodput: 0.913, goodput: 0.8847, workersAlive: 1, workers: 2, secondsLeft: 192,
        lastIncident: "worker 1 killed by signal 9 at backward of step 400")

    @Test func wideTerminalShowsEverything() {
        #expect(line.text(width: 200) == "step   412/6,000  loss 1.2346   30,512 tok/s  goodput 91.3 %, all 88.5 %  1/2 workers  3 min left  worker 1 killed by signal 9 at backward of step 400")
    }

    @Test func narrowTerminalsLoseTheRightmostPartsFirst() {
        #expect(line.text(width: 120).hasSuffix("3 min left  worker 1 killed by s…"))
        #expect(line.text(width: 80) == "step   412/6,000  loss 1.2346   30,512 tok/s  goodput 91.3 %, all 88.5 %")
        #expect(line.text(width: 100).hasSuffix("all 88.5 %  1/2 workers  3 min left"))
        #expect(line.text(width: 30) == "step   412/6,000  loss 1.2346")
        for width in 1...160 { #expect(line.text(width: width).count <= width) }
    }

    @Test func beforeTheFirstStepThereIsNoLossAndNoEnd() {
        let start = StatusLine(
            step: 0, steps: 10, loss: nil, tokensPerSecond: 0, recentGoodput: nil, goodput: nil, workersAlive: 0, workers: 4, secondsLeft: nil, lastIncident: nil)
        #expect(start.text(width: 80) == "step  0/10        0 tok/s  0/4 workers")
    }

    @Test func widthStaysTheSameFromStepToStep() {
        var later = line
        (later.step, later.tokensPerSecond, later.recentGoodput, later.goodput) = (5999, 131_072, 0.052, 0.999)
        #expect(later.text(width: 80).count == line.text(width: 80).count)
    }
}
