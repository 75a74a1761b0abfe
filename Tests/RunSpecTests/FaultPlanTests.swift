import Foundation
import RunSpec
import Testing

extension FaultPlan {
    /// A plan of these schedules, each as after its dash.
    init(_ schedules: String..., files: [String: String] = [:]) throws {
        let yaml = "schedules:\n" + schedules.map { "  - \($0)\n" }.joined()
        try self.init(yaml: yaml, file: "plan.yaml") { files[$0] ?? "" }
    }

    func faults(workers: Int = 4, steps: Int = 1_000, seed: UInt64 = 1) throws -> [Fault] {
        try resolve(workers: workers, steps: steps, seed: seed, limit: 1_000_000)
    }
}

@Suite struct FaultPlanTests {
    static let schedules = [
        "poisson: { kind: crash, mtbf: 100 steps }", "poisson: { kind: crash, steps-per-failure: 5.45 }", "poisson: { kind: hang, mtbf: 20 s, until: 10 min, for: 1 s }",
        "weibull: { kind: crash, mtbf: 100, shape: 0.7 }", "weibull: { kind: preempt, steps-per-failure: 10, notice: 1 s }",
        "probability: { kind: crash, p: 0.01, points: [forward, reduce] }", "every: { kind: crash, interval: 25 steps, workers: [1, 3, 0] }",
        "profile: { name: llama3-54-days, compress: 50 }", "profile: { name: spot, steps-per-failure: 8 }",
    ]

    @Test(arguments: schedules)
    func `the same seed gives the same faults, another seed others`(schedule: String) throws {
        let plan = try FaultPlan(schedule), faults = try plan.faults()
        #expect(!faults.isEmpty)
        #expect(try plan.faults() == faults)
        if !schedule.hasPrefix("every") { #expect(try plan.faults(seed: 2).map(\.moment) != faults.map(\.moment)) }
        for fault in faults { #expect(try Fault(fault.description) == fault) }
    }

    @Test(arguments: schedules)
    func `a longer run begins with the faults of the shorter one`(schedule: String) throws {
        let plan = try FaultPlan(schedule), short = try plan.faults(steps: 500), long = try plan.faults(steps: 5_000)
        #expect(long.filter { ($0.step ?? 0) < 500 } == short)
    }

    @Test(arguments: schedules.filter { !$0.contains("steps-per-failure") && !$0.contains("profile") })
    func `more workers leave the faults of the others as they are`(schedule: String) throws {
        let plan = try FaultPlan(schedule), few = try plan.faults(workers: 4), many = try plan.faults(workers: 7)
        #expect(many.filter { $0.worker! < 4 } == few)
    }

    @Test func `of the failures of a job one worker more takes a share and moves no others`() throws {
        // A thousand steps a failure: nobody is struck twice in a step, which would bring in the next in line.
        let plan = try FaultPlan("poisson: { kind: crash, steps-per-failure: 1000 }")
        let few = try plan.faults(workers: 4, steps: 1_000_000), many = try plan.faults(workers: 5, steps: 1_000_000)
        #expect(many.map(\.step) == few.map(\.step) && many.map(\.point) == few.map(\.point))
        let moved = zip(few, many).filter { $0.worker != $1.worker }
        #expect(moved.allSatisfy { $1.worker == 4 })
        // A fifth of about 1,000, within five deviations of 12.6.
        #expect(abs(Double(moved.count) - Double(few.count) / 5) < 63)
    }

    @Test func `the first faults of a seed are these, on any machine`() throws {
        let plan = try FaultPlan("poisson: { kind: crash, mtbf: 100 steps }", "weibull: { kind: hang, mtbf: 20 s, until: 1 min, shape: 0.7, for: 1 s }")
        let faults = try plan.faults(seed: 7)
        #expect(faults.prefix(5).map(\.description) == Self.golden)
        #expect(faults.first { $0.step == nil }?.description == Self.goldenByTheClock)
    }

    /// Checked with another program, in another language and on the C library's logarithm.
    private static let golden = [
        "crash worker=1 step=8 point=commit", "crash worker=0 step=32 point=commit", "crash worker=0 step=56 point=publish",
        "crash worker=3 step=59 point=reduce", "crash worker=0 step=66 point=leafDone",
    ]
    private static let goldenByTheClock = "hang worker=3 at=8.466746315779792s point=forward for=1.0s"

    // MARK: Rates

    /// Whole streams of failures of 64 workers by the clock: as many moments as it takes, none rounded to a step.
    private func times(_ law: String, mean: Double, each: Int) throws -> (faults: [Fault], gaps: [Double]) {
        let plan = try FaultPlan("\(law), kind: crash, mtbf: \(mean) s, until: \(mean * Double(each)) s }")
        let faults = try plan.faults(workers: 64, seed: 11)
        let gaps = (0..<64).flatMap { worker in
            let times = faults.compactMap { fault in if fault.worker == worker, case .seconds(let time) = fault.moment { time } else { nil } }
            return zip(times.dropFirst(), times).map { $0 - $1 }
        }
        return (faults, gaps.sorted())
    }

    @Test(arguments: [
        // median ÷ mean = ln(2)^(1/k) ÷ Γ(1 + 1/k); deviation ÷ mean = √(Γ(1 + 2/k) ÷ Γ(1 + 1/k)² − 1).
        ("poisson: { from: 0 s", 0.6931, 1.0), ("weibull: { shape: 0.7", 0.4680, 1.4624), ("weibull: { shape: 2", 0.9394, 0.5227),
    ])
    func `failures come at the stated rate, from the first step on, with the gaps of their law`(law: String, median: Double, deviation: Double) throws {
        let each = 2_000, (faults, gaps) = try times(law, mean: 50, each: each)
        // 128,000 failures; the mean of as many gaps has a deviation of 0.41 % at most, tails aside.
        let mean = gaps.reduce(0, +) / Double(gaps.count), rate = Double(faults.count) / Double(64 * each), middle = gaps[gaps.count / 2]
        let spread = (gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)).squareRoot()
        #expect(abs(rate - 1) < 0.02 && abs(mean / 50 - 1) < 0.02, "\(rate) \(mean)")
        #expect(abs(middle / (50 * median) - 1) < 0.025 && abs(spread / (50 * deviation) - 1) < 0.03, "\(middle) \(spread)")
        let early = faults.count { if case .seconds(let time) = $0.moment { time < 50 * 100 } else { false } }
        // 6,400 failures in the first twentieth: five deviations of the worst law are 9 %.
        #expect(abs(early - 6_400) < 576)
    }

    @Test func `trials strike as often as their probability says, at the points that are allowed`() throws {
        let faults = try FaultPlan("probability: { kind: crash, p: 0.01, points: [forward, reduce] }").faults(workers: 8, steps: 100_000)
        // 8,000 expected, deviation 89; half at each point, deviation 45.
        #expect(abs(faults.count - 8_000) < 450)
        #expect(abs(faults.count { $0.point == .forward } - faults.count / 2) < 225)
        #expect(faults.allSatisfy { $0.point == .forward || $0.point == .reduce })
    }

    @Test(arguments: [5.45, 0.97])
    func `steps per failure of the job hold for any number of workers`(stepsPerFailure: Double) throws {
        let plan = try FaultPlan("poisson: { kind: crash, steps-per-failure: \(stepsPerFailure) }")
        for workers in [4, 16] {
            let resolution = try plan.resolution(workers: workers, steps: 50_000, seed: 3, limit: 1_000_000), part = resolution.parts[0]
            // Five deviations of a Poisson count; the few that find every worker struck are said.
            #expect(abs(Double(part.actual + part.displaced) - part.expected) < 5 * part.expected.squareRoot())
            #expect(part.displaced < part.actual / 100)
            let mine = resolution.faults.count { $0.worker == 2 }
            #expect(abs(Double(mine) - Double(part.actual) / Double(workers)) < 5 * (Double(part.actual) / Double(workers)).squareRoot())
        }
    }

    @Test func `without points a crash strikes anywhere within a step, equally often`() throws {
        let faults = try FaultPlan("poisson: { kind: crash, mtbf: 10 steps }").faults(workers: 8, steps: 10_000)
        let within: [FaultPoint] = [.forward, .backward, .leafDone, .publish, .reduce, .update, .vote, .commit]
        let count = Double(faults.count) / 8
        for point in within { #expect(abs(Double(faults.count { $0.point == point }) - count) < 5 * count.squareRoot()) }
        #expect(faults.allSatisfy { within.contains($0.point) })
    }

    // MARK: Order and limits

    @Test func `regular faults strike one worker after the other`() throws {
        let faults = try FaultPlan("every: { kind: crash, interval: 25, points: forward, from: 10, until: 100 }").faults(workers: 3)
        #expect(faults.map(\.description) == ["crash worker=0 step=10 point=forward", "crash worker=1 step=35 point=forward", "crash worker=2 step=60 point=forward", "crash worker=0 step=85 point=forward"])
        let writer = try FaultPlan("every: { kind: crash, interval: 400, victim: writer, points: rename }").faults()
        #expect(writer.map(\.description) == ["crash writer step=400 point=rename", "crash writer step=800 point=rename"])
    }

    @Test func `faults come in the order in which they strike, and nobody is drawn twice in a step`() throws {
        let plan = try FaultPlan(
            yaml: """
                faults:
                  - hang worker=0 at=3s
                  - crash worker=1 step=20
                  - { kind: hang, worker: 0, step: 20, for: 1 s }
                schedules:
                  - probability: { kind: crash, p: 0.4 }
                  - poisson: { kind: crash, steps-per-failure: 0.5 }
                  - poisson: { kind: hang, mtbf: 2 s, until: 5 s }
                """, file: "plan.yaml", load: { _ in "" })
        let resolution = try plan.resolution(workers: 4, steps: 50, seed: 1, limit: 1000), faults = resolution.faults
        let steps = faults.compactMap(\.step), times = faults.compactMap { if case .seconds(let time) = $0.moment { time } else { nil } }
        #expect(steps == steps.sorted() && times == times.sorted() && times.contains(3))
        #expect(faults.map { $0.step == nil } == Array(repeating: false, count: steps.count) + Array(repeating: true, count: times.count))
        #expect(Set(faults.filter { $0.step != nil }.map { "\($0.worker!) \($0.step!)" }).count == steps.count)
        #expect(try Set(faults).isSuperset(of: [Fault("crash worker=1 step=20"), Fault("hang worker=0 step=20 for=1s")]))
        #expect(resolution.parts[0].title == "listed" && resolution.parts[0].actual == 3)
        #expect(resolution.parts[2].displaced > 0)
        #expect(resolution.parts.reduce(0) { $0 + $1.actual } == faults.count)
    }

    @Test func `what does not fit the run is refused, naming the entry`() throws {
        func refusal(_ yaml: String, limit: Int = 100) -> String? {
            do {
                _ = try FaultPlan(yaml: yaml, file: "plan.yaml", load: { _ in "" }).resolve(workers: 2, steps: 50, seed: 1, limit: limit)
                return nil
            } catch { return "\(error)" }
        }
        #expect(refusal("faults: [crash worker=2 step=1]") == "plan.yaml: faults, entry 1: there is no worker 2, the 2 workers are 0 to 1")
        #expect(refusal("faults: [crash worker=1 step=1, crash worker=1 step=50]") == "plan.yaml: faults, entry 2: there is no step 50, the run has steps 0 to 49")
        #expect(refusal("schedules: [every: { kind: crash, interval: 5, workers: [0, 3] }]") == "plan.yaml: schedules, entry 1 (every): there is no worker 3, the 2 workers are 0 to 1")
        let often = "probability: { kind: crash, p: 0.9 }"
        #expect(refusal("schedules: [\(often)]", limit: 10) == "plan.yaml: schedules, entry 1 (probability): more than 10 faults; make them rarer, or end them with `until`")
        let listed = (0..<11).map { "crash worker=0 step=\($0)" }.joined(separator: ", ")
        #expect(refusal("faults: [\(listed)]", limit: 10) == "the plan has 11 faults, and a run takes at most 10")
        #expect(refusal("faults: [\(listed)]", limit: 11) == nil)
    }
}
