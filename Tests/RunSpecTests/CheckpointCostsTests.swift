import RunSpec
import Testing

@Suite struct CheckpointCostsTests {
    private let minute = 60.0

    /// Captions of Daly's figures: a checkpoint takes 5 minutes, a restart 10.
    @Test(arguments: [(1440.0, 117.0, 0.5), (360.0, 57.0, 0.5), (15.0, 9.1, 0.05)])
    func `Daly's interval is the published one`(betweenMinutes: Double, published: Double, halfDigit: Double) {
        let costs = CheckpointCosts(blocking: 5 * minute, restart: 10 * minute, betweenFailures: betweenMinutes * minute)
        #expect(abs(costs.daly / minute - published) < halfDigit)
        // The exact optimum of the same model: a few seconds from his estimate, and never worse.
        #expect(abs(costs.best - costs.daly) < 2 && costs.loss(interval: costs.best) <= costs.loss(interval: costs.daly))
    }

    @Test func `no interval on a fine grid has less loss than the best`() {
        for (blocking, persist, restart, between) in [(0.3, 2.0, 5.0, 600.0), (5, 0, 10, 12), (0.001, 0.03, 0.4, 0.9), (40, 1, 1, 15)] {
            let costs = CheckpointCosts(blocking: blocking, persist: persist, restart: restart, betweenFailures: between)
            let least = costs.loss(interval: costs.best)
            #expect((1...4000).allSatisfy { costs.loss(interval: Double($0) / 1000 * between) >= least - 1e-9 }, "\(costs)")
            #expect(least > 0 && least < 1)
        }
    }

    @Test func `rare failures and small costs give the first-order loss`() {
        let costs = CheckpointCosts(blocking: 0.01, persist: 0.5, restart: 2, betweenFailures: 1e5)
        let interval = 50.0, firstOrder = costs.blocking / interval + (interval / 2 + costs.persist + costs.restart) / costs.betweenFailures
        #expect(abs(costs.loss(interval: interval) / firstOrder - 1) < 1e-3)
        #expect(costs.young == (2 * 0.01 * 1e5).squareRoot() && costs.daly < costs.young)
    }

    @Test func `free checkpoints are best without an interval, and dearer ones than Daly's formula reaches leave his limit`() {
        let free = CheckpointCosts(blocking: 0, betweenFailures: 100)
        #expect(free.best < 1e-12 && free.young == 0 && free.daly == 0)
        #expect(CheckpointCosts(blocking: 250, betweenFailures: 100).daly == 100)
        #expect(CheckpointCosts(blocking: 0, restart: 1e9, betweenFailures: 1).loss(interval: 1) == 1)
    }

    private func choice(blocking: Double = 0, persist: Double = 0.03, failures: Int, exposure: Double, steps: Int = 1000, step: Double = 0.02) -> CheckpointChoice {
        CheckpointChoice(
            plannedSteps: steps, stepSeconds: step, blocking: blocking, persist: persist, restart: 0.3,
            rate: FailureRate(failures: failures, exposureSeconds: exposure, priorSeconds: 20), workers: 4)
    }

    @Test func `where checkpoints are free and failures frequent, the interval is what writing takes`() {
        let choice = choice(failures: 50, exposure: 80)
        #expect(choice.steps == 2 && choice.leastSteps == 2 && choice.mostSteps == 125)
        #expect(self.choice(persist: 0, failures: 50, exposure: 80).steps == 1)
    }

    @Test func `where failures are unheard of, it is the stated longest, and never shorter than writing`() {
        #expect(choice(failures: 0, exposure: 1e7).steps == 125)
        #expect(choice(failures: 0, exposure: 1e7, steps: 100_000_000).steps == Int(CheckpointChoice.longestSeconds / 0.02))
        let slow = choice(persist: 5, failures: 50, exposure: 80)
        #expect(slow.steps == 250 && slow.mostSteps == 250)
    }

    @Test func `the interval loses no more than the tolerance against any other within the bounds`() {
        for blocking in [0, 0.0005, 0.01, 0.2] {
            for failures in [0, 1, 10, 300] {
                let choice = choice(blocking: blocking, failures: failures, exposure: 100)
                let least = (choice.leastSteps...choice.mostSteps).map { choice.loss(interval: Double($0) * choice.stepSeconds) }.min()!
                #expect(choice.loss <= least + CheckpointChoice.tolerance && choice.loss >= least, "\(choice)")
            }
        }
    }

    // MARK: The rate of failures

    /// From tables of χ² with 1 and 21 degrees of freedom.
    @Test(arguments: [(0, 0.025, 0.000982069), (0, 0.975, 5.0238862), (10, 0.025, 10.2828978), (10, 0.5, 20.3372276), (10, 0.975, 35.4788759)])
    func `quantiles of the rate are those of the gamma distribution`(failures: Int, probability: Double, chiSquare: Double) {
        let rate = FailureRate(failures: failures, exposureSeconds: 6, priorSeconds: 2)
        #expect(abs(rate.quantile(probability) * 8 / (chiSquare / 2) - 1) < 1e-6)
    }

    @Test func `what was seen outweighs the prior in the end`() {
        #expect(FailureRate(priorSeconds: 100).mean == 0.005)
        let seen = FailureRate(failures: 1000, exposureSeconds: 10_000, priorSeconds: 100)
        #expect(abs(seen.mean / 0.1 - 1) < 0.01)
        #expect(seen.quantile(0.025) < 0.1 && seen.quantile(0.975) > 0.1 && seen.quantile(0.975) < 0.11)
    }
}
