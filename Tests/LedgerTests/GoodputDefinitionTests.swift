import Testing
import Ledger

/// Runs with steps of a second and starts of a second, as in `GoodputTraceTests`; values by hand.
@Suite struct GoodputDefinitionTests {
    private let second = RunScript.second
    private static let names = [
        "ML productivity", "ml-goodput", "saved steps", "cluster readiness", "ETTR", "effective time rate", "sliding ETTR", "commit rate",
        "token rate", "saved wall time",
    ]

    /// All ten, in the order of `names`; a tenth of the peak is what a step of a second does.
    private func expect(_ script: RunScript, _ expected: [Double], _ location: SourceLocation = #_sourceLocation) -> [String: GoodputDefinition] {
        var record = script.record
        record.facts[RunFact.flopsPerToken] = "1e9"
        record.facts[RunFact.peakFlopsPerWorker] = String(1e12 / Double(Set(record.slots.map(\.slot)).count))
        let all = GoodputDefinition.all(RunAccount(record))
        #expect(all.map(\.name) == Self.names, sourceLocation: location)
        for (definition, value) in zip(all, expected) {
            #expect(abs((definition.value ?? .nan) - value) < 1e-12, "\(definition.name): \(definition.value ?? .nan), not \(value)", sourceLocation: location)
        }
        return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    }

    private func checkpoint(_ step: Int, at seconds: Double, session: Int = 1) -> CheckpointRow {
        let requested = UInt64(seconds * 1e9)
        return CheckpointRow(session: session, step: step, requestedNanoseconds: requested, durableNanoseconds: requested + second, bytes: 1, status: "durable")
    }

    @Test func undisturbedRunsLoseTheirStartOrNotEvenThat() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(100)
        run.close()
        run.record.checkpoints = [checkpoint(90, at: 91)]
        let kept = 100.0 / 101
        let found = expect(run, [0.1 * kept, kept, 90.0 / 101, 1, kept, kept, kept, 1, kept, 1])
        #expect(found["ETTR"]?.difference == "nothing but productive compute is good")
        #expect(found["cluster readiness"]?.difference == "counts as good, in worker-seconds: 1.00 of start-up")
        #expect(found["saved steps"]?.difference.hasPrefix("steps 0 to 90, the newest durable checkpoint; charges each step the median 1000.0 ms; 100.0 % ") == true)
    }

    @Test func crashWithARewindTakesTheStepsBackAndTheTimeDown() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(49)
        run.event(0, .forward)
        run.now += second / 2
        run.die(0)
        run.spawn(0, incident: 1)
        run.now += 30 * second
        run.rewind(to: 40, for: 1)
        run.wholeSteps(60)
        run.close()
        run.record.checkpoints = [checkpoint(40, at: 41), checkpoint(100, at: 140)]
        let kept = 100 / 140.5
        _ = expect(run, [0.1 * kept, kept, kept, 101 / 140.5, kept, kept, kept, 100.0 / 110, kept, 1])
    }

    @Test func slotEmptyForAMinuteIsGoodTimeToAllButAFew() {
        var run = RunScript()
        run.begin(slots: 2, initialise: second)
        run.wholeSteps(50, slots: 2)
        run.die(1)
        run.event(0, .awaitLeaves)
        run.now += 60 * second
        run.newView()
        run.spawn(1, incident: 1)
        run.wholeSteps(50, slots: 2)
        run.close()
        let job = 160.0 / 161, steps = 100.0 / 161, alive = 262.0 / 322
        let program = 10_000e9 / (0.5e12 * 2 * 160)
        let found = expect(run, [101.0 / 161 * job * program, job, 0, 1, job, steps, job, 100.0 / 101 * alive, steps, 1])
        #expect(found["ETTR"]?.difference == "counts as good, in worker-seconds: 120 of failures")
        #expect(found["commit rate"]?.difference.hasPrefix("1 of 101 attempts lost a worker or its work and counts for nothing") == true)
    }

    @Test func outageWithoutARepeatedStepNumberIsInvisibleToStepGapsOnly() {
        let run = RunScript.crashAfterACommit()
        let kept = 100.0 / 131
        _ = expect(run, [0.1 * kept, 130.0 / 131, 0, 101.0 / 131, kept, kept, kept, 100.0 / 101, kept, 1])
    }

    @Test func stepAbortedInPlaceFiveTimesIsFiveFailedAttempts() {
        let run = RunScript.stepAbortedInPlaceFiveTimes()
        let job = 105.0 / 106, steps = 100.0 / 106
        _ = expect(run, [job * 100 / 1050, steps, 0, 1, job, steps, job, 100.0 / 105, steps, 1])
    }

    @Test func sessionThatGoesBackToACheckpointAfterABreak() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50)
        run.close()
        run.begin(slots: 1, initialise: second, startStep: 40, source: "checkpoint")
        run.wholeSteps(60)
        run.close()
        run.record.sessions[1].startedUnixSeconds = 51 + 20
        run.record.checkpoints = [checkpoint(40, at: 41), checkpoint(100, at: 111, session: 2)]
        // Sessions of 51 and 61 s, 20 s between them; steps 41 to 50 are made twice.
        let kept = 100.0 / 132
        let found = expect(run, [
            112.0 / 132 * (100.0 / 112) * 0.1, kept, kept, 101.0 / 112, kept, kept, kept, 100.0 / 110, kept, (41.0 + 61) / 112,
        ])
        #expect(found["ETTR"]?.difference.hasSuffix("; the 20.0 s between sessions are lost time") == true)
        #expect(found["cluster readiness"]?.difference.hasSuffix("; leaves out 20.0 s between sessions") == true)
    }

    @Test func breakBetweenSessionsIsGoodTimeToStepGapsWhenNoStepNumberComesTwice() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50)
        run.close()
        run.begin(slots: 1, initialise: second, startStep: 50, source: "checkpoint")
        run.wholeSteps(50)
        run.close()
        run.record.sessions[1].startedUnixSeconds = 51 + 20
        let found = expect(run, [
            102.0 / 122 * (100.0 / 102) * 0.1, 121.0 / 122, 0, 101.0 / 102, 100.0 / 122, 100.0 / 122, 100.0 / 122, 1, 100.0 / 122, 51.0 / 102,
        ])
        #expect(found["ml-goodput"]?.difference == "counts as good, in worker-seconds: 1.00 of start-up; and 20.0 s between sessions")
    }

    @Test func worstHourHoldsTheWholeOutage() {
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(50, duration: 100 * second)
        run.die(0)
        run.spawn(0, incident: 1)
        run.now += 1800 * second
        run.wholeSteps(50, duration: 100 * second)
        run.close()
        let sliding = GoodputDefinition.all(RunAccount(run.record))[6]
        #expect(sliding.value == 0.5)
        #expect(sliding.difference.hasSuffix("the whole job has 84.7 %"))
    }

    @Test func recordsThatLackWhatIsNeededHaveNoValueAndSaySo() {
        let empty = GoodputDefinition.all(RunAccount(RunRecord()))
        #expect(empty.count == 10 && empty.allSatisfy { $0.value == nil && !$0.difference.isEmpty })
        var run = RunScript()
        run.begin(slots: 1, initialise: second)
        run.wholeSteps(2)
        run.close()
        let found = GoodputDefinition.all(RunAccount(run.record))
        #expect(found[0].value == nil && found[0].difference.contains("no SGEMM peak was recorded"))
    }

    @Test(arguments: 1...200) func everyValueOfARandomRunIsAShare(seed: Int) {
        let simulation = RunSimulation(seed: UInt64(seed))
        simulation.run()
        let account = RunAccount(simulation.record)
        // Reference rates of a run of a few steps may be off either way; times may not.
        for definition in GoodputDefinition.all(account) where !["saved steps", "effective time rate", "token rate"].contains(definition.name) {
            if let value = definition.value { #expect((0...1 + 1e-12).contains(value), "seed \(seed), \(definition.name): \(value)") }
        }
        let fall = LossWaterfall(account)
        #expect(fall.provisioned >= fall.alive && fall.alive >= fall.computing && fall.computing >= fall.kept && fall.unmeasured == fall.kept, "seed \(seed)")
    }
}
