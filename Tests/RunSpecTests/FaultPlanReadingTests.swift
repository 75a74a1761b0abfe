import RunSpec
import Testing

@Suite struct FaultPlanReadingTests {
    private static let kinds = "crash, segfault, hang, slow, preempt, nonfinite, bitflip, labels, diskfull, slowdisk, torn, flipped"

    @Test func `a plan has its seed, its list and its schedules`() throws {
        let plan = try FaultPlan(
            yaml: "seed: 18446744073709551615\nfaults: [crash worker=1 step=50, { kind: crash, victim: launcher, step: 3 }]\nschedules: [poisson: { kind: crash, mtbf: 5 }]",
            file: "plan.yaml", load: { _ in "" })
        #expect(plan.seed == .max && plan.schedules.map(\.title) == ["poisson: crash, all workers, mtbf 5 steps each"])
        #expect(plan.listed.map(\.fault.description) == ["crash worker=1 step=50 point=backward", "crash launcher step=3 point=vote"])
    }

    @Test func `all that goes with a kind reaches the faults`() throws {
        for (keys, fault) in [
            ("kind: slow, speed: 0.25, for: 200 ms", "slow worker=0 step=5 point=forward speed=0.25 for=0.2s"),
            ("kind: preempt, notice: 1 min, points: vote", "preempt worker=0 step=5 point=vote notice=60.0s"),
            ("kind: bitflip, target: secondMoment", "bitflip worker=0 step=5 target=secondMoment point=commit"),
            ("kind: bitflip, bit: 30", "bitflip worker=0 step=5 target=gradient bit=30 point=leafDone"),
            ("kind: crash, points: [recovery]", "crash worker=0 step=5 point=recovery"),
            ("kind: hang, victim: writer, points: manifest", "hang writer step=5 point=manifest"),
            ("kind: slowdisk, victim: writer, rate: 0.25 MB/s", "slowdisk writer step=5 point=persist rate=0.25MB/s"),
            ("kind: flipped, victim: writer", "flipped writer step=5 point=rename"),
        ] {
            #expect(try FaultPlan("every: { \(keys), interval: 5 steps }").faults(workers: 1, steps: 6).map(\.description) == [fault])
        }
    }

    @Test(arguments: [
        ("", "the plan is empty; it has seed, faults and schedules"),
        ("[a]", "write it as { faults: …, schedules: … }"),
        ("sede: 7", "there is no key `sede`; did you mean `seed`?; there are faults, schedules, seed"),
        ("seed: -1", "`seed` must be a whole number from 0 to 2^64 − 1, not `-1`"),
        ("faults: crash worker=1 step=5", "`faults` must be a list, each entry after a dash"),
        ("faults: [crash worker=1]", "faults, entry 1: 'crash worker=1': say when, as in step=50 or at=2.5s"),
        ("faults: [crash worker=1 step=3, { worker: 1, step: 4 }]", "faults, entry 2: `kind` is missing"),
        ("faults: [{ kind: crash, wroker: 1 }]", "faults, entry 1: there is no key `wroker`; did you mean `worker`?; there are kind, worker, victim, step, at, point, for, notice, speed, rate, target, bit"),
        ("faults: [{ kind: crash, worker: [1, 2], step: 3 }]", "faults, entry 1: `worker` must be one value"),
        ("faults: [{ kind: hang, worker: 1, step: 3, for: soon }]", "faults, entry 1: 'hang worker=1 step=3 for=soon': `for` must be a time in seconds, as in for=2.5s, not `soon`"),
        ("schedules: [often]", "schedules, entry 1: write it as name: { … }, with one of poisson, weibull, probability, every, trace, profile"),
        ("schedules: [poison: { kind: crash, mtbf: 5 }]", "schedules, entry 1 (poison): there is no schedule `poison`; did you mean `poisson`?; there are poisson, weibull, probability, every, trace, profile"),
        ("schedules: [poisson: crash]", "schedules, entry 1 (poisson): write it as { kind: …, mtbf: … }"),
    ])
    func `an error in a plan is a sentence that names the file and the entry`(yaml: String, reason: String) throws {
        let error = try #require(throws: UserError.self) { try FaultPlan(yaml: yaml, file: "plan.yaml", load: { _ in "" }) }
        #expect(error.description == "plan.yaml: " + reason)
    }

    @Test func `what is no YAML is said to be none`() throws {
        let error = try #require(throws: UserError.self) { try FaultPlan(yaml: "seed: [", file: "plan.yaml", load: { _ in "" }) }
        #expect(error.description.hasPrefix("plan.yaml is not YAML: ") && error.status == .badInput)
    }

    private static let period = "victim, workers, points, for, notice, speed, rate, target, bit, from, until"

    @Test(arguments: [
        ("poisson: { kind: crash, mtbs: 5 }", "there is no key `mtbs`; did you mean `mtbf`?; there are kind, mtbf, steps-per-failure, \(period)"),
        ("poisson: { mtbf: 5 }", "`kind` is missing; there are \(kinds)"),
        ("poisson: { kind: crush, mtbf: 5 }", "there is no kind `crush`; did you mean `crash`?; there are \(kinds)"),
        ("poisson: { kind: crash }", "say how often: `mtbf: 100 steps` of each worker, or `steps-per-failure: 25` of the job, not both"),
        ("poisson: { kind: crash, mtbf: 5, steps-per-failure: 5 }", "say how often: `mtbf: 100 steps` of each worker, or `steps-per-failure: 25` of the job, not both"),
        ("poisson: { kind: crash, mtbf: often }", "`mtbf` must be steps or a time from 0.1 up, as in `100 steps`, not `often`"),
        ("poisson: { kind: crash, mtbf: 0 }", "`mtbf` must be steps or a time from 0.1 up, as in `100 steps`, not `0`"),
        ("poisson: { kind: crash, mtbf: 5 days }", "`mtbf` must be steps or a time from 0.1 up, as in `100 steps`, not `5 days`"),
        ("poisson: { kind: crash, steps-per-failure: 0 }", "`steps-per-failure` must be a number from 0.05 to 1000000000, not `0`"),
        ("poisson: { kind: crash, mtbf: 5 s }", "failures by the clock need `until`, as in `until: 60 s`: nobody knows how long the run will take"),
        ("poisson: { kind: crash, mtbf: 5 s, until: 60 }", "`until` must be in seconds, as the times between failures are"),
        ("poisson: { kind: crash, mtbf: 5, from: 1 s }", "`from` must be in steps, as the times between failures are"),
        ("poisson: { kind: crash, mtbf: 5, from: 50, until: 50 }", "`until` must come after `from`"),
        ("poisson: { kind: crash, mtbf: 5, shape: 0.7 }", "there is no key `shape`; there are kind, mtbf, steps-per-failure, \(period)"),
        ("weibull: { kind: crash, mtbf: 5, shape: 0.1 }", "`shape` must be a number from 0.4 to 10, not `0.1`"),
        ("poisson: { kind: crash, mtbf: 5, for: 1 s }", "`for` goes with hang and slow, not with crash"),
        ("poisson: { kind: hang, mtbf: 5, notice: 1 s }", "`notice` goes with preempt, not with hang"),
        ("poisson: { kind: hang, mtbf: 5, speed: 0.5 }", "`speed` goes with slow, not with hang"),
        ("poisson: { kind: hang, mtbf: 5, target: gradient }", "`target` goes with bitflip, not with hang"),
        ("poisson: { kind: hang, mtbf: 5, bit: 3 }", "`bit` goes with bitflip, not with hang"),
        ("poisson: { kind: bitflip, mtbf: 5, bit: 32 }", "`bit` must be from 0 to 31, not `32`"),
        ("trace: { file: t.csv, bit: 3 }", "`bit` needs `kind`, which then is that of every loss in the trace"),
        ("poisson: { kind: hang, mtbf: 5, for: 3 }", "`for` must be a time with its unit, as in `2.5 s`, not `3`"),
        ("poisson: { kind: slow, mtbf: 5, speed: 2 }", "`speed` must be a number from 0.001 to 1, not `2`"),
        ("poisson: { kind: bitflip, mtbf: 5, target: gradeint }", "there is no target `gradeint`; did you mean `gradient`?; there are gradient, parameters, firstMoment, secondMoment"),
        ("poisson: { kind: crash, mtbf: 5, points: [reduce, forwrad] }", "there is no point `forwrad`; did you mean `forward`?; there are \(FaultPoint.allCases.map(\.rawValue).joined(separator: ", "))"),
        ("poisson: { kind: nonfinite, mtbf: 5, points: reduce }", "nonfinite cannot strike at reduce; there are leafDone"),
        ("poisson: { kind: crash, mtbf: 5, points: [] }", "`points` must be a list of values, as in [a, b]"),
        ("poisson: { kind: crash, mtbf: 5, workers: all }", "`workers` must be whole numbers from 0, not `all`"),
        ("poisson: { kind: crash, mtbf: 5, workers: [1, 0, 1] }", "`workers` names one worker twice"),
        ("poisson: { kind: crash, mtbf: 5, workers: 1, victim: writer }", "`workers` and `victim` exclude each other"),
        ("poisson: { kind: crash, mtbf: 5, victim: disk }", "there is no victim `disk`; there are launcher and writer, and `workers: [0, 1]`"),
        ("poisson: { kind: slow, mtbf: 5, victim: writer }", "slow can strike a worker only"),
        ("poisson: { kind: diskfull, mtbf: 5 }", "diskfull can strike the writer only"),
        ("poisson: { kind: slowdisk, mtbf: 5, victim: writer, rate: fast }", "`rate` must be from 0.001 to 1000000 MB/s, as in `2 MB/s`, not `fast`"),
        ("poisson: { kind: crash, mtbf: 5, rate: 2MB/s }", "`rate` goes with slowdisk, not with crash"),
        ("probability: { kind: crash }", "`p` is missing: the probability per worker and step"),
        ("probability: { kind: crash, p: 1 }", "`p` must be a number from 1e-09 to 0.999, not `1`"),
        ("every: { kind: crash }", "`interval` is missing, as in `interval: 25 steps`"),
        ("every: { kind: crash, interval: 0.5 }", "`interval` must be at least one step"),
        ("trace: { steps-per-hour: 5 }", "`file` is missing"),
        ("trace: { file: t.csv, steps-per-hour: 5, compress: 2 }", "`steps-per-hour` and `compress` exclude each other: the trace goes by steps or by the clock"),
        ("trace: { file: t.csv, notice: 5 s }", "`notice` needs `kind`, which then is that of every loss in the trace"),
        ("profile: { compress: 5 }", "`name` is missing; `headway faults profiles` lists them"),
        ("profile: { name: llama }", "there is no profile `llama`; there are llama3-54-days, rsc-1, rsc-2, byterobust, spot"),
        ("profile: { name: rcs-1 }", "there is no profile `rcs-1`; did you mean `rsc-1`?; there are llama3-54-days, rsc-1, rsc-2, byterobust, spot"),
        ("profile: { name: rsc-1 }", "the source of rsc-1 does not say how long a step takes; add `step-seconds`, or `steps-per-failure`"),
        ("profile: { name: byterobust, step-seconds: 5, accelerators: 100 }", "no rate is published for byterobust; add `steps-per-failure`"),
        ("profile: { name: spot, steps-per-failure: 5, compress: 5 }", "`compress` and `steps-per-failure` exclude each other"),
        ("profile: { name: llama3-54-days, compress: 1000000 }", "that is a failure every 0.001796 steps; at least 0.05 can be had, with a smaller `compress`"),
    ])
    func `an error in a schedule names the schedule and the key`(schedule: String, reason: String) throws {
        let error = try #require(throws: UserError.self) { try FaultPlan(schedule, files: ["t.csv": "time_s,event\n"]) }
        #expect(error.description == "plan.yaml: schedules, entry 1 (\(schedule.prefix { $0 != ":" })): " + reason)
        #expect(error.status == .usage)
    }
}
