import RunSpec
import Testing

@Suite struct ConfigKeyTests {
    /// A value other than the default for every setting.
    static let others = [
        "seed": "18446744073709551615", "steps": "77", "model.family": "llama", "model.layers": "3", "model.heads": "8",
        "model.keyValueHeads": "2", "model.width": "96", "model.hidden": "300", "model.context": "33", "model.bias": "false",
        "model.tied": "false", "model.dropout": "0.15", "model.normEpsilon": "1e-06", "model.ropeTheta": "500000.0",
        "data.corpus": "text", "data.files": "a.txt,dir/b c.txt", "data.tokenizer": "char", "data.validation": "0.05",
        "data.talesBytes": "12345", "data.talesSeed": "3", "batch.sequences": "32", "batch.microbatches": "4", "batch.tensor": "2",
        "optimizer.beta1": "0.8", "optimizer.beta2": "0.95", "optimizer.epsilon": "1e-07", "optimizer.weightDecay": "0.01",
        "optimizer.clip": "0.0", "optimizer.spike": "8.0", "schedule.kind": "wsd", "schedule.peak": "0.0007", "schedule.minimum": "1e-05",
        "schedule.warmup": "9", "schedule.decayFraction": "0.3", "evaluation.every": "11", "evaluation.tokens": "4096",
        "probe.budget": "0.02", "probe.window": "70", "checkpoint.every": "13", "checkpoint.keep": "5", "checkpoint.keep-every": "26", "checkpoint.keep-best": "3", "checkpoint.bandwidth": "40.0", "checkpoint.nice": "19", "cost.workerHour": "1.25", "cost.currency": "EUR",
    ]

    private func readBack(_ config: RunConfig) throws -> RunConfig {
        var found = RunConfig()
        try found.apply(yaml: config.yaml, file: "config.yaml")
        return found
    }

    private func refusal(_ change: (inout RunConfig) throws -> Void) -> UserError? {
        var config = RunConfig()
        do { try change(&config) } catch { return error as? UserError }
        return nil
    }

    @Test func `every setting has another value here, and reads back as it was written`() throws {
        #expect(Set(Self.others.keys) == Set(ConfigKey.all.map(\.name)))
        for key in ConfigKey.all {
            var config = RunConfig()
            let value = try #require(Self.others[key.name])
            try config.set(assignment: "\(key.name)=\(value)")
            #expect(key.read(config) == value && config != RunConfig(), "\(key.name)")
            #expect(ConfigKey.all.allSatisfy { $0.name == key.name || $0.read(config) == $0.read(RunConfig()) }, "\(key.name)")
        }
    }

    @Test func `one rank to a layer goes without saying, so that older configurations keep their digests`() throws {
        var config = RunConfig()
        #expect(!config.yaml.contains("tensor"))
        config.batch.tensor = 2
        #expect(config.yaml.contains("  microbatches: 8\n  tensor: 2\n") && config.digest != RunConfig().digest)
        #expect(try readBack(config) == config)
    }

    @Test func `names and explanations are there once each`() {
        #expect(Set(ConfigKey.all.map(\.name)).count == ConfigKey.all.count)
        #expect(ConfigKey.all.allSatisfy { !$0.help.isEmpty })
    }

    @Test func `a configuration with no default left survives its YAML`() throws {
        var config = RunConfig()
        for (name, value) in Self.others { try config.set(name, to: value, where: "test") }
        #expect(try readBack(config) == config)
    }

    @Test(arguments: Preset.all.map(\.name))
    func `a preset survives its YAML`(name: String) throws {
        let config = try Preset.named(name).config
        #expect(try readBack(config) == config)
    }

    @Test func `random numbers survive the YAML to the last bit`() throws {
        for seed in 0..<300 as Range<UInt64> {
            let random = Philox(key: seed)
            var config = RunConfig()
            config.seed = UInt64(random.uniform(.sampling, 0, 0, index: 0) * 0x1p64)
            config.schedule.peak = random.uniform(.sampling, 0, 0, index: 1) * 10
            config.optimizer.epsilon = PortableMath.exp(-20 * random.uniform(.sampling, 0, 0, index: 2)) * 0.9
            config.model.dropout = random.uniform(.sampling, 0, 0, index: 3) * 0.9
            #expect(try readBack(config) == config, "seed \(seed)")
        }
    }

    @Test(arguments: [
        "-", "--", "- a", "? a", ": a", "a: b", "a #b", "#a", "'", "it's", "\"", "{a}", "[a]", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a`",
        "~", "null", "true", "no", "1", "1e3", "0x10", "2001-01-01", "=", "<<", ".", "..", " a", "a ", " ", "€", "日本", "a\\b",
    ])
    func `any word survives the YAML`(word: String) throws {
        var config = RunConfig()
        config.cost.currency = word
        config.data.files = [word]
        #expect(try readBack(config) == config)
    }

    @Test func `a name of a file with a comma survives the YAML`() throws {
        var config = RunConfig()
        config.data.files = ["one, two.txt", "three.txt"]
        #expect(try readBack(config) == config)
    }

    @Test func `YAML may nest, dot, list, and leave out`() throws {
        var config = RunConfig()
        try config.apply(yaml: "preset: tiny\nmodel:\n  layers: 7\nschedule.kind: linear\ndata: {files: [a, b]}\n", file: "x")
        #expect(config.model.layers == 7 && config.schedule.kind == .linear && config.data.files == ["a", "b"] && config.steps == 600)
        #expect(try RunConfig.presetName(in: "preset: tiny\n", file: "x") == "tiny")
        #expect(try RunConfig.presetName(in: "steps: 3\n", file: "x") == nil)
    }

    @Test func `an empty document changes nothing`() throws {
        var config = RunConfig()
        try config.apply(yaml: "# nothing\n", file: "x")
        #expect(config == RunConfig())
        #expect(try RunConfig.presetName(in: "", file: "x") == nil)
    }

    @Test(arguments: [
        ("model: [", UserError.Status.badInput, "my.yaml is not YAML: "), ("just words\n", .badInput, "my.yaml is not a mapping of settings"),
        ("- a\n", .badInput, "my.yaml is not a mapping of settings"), ("a: &x 1\nsteps: *x\n", .usage, "my.yaml: there is no setting `a`"),
        ("model: 3\n", .usage, "my.yaml: there is no setting `model`"), ("steps: [1, 2]\n", .usage, "my.yaml: `steps` is a list, but takes one value"),
        ("modle:\n  layers: 3\n", .usage, "my.yaml: there is no setting `modle.layers`; did you mean `model.layers`?; `headway presets --keys` lists them"),
    ])
    func `a document that makes no sense is refused in one sentence`(yaml: String, status: UserError.Status, start: String) throws {
        let error = try #require(refusal { try $0.apply(yaml: yaml, file: "my.yaml") })
        #expect(error.status == status)
        #expect(error.description.hasPrefix(start), "\(error)")
        #expect(!error.description.contains("\n"), "\(error)")
    }

    @Test(arguments: [
        ("model.layer", "model.layers"), ("layers", "model.layers"), ("Model.Layers", "model.layers"), ("stpes", "steps"),
        ("peek", "schedule.peak"), ("optimiser.beta1", "optimizer.beta1"), ("warmup", "schedule.warmup"),
    ])
    func `an unknown setting is refused with the nearest one`(name: String, nearest: String) throws {
        let error = try #require(refusal { try $0.set(assignment: "\(name)=3") })
        #expect(error.status == .usage)
        #expect(error.description == "--set: there is no setting `\(name)`; did you mean `\(nearest)`?; `headway presets --keys` lists them")
    }

    @Test func `a setting far from all others is refused without a guess`() throws {
        let error = try #require(refusal { try $0.set(assignment: "xyzzyplugh=3") })
        #expect(error.description == "--set: there is no setting `xyzzyplugh`; `headway presets --keys` lists them")
    }

    @Test func `an assignment without an equals sign is refused, and one with several takes the first`() throws {
        let error = try #require(refusal { try $0.set(assignment: "steps") })
        #expect(error.description == "--set steps: write it as key=value")
        var config = RunConfig()
        try config.set(assignment: "cost.currency=a=b")
        #expect(config.cost.currency == "a=b")
    }

    @Test(arguments: [
        ("steps=0", "a whole number from 1 to 100000000"), ("steps=100000001", "a whole number from 1 to 100000000"),
        ("steps=1.5", "a whole number from 1 to 100000000"), ("steps=", "a whole number from 1 to 100000000"),
        ("seed=-1", "a whole number from 0 to 2^64 − 1"), ("seed=18446744073709551616", "a whole number from 0 to 2^64 − 1"),
        ("model.family=bert", "one of gpt2, llama"), ("model.bias=maybe", "true or false"), ("model.layers=257", "a whole number from 1 to 256"),
        ("model.dropout=0.95", "a number from 0.0 to 0.9"), ("model.dropout=nan", "a number from 0.0 to 0.9"),
        ("schedule.peak=inf", "a number from 0.0 to 10.0"), ("schedule.peak=-1", "a number from 0.0 to 10.0"),
        ("optimizer.beta1=1", "a number from 0.0 to 0.9999"), ("optimizer.clip=x", "a number from 0.0 to 1000000000.0"),
        ("data.validation=1", "a number from 0.0 to 0.9"), ("data.tokenizer=bpe", "one of byte, char"),
        ("checkpoint.every=-1", "a whole number from 0 to 100000000, or auto"), ("checkpoint.every=often", "a whole number from 0 to 100000000, or auto"),
        ("checkpoint.bandwidth=-1", "a number from 0.0 to 1000000.0"), ("checkpoint.nice=20", "a whole number from 0 to 19"),
        ("checkpoint.keep=1", "a whole number from 2 to 1000000"), ("schedule.kind=Cosine", "one of constant, linear, cosine, wsd"),
    ])
    func `a value out of range is refused with what it may be, and changes nothing`(assignment: String, wanted: String) throws {
        var config = RunConfig()
        let error = try #require(throws: UserError.self) { try config.set(assignment: assignment) }
        let parts = assignment.split(separator: "=", omittingEmptySubsequences: false)
        #expect(error.status == .usage)
        #expect(error.description == "--set: `\(parts[0])` is `\(parts[1])`, but must be \(wanted)")
        #expect(config == RunConfig())
    }

    @Test func `the compact lines hold every setting`() {
        let text = RunConfig().compactLines.joined(separator: " ")
        for key in ConfigKey.all { #expect(text.contains("\(key.name.split(separator: ".").last!)=\(key.read(RunConfig()))"), "\(key.name)") }
    }
}
