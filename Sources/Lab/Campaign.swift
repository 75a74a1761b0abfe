import RunSpec

/// Many runs that differ in few settings: the same training under other policies, delays, intervals and schedules of
/// faults, each for several seeds of the faults. What is trained is the same in all of them.
package struct Campaign: Sendable {
    /// A setting that takes several values, and its values in the order of the file.
    package struct Axis: Equatable, Sendable {
        package let name: String
        package let values: [String]
        /// Whether it counts what goes by between failures: shown on a logarithmic scale.
        package var isRate: Bool { ["steps-per-failure", "mtbf", "interval", "compress", "p"].contains(name) }
        /// Its values as numbers, when all of them are.
        package var numbers: [Double]? {
            let numbers = values.compactMap { Double($0) }
            return numbers.count == values.count && numbers.count > 1 ? numbers : nil
        }
    }

    /// How time passes for a worker. Figures of different modes do not compare.
    package enum Mode: Equatable, Sendable, CustomStringConvertible {
        /// One processor for each worker.
        case pinned
        /// Each microbatch takes so long on a virtual device of the worker.
        case paced(milliseconds: Double)
        /// As the machine has it: workers may wait for a processor.
        case free

        package var description: String {
            switch self {
            case .pinned: "pinned"
            case .paced(let milliseconds): "paced \(brief(milliseconds)) ms"
            case .free: "free"
            }
        }
    }

    package let name: String
    package let preset: String
    package let workers: Int
    package let mode: Mode
    package var seeds: [UInt64]
    /// Share of paced microbatches that may take longer than their time before a run says nothing.
    package let lateLimit: Double
    /// What all runs have in common: settings of the configuration (`steps`, `checkpoint.every`) and flags of `train`.
    package let settings: [Setting]
    package let flags: [Setting]
    /// nil without faults.
    package let plan: PlanTemplate?
    /// In the order of the file; of a run, the last one changes fastest.
    package let axes: [Axis]

    package struct Setting: Equatable, Sendable {
        package let name: String
        package let value: String

        package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    /// One choice of a value for each axis, in the order of the axes.
    package struct Variation: Hashable, Sendable {
        package let values: [String]

        package init(values: [String]) { self.values = values }
    }

    /// One run: a variation under the faults of one seed.
    package struct Cell: Equatable, Sendable {
        package let variation: Variation
        package let seed: UInt64
        /// `policy-elastic_steps-per-failure-30_seed-1`: its folder.
        package let name: String
        /// What `train` is given, but for the folder and the plan of faults.
        package let arguments: [String]
        package let steps: Int
        package let faults: [Fault]
        /// 12 hexadecimal digits of all that makes the run: other settings, another cell.
        package let identity: String
        /// Of what decides the weights: cells that have it in common end with the same bits.
        package let weights: String
    }

    package var variations: [Variation] {
        axes.reduce([[]]) { chosen, axis in chosen.flatMap { before in axis.values.map { before + [$0] } } }.map { Variation(values: $0) }
    }

    /// All runs in the order in which they are made: every variation once for the first seed, then for the next, so that a
    /// machine that changes its mood changes it for all of them.
    /// - Throws: `UserError` when a value does not fit its setting, or a schedule does not fit the run.
    package func cells() throws -> [Cell] {
        try seeds.flatMap { seed in try variations.map { try cell($0, seed: seed) } }
    }

    private func cell(_ variation: Variation, seed: UInt64) throws -> Cell {
        let chosen = zip(axes, variation.values).map { Setting($0.name, $1) }
        var config = try Preset.named(preset).config
        let keys = Set(ConfigKey.all.map(\.name)), changes = settings + chosen.filter { keys.contains($0.name) }
        for setting in changes { try config.set(setting.name, to: setting.value, where: name) }
        let options = flags + chosen.filter { Self.flagNames.contains($0.name) }
        var arguments = ["--preset", preset, "--workers", String(workers)]
        switch mode {
        case .pinned: arguments.append("--pin")
        case .paced(let milliseconds): arguments += ["--pace", brief(milliseconds)]
        case .free: break
        }
        arguments += changes.flatMap { ["--set", "\($0.name)=\($0.value)"] } + options.flatMap { ["--" + $0.name, $0.value] }
        let rest = chosen.filter { !keys.contains($0.name) && !Self.flagNames.contains($0.name) }
        let faults = try plan?.faults(rest, workers: workers, steps: config.steps, seed: seed) ?? []
        let identity = sha256((arguments + ["seed \(seed)"] + faults.map(\.description)).joined(separator: "\n").utf8)
        return Cell(
            variation: variation, seed: seed, name: (chosen + [Setting("seed", String(seed))]).map(\.folderName).joined(separator: "_"),
            arguments: arguments, steps: config.steps, faults: faults, identity: String(identity.prefix(12)), weights: config.weightsDigest)
    }

    /// Options of `train` that a campaign may set or vary.
    static let flagNames = ["policy", "spares", "respawn-delay", "hang-steps"]
}

extension Campaign.Setting {
    /// Letters, digits, dots and hyphens only.
    fileprivate var folderName: String {
        String("\(name)-\(value)".map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? $0 : "-" })
    }
}

extension RunConfig {
    /// Of the settings that decide the final weights: not how often they are looked at or kept.
    fileprivate var weightsDigest: String {
        var bare = self
        let usual = RunConfig()
        (bare.evaluation, bare.probe, bare.checkpoint) = (usual.evaluation, usual.probe, usual.checkpoint)
        return bare.digest
    }
}

/// `3` for 3.0, `0.5` for 0.5.
func brief(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
}
