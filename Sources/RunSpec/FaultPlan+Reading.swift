import Yams

// A plan as YAML; every part is optional:
//
//     seed: 7
//     faults:                                       # one by one: the text form, or its words as keys
//       - crash worker=1 step=50 point=backward
//       - { kind: hang, worker: 2, step: 80, for: 1s }
//     schedules:
//       - poisson:     { kind: crash, mtbf: 100 steps }                # of each worker, on its own
//       - poisson:     { kind: crash, steps-per-failure: 5.45 }        # of the job; the worker is drawn
//       - weibull:     { kind: hang, mtbf: 20 s, until: 10 min, shape: 0.7, for: 1 s }
//       - probability: { kind: crash, p: 0.01, points: [forward, reduce] }   # per worker and step
//       - every:       { kind: crash, interval: 25 steps }             # one worker after the other
//       - trace:       { file: spot.csv, steps-per-hour: 120 }
//       - profile:     { name: llama3-54-days, compress: 50 }
//
// All but the seed may come any number of times.

extension FaultPlan {
    /// - Parameters:
    ///   - file: the plan's name, for errors.
    ///   - load: the text of a trace, given its name in the plan.
    /// - Throws: `UserError` naming file, entry and key.
    package init(yaml: String, file: String, load: (String) throws -> String) throws {
        let root: Node?
        do { root = try Yams.compose(yaml: yaml) } catch { throw RunConfig.notYAML(file, error) }
        guard let root else { throw UserError(.usage, "\(file): the plan is empty; it has seed, faults and schedules") }
        let top = try PlanEntry(root, place: file, keys: ["faults", "schedules", "seed"])
        var seed: UInt64?
        if let text = try top.text("seed") {
            guard let number = UInt64(text) else { throw top.bad("`seed` must be a whole number from 0 to 2^64 − 1, not `\(text)`") }
            seed = number
        }
        let listed = try Self.entries("faults", of: top).map { try Self.listed($1, place: $0) }
        let schedules = try Self.entries("schedules", of: top).map { try Self.schedule($1, place: $0, load) }
        self.init(seed: seed, listed: listed, schedules: schedules)
    }

    private static func entries(_ key: String, of top: PlanEntry) throws -> [(place: String, node: Node)] {
        guard let node = top.node(key) else { return [] }
        guard let items = node.sequence else { throw top.bad("`\(key)` must be a list, each entry after a dash") }
        return items.enumerated().map { ("\(top.place): \(key), entry \($0 + 1)", $1) }
    }

    private static func listed(_ node: Node, place: String) throws -> Listed {
        if let text = node.scalar?.string { return Listed(place: place, fault: try fault(text, place: place)) }
        let entry = try PlanEntry(node, place: place, keys: ["kind", "worker", "victim", "step", "at", "point", "for", "notice", "speed", "rate", "target", "bit"])
        guard let kind = try entry.text("kind") else { throw entry.bad("`kind` is missing") }
        var words = [kind]
        if let victim = try entry.text("victim") { words.append(victim) }
        for key in ["worker", "step", "at", "point", "for", "notice", "speed", "rate", "target", "bit"] {
            if let value = try entry.text(key) { words.append("\(key)=\(value.filter { $0 != " " })") }
        }
        return Listed(place: place, fault: try fault(words.joined(separator: " "), place: place))
    }

    private static func fault(_ text: String, place: String) throws -> Fault {
        do {
            return try Fault(text)
        } catch let error as UserError {
            throw UserError(error.status, "\(place): " + error.description.trimmingPrefix("--fault "))
        }
    }

    private static func schedule(_ node: Node, place: String, _ load: (String) throws -> String) throws -> FaultSchedule {
        let names = ["poisson", "weibull", "probability", "every", "trace", "profile"]
        guard let mapping = node.mapping, mapping.count == 1, let (key, body) = mapping.first, let name = key.string else {
            throw UserError(.usage, "\(place): write it as name: { … }, with one of \(names.joined(separator: ", "))")
        }
        let place = "\(place) (\(name))"
        switch name {
        case "poisson": return try FaultSchedule(renewal: body, place: place, isWeibull: false)
        case "weibull": return try FaultSchedule(renewal: body, place: place, isWeibull: true)
        case "probability": return try FaultSchedule(trials: body, place: place)
        case "every": return try FaultSchedule(every: body, place: place)
        case "trace": return try FaultSchedule(trace: body, place: place, load)
        case "profile": return try FaultSchedule(profile: body, place: place)
        default:
            throw UserError(.usage, "\(place): there is no schedule `\(name)`\(suggestion(for: name, among: names)); there are \(names.joined(separator: ", "))")
        }
    }
}
