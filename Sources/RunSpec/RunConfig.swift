/// Everything that decides a run: two runs with equal configurations and equal corpora end with equal bits, whatever
/// the number of workers and the faults (but for faults that are bad data).
package struct RunConfig: Hashable, Sendable {
    package enum Corpus: String, CaseIterable, Sendable { case tales, text }
    package enum TokenizerKind: String, CaseIterable, Sendable { case byte, char }

    package struct Data: Hashable, Sendable {
        package var corpus = Corpus.tales
        /// Files of the `text` corpus, joined by newlines.
        package var files: [String] = []
        package var tokenizer = TokenizerKind.byte
        /// Share of the text, at its end, kept for validation.
        package var validation = 0.1
        /// Size of the generated corpus.
        package var talesBytes = 2_000_000
        package var talesSeed: UInt64 = 1
    }
    package struct Batch: Hashable, Sendable {
        /// Sequences per step, whatever the number of workers.
        package var sequences = 16
        /// M, the atoms of work a step is cut into: a power of two that divides `sequences`.
        package var microbatches = 8
        /// How many workers compute each microbatch together, every one with a share of every layer (tensor parallelism): they
        /// take sums in other places than one worker does, so the degree decides the bits.
        package var tensor = 1
    }
    package struct Optimizer: Hashable, Sendable {
        package var beta1 = 0.9
        package var beta2 = 0.99
        package var epsilon = 1e-8
        /// On matrices only.
        package var weightDecay = 0.1
        /// Largest global gradient norm; 0 switches clipping off.
        package var clip = 1.0
        /// An update whose gradient norm is above so many times the median of the ones before is left out, if its
        /// microbatches have the same bits wherever they are computed; 0: none is.
        package var spike = 0.0
    }
    package struct Evaluation: Hashable, Sendable {
        /// Steps between passes over the validation text; 0: only at the end.
        package var every = 250
        /// At most this many validation tokens (rounded up to whole units); 0: all.
        package var tokens = 0
    }
    package struct Probe: Hashable, Sendable {
        /// Share of the training compute that windows may cost, each with the pass that closes it and its part of
        /// contribution sampling; 0: none. The pass before the first window comes on top.
        package var budget = 0.01
        /// Steps between probe passes; doubled while the effect of a window is indeterminate.
        package var window = 50
    }
    package struct Checkpoint: Hashable, Sendable {
        package enum Interval: Hashable, Sendable, ExpressibleByIntegerLiteral {
            /// 0: only at the end.
            case steps(Int)
            /// As measured costs and failures ask for, chosen anew while the run goes on.
            case auto

            package init(integerLiteral steps: Int) { self = .steps(steps) }
        }
        /// Steps between checkpoints.
        package var every: Interval = 0
        /// The newest.
        package var keep = 2
        /// Also the first at or after each multiple of so many steps; 0: none.
        package var keepEvery = 0
        /// Also so many with the least validation loss.
        package var keepBest = 0
        /// MB (10⁶ bytes) a second that a writer beside training hands to the disk at most; 0: as fast as it takes them.
        package var bandwidth = 0.0
        /// By how much a writer beside training stands back for others: the nice value, and for the disk what follows from it.
        package var nice = 10
    }
    package struct Cost: Hashable, Sendable {
        /// Price of one worker for an hour.
        package var workerHour = 0.05
        package var currency = "USD"
    }

    package var seed: UInt64 = 1
    /// Optimizer updates to commit.
    package var steps = 600
    package var model = ModelConfig()
    package var data = Data()
    package var batch = Batch()
    package var optimizer = Optimizer()
    package var schedule = Schedule()
    package var evaluation = Evaluation()
    package var probe = Probe()
    package var checkpoint = Checkpoint()
    package var cost = Cost()

    package init() {}

    package var sequencesPerMicrobatch: Int { batch.sequences / batch.microbatches }
    package var tokensPerStep: Int { batch.sequences * model.context }

    /// Whether the weights after `step` committed steps are to be evaluated.
    package func evaluates(after step: Int) -> Bool {
        step == steps || (evaluation.every > 0 && step % evaluation.every == 0)
    }

    /// Whether the update after `step` committed ones is credited: compared, leaf by leaf, with the gradients it was made
    /// from and with those of the step after it. That costs a constant per parameter: with few tokens in a step it is
    /// done for every n-th update, and stays below one per cent.
    package func credits(update step: Int) -> Bool {
        step >= 0 && batch.microbatches > 1 && step % max(1, (Self.tokensPerCredit + tokensPerStep - 1) / tokensPerStep) == 0
    }
    private static let tokensPerCredit = 9216

    /// Whether the state after `step` committed steps is to be made durable. With the interval `auto` the launcher decides,
    /// but for the last step.
    package func checkpoints(after step: Int) -> Bool {
        guard case .steps(let every) = checkpoint.every else { return step == steps }
        return step == steps || (every > 0 && step > 0 && step % every == 0)
    }

    /// `8 or 16`, `8`: the positive multiples of `unit` next to `count`.
    private static func multiples(around count: Int, of unit: Int) -> String {
        let below = count / unit * unit
        return below > 0 ? "\(below) or \(below + unit)" : "\(below + unit)"
    }

    /// - Throws: `UserError` naming the first key whose value cannot be.
    package func validate() throws {
        func need(_ condition: Bool, _ message: @autoclosure () -> String) throws {
            if !condition { throw UserError(.usage, message()) }
        }
        let m = model
        try need(m.width % m.heads == 0,
            "model.width \(m.width) is not a multiple of model.heads \(m.heads); choose a width of \(m.heads) × the width of a head")
        try need(m.headWidth % 2 == 0 || m.family == .gpt2,
            "a head is \(m.headWidth) wide, but rotary positions need an even width; change model.width or model.heads")
        try need(m.heads % m.keyValueHeads == 0,
            "model.heads \(m.heads) is not a multiple of model.keyValueHeads \(m.keyValueHeads)")
        try need(m.family == .llama || m.keyValueHeads == m.heads,
            "model.keyValueHeads \(m.keyValueHeads) differs from model.heads \(m.heads); only model.family llama shares key and value heads")
        try need(batch.microbatches & (batch.microbatches - 1) == 0,
            "batch.microbatches \(batch.microbatches) is not a power of two; the gradient tree needs one")
        try need(batch.sequences % batch.microbatches == 0,
            "batch.sequences \(batch.sequences) is not a multiple of batch.microbatches \(batch.microbatches); use \(Self.multiples(around: batch.sequences, of: batch.microbatches)) sequences")
        try need(data.corpus == .tales || !data.files.isEmpty,
            "data.corpus is text but no file is named; pass --text FILE")
        try need(schedule.warmup <= steps,
            "schedule.warmup \(schedule.warmup) is more than the \(steps) steps of the run")
        try need(schedule.minimum <= schedule.peak,
            "schedule.minimum \(schedule.minimum) is above schedule.peak \(schedule.peak)")
    }
}
