import Coordination
import RunSpec
import Testing

/// A run as a tuner is told of it: steps of equal length, a writer that takes so many seconds and makes each step beside it
/// longer, a failure every so many steps.
private struct TunedRun {
    var tuner: CheckpointTuner
    var step = 0, writtenAt = 0
    private(set) var begun: [Int] = []
    private var writingSeconds: Double?

    init(policy: LossPolicy = .restart, steps: Int = 1000) { tuner = CheckpointTuner(plannedSteps: steps, policy: policy) }

    /// - Parameter drag: what a writer adds to a step.
    mutating func go(steps: Int, seconds: Double = 0.02, persist: Double = 0.03, drag: Double = 0, isPlain: Bool = true) {
        for _ in 0..<steps {
            let beside = writingSeconds != nil, took = seconds + (beside ? drag : 0)
            step += 1
            if let so = writingSeconds {
                writingSeconds = so + took >= persist ? nil : so + took
                if writingSeconds == nil { tuner.persisted(seconds: persist) }
            }
            tuner.took(CheckpointTuner.Step(seconds: took, workers: 4, isPlain: isPlain, besideWriter: beside, writerGoesOn: writingSeconds != nil))
            if beside && writingSeconds == nil { _ = tuner.choose() }
            guard tuner.isDue(stepsSinceLast: step - writtenAt), writingSeconds == nil else { continue }
            tuner.began()
            (writtenAt, writingSeconds) = (step, 0)
            begun.append(step)
        }
    }

    mutating func fail() {
        tuner.failed(secondsSinceStep: 0)
        tuner.restarted(seconds: 0.3)
        (writingSeconds, step) = (nil, writtenAt)
        _ = tuner.choose()
    }
}

/// A whole run in which failures come by chance, each going back to the newest checkpoint: how much of its time was kept.
private struct ChanceRun {
    static let steps = 4000, stepSeconds = 0.02, restartSeconds = 0.5
    /// What a checkpoint adds to the step after it, how long it is being written, and the mean training between failures.
    let blocking: Double, persist: Double, betweenFailures: Double
    let seed: UInt64

    private func uniform(_ index: Int, _ purpose: UInt32) -> Double {
        let words = Philox(key: seed).block(SIMD4(UInt32(index), purpose, 0, 0))
        return (Double(words[0]) + 0.5) / 4_294_967_296
    }

    /// - Parameter every: nil for the tuner's choice.
    func goodput(every: Int?) -> Double {
        var tuner = CheckpointTuner(plannedSteps: Self.steps, policy: .restart)
        var step = 0, tried = 0, failures = 0, total = 0.0, writer: (step: Int, left: Double)?, durable = 0, begun = 0, justBegun = false
        func gap() -> Double { -betweenFailures * PortableMath.log(uniform(failures, 1)) }
        var untilFailure = gap()
        while step < Self.steps {
            let seconds = Self.stepSeconds * (0.95 + 0.1 * uniform(tried, 2)) + (justBegun ? blocking : 0), beside = writer != nil
            (tried, justBegun) = (tried + 1, false)
            if untilFailure < seconds {
                total += untilFailure + Self.restartSeconds
                (step, begun, writer, failures) = (durable, durable, nil, failures + 1)
                tuner.failed(secondsSinceStep: untilFailure)
                tuner.restarted(seconds: Self.restartSeconds)
                _ = tuner.choose()
                untilFailure = gap()
                continue
            }
            (untilFailure, total, step) = (untilFailure - seconds, total + seconds, step + 1)
            var isWritten = false
            if let now = writer {
                isWritten = now.left <= seconds
                if isWritten { (durable, writer) = (now.step, nil) } else { writer = (now.step, now.left - seconds) }
            }
            if isWritten { tuner.persisted(seconds: persist) }
            tuner.took(CheckpointTuner.Step(seconds: seconds, workers: 4, isPlain: true, besideWriter: beside, writerGoesOn: writer != nil))
            if isWritten { _ = tuner.choose() }
            let isDue = every.map { step - begun >= $0 } ?? tuner.isDue(stepsSinceLast: step - begun)
            guard isDue, writer == nil else { continue }
            tuner.began()
            (begun, writer, justBegun) = (step, (step, persist), true)
        }
        return Double(Self.steps) * Self.stepSeconds / total
    }
}

@Suite struct CheckpointTunerTests {
    /// Fixed intervals are judged knowing how it went; the tuner has to find out first.
    @Test(arguments: [(0.0, 0.03, 1.0), (0.0, 0.2, 10.0), (0.002, 0.03, 1.0), (0.01, 0.03, 4.0), (0.1, 0.15, 4.0), (0.05, 0.05, 20.0)])
    func `over 32 seeds of failures auto keeps within a hundredth of what the best fixed interval keeps`(blocking: Double, persist: Double, betweenFailures: Double) {
        func mean(_ every: Int?) -> Double {
            (1...32).reduce(0) { $0 + ChanceRun(blocking: blocking, persist: persist, betweenFailures: betweenFailures, seed: $1).goodput(every: every) } / 32
        }
        let fixed = [1, 2, 3, 4, 8, 16, 32, 48, 64, 128].map { (every: $0, goodput: mean($0)) }
        let best = fixed.max { $0.goodput < $1.goodput }!, auto = mean(nil)
        #expect(auto >= 0.99 * best.goodput, "auto \(auto), every \(best.every) steps \(best.goodput)")
        // It matters which: the worst is far away.
        #expect(fixed.map(\.goodput).min()! < 0.97 * best.goodput)
    }

    @Test func `the first checkpoint comes early, and one that costs nothing is followed by the next as soon as it is written`() {
        var run = TunedRun(steps: 200)
        run.go(steps: 40)
        #expect(run.begun.first == CheckpointTuner.firstSteps)
        #expect(run.tuner.choice?.steps == 2 && run.tuner.choice?.blocking == 0)
        // Some wait a little, so that steps without a writer stay known.
        #expect(run.begun.count >= 16)
    }

    @Test func `a cost is believed when a second checkpoint has it, too, and then is found to the point`() {
        var run = TunedRun()
        run.go(steps: 6, drag: 0.01)
        #expect(run.tuner.choice?.blocking == 0)
        run.go(steps: 100, drag: 0.01)
        // One whole step and a part of another lie beside each writer.
        #expect(abs(run.tuner.choice!.blocking - 0.01) < 1e-9)
        #expect(abs(run.tuner.choice!.costs.young - (2 * 0.01 * run.tuner.choice!.betweenFailures).squareRoot()) < 1e-12)
        #expect(run.tuner.choice!.steps > 5)
    }

    @Test func `a writer that seems to speed steps up costs nothing`() {
        var run = TunedRun()
        run.go(steps: 100, drag: -0.005)
        #expect(run.tuner.choice?.blocking == 0)
    }

    @Test func `steps in which something else happened say nothing of what a writer costs`() {
        var run = TunedRun()
        run.go(steps: 10)
        run.go(steps: 100, seconds: 0.5, isPlain: false)
        #expect(run.tuner.choice?.blocking == 0 && abs(run.tuner.choice!.stepSeconds - 0.02) < 1e-9)
    }

    @Test func `steps that become longer for all are not put down to the writer for good`() {
        var run = TunedRun(steps: 100_000)
        run.go(steps: 100)
        run.go(steps: 3000, seconds: 0.03)
        #expect(abs(run.tuner.choice!.stepSeconds - 0.03) < 1e-9 && run.tuner.choice!.blocking < 1e-9)
    }

    @Test func `failures shorten the interval, their absence lets it grow`() {
        var often = TunedRun(steps: 2000), never = TunedRun(steps: 2000)
        for _ in 0..<20 {
            often.go(steps: 50, drag: 0.005)
            often.fail()
        }
        never.go(steps: 1000, drag: 0.005)
        #expect(often.tuner.failures == 20 && often.tuner.choice!.restart == 0.3)
        #expect(often.tuner.choice!.steps * 3 < never.tuner.choice!.steps)
        // One failure in fifty steps, and what the prior still weighs.
        #expect(often.tuner.choice!.betweenFailures > 50 * 0.02 && often.tuner.choice!.betweenFailures < 100 * 0.02)
    }

    @Test func `where a lost worker sends nobody back, the interval grows to its bound`() {
        var run = TunedRun(policy: .elastic, steps: 800)
        run.go(steps: 400)
        #expect(run.tuner.choice?.steps == 100 && run.tuner.choice?.mostSteps == 100)
    }

    @Test func `a writer that always fails is tried less and less often`() {
        var tuner = CheckpointTuner(plannedSteps: 1000, policy: .restart), waits: [Int] = []
        for _ in 0..<4 {
            waits.append((1...).first { tuner.isDue(stepsSinceLast: $0) }!)
            tuner.began()
        }
        #expect(waits == [4, 8, 16, 32] && tuner.choose() == nil)
    }

    @Test func `what earlier sessions saw counts`() {
        let resumed = CheckpointTuner(plannedSteps: 10, policy: .elastic, failures: 3, exposureSeconds: 12.5)
        #expect(resumed.failures == 3 && resumed.exposureSeconds == 12.5)
    }
}
