import RunSpec
import Testing

@Suite struct RunConfigTests {
    private func refusal(_ change: (inout RunConfig) -> Void) -> UserError? {
        var config = RunConfig()
        change(&config)
        do { try config.validate() } catch { return error as? UserError }
        return nil
    }

    @Test(arguments: Preset.all.map(\.name))
    func `every preset is valid`(name: String) throws {
        var config = try Preset.named(name).config
        if config.data.corpus == .text {
            #expect(throws: UserError.self) { try config.validate() }
            config.data.files = ["book.txt"]
        }
        try config.validate()
    }

    @Test func `presets have names of their own and say what they are`() {
        #expect(Set(Preset.all.map(\.name)).count == Preset.all.count)
        #expect(Preset.all.allSatisfy { !$0.help.isEmpty })
        #expect(Preset.all.map(\.name).contains("demo"))
    }

    @Test func `an unknown preset is refused with the nearest one`() throws {
        let near = try #require(throws: UserError.self) { try Preset.named("lama-mini") }
        #expect(near.status == .usage)
        #expect(near.description.hasPrefix("there is no preset `lama-mini`; did you mean `llama-mini`?; there are demo, "))
        let far = try #require(throws: UserError.self) { try Preset.named("something else") }
        #expect(far.description.hasPrefix("there is no preset `something else`; there are demo, "))
    }

    /// Each rule by itself: all else is as in the demo.
    static let rules: [(change: @Sendable (inout RunConfig) -> Void, sentence: String)] = [
        ({ $0.model.heads = 3; $0.model.keyValueHeads = 3 },
            "model.width 128 is not a multiple of model.heads 3; choose a width of 3 × the width of a head"),
        ({ $0.model.family = .llama; $0.model.width = 60; $0.model.heads = 4 },
            "a head is 15 wide, but rotary positions need an even width; change model.width or model.heads"),
        ({ $0.model.family = .llama; $0.model.keyValueHeads = 3 }, "model.heads 4 is not a multiple of model.keyValueHeads 3"),
        ({ $0.model.keyValueHeads = 2 },
            "model.keyValueHeads 2 differs from model.heads 4; only model.family llama shares key and value heads"),
        ({ $0.batch.microbatches = 6; $0.batch.sequences = 12 },
            "batch.microbatches 6 is not a power of two; the gradient tree needs one"),
        ({ $0.batch.sequences = 12 },
            "batch.sequences 12 is not a multiple of batch.microbatches 8; use 8 or 16 sequences"),
        ({ $0.data.corpus = .text }, "data.corpus is text but no file is named; pass --text FILE"),
        ({ $0.steps = 20 }, "schedule.warmup 50 is more than the 20 steps of the run"),
        ({ $0.schedule.minimum = 0.01 }, "schedule.minimum 0.01 is above schedule.peak 0.001"),
    ]

    @Test(arguments: rules.indices)
    func `values that do not fit each other are refused in a sentence with both`(rule: Int) throws {
        let error = try #require(refusal(Self.rules[rule].change))
        #expect(error.status == .usage)
        #expect(error.description == Self.rules[rule].sentence)
    }

    @Test func `fewer sequences than microbatches are refused without advising none`() throws {
        let error = try #require(refusal { $0.batch.sequences = 4 })
        #expect(error.description.contains("batch.sequences 4") && error.description.contains("8 sequences"))
        #expect(!error.description.contains(" 0 "), "\(error)")
    }

    @Test func `steps that are evaluated and made durable follow from the intervals`() {
        var config = RunConfig()
        (config.steps, config.evaluation.every, config.checkpoint.every) = (10, 4, 3)
        #expect((0...10).filter(config.evaluates) == [0, 4, 8, 10])
        #expect((0...10).filter(config.checkpoints) == [3, 6, 9, 10])
        (config.evaluation.every, config.checkpoint.every) = (0, 0)
        #expect((0...10).filter(config.evaluates) == [10] && (0...10).filter(config.checkpoints) == [10])
    }

    @Test func `tokens of a step and sequences of a microbatch follow from the batch`() {
        var config = RunConfig()
        (config.batch.sequences, config.batch.microbatches, config.model.context) = (24, 8, 32)
        #expect(config.sequencesPerMicrobatch == 3 && config.tokensPerStep == 768)
    }

    @Test func `prices are not part of what identifies a run, and everything else is`() throws {
        let config = RunConfig()
        var dearer = config
        (dearer.cost.workerHour, dearer.cost.currency) = (9, "EUR")
        #expect(dearer.digest == config.digest)
        for key in ["seed", "steps", "model.layers", "model.dropout", "data.talesSeed", "batch.sequences", "optimizer.clip", "schedule.peak"] {
            var other = config
            try other.set(key, to: key == "model.dropout" ? "0.5" : "7", where: "test")
            #expect(other.digest != config.digest, "\(key)")
        }
    }
}

@Suite struct BLASEnvironmentTests {
    @Test func `one thread and the preferred core are asked for`() {
        let set = BLASEnvironment.variables(over: [:], preferredCore: "Haswell")
        #expect(set == ["OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "GOTO_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"])
    }

    @Test func `a core that the user has set wins, a number of threads does not`() {
        let set = BLASEnvironment.variables(over: ["OPENBLAS_CORETYPE": "Zen", "OMP_NUM_THREADS": "8"], preferredCore: "Haswell")
        #expect(set["OPENBLAS_CORETYPE"] == nil && set["OMP_NUM_THREADS"] == "1")
        #expect(BLASEnvironment.variables(over: [:], preferredCore: nil)["OPENBLAS_CORETYPE"] == nil)
    }
}
