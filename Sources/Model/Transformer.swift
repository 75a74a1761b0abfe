import Kernels
import RunSpec

/// A transformer of the GPT-2 or the Llama family, or a part of one, for microbatches of one fixed shape: forward and
/// backward, written out. It owns activations and scratch, all allocated at the start; parameters and gradients are the
/// caller's, flat vectors in the order of `layout`, of which a part touches its own blocks only. The same inputs give the
/// same bits, whatever the addresses and however the layers are divided among stages; where ranks share each layer, sums
/// are taken in other places and round otherwise. Not thread-safe.
///
/// Legend: B sequences, T positions each (the configuration's context), R = B·T rows, C width, V vocabulary.
package final class Transformer {
    package let config: ModelConfig
    package let layout: ParameterLayout
    package let part: ModelPart
    /// B.
    package let sequences: Int
    /// R.
    package let rows: Int
    /// Whether `backward` leaves the gradients of the layers' matrices to `weightGradients`. Not with peers that take a block's
    /// gradient as complete, or its parameters as read, when `backward` says so.
    package let putsOffWeightGradients: Bool
    /// Whether `weightGradients` is to come.
    private var owesWeightGradients = false

    /// Bytes of activations and scratch.
    package var bytes: Int { 4 * (arena.count + workspaceArena.count) }

    /// Own what the windows point to.
    let arena: Arena, workspaceArena: Arena
    private let activations: Activations, workspace: Workspace
    /// (R): the loss at every row.
    private let rowLosses: UnsafeMutablePointer<Double>
    /// (R): the inputs of the last forward pass, for the gradient of the embedding.
    private let inputs: UnsafeMutablePointer<Int32>
    /// Dropout of the last forward pass; the backward pass makes the same masks.
    private var dropping: Dropping?
    /// For every block the ranges of the flat gradient that nobody overwrites: padding, gains and biases, the token table
    /// if the head is not tied to it.
    private let accumulated: [[Range<Int>]]
    /// The block of the final norm.
    private var lastBlock: Int { config.layers + 1 }

    // Places in the flat vector.
    private let tokenTable: Int, positionTable: Int?, headMatrix: Int

    /// Allocates everything for microbatches of `sequences` × `config.context` tokens.
    /// - Parameter part: nil for the whole model.
    package convenience init(_ config: ModelConfig, sequences: Int, part: ModelPart? = nil, putsOffWeightGradients: Bool = false) {
        precondition(sequences > 0, "a microbatch of \(sequences) sequences")
        let part = part ?? .whole(config)
        precondition(!part.layers.isEmpty && part.layers.lowerBound >= 0 && part.layers.upperBound <= config.layers,
                     "layers \(part.layers) of \(config.layers)")
        let layout = ParameterLayout(config, rank: part.rank, degree: part.degree)
        let (arena, workspace) = Arena.carving {
            Workspace(config, layout.share, part, sequences: sequences, arena: $0)
        }
        workspace.rotary?.fill(base: config.ropeTheta)
        self.init(config, layout, part, sequences: sequences, putsOff: putsOffWeightGradients, workspace, workspaceArena: arena)
    }

    /// Another microbatch's activations beside those of `other`: of one part several microbatches can be in flight, each
    /// in an instance of its own, that take turns in one scratch memory. One pass at a time.
    package convenience init(sharingScratchOf other: Transformer) {
        self.init(other.config, other.layout, other.part, sequences: other.sequences, putsOff: other.putsOffWeightGradients,
                  other.workspace, workspaceArena: other.workspaceArena)
    }

    private init(
        _ config: ModelConfig, _ layout: ParameterLayout, _ part: ModelPart, sequences: Int, putsOff: Bool,
        _ workspace: Workspace, workspaceArena: Arena
    ) {
        self.config = config
        self.layout = layout
        self.part = part
        self.sequences = sequences
        putsOffWeightGradients = putsOff
        self.workspace = workspace
        self.workspaceArena = workspaceArena
        rows = sequences * config.context
        (arena, activations) = Arena.carving {
            Activations(config, layout, part, sequences: sequences, putsOff: putsOff, workspace, arena: $0)
        }
        rowLosses = .allocate(capacity: rows)
        rowLosses.initialize(repeating: 0, count: rows)
        inputs = .allocate(capacity: rows)
        inputs.initialize(repeating: 0, count: rows)
        tokenTable = layout.tokenTable.lowerBound
        positionTable = layout.slot(named: "wpe.weight")?.offset
        headMatrix = config.tied ? tokenTable : layout["lm_head.weight"].offset
        accumulated = layout.blocks.map { layout.accumulated(in: $0, tied: config.tied) }
    }

    deinit {
        rowLosses.deallocate()
        inputs.deallocate()
    }

    /// (R, C): what the stage before gave as its `output`; to be written before `forward`.
    package var input: UnsafeMutablePointer<Float> { activations.input }
    /// (R, C): what the stage after takes as its `input`; there after `forward`, until the next one.
    package var output: UnsafePointer<Float> { UnsafePointer(activations.output) }
    /// (R, C): the gradient with respect to `output`, to be written before `backward` unless this is the last stage, and
    /// afterwards that with respect to `input`. Scratch: the next pass of any instance that shares it overwrites it.
    package var residualGradient: UnsafeMutablePointer<Float> { workspace.scratch.dX }

    /// Runs the layers on `inputs` (B, T) and keeps what the other functions need.
    /// - Parameters:
    ///   - parameters: `layout.count` floats.
    ///   - inputs: nil, and only then, after the first stage: it works on `input`.
    ///   - dropout: nil evaluates without dropout; ignored if the configuration's probability is 0.
    package func forward<P: Peers>(
        parameters: UnsafePointer<Float>, inputs: UnsafePointer<Int32>?, dropout: DropoutKey?, peers: P = Alone()
    ) throws(P.Failure) {
        precondition(peers.degree == part.degree, "\(peers.degree) ranks with a share of \(part.degree)")
        precondition((inputs != nil) == part.isFirst, "tokens are for the stage of the first layer, not for layers \(part.layers)")
        dropping = config.dropout > 0 ? dropout.map { Dropping(key: $0, probability: config.dropout) } : nil
        if let inputs { try embed(inputs, parameters, peers) }
        try forward(activations.gpt2, parameters, peers)
        try forward(activations.llama, parameters, peers)
        guard let finalNorm = activations.finalNorm else { return }
        try peers.willRead(block: lastBlock, in: .forward)
        finalNorm.forward(parameters, x: output)
        try peers.hasRead(block: lastBlock, in: .forward)
    }

    private func embed<P: Peers>(
        _ inputs: UnsafePointer<Int32>, _ parameters: UnsafePointer<Float>, _ peers: P
    ) throws(P.Failure) {
        self.inputs.update(from: inputs, count: rows)
        try peers.willRead(block: 0, in: .forward)
        Embedding.forward(
            out: input, tokens: inputs, table: parameters + tokenTable,
            positions: part.rank == 0 ? parameters.at(positionTable) : nil, rows: rows, width: config.width,
            vocabulary: config.vocabulary, held: layout.share.tokens, context: config.context)
        try peers.hasRead(block: 0, in: .forward)
        if part.degree > 1 { try peers.sum(input, count: rows * config.width) }
        dropping?.mask(.embedding).apply(input, base: nil, input, first: 0, count: rows * config.width)
    }

    private func forward<B: Block, P: Peers>(
        _ blocks: [B], _ parameters: UnsafePointer<Float>, _ peers: P
    ) throws(P.Failure) {
        for block in blocks {
            if block.slice.isFirst { try peers.willRead(block: 1 + block.layer, in: .forward) }
            try block.forward(parameters, dropping, peers)
            if block.slice.isLast { try peers.hasRead(block: 1 + block.layer, in: .forward) }
        }
    }

    /// After `forward` with the same parameters: the sum of the token losses, and its gradient (the sum's, not the
    /// mean's) in this part's blocks of `gradient` (`layout.count` floats), which are overwritten, padding with zeros; of
    /// matrices that are put off nothing is there yet.
    ///
    /// A tied head's share of the token table's gradient is the last stage's work: it leaves it in `layout.tokenTable` of
    /// its own `gradient`. Before `backward` of another, first stage it must stand at the same place of that one's: the
    /// embedding's share is added to it, as in the whole model.
    /// - Parameter targets: (B, T); −1 means no target: no loss and no gradient from that row. Nil, and only then, before
    ///   the last stage: it goes by `residualGradient` and returns 0.
    package func backward<P: Peers>(
        parameters: UnsafePointer<Float>, targets: UnsafePointer<Int32>?, gradient: UnsafeMutablePointer<Float>,
        peers: P = Alone()
    ) throws(P.Failure) -> Double {
        precondition((targets != nil) == part.isLast(of: config),
                     "targets are for the stage of the last layer, not for layers \(part.layers)")
        if let targets { try backwardFromLoss(targets, parameters, gradient, peers) }
        try backward(activations.gpt2, parameters, gradient, peers)
        try backward(activations.llama, parameters, gradient, peers)
        if part.isFirst { try backwardToTables(gradient, peers) }
        owesWeightGradients = putsOffWeightGradients
        return targets == nil ? 0 : sum(rowLosses, rows)
    }

    /// After `backward`, where it has put them off: the gradients of the layers' matrices, in the same `gradient`. Passes of
    /// other instances may come in between.
    package func weightGradients(parameters: UnsafePointer<Float>, gradient: UnsafeMutablePointer<Float>) {
        precondition(owesWeightGradients, "nothing was put off")
        owesWeightGradients = false
        for block in activations.gpt2.reversed() { block.weightGradients(parameters, gradient) }
        for block in activations.llama.reversed() { block.weightGradients(parameters, gradient) }
    }

    private func backwardFromLoss<P: Peers>(
        _ targets: UnsafePointer<Int32>, _ parameters: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>,
        _ peers: P
    ) throws(P.Failure) {
        let (head, finalNorm) = ending
        try peers.willRead(block: lastBlock, in: .backward)
        if config.tied { try peers.willRead(block: 0, in: .backward) }
        try head.backward(
            losses: rowLosses, dW: gradient + headMatrix, x: finalNorm.out, w: parameters + headMatrix, targets: targets,
            peers)
        if config.tied {
            try peers.hasRead(block: 0, in: .backward)
            if !part.isFirst { try peers.gradientIsComplete(block: 0) }
        }
        clear(block: lastBlock, of: gradient)
        finalNorm.backward(parameters, gradient, dX: residualGradient, dOut: head.dX, x: output)
        try peers.hasRead(block: lastBlock, in: .backward)
        try peers.gradientIsComplete(block: lastBlock)
    }

    private func backwardToTables<P: Peers>(
        _ gradient: UnsafeMutablePointer<Float>, _ peers: P
    ) throws(P.Failure) {
        let dX = residualGradient, C = config.width
        clear(block: 0, of: gradient)
        dropping?.mask(.embedding).apply(dX, base: nil, dX, first: 0, count: rows * C)
        // A tied head has already written its share to the token table's gradient.
        Embedding.addTokenGradient(gradient + tokenTable, tokens: inputs, dOut: dX, rows: rows, width: C, held: layout.share.tokens)
        if let positionTable {
            Embedding.positionGradient(
                gradient + positionTable, dOut: dX, sequences: sequences, context: config.context, width: C)
        }
        try peers.gradientIsComplete(block: 0)
    }

    private func backward<B: Block, P: Peers>(
        _ blocks: [B], _ parameters: UnsafePointer<Float>, _ gradient: UnsafeMutablePointer<Float>, _ peers: P
    ) throws(P.Failure) {
        for block in blocks.reversed() {
            let number = 1 + block.layer
            if block.slice.isLast {
                try peers.willRead(block: number, in: .backward)
                clear(block: number, of: gradient)
            }
            try block.backward(parameters, gradient, dropping, peers)
            if block.slice.isFirst {
                try peers.hasRead(block: number, in: .backward)
                try peers.gradientIsComplete(block: number)
            }
        }
    }

    /// Zeroes what the block's backward pass adds to and what it leaves alone.
    private func clear(block: Int, of gradient: UnsafeMutablePointer<Float>) {
        for range in accumulated[block] {
            (gradient + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }

    /// After `forward` with the same parameters: the summed token losses of each sequence, `into` (B).
    /// - Parameter targets: (B, T); −1 means no target.
    package func losses<P: Peers>(
        parameters: UnsafePointer<Float>, targets: UnsafePointer<Int32>, into: UnsafeMutablePointer<Double>,
        peers: P = Alone()
    ) throws(P.Failure) {
        let (head, finalNorm) = ending, block = config.tied ? 0 : lastBlock
        try peers.willRead(block: block, in: .forward)
        try head.forward(losses: rowLosses, x: finalNorm.out, w: parameters + headMatrix, targets: targets, peers)
        try peers.hasRead(block: block, in: .forward)
        for sequence in 0..<sequences { into[sequence] = sum(rowLosses + sequence * config.context, config.context) }
    }

    /// After `forward` with the same parameters: the V logits of row `row` = sequence · T + position.
    package func logits(parameters: UnsafePointer<Float>, row: Int, into: UnsafeMutablePointer<Float>) {
        precondition(row >= 0 && row < rows && part.degree == 1, "row \(row) of \(rows), \(part.degree) ranks")
        let (head, finalNorm) = ending
        head.logits(out: into, x: finalNorm.out + row * config.width, w: parameters + headMatrix)
    }

    private var ending: (head: Head, finalNorm: FinalNorm) {
        guard let head = workspace.head, let finalNorm = activations.finalNorm else {
            preconditionFailure("layers \(part.layers) of \(config.layers) have no head")
        }
        return (head, finalNorm)
    }

    private func sum(_ values: UnsafePointer<Double>, _ count: Int) -> Double {
        var sum = 0.0
        for i in 0..<count { sum += values[i] }
        return sum
    }
}

extension ParameterLayout {
    /// The ranges of a block's gradient that a backward pass adds to or leaves alone.
    fileprivate func accumulated(in block: Range<Int>, tied: Bool) -> [Range<Int>] {
        var ranges: [Range<Int>] = [], end = block.lowerBound
        for slot in slots where block.contains(slot.offset) {
            if end < slot.offset { ranges.append(end..<slot.offset) }
            end = slot.offset + slot.filled
            if slot.shape.count == 1 || slot.offset == 0 && !tied { ranges.append(slot.offset..<end) }
        }
        if end < block.upperBound { ranges.append(end..<block.upperBound) }
        return ranges
    }
}
