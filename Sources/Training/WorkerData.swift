import Collectives
import Corpus
import Model
import RunSpec

/// The token shards of a run as one worker reads them, and the buffers a microbatch is laid out in.
final class WorkerData {
    /// (b, T) token ids, and for each the next one.
    let inputs: UnsafeMutablePointer<Int32>, targets: UnsafeMutablePointer<Int32>
    /// Targets of a training microbatch: b × T, none is ever masked.
    let targetCount: Int
    private let training: TokenShard
    private let order: SampleOrder
    private let validation: TokenShard?
    private let windows: EvaluationWindows?
    private let microbatches: Int, sequences: Int
    private let sequenceLosses: UnsafeMutablePointer<Double>

    init(folder: RunFolder, config: RunConfig) throws {
        sequences = config.sequencesPerMicrobatch
        microbatches = config.batch.microbatches
        targetCount = sequences * config.model.context
        inputs = .allocate(capacity: targetCount)
        targets = .allocate(capacity: targetCount)
        sequenceLosses = .allocate(capacity: sequences)
        training = try TokenShard(folder.dataPath + "/train.tokens", checked: false)
        order = SampleOrder(seed: config.seed, tokenCount: training.count, context: config.model.context)
        validation = config.data.validation > 0 ? try TokenShard(folder.dataPath + "/val.tokens", checked: false) : nil
        windows = validation.map { EvaluationWindows(tokenCount: $0.count, context: config.model.context) }
    }

    deinit {
        inputs.deallocate()
        targets.deallocate()
        sequenceLosses.deallocate()
    }

    func fill(step: Int, leaf: Int) {
        order.fill(from: training, step: step, leaf: leaf, microbatches: microbatches, sequences: sequences, inputs: inputs, targets: targets)
    }

    /// The loss over validation unit `unit`: `sequences` windows of the validation text.
    func evaluate(_ unit: Int, _ transformer: Transformer, parameters: UnsafePointer<Float>) -> LossSum {
        guard let validation, let windows else { preconditionFailure("no validation text") }
        let tokens = windows.fillEvaluation(from: validation, unit: unit, sequences: sequences, inputs: inputs, targets: targets)
        transformer.forward(parameters: parameters, inputs: inputs, dropout: nil)
        transformer.losses(parameters: parameters, targets: targets, into: sequenceLosses)
        var nats = 0.0
        for sequence in 0..<sequences { nats += sequenceLosses[sequence] }
        return LossSum(nats: nats, tokens: tokens)
    }
}
