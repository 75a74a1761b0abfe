import Foundation
import RunSpec
import Testing

@Suite struct ScheduleTests {
    private func schedule(_ kind: Schedule.Kind, warmup: Int = 10) -> Schedule {
        var schedule = Schedule()
        (schedule.kind, schedule.peak, schedule.minimum, schedule.warmup, schedule.decayFraction) = (kind, 2e-3, 5e-4, warmup, 0.25)
        return schedule
    }

    private func isNear(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-15 }

    @Test(arguments: Schedule.Kind.allCases)
    func `the rate rises linearly in warm-up and reaches its peak with the step after it`(kind: Schedule.Kind) {
        let schedule = schedule(kind)
        for step in 0..<10 { #expect(isNear(schedule.rate(step: step, of: 100), 2e-3 * Double(step + 1) / 11)) }
        #expect(schedule.rate(step: 10, of: 100) == 2e-3)
    }

    @Test(arguments: Schedule.Kind.allCases)
    func `without warm-up the first rate is the peak`(kind: Schedule.Kind) {
        #expect(schedule(kind, warmup: 0).rate(step: 0, of: 100) == 2e-3)
    }

    @Test(arguments: [Schedule.Kind.linear, .cosine, .wsd])
    func `the rate reaches its minimum at the end and stays there`(kind: Schedule.Kind) {
        let schedule = schedule(kind)
        #expect(isNear(schedule.rate(step: 100, of: 100), 5e-4) && isNear(schedule.rate(step: 1000, of: 100), 5e-4))
        #expect(schedule.rate(step: 99, of: 100) > 5e-4)
    }

    @Test(arguments: Schedule.Kind.allCases)
    func `after warm-up the rate never rises and stays between peak and minimum`(kind: Schedule.Kind) {
        let rates = (10...100).map { schedule(kind).rate(step: $0, of: 100) }
        #expect(zip(rates, rates.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(rates.allSatisfy { $0 <= 2e-3 && $0 >= 5e-4 - 1e-18 })
    }

    @Test func `constant stays at the peak`() {
        #expect((10...100).allSatisfy { schedule(.constant).rate(step: $0, of: 100) == 2e-3 })
    }

    @Test func `linear is halfway at half the way`() {
        #expect(isNear(schedule(.linear).rate(step: 55, of: 100), 1.25e-3))
        #expect(isNear(schedule(.linear).rate(step: 28, of: 100), 2e-3 - 1.5e-3 * 0.2))
    }

    @Test func `cosine follows half a cosine`() {
        for step in 10...100 {
            let expected = 5e-4 + 1.5e-3 * 0.5 * (1 + cos(.pi * Double(step - 10) / 90))
            #expect(isNear(schedule(.cosine).rate(step: step, of: 100), expected))
        }
    }

    @Test func `wsd is stable until the last share of the steps and falls linearly over them`() {
        let schedule = schedule(.wsd)
        #expect((10...75).allSatisfy { schedule.rate(step: $0, of: 100) == 2e-3 })
        for step in 75...100 { #expect(isNear(schedule.rate(step: step, of: 100), 2e-3 - 1.5e-3 * Double(step - 75) / 25)) }
    }

    @Test func `wsd begins to fall after warm-up even where its share is longer`() {
        var schedule = schedule(.wsd)
        schedule.decayFraction = 1
        #expect(schedule.rate(step: 10, of: 20) == 2e-3 && isNear(schedule.rate(step: 15, of: 20), 1.25e-3))
    }

    @Test(arguments: Schedule.Kind.allCases)
    func `a run that is all warm-up has a rate for each step`(kind: Schedule.Kind) {
        let schedule = schedule(kind, warmup: 4)
        let rates = (0...4).map { schedule.rate(step: $0, of: 4) }
        #expect(rates.allSatisfy { $0.isFinite && $0 > 0 && $0 <= 2e-3 })
    }
}
