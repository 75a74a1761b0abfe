/// What makes many faults: when failures come, whom they strike, what they are.
package struct FaultSchedule: Sendable {
    enum Timing: Sendable {
        /// Every victim fails on its own; the job as a whole fails and one victim is drawn.
        case each(FailureGaps), job(FailureGaps)
        /// At `from`, or one interval after the start, and so on; victims in turn.
        case every(Double)
        case recorded(FaultTrace)
    }
    enum Clock: Sendable {
        case steps
        case seconds
    }
    enum Victims: Sendable, CustomStringConvertible {
        /// nil: all.
        case workers([Int]?)
        case launcher, writer

        var description: String {
            switch self {
            case .workers(nil): "all workers"
            case .workers(let slots?): "workers " + slots.map { String($0) }.joined(separator: ", ")
            case .launcher: "the launcher"
            case .writer: "the writer"
            }
        }
    }
    /// One sort of fault; of several, each comes as often as its weight says.
    struct Strike: Sendable {
        var kind: Fault.Kind
        var weight = 1.0
        var seconds: Double?
        var speed = 0.5
        var rate: Double?
        var target = Fault.Target.gradient
        var bit: Int?
    }

    /// File, entry and name, for errors.
    let place: String
    /// One line for people.
    package let title: String
    /// What it stands for, or what of it is left out; nil when the title says all.
    package let remark: String?
    let timing: Timing
    let clock: Clock
    let victims: Victims
    let strikes: [Strike]
    /// When failures begin and end, by `clock`; nil: with the run.
    var from: Double?, until: Double?
    /// Where faults may strike, as far as their kind can; empty: anywhere within a step.
    var points: [FaultPoint] = []

    init(
        place: String, title: String, remark: String? = nil, timing: Timing, clock: Clock = .steps, victims: Victims, strikes: [Strike]
    ) {
        (self.place, self.title, self.remark) = (place, title, remark)
        (self.timing, self.clock, self.victims, self.strikes) = (timing, clock, victims, strikes)
    }
}

/// A failure before it is known what becomes of it.
private struct Failure {
    /// By the schedule's clock.
    var time: Double
    /// The stream and index of its draws.
    var stream: UInt32, index: Int
    /// The first that can be struck is.
    var candidates: [Fault.Victim]
    var kind: Fault.Kind?
}

/// Which victims have been struck in which steps: nobody is struck twice in one.
struct StruckSteps {
    private struct Place: Hashable { let step: Int, victim: Fault.Victim }
    private var places: Set<Place> = []

    /// The first of the candidates that was not struck at this moment yet, and is now; nil when there is none. The clock
    /// never strikes twice: each of its moments is its own.
    mutating func take(_ candidates: [Fault.Victim], at moment: Fault.Moment) -> Fault.Victim? {
        guard case .step(let step) = moment else { return candidates.first }
        return candidates.first { places.insert(Place(step: step, victim: $0)).inserted }
    }
}

extension FaultSchedule {
    /// The faults in a run, and how many fell where everybody had been struck already.
    /// - Throws: `UserError` when a worker is not there, or when there are more than `limit`.
    func faults(workers: Int, steps: Int, draws: FaultDraws, struck: inout StruckSteps, limit: Int) throws -> (faults: [Fault], displaced: Int) {
        var faults: [Fault] = [], displaced = 0
        let victims = try victims(workers), end = end(steps: steps)
        try forEachFailure(of: victims, end: end, draws) { failure in
            let moment = clock == .steps ? Fault.Moment.step(Int(failure.time)) : .seconds(failure.time)
            guard let victim = struck.take(failure.candidates, at: moment) else {
                displaced += 1
                return
            }
            let chance = draws.choices(failure.stream, failure.index)
            var strike = drawn(chance.strike)
            if let kind = failure.kind { strike.kind = kind }
            let points = allowedPoints(strike, victim)
            faults.append(Fault(
                strike.kind, victim, moment, point: points[Int(chance.point * Double(points.count))], seconds: strike.seconds, speed: strike.speed,
                rate: strike.rate, target: strike.target, bit: strike.bit))
            if faults.count > limit { throw UserError(.usage, "\(place): more than \(limit) faults; make them rarer, or end them with `until`") }
        }
        return (faults, displaced)
    }

    /// How many faults there are in the long run of seeds.
    package func expectedFaults(workers: Int, steps: Int) throws -> Double {
        let count = try victims(workers).count, end = end(steps: steps), span = max(0, end - (from ?? 0))
        switch timing {
        case .each(let gaps): return Double(count) * span / gaps.mean
        case .job(let gaps): return span / gaps.mean
        case .every(let interval): return end <= from ?? interval ? 0 : ((end - (from ?? interval)) / interval).rounded(.up)
        case .recorded(let trace): return Double(trace.removals.count { $0.time < end })
        }
    }

    private func end(steps: Int) -> Double {
        switch clock {
        case .steps: min(until ?? Double(steps), Double(steps))
        case .seconds: until ?? .infinity
        }
    }

    private func victims(_ workers: Int) throws -> [Fault.Victim] {
        switch victims {
        case .launcher: return [.launcher]
        case .writer: return [.writer]
        case .workers(nil): return (0..<workers).map { .worker($0) }
        case .workers(let slots?):
            if let missing = slots.first(where: { $0 >= workers }) {
                throw UserError(.usage, "\(place): there is no worker \(missing), the \(workers) workers are 0 to \(workers - 1)")
            }
            return slots.map { .worker($0) }
        }
    }

    /// Calls `body` with what happens before `end`: in the order of time, of each victim if they fail on their own.
    private func forEachFailure(of victims: [Fault.Victim], end: Double, _ draws: FaultDraws, _ body: (Failure) throws -> Void) throws {
        func renew(_ gaps: FailureGaps, _ stream: UInt32, _ candidates: (Int) -> [Fault.Victim]) throws {
            var time = gaps.origin(before: from ?? 0), index = 0
            while true {
                time += gaps.gap(draws.uniform(stream, index))
                if time >= end { return }
                if time >= from ?? 0 { try body(Failure(time: time, stream: stream, index: index, candidates: candidates(index))) }
                index += 1
            }
        }
        // The greatest draw is struck, so that of the failures one worker more takes its share and moves no others.
        func ranked(_ index: Int) -> [Fault.Victim] {
            let ranks = victims.map { (victim: $0, draw: draws.uniform($0.stream, index)) }
            return ranks.sorted { $0.draw > $1.draw }.map(\.victim)
        }
        switch timing {
        case .each(let gaps):
            for victim in victims { try renew(gaps, victim.stream) { _ in [victim] } }
        case .job(let gaps):
            try renew(gaps, FaultDraws.job, ranked)
        case .every(let interval):
            var time = from ?? interval, index = 0
            while time < end {
                try body(Failure(time: time, stream: FaultDraws.job, index: index, candidates: [victims[index % victims.count]]))
                index += 1
                time = (from ?? interval) + Double(index) * interval
            }
        case .recorded(let trace):
            for (index, removal) in trace.removals.enumerated() where removal.time < end {
                let candidates = removal.node.map { [victims[$0 % victims.count]] } ?? ranked(index)
                try body(Failure(time: removal.time, stream: FaultDraws.job, index: index, candidates: candidates, kind: removal.kind))
            }
        }
    }

    private func drawn(_ chance: Double) -> Strike {
        var left = chance * strikes.reduce(0) { $0 + $1.weight }
        return strikes.first {
            left -= $0.weight
            return left < 0
        } ?? strikes[strikes.count - 1]
    }

    private func allowedPoints(_ strike: Strike, _ victim: Fault.Victim) -> [FaultPoint] {
        let all = Fault.points(strike.kind, victim, strike.target), allowed = all.filter(points.contains)
        return allowed.isEmpty ? all.filter { $0 != .join && $0 != .recovery } : allowed
    }
}

extension Fault.Victim {
    fileprivate var stream: UInt32 {
        switch self {
        case .worker(let slot): UInt32(slot)
        case .launcher: FaultDraws.launcher
        case .writer: FaultDraws.writer
        }
    }
}
