import Coordination
import Testing

/// The real view and commit machines in a simulated run: 120,000 schedules of what can befall it, and the proof that the
/// simulation would notice if something were wrong.
@Suite struct StepSimulationTests {
    static let schedules = 40_000

    @Test(arguments: LossPolicy.allCases)
    func `whatever befalls a run, it commits each step once with the state of a run that nothing befalls`(policy: LossPolicy) {
        var total = StepSimulation.Counts()
        for seed in 0..<UInt64(Self.schedules) {
            var simulation = StepSimulation(seed: seed, policy: policy)
            simulation.run()
            total += simulation.counts
            if let broken = simulation.broken {
                Issue.record("seed \(seed), \(policy): \(broken)\n\(Self.story(seed, policy))")
                return
            }
        }
        print("\(Self.schedules) schedules, \(policy): \(total)")
        // Schedules in which little happens prove little.
        #expect(total.commits > 100_000 && total.views > 80_000 && total.checkpoints > 20_000)
        #expect(total.deaths > 60_000 && total.deathsInUnits > 4_000 && total.deathsOfAll > 6_000)
        #expect(total.hangs > 8_000 && total.fenced > 5_000 && total.lateNotices > 70_000)
        #expect(total.drains > 14_000 && total.resizes > 12_000 && total.stops > 4_000 && total.givenUp > 10 && total.unborn > 200)
        #expect(total.adoptions > 15_000 && total.adoptionsOfUnannounced > 2_000 && total.restores > 3_000)
        #expect(total.repeated > 140_000 && total.lostRings > 300_000)
        #expect(policy != .elastic || total.leavesHelpedOut > 100_000)
        #expect((policy == .restart) == (total.rewinds > 30_000) && (policy == .discard) == (total.discards > 50_000))
    }

    @Test(arguments: StepSimulation.Mutation.allCases)
    func `a deliberate fault around the machines is noticed`(mutation: StepSimulation.Mutation) {
        for seed in 0..<UInt64(mutation.schedules) {
            var simulation = StepSimulation(seed: seed, policy: mutation.policy ?? LossPolicy.allCases[Int(seed % 3)], mutation: mutation)
            simulation.run()
            if let broken = simulation.broken { return print("\(mutation) is noticed in schedule \(seed + 1): \(broken)") }
        }
        Issue.record("\(mutation.schedules) schedules with \(mutation) go well")
    }

    @Test func `the same seed is the same run`() {
        for policy in LossPolicy.allCases { #expect(Self.story(7, policy) == Self.story(7, policy)) }
    }

    /// The last of what happens under `seed`.
    private static func story(_ seed: UInt64, _ policy: LossPolicy) -> String {
        var simulation = StepSimulation(seed: seed, policy: policy)
        simulation.story = []
        simulation.run()
        return simulation.story!.suffix(60).joined(separator: "\n")
    }
}

extension StepSimulation.Mutation {
    /// Where it makes a difference; nil: anywhere.
    var policy: LossPolicy? {
        switch self {
        case .rewindKeepsTheTurn: .restart
        case .turnReadAfterAdmission: .elastic
        default: nil
        }
    }

    /// Within how many schedules it is noticed: several times as many as it takes on average.
    var schedules: Int {
        switch self {
        case .turnReadAfterAdmission: 120_000
        default: 10_000
        }
    }
}
