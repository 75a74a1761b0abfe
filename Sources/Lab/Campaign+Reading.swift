import Coordination
import RunSpec
import Yams

// A campaign as YAML. Only `workers` and something to vary are needed:
//
//     name: policies                           # else the file's name
//     preset: tiny
//     workers: 8
//     pace: 20                                 # milliseconds of a microbatch; or pin: true; or neither
//     seeds: [1, 2, 3]                         # of the faults; the weights do not depend on them
//     late: 5                                  # per cent of late microbatches that void a paced run
//     policy: [elastic, discard, restart]      # a list is an axis
//     spares: 0
//     respawn-delay: 0.25
//     set:                                     # settings of the configuration, nested or dotted
//       steps: 300
//       checkpoint.every: [10, 20, 50]
//     faults:                                  # a plan of faults; here, too, a list in place of a value is an axis
//       schedules:
//         - poisson: { kind: crash, steps-per-failure: [100, 30, 10] }

extension Campaign {
    private static let keys = ["name", "preset", "workers", "pace", "pin", "seeds", "late", "set", "faults"] + flagNames

    /// - Parameters:
    ///   - file: the campaign's name, for errors.
    ///   - load: the text of a trace, given its name in the campaign.
    /// - Throws: `UserError` naming file and key.
    package init(yaml: String, file: String, load: (String) throws -> String) throws {
        func bad(_ why: String) -> UserError { UserError(.usage, "\(file): \(why)") }
        let root: Node?
        do { root = try Yams.compose(yaml: yaml) } catch {
            throw UserError(.badInput, "\(file) is not YAML: " + "\(error)".split(separator: "\n").map { $0.trimmingPrefix { $0 == " " } }.joined(separator: "; "))
        }
        guard let top = root?.mapping else { throw bad("a campaign is a mapping; it begins as in `preset: tiny` and `workers: 4`") }
        for key in top.keys {
            let key = key.string ?? "?"
            if !Self.keys.contains(key) { throw bad("there is no key `\(key)`\(suggestion(for: key, among: Self.keys)); there are \(Self.keys.joined(separator: ", "))") }
        }
        func text(_ key: String) throws -> String? {
            guard let node = top[key] else { return nil }
            guard let text = node.scalar?.string, !text.isEmpty else { throw bad("`\(key)` must be one value") }
            return text
        }
        func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double? {
            guard let text = try text(key) else { return nil }
            guard let value = Double(text), range.contains(value) else {
                throw bad("`\(key)` must be a number from \(brief(range.lowerBound)) to \(brief(range.upperBound)), not `\(text)`")
            }
            return value
        }
        var axes: [Axis] = [], settings: [Setting] = [], flags: [Setting] = []
        for key in Self.flagNames {
            guard let node = top[key] else { continue }
            let axis = try Axis(name: key, items: node.sequence?.map(\.scalar?.string) ?? [node.scalar?.string], place: file)
            for value in axis.values { if let wrong = Self.refusal(key, value) { throw bad(wrong) } }
            if node.sequence != nil { axes.append(axis) } else { flags.append(Setting(key, axis.values[0])) }
        }
        if let node = top["set"] { try Self.read(node, prefix: "", file: file, &settings, &axes) }
        plan = try top["faults"].map { try PlanTemplate($0, place: "\(file): faults", load: load) }
        for axis in plan?.axes ?? [] {
            if axes.contains(where: { $0.name == axis.name }) { throw bad("`\(axis.name)` is an axis of the plan and of the settings") }
            axes.append(axis)
        }
        let pace = try number("pace", 0.001...60_000), pinned = try text("pin")
        guard pinned == nil || pinned == "true" || pinned == "false" else { throw bad("`pin` must be true or false, not `\(pinned!)`") }
        if pace != nil && pinned == "true" { throw bad("`pace` and `pin` exclude each other: a paced worker needs no processor of its own") }
        mode = pinned == "true" ? .pinned : pace.map { .paced(milliseconds: $0) } ?? .free
        guard let workers = try number("workers", 1...64), workers == workers.rounded() else { throw bad("`workers` is missing or not a whole number from 1 to 64") }
        self.workers = Int(workers)
        name = try text("name") ?? String(file.split(separator: "/").last?.split(separator: ".").first ?? "campaign")
        preset = try text("preset") ?? "tiny"
        do { _ = try Preset.named(preset) } catch let error as UserError { throw bad(error.description) }
        if let node = top["seeds"], node.sequence == nil { throw bad("`seeds` must be a list, as in [1, 2, 3]") }
        seeds = try Self.seeds(top["seeds"]?.sequence?.map { $0.scalar?.string ?? "?" } ?? ["1", "2", "3"], place: "\(file): `seeds`")
        lateLimit = try (number("late", 0...100) ?? 5) / 100
        (self.settings, self.flags, self.axes) = (settings, flags, axes)
    }

    /// What is wrong with a flag's value, nil when it can be.
    private static func refusal(_ flag: String, _ value: String) -> String? {
        switch flag {
        case "policy":
            let names = LossPolicy.allCases.map(\.rawValue)
            return names.contains(value) ? nil : "there is no policy `\(value)`\(suggestion(for: value, among: names)); there are \(names.joined(separator: ", "))"
        case "spares": return Int(value).map { 0...63 ~= $0 } == true ? nil : "`spares` must be a whole number from 0 to 63, not `\(value)`"
        default: return Double(value).map { 0...3600 ~= $0 } == true ? nil : "`\(flag)` must be seconds from 0 to 3600, not `\(value)`"
        }
    }

    /// - Throws: `UserError` for what is no seed, none, or one twice.
    package static func seeds(_ texts: [String], place: String) throws -> [UInt64] {
        let seeds = texts.compactMap { UInt64($0) }
        guard seeds.count == texts.count, !seeds.isEmpty, Set(seeds).count == seeds.count else {
            throw UserError(.usage, "\(place) must be different whole numbers, as in 1,2,3, not `\(texts.joined(separator: ","))`")
        }
        return seeds
    }

    private static func read(_ node: Node, prefix: String, file: String, _ settings: inout [Setting], _ axes: inout [Axis]) throws {
        guard let mapping = node.mapping else { throw UserError(.usage, "\(file): `set` is a mapping of settings, as in `steps: 300`") }
        for (key, value) in mapping {
            let name = (prefix.isEmpty ? "" : prefix + ".") + (key.string ?? "?"), place = "\(file): set"
            if value.mapping != nil {
                try read(value, prefix: name, file: file, &settings, &axes)
                continue
            }
            // A value that cannot be is refused now, not after an hour.
            let values = try Axis(name: name, items: value.sequence?.map(\.scalar?.string) ?? [value.scalar?.string], place: place)
            var config = RunConfig()
            for value in values.values { try config.set(name, to: value, where: place) }
            if value.sequence == nil || name == "data.files" {
                settings.append(Setting(name, values.values.joined(separator: ",")))
            } else {
                axes.append(values)
            }
        }
    }
}
