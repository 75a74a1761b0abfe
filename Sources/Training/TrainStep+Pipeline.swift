import Collectives
import Ledger
import Model
import RunSpec

/// A stage's part in a step: its layers of all microbatches of its group.
extension TrainStep {
    func computeInPipeline(_ step: Int, _ due: Range<Int>, _ exchange: GroupExchange, _ pipeline: Pipeline, _ peers: TensorPeers) throws {
        try evaluateInPipeline(step, due, exchange, pipeline, peers)
        let leaves = exchange.leaves
        // (index): what its passes took; and what has come back of it.
        var took = Array(repeating: UInt64(0), count: leaves.count), returned = Array(repeating: Returned?.none, count: leaves.count)
        pipeline.begin(leaves.count, isTraining: true)
        for (pass, index) in PipelineSchedule.passes(stage: pipeline.stage, of: pipeline.stages, microbatches: leaves.count) {
            let leaf = leaves.lowerBound + index, began = MonotonicClock.nanoseconds(), transformer = pipeline.transformer(index)
            switch pass {
            case .forward:
                try forward(leaf: leaf, index, step, exchange, pipeline, peers)
            case .backward:
                returned[index] = try backward(leaf: leaf, index, step, exchange, pipeline, peers)
            case .weights:
                context.enter(.backward, step, leaf)
                transformer.weightGradients(parameters: exchange.parameters, gradient: exchange.base(of: returned[index]!.gradient))
            }
            let isDone = pass == .weights || pass == .backward && !transformer.putsOffWeightGradients
            if isDone, let whole = returned[index].take() { push(leaf: leaf, step, whole, exchange, pipeline) }
            context.enter(.glue, step)
            took[index] += MonotonicClock.nanoseconds() - began
            if isDone {
                context.faults.strike(.publish, step: step)
                shared.noteLeaf(slot, nanoseconds: took[index])
            }
        }
        try pipeline.end()
        if turn != shared.turn { throw TurnIsOver() }
    }

    private func forward(leaf: Int, _ index: Int, _ step: Int, _ exchange: GroupExchange, _ pipeline: Pipeline, _ peers: TensorPeers) throws {
        context.enter(.input, step, leaf)
        // The last stage goes back at once: the targets stay.
        if pipeline.isFirst || pipeline.isLast { data.fill(step: step, leaf: leaf) }
        context.enter(.forward, step, leaf)
        context.faults.strike(.forward, step: step)
        if context.faults.permutesTargets { data.permuteTargets() }
        try pipeline.awaitInput(index)
        let dropout = config.model.dropout > 0
            ? DropoutKey(seed: config.seed, step: UInt32(truncatingIfNeeded: step), leaf: UInt32(leaf)) : nil
        try pipeline.transformer(index).forward(parameters: exchange.parameters, inputs: pipeline.isFirst ? UnsafePointer(data.inputs) : nil, dropout: dropout, peers: peers)
        pipeline.sendOutput(index)
    }

    /// What has come back of a microbatch.
    private struct Returned {
        let gradient: PrivateMemory
        /// On the last stage.
        let loss: LossSum
    }

    private func backward(leaf: Int, _ index: Int, _ step: Int, _ exchange: GroupExchange, _ pipeline: Pipeline, _ peers: TensorPeers) throws -> Returned {
        let gradient = exchange.takeGradient()
        context.enter(.backward, step, leaf)
        context.faults.strike(.backward, step: step)
        try pipeline.awaitGradient(index, gradient)
        let loss = try pipeline.transformer(index).backward(
            parameters: exchange.parameters, targets: pipeline.isLast ? UnsafePointer(data.targets) : nil, gradient: exchange.base(of: gradient), peers: peers)
        try pipeline.sendGradient(index, gradient)
        return Returned(gradient: gradient, loss: LossSum(nats: loss, tokens: pipeline.isLast ? data.targetCount : 0))
    }

    /// The gradient is whole.
    private func push(leaf: Int, _ step: Int, _ returned: Returned, _ exchange: GroupExchange, _ pipeline: Pipeline) {
        context.faults.strike(.leafDone, step: step, gradient: exchange.base(of: returned.gradient), count: shared.layout.shardFloats)
        exchange.push(leaf, returned.gradient)
        guard pipeline.isLast, exchange.tellsResults else { return }
        shared.setLeafResult(leaf, returned.loss, replica: context.replica)
        shared.leaves.markDone(leaf, turn: turn)
    }

    func evaluateInPipeline(_ step: Int, _ due: Range<Int>, _ exchange: GroupExchange, _ pipeline: Pipeline, _ peers: TensorPeers) throws {
        let units = exchange.units(due), heldOut = shared.layout.heldOut
        pipeline.begin(units.count, isTraining: false)
        for (index, unit) in units.enumerated() {
            let isValidation = unit < heldOut.validation, probe = unit - heldOut.validation
            context.enter(isValidation ? .evaluate : .probe, step, unit)
            var tokens = 0
            if isValidation { tokens = data.fill(validation: unit) } else { data.fill(probe: probe) }
            try pipeline.awaitInput(index)
            let transformer = pipeline.transformer(index)
            try transformer.forward(parameters: exchange.parameters, inputs: pipeline.isFirst ? UnsafePointer(data.inputs) : nil, dropout: nil, peers: peers)
            pipeline.sendOutput(index)
            if pipeline.isLast {
                let losses = try data.losses(transformer, parameters: exchange.parameters, peers: peers)
                if exchange.tellsResults {
                    if isValidation {
                        shared.setEvaluationResult(unit, LossSum(nats: losses.reduce(0, +), tokens: tokens))
                    } else {
                        for (row, nats) in losses.enumerated() { shared.setProbeLoss(probe * losses.count + row, nats) }
                    }
                    shared.evaluations.markDone(unit, turn: turn)
                }
            }
        }
        try pipeline.end()
        if turn != shared.turn { throw TurnIsOver() }
        guard !due.isEmpty, shared.evaluations.allDone(turn: turn, in: due) else { return }
        shared.ring()
        context.ringDoorbell()
    }
}
