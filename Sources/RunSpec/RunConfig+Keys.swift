import Yams

/// One setting: its dotted name, as in YAML and `--set`, what it means, and how it is read and written.
/// The only list of settings in the program.
package struct ConfigKey {
    package let name: String
    package let help: String
    package let read: (RunConfig) -> String
    /// The items of a setting that holds several; nil for all others.
    var items: ((RunConfig) -> [String])?
    /// A value with which the setting is left out of a written configuration; nil: it is always written.
    var unwritten: String?
    /// Returns what is wrong with the text, or nil when it was taken.
    let write: (inout RunConfig, String) -> String?

    static func integer(_ name: String, _ path: WritableKeyPath<RunConfig, Int>, _ range: ClosedRange<Int>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { String($0[keyPath: path]) }) { config, text in
            guard let value = Int(text), range.contains(value) else { return "a whole number from \(range.lowerBound) to \(range.upperBound)" }
            config[keyPath: path] = value
            return nil
        }
    }

    /// A whole number that is not written while it is 1, so that what was written before there was such a setting keeps its digest.
    private static func degree(_ name: String, _ path: WritableKeyPath<RunConfig, Int>, _ range: ClosedRange<Int>, _ help: String) -> ConfigKey {
        var key = integer(name, path, range, help)
        key.unwritten = "1"
        return key
    }

    static func unsigned(_ name: String, _ path: WritableKeyPath<RunConfig, UInt64>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { String($0[keyPath: path]) }) { config, text in
            guard let value = UInt64(text) else { return "a whole number from 0 to 2^64 − 1" }
            config[keyPath: path] = value
            return nil
        }
    }

    static func real(_ name: String, _ path: WritableKeyPath<RunConfig, Double>, _ range: ClosedRange<Double>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { String($0[keyPath: path]) }) { config, text in
            guard let value = Double(text), range.contains(value) else { return "a number from \(range.lowerBound) to \(range.upperBound)" }
            config[keyPath: path] = value
            return nil
        }
    }

    private static func interval(_ name: String, _ path: WritableKeyPath<RunConfig, RunConfig.Checkpoint.Interval>, _ range: ClosedRange<Int>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { if case .steps(let steps) = $0[keyPath: path] { String(steps) } else { "auto" } }) { config, text in
            let steps = Int(text)
            guard text == "auto" || steps.map({ range.contains($0) }) == true else { return "a whole number from \(range.lowerBound) to \(range.upperBound), or auto" }
            config[keyPath: path] = steps.map { .steps($0) } ?? .auto
            return nil
        }
    }

    static func flag(_ name: String, _ path: WritableKeyPath<RunConfig, Bool>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { String($0[keyPath: path]) }) { config, text in
            guard let value = ["true": true, "false": false, "on": true, "off": false][text] else { return "true or false" }
            config[keyPath: path] = value
            return nil
        }
    }

    static func choice<T: RawRepresentable<String> & CaseIterable>(_ name: String, _ path: WritableKeyPath<RunConfig, T>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { $0[keyPath: path].rawValue }) { config, text in
            guard let value = T(rawValue: text) else { return "one of " + T.allCases.map(\.rawValue).joined(separator: ", ") }
            config[keyPath: path] = value
            return nil
        }
    }

    static func text(_ name: String, _ path: WritableKeyPath<RunConfig, String>, _ help: String) -> ConfigKey {
        ConfigKey(name: name, help: help, read: { $0[keyPath: path] }) { config, text in
            config[keyPath: path] = text
            return nil
        }
    }

    static func list(_ name: String, _ path: WritableKeyPath<RunConfig, [String]>, _ help: String) -> ConfigKey {
        // A sequence of YAML comes with its items on lines of their own, so that they may hold commas.
        ConfigKey(name: name, help: help, read: { $0[keyPath: path].joined(separator: ",") }, items: { $0[keyPath: path] }) { config, text in
            config[keyPath: path] = text.split(separator: text.hasSuffix("\n") ? "\n" : ",").map { String($0) }
            return nil
        }
    }

    package static var all: [ConfigKey] {
        [
            .unsigned("seed", \.seed, "where every random number of the run begins"),
            .integer("steps", \.steps, 1...100_000_000, "optimizer updates to commit"),
            .choice("model.family", \.model.family, "gpt2 or llama"),
            .integer("model.layers", \.model.layers, 1...256, "transformer blocks"),
            .integer("model.heads", \.model.heads, 1...256, "attention heads"),
            .integer("model.keyValueHeads", \.model.keyValueHeads, 1...256, "key and value heads (llama)"),
            .integer("model.width", \.model.width, 2...16_384, "width of the residual stream"),
            .integer("model.hidden", \.model.hidden, 1...65_536, "inner width of the feed-forward part"),
            .integer("model.context", \.model.context, 1...65_536, "positions per sequence"),
            .flag("model.bias", \.model.bias, "biases (gpt2)"),
            .flag("model.tied", \.model.tied, "output head shares the token embedding"),
            .real("model.dropout", \.model.dropout, 0...0.9, "probability of dropping"),
            .real("model.normEpsilon", \.model.normEpsilon, 1e-12...1e-2, "added to the variance in norms"),
            .real("model.ropeTheta", \.model.ropeTheta, 1...1e9, "base of the rotary frequencies (llama)"),
            .choice("data.corpus", \.data.corpus, "tales (generated) or text (your files)"),
            .list("data.files", \.data.files, "files of the text corpus, separated by commas"),
            .choice("data.tokenizer", \.data.tokenizer, "byte or char"),
            .real("data.validation", \.data.validation, 0...0.9, "share of the text kept for validation"),
            .integer("data.talesBytes", \.data.talesBytes, 10_000...2_000_000_000, "size of the generated corpus"),
            .unsigned("data.talesSeed", \.data.talesSeed, "seed of the generated corpus"),
            .integer("batch.sequences", \.batch.sequences, 1...1_048_576, "sequences per step"),
            .integer("batch.microbatches", \.batch.microbatches, 1...65_536, "atoms of work per step, a power of two"),
            .degree("batch.tensor", \.batch.tensor, 1...256, "workers that compute a microbatch together; --sharding tp= sets it"),
            .real("optimizer.beta1", \.optimizer.beta1, 0...0.9999, "decay of the first moment"),
            .real("optimizer.beta2", \.optimizer.beta2, 0...0.999999, "decay of the second moment"),
            .real("optimizer.epsilon", \.optimizer.epsilon, 0...1, "added to the root of the second moment"),
            .real("optimizer.weightDecay", \.optimizer.weightDecay, 0...10, "decoupled decay, matrices only"),
            .real("optimizer.clip", \.optimizer.clip, 0...1e9, "largest gradient norm; 0 for none"),
            .real("optimizer.spike", \.optimizer.spike, 0...1e9, "leave an update out whose gradient norm is so many times the recent median; 0: never"),
            .choice("schedule.kind", \.schedule.kind, "constant, linear, cosine or wsd"),
            .real("schedule.peak", \.schedule.peak, 0...10, "learning rate after warm-up"),
            .real("schedule.minimum", \.schedule.minimum, 0...10, "learning rate at the end"),
            .integer("schedule.warmup", \.schedule.warmup, 0...100_000_000, "steps of linear rise"),
            .real("schedule.decayFraction", \.schedule.decayFraction, 0...1, "share of the steps that decay (wsd)"),
            .integer("evaluation.every", \.evaluation.every, 0...100_000_000, "steps between validation passes; 0: at the end"),
            .integer("evaluation.tokens", \.evaluation.tokens, 0...1_000_000_000, "validation tokens per pass; 0: all"),
            .real("probe.budget", \.probe.budget, 0...0.5, "share of the compute for probing what steps did; 0: none"),
            .integer("probe.window", \.probe.window, 1...100_000_000, "steps between probes, doubled while they show nothing"),
            .interval("checkpoint.every", \.checkpoint.every, 0...100_000_000, "steps between checkpoints, or auto; 0: at the end"),
            .integer("checkpoint.keep", \.checkpoint.keep, 2...1_000_000, "newest checkpoints kept"),
            .integer("checkpoint.keep-every", \.checkpoint.keepEvery, 0...100_000_000, "also kept: the first at or after each multiple of so many steps; 0: none"),
            .integer("checkpoint.keep-best", \.checkpoint.keepBest, 0...1_000_000, "also kept: so many with the least validation loss"),
            .real("checkpoint.bandwidth", \.checkpoint.bandwidth, 0...1_000_000, "MB a second that a writer hands to the disk; 0: any"),
            .integer("checkpoint.nice", \.checkpoint.nice, 0...19, "how far a writer stands back for others; 19: idle disk only"),
            .real("cost.workerHour", \.cost.workerHour, 0...1e9, "price of a worker for an hour"),
            .text("cost.currency", \.cost.currency, "what the price is in"),
        ]
    }
}

extension RunConfig {
    /// Sets one key from text.
    /// - Throws: `UserError` for an unknown key (with the nearest one) or an impossible value.
    package mutating func set(_ name: String, to text: String, where place: String) throws {
        let keys = ConfigKey.all
        guard let key = keys.first(where: { $0.name == name }) else {
            throw UserError(.usage, "\(place): there is no setting `\(name)`\(suggestion(for: name, among: keys.map(\.name))); `headway presets --keys` lists them")
        }
        if let wanted = key.write(&self, text) {
            throw UserError(.usage, "\(place): `\(name)` is `\(text)`, but must be \(wanted)")
        }
    }

    /// Applies `key=value`.
    package mutating func set(assignment: String) throws {
        guard let equals = assignment.firstIndex(of: "=") else {
            throw UserError(.usage, "--set \(assignment): write it as key=value")
        }
        try set(String(assignment[..<equals]), to: String(assignment[assignment.index(after: equals)...]), where: "--set")
    }

    /// Applies a YAML document of nested or dotted keys. A top-level `preset` is for the caller, who sees it first.
    package mutating func apply(yaml: String, file: String) throws {
        let root: Node?
        do { root = try Yams.compose(yaml: yaml) } catch { throw Self.notYAML(file, error) }
        guard let root else { return }
        guard case .mapping = root else { throw UserError(.badInput, "\(file) is not a mapping of settings") }
        try apply(root, prefix: "", file: file)
    }

    private mutating func apply(_ node: Node, prefix: String, file: String) throws {
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                let name = key.string ?? "?"
                if prefix.isEmpty && name == "preset" { continue }
                try apply(value, prefix: prefix.isEmpty ? name : prefix + "." + name, file: file)
            }
        case .sequence(let items):
            if let key = ConfigKey.all.first(where: { $0.name == prefix }), key.items == nil {
                throw UserError(.usage, "\(file): `\(prefix)` is a list, but takes one value")
            }
            try set(prefix, to: items.compactMap(\.string).map { $0 + "\n" }.joined(), where: file)
        case .scalar(let scalar):
            try set(prefix, to: scalar.string, where: file)
        case .alias:
            throw UserError(.badInput, "\(file): `\(prefix)` is an alias; write its value out")
        }
    }

    /// The resolved configuration, every key but those that go without saying, as YAML that `apply(yaml:)` reads back.
    package var yaml: String {
        var lines: [String] = [], section = ""
        for key in ConfigKey.all where key.unwritten == nil || key.unwritten != key.read(self) {
            let parts = key.name.split(separator: ".", maxSplits: 1)
            if parts.count == 2, parts[0] != section {
                section = String(parts[0])
                lines.append("\(section):")
            }
            let value = key.items.map { "[" + $0(self).map(Self.quoted).joined(separator: ", ") + "]" } ?? Self.quoted(key.read(self))
            lines.append(parts.count == 2 ? "  \(parts[1]): \(value)" : "\(key.name): \(value)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func quoted(_ text: String) -> String {
        let plain = !text.isEmpty && text.first != "-" && text.utf8.allSatisfy { $0 == 0x2E || $0 == 0x2D || $0 == 0x5F || $0 == 0x2F || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) }
        return plain ? text : "'" + text.replacing("'", with: "''") + "'"
    }

    /// SHA-256 of what identifies the run: everything but prices.
    package var digest: String {
        var priceless = self
        priceless.cost = Cost()
        return sha256(priceless.yaml.utf8)
    }
}

/// `; did you mean …?` when something in `names` is near to `word`, else nothing.
package func suggestion(for word: String, among names: [String]) -> String {
    func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for i in a.indices {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let next = a[i] == b[j] ? diagonal : 1 + min(diagonal, row[j], row[j + 1])
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[b.count]
    }
    let word = Array(word.lowercased())
    // A key's last part counts too: `layers` is near to `model.layers`.
    let scored = names.map { name -> (Int, String) in
        let whole = distance(word, Array(name.lowercased()))
        let last = name.split(separator: ".").last.map { distance(word, Array($0.lowercased())) } ?? whole
        return (min(whole, last), name)
    }
    guard let best = scored.min(by: { $0.0 < $1.0 }), best.0 <= max(2, word.count / 3) else { return "" }
    return "; did you mean `\(best.1)`?"
}

extension RunConfig {
    /// The preset that a YAML document starts from, if it names one.
    package static func presetName(in yaml: String, file: String) throws -> String? {
        do { return try Yams.compose(yaml: yaml)?["preset"]?.string } catch { throw notYAML(file, error) }
    }

    static func notYAML(_ file: String, _ error: any Error, format: String = "YAML") -> UserError {
        UserError(.badInput, "\(file) is not \(format): " + "\(error)".split(separator: "\n").map { $0.trimmingPrefix { $0 == " " } }.joined(separator: "; "))
    }

    /// Every setting, one line a section: `model  family=gpt2 layers=4 …`.
    package var compactLines: [String] {
        var lines: [(section: String, settings: [String])] = []
        for key in ConfigKey.all {
            let parts = key.name.split(separator: ".", maxSplits: 1)
            let section = parts.count == 2 ? String(parts[0]) : "run"
            if lines.last?.section != section { lines.append((section, [])) }
            lines[lines.count - 1].settings.append("\(parts.last ?? "")=\(key.read(self))")
        }
        return lines.map { $0.section.padding(to: 12) + $0.settings.joined(separator: " ") }
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
