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

@Suite struct CheckpointTunerTests {
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
