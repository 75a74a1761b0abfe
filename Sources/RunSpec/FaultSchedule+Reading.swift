import Yams

// Keys that most schedules share: what it is (`kind`, with `for`, `notice`, `speed`, `rate`, `target`, `bit` where they apply), whom
// it strikes (`workers`, or `victim` for the launcher or the writer of checkpoints), where (`points`), when (`from`, `until`).

extension FaultSchedule {
    private static let what = ["kind", "victim", "workers", "points", "for", "notice", "speed", "rate", "target", "bit"]
    private static let when = ["from", "until"]

    /// Failures that come by chance: Poisson, or Weibull with its shape.
    init(renewal node: Node, place: String, isWeibull: Bool) throws {
        let rate = ["mtbf", "steps-per-failure"] + (isWeibull ? ["shape"] : [])
        let entry = try PlanEntry(node, place: place, keys: ["kind"] + rate + Self.what.dropFirst() + Self.when)
        let strike = try entry.strike(), victims = try entry.victims(), shape = try isWeibull ? entry.shape(usually: 0.7) : 1
        let suffix = isWeibull ? ", shape \(brief(shape))" : ""
        let own = try entry.span("mtbf", from: 0.1, "100 steps"), shared = try entry.number("steps-per-failure", 0.05...1e9)
        switch (own, shared) {
        case (let mean?, nil):
            self.init(
                place: place, title: "\(entry.name): \(strike.kind), \(victims), mtbf \(mean) each\(suffix)",
                timing: .each(.weibull(mean: mean.amount, shape: shape)), clock: mean.clock, victims: victims, strikes: [strike])
        case (nil, let steps?):
            self.init(
                place: place, title: "\(entry.name): \(strike.kind), \(victims), \(brief(steps)) steps per failure of the job\(suffix)",
                timing: .job(.weibull(mean: steps, shape: shape)), victims: victims, strikes: [strike])
        default:
            throw entry.bad("say how often: `mtbf: 100 steps` of each worker, or `steps-per-failure: 25` of the job, not both")
        }
        try takePoints(entry)
        try takePeriod(entry)
    }

    init(trials node: Node, place: String) throws {
        let entry = try PlanEntry(node, place: place, keys: ["kind", "p"] + Self.what.dropFirst() + Self.when)
        let strike = try entry.strike(), victims = try entry.victims()
        guard let p = try entry.number("p", 1e-9...0.999) else { throw entry.bad("`p` is missing: the probability per worker and step") }
        self.init(
            place: place, title: "probability: \(strike.kind), \(victims), \(p) per step each", timing: .each(.trials(probability: p)), victims: victims,
            strikes: [strike])
        try takePoints(entry)
        try takePeriod(entry)
    }

    init(every node: Node, place: String) throws {
        let entry = try PlanEntry(node, place: place, keys: ["kind", "interval"] + Self.what.dropFirst() + Self.when)
        let strike = try entry.strike(), victims = try entry.victims()
        guard let interval = try entry.span("interval", from: 0.01, "25 steps") else { throw entry.bad("`interval` is missing, as in `interval: 25 steps`") }
        if interval.clock == .steps, interval.amount < 1 { throw entry.bad("`interval` must be at least one step") }
        let turns = if case .workers = victims { " in turn" } else { "" }
        self.init(
            place: place, title: "every \(interval): \(strike.kind), \(victims)\(turns)", timing: .every(interval.amount), clock: interval.clock,
            victims: victims, strikes: [strike])
        try takePoints(entry)
        try takePeriod(entry)
    }

    init(trace node: Node, place: String, _ load: (String) throws -> String) throws {
        let entry = try PlanEntry(node, place: place, keys: ["file", "steps-per-hour", "compress"] + Self.what)
        guard let file = try entry.text("file") else { throw entry.bad("`file` is missing") }
        let recorded = try FaultTrace(try load(file), file: file)
        let rate = try entry.number("steps-per-hour", 1e-3...1e9), factor = try entry.number("compress", 1e-6...1e9)
        if rate != nil && factor != nil { throw entry.bad("`steps-per-hour` and `compress` exclude each other: the trace goes by steps or by the clock") }
        var trace = recorded.timed { seconds in rate.map { seconds / 3600 * $0 } ?? seconds / (factor ?? 1) }
        var strike = Strike(kind: .crash)
        if entry.has("kind") {
            strike = try entry.strike()
            trace = trace.all(strike.kind)
        } else if let key = ["victim", "for", "notice", "speed", "rate", "target", "bit"].first(where: entry.has) {
            throw entry.bad("`\(key)` needs `kind`, which then is that of every loss in the trace")
        }
        let pace = rate.map { "\(brief($0)) steps an hour" } ?? "\(brief(factor ?? 1)) times as fast"
        self.init(
            place: place, title: "trace \(file): \(recorded.removals.count) losses, \(pace)",
            remark: recorded.additions == 0 ? nil : "\(recorded.additions) additions in the trace are ignored: a replacement comes by itself",
            timing: .recorded(trace), clock: rate == nil ? .seconds : .steps, victims: try entry.victims(), strikes: [strike])
        try takePoints(entry)
    }

    init(profile node: Node, place: String) throws {
        let keys = ["name", "accelerators", "step-seconds", "compress", "steps-per-failure", "shape", "workers", "points"]
        let entry = try PlanEntry(node, place: place, keys: keys + Self.when)
        guard let name = try entry.text("name") else { throw entry.bad("`name` is missing; `headway faults profiles` lists them") }
        let profile = try FleetProfile.named(name, place: place), shape = try entry.shape(usually: profile.shape)
        let (steps, remark) = try entry.stepsPerFailure(profile)
        self.init(
            place: place, title: "profile \(name): \(significant(steps)) steps per failure" + (shape == 1 ? "" : ", shape \(brief(shape))"), remark: remark,
            timing: .job(.weibull(mean: steps, shape: shape)), victims: try entry.victims(), strikes: profile.strikes)
        try takePoints(entry)
        try takePeriod(entry)
    }

    /// Each sort of fault must be able to strike its victim, and a single sort at every point that is named.
    private mutating func takePoints(_ entry: PlanEntry) throws {
        points = try (entry.list("points") ?? []).map { try entry.choice("point", $0) }
        let victim: Fault.Victim = switch victims {
        case .workers: .worker(0)
        case .launcher: .launcher
        case .writer: .writer
        }
        for strike in strikes {
            let possible = Fault.points(strike.kind, victim, strike.target)
            if possible.isEmpty { throw entry.bad(Fault.wrongVictim(strike.kind)) }
            if strikes.count == 1, entry.has("kind"), let point = points.first(where: { !possible.contains($0) }) {
                throw entry.bad("\(strike.kind) cannot strike at \(point); there are \(possible.map(\.rawValue).joined(separator: ", "))")
            }
        }
    }

    private mutating func takePeriod(_ entry: PlanEntry) throws {
        for key in Self.when {
            guard let span = try entry.span(key, from: 0, clock == .steps ? "500 steps" : "60 s") else { continue }
            guard span.clock == clock else { throw entry.bad("`\(key)` must be in \(clock), as the times between failures are") }
            if key == "from" { from = span.amount } else { until = span.amount }
        }
        if let from, let until, until <= from { throw entry.bad("`until` must come after `from`") }
        if clock == .seconds && until == nil { throw entry.bad("failures by the clock need `until`, as in `until: 60 s`: nobody knows how long the run will take") }
    }
}

extension PlanEntry {
    fileprivate func victims() throws -> FaultSchedule.Victims {
        let slots = try list("workers")?.map {
            guard let slot = Int($0), slot >= 0 else { throw bad("`workers` must be whole numbers from 0, not `\($0)`") }
            return slot
        }
        if let slots, Set(slots).count < slots.count { throw bad("`workers` names one worker twice") }
        let victim = try text("victim")
        if slots != nil && victim != nil { throw bad("`workers` and `victim` exclude each other") }
        switch victim {
        case nil: return .workers(slots)
        case "launcher": return .launcher
        case "writer": return .writer
        case let other?: throw bad("there is no victim `\(other)`; there are launcher and writer, and `workers: [0, 1]`")
        }
    }

    /// The schedule's, as in the place.
    fileprivate var name: String { String(place.split(separator: "(").last?.dropLast() ?? "") }

    fileprivate func shape(usually shape: Double) throws -> Double {
        try number("shape", FailureGaps.shapes) ?? shape
    }

    fileprivate func strike() throws -> FaultSchedule.Strike {
        guard let text = try text("kind") else {
            throw bad("`kind` is missing; there are \(Fault.Kind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        var strike = FaultSchedule.Strike(kind: try choice("kind", text))
        let owners: [(key: String, kinds: [Fault.Kind])] = [("for", [.hang, .slow]), ("notice", [.preempt]), ("speed", [.slow]), ("rate", [.slowdisk]), ("target", [.bitflip]), ("bit", [.bitflip])]
        for (key, kinds) in owners where has(key) && !kinds.contains(strike.kind) {
            throw bad("`\(key)` goes with \(kinds.map(\.rawValue).joined(separator: " and ")), not with \(strike.kind)")
        }
        strike.seconds = try seconds("for") ?? seconds("notice")
        if let speed = try number("speed", 0.001...1) { strike.speed = speed }
        if let text = try self.text("rate") {
            guard let rate = Fault.rate(text) else { throw bad("`rate` must be from 0.001 to 1000000 MB/s, as in `2 MB/s`, not `\(text)`") }
            strike.rate = rate
        }
        if let target = try self.text("target") { strike.target = try choice("target", target) }
        if let text = try self.text("bit") {
            guard let bit = Int(text), Fault.bits ~= bit else { throw bad("`bit` must be from \(Fault.bits.lowerBound) to \(Fault.bits.upperBound), not `\(text)`") }
            strike.bit = bit
        }
        return strike
    }

    /// Of a job as a profile describes it, and in words what a step of the run stands for.
    fileprivate func stepsPerFailure(_ profile: FleetProfile) throws -> (Double, String?) {
        if let steps = try number("steps-per-failure", 0.05...1e9) {
            if let key = ["accelerators", "step-seconds", "compress"].first(where: has) { throw bad("`\(key)` and `steps-per-failure` exclude each other") }
            return (steps, "the profile's causes, at a rate of your own")
        }
        let given = try number("accelerators", 1...1e9).map { Int($0) }
        guard let accelerators = given ?? profile.accelerators, let hours = profile.hoursBetweenFailures(accelerators: accelerators) else {
            throw bad("no rate is published for \(profile.name); add `steps-per-failure`")
        }
        guard let stepSeconds = try number("step-seconds", 1e-6...1e9) ?? profile.stepSeconds else {
            throw bad("the source of \(profile.name) does not say how long a step takes; add `step-seconds`, or `steps-per-failure`")
        }
        let factor = try number("compress", 1e-6...1e9) ?? 1, steps = hours * 3600 / stepSeconds / factor
        guard steps >= 0.05 else { throw bad("that is a failure every \(significant(steps)) steps; at least 0.05 can be had, with a smaller `compress`") }
        let pace = factor == 1 ? "steps per failure are kept" : "\(brief(factor)) times as often as there"
        let fleet = "\(accelerators) accelerators, \(brief(stepSeconds)) s a step, a failure every \(significant(hours)) h"
        return (steps, "\(fleet); \(pace): a step here stands for \(significant(stepSeconds * factor)) s there")
    }
}

/// Four significant digits at most.
private func significant(_ number: Double) -> String {
    var scale = 1.0
    while number * scale < 1000 { scale *= 10 }
    return brief((number * scale).rounded() / scale)
}
