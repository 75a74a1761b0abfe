import Collectives
import Ledger
import Model
import RunSpec

/// A stage's part in a step: its layers of all microbatches of its group.
extension TrainStep {
    func computeInPipeline(_ step: Int, _ due: Range<Int>, _ exchange: GroupExchange, _ pipeline: Pipeline, _ peers: TensorPeers) throws {
        try evaluateInPipeline(step, due, exchange, pipeline, peers)
        let leaves = exchange.leaves
        // (index): what the forward pass took.
        var took: [Int: UInt64] = [:]
        pipeline.begin(leaves.count, isTraining: true)
        for (pass, index) in Pipeline.schedule(stage: pipeline.stage, of: pipeline.stages, microbatches: leaves.count) {
            let leaf = leaves.lowerBound + index, began = MonotonicClock.nanoseconds()
            switch pass {
            case .forward:
                try forward(leaf: leaf, index, step, exchange, pipeline, peers)
                took[index] = MonotonicClock.nanoseconds() - began
            case .backward:
                try backward(leaf: leaf, index, step, exchange, pipeline, peers)
                shared.noteLeaf(slot, nanoseconds: took.removeValue(forKey: index)! + MonotonicClock.nanoseconds() - began)
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
        context.enter(.glue, step)
    }

    private func backward(leaf: Int, _ index: Int, _ step: Int, _ exchange: GroupExchange, _ pipeline: Pipeline, _ peers: TensorPeers) throws {
        let gradient = exchange.takeGradient()
        context.enter(.backward, step, leaf)
        context.faults.strike(.backward, step: step)
        try pipeline.awaitGradient(index, gradient)
        let own = exchange.base(of: gradient)
        let loss = try pipeline.transformer(index).backward(
            parameters: exchange.parameters, targets: pipeline.isLast ? UnsafePointer(data.targets) : nil, gradient: own, peers: peers)
        try pipeline.sendGradient(index, gradient)
        pipeline.isDone(index)
        context.faults.strike(.leafDone, step: step, gradient: own, count: shared.layout.shardFloats)
        exchange.push(leaf, gradient)
        if pipeline.isLast, exchange.tellsResults {
            shared.setLeafResult(leaf, LossSum(nats: loss, tokens: data.targetCount), replica: context.replica)
            shared.leaves.markDone(leaf, turn: turn)
        }
        context.enter(.glue, step)
        context.faults.strike(.publish, step: step)
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
            pipeline.isDone(index)
        }
        try pipeline.end()
        if turn != shared.turn { throw TurnIsOver() }
        guard !due.isEmpty, shared.evaluations.allDone(turn: turn, in: due) else { return }
        shared.ring()
        context.ringDoorbell()
    }
}
