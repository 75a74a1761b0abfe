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
    private let probes: ProbeSequences

    init(folder: RunFolder, config: RunConfig, heldOut: HeldOutUnits) throws {
        probes = try ProbeSequences(folder, config, heldOut)
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

    /// Lays out validation unit `unit`: `sequences` windows of the validation text.
    /// - Returns: how many of its tokens count.
    func fill(validation unit: Int) -> Int {
        guard let validation, let windows else { preconditionFailure("no validation text") }
        return windows.fillEvaluation(from: validation, unit: unit, sequences: sequences, inputs: inputs, targets: targets)
    }

    /// Lays out probe unit `unit`.
    func fill(probe unit: Int) {
        guard let validation, let windows else { preconditionFailure("no validation text") }
        windows.fill(rows: sequences, from: validation, inputs: inputs, targets: targets) { probes.windows[unit * sequences + $0] }
    }

    /// After a forward pass over what is laid out: the loss of each sequence, garbage after the next call.
    func losses<P: Peers>(_ transformer: Transformer, parameters: UnsafePointer<Float>, peers: P) throws(P.Failure) -> UnsafeBufferPointer<Double> {
        try transformer.losses(parameters: parameters, targets: targets, into: sequenceLosses, peers: peers)
        return UnsafeBufferPointer(start: sequenceLosses, count: sequences)
    }

    /// The loss over validation unit `unit`.
    func evaluate<P: Peers>(_ unit: Int, _ transformer: Transformer, parameters: UnsafePointer<Float>, peers: P) throws(P.Failure) -> LossSum {
        let tokens = fill(validation: unit)
        try transformer.forward(parameters: parameters, inputs: inputs, dropout: nil, peers: peers)
        return LossSum(nats: try losses(transformer, parameters: parameters, peers: peers).reduce(0, +), tokens: tokens)
    }

    /// The losses of the sequences of probe unit `unit`, into `each`(sequence, nats).
    func probe<P: Peers>(
        _ unit: Int, _ transformer: Transformer, parameters: UnsafePointer<Float>, peers: P, _ each: (Int, Double) -> Void
    ) throws(P.Failure) {
        fill(probe: unit)
        try transformer.forward(parameters: parameters, inputs: inputs, dropout: nil, peers: peers)
        for (row, nats) in try losses(transformer, parameters: parameters, peers: peers).enumerated() { each(unit * sequences + row, nats) }
    }

    /// The gradient of the summed loss of one microbatch of the decision probe.
    func probeGradient(_ transformer: Transformer, parameters: UnsafePointer<Float>, into gradient: UnsafeMutablePointer<Float>) {
        guard let validation, let windows else { preconditionFailure("no validation text") }
        windows.fill(rows: sequences, from: validation, inputs: inputs, targets: targets) { probes.windows[probes.decision[$0 % probes.decision.count]] }
        transformer.forward(parameters: parameters, inputs: inputs, dropout: nil)
        _ = transformer.backward(parameters: parameters, targets: targets, gradient: gradient)
    }

    /// Gives every input another one's target: half a sequence further on.
    func permuteTargets() {
        let context = targetCount / sequences, shift = (context + 1) / 2
        for row in 0..<sequences {
            let targets = targets + row * context
            for i in 0..<context / 2 { swap(&targets[i], &targets[(i + shift) % context]) }
        }
    }
}

extension ProbeSequences {
    /// Those of a prepared run; none without probes.
    init(_ folder: RunFolder, _ config: RunConfig, _ heldOut: HeldOutUnits) throws {
        let text = try TextMap(reading: folder.dataPath).validation
        let windows = text.tokens > 1 ? EvaluationWindows(tokenCount: text.tokens, context: config.model.context).fullCount : 0
        self.init(count: heldOut.probe * config.sequencesPerMicrobatch, fullWindows: windows, context: config.model.context, text: text)
    }
}
