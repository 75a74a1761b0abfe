/// What a stage of a pipeline does with its microbatches, in order: after as many forward passes as there are stages to come one
/// forward and one backward pass in turn (PipeDream-Flush; Narayanan et al. 2021, section 2.2). Stages after the first send a
/// backward pass's gradient on before they make those of their matrices, and put these off by as many microbatches as there are
/// stages before them: so stages wait for each other a third as long, and each has as many microbatches begun as the first
/// (ZB-H1; Qi et al. 2024, "Zero Bubble Pipeline Parallelism").
package enum PipelineSchedule {
    package enum Pass: Hashable, Sendable {
        case forward
        /// With the gradients of the matrices, where nothing puts them off.
        case backward
        case weights
    }

    /// Whether a stage's backward passes leave the gradients of its matrices to passes of their own.
    package static func putsOffWeights(stage: Int) -> Bool { stage > 0 }

    /// How many microbatches a stage has begun and not ended, at the most.
    package static func inFlight(of stages: Int, microbatches: Int) -> Int { min(stages, microbatches) }

    package static func passes(stage: Int, of stages: Int, microbatches count: Int) -> [(pass: Pass, index: Int)] {
        let lead = min(stages - 1 - stage, count), lag = min(stage, count)
        var order: [(pass: Pass, index: Int)] = (0..<lead).map { (.forward, $0) }
        for index in 0..<count {
            if index + lead < count { order.append((.forward, index + lead)) }
            order.append((.backward, index))
            if putsOffWeights(stage: stage), index >= lag { order.append((.weights, index - lag)) }
        }
        if putsOffWeights(stage: stage) { order += (count - lag..<count).map { (.weights, $0) } }
        return order
    }
}
