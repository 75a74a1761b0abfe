/// The names in `RunRecord.facts`.
package enum RunFact {
    package static let ledgerVersion = "ledger.version"
    package static let runIdentity = "run.id"
    package static let headwayVersion = "headway.version"
    package static let swiftVersion = "swift.version"
    package static let blasCore = "blas.core"
    package static let blasConfig = "blas.config"
    package static let configuration = "configuration"          // resolved YAML
    package static let configurationDigest = "configuration.sha256"
    package static let steps = "steps"                          // planned
    package static let microbatches = "microbatches"            // M
    package static let sequencesPerMicrobatch = "microbatch.sequences"
    package static let tokensPerStep = "tokens.perStep"
    package static let parameters = "parameters"
    package static let flopsPerToken = "flops.perToken"         // model FLOPs
    package static let peakFlopsPerWorker = "flops.peakPerWorker"   // SGEMM, measured at start-up, FLOP/s
    package static let costPerWorkerHour = "cost.workerHour"
    package static let currency = "cost.currency"
    package static let lossFloor = "loss.floor"                 // nats per token; absent when unknown
    package static let sources = "data.sources"                 // names of the training text's sources, a line each
    package static let validationText = "validation.text"          // tells other validation texts from this one
    package static let bytesPerToken = "bytes.perToken"         // of the validation text
    package static let finalDigest = "final.sha256"             // of (θ, m, v) after the last step
    package static let initialHash = "initial.stateHash"        // of the state before the first step
    package static let origin = "origin"                        // of a first state that was not drawn from the seed
    package static let startStep = "steps.start"                // committed steps in it; absent: 0
    package static let updatesBefore = "updates.before"         // `PastUpdates` at the state the last session began from or went back to
    package static let allowed = "state.allowed"                // in what states may differ from the run, as the user said
    package static let stepAllocations = "step.allocations"     // by workers inside steps, after their first
    package static let cores = "cores"
    package static let policy = "policy"                       // what happens when a worker is lost
    package static let spares = "spares"
    /// How many workers computed a microbatch together in a session, as stages of a pipeline or tensor-parallel ranks; absent: 1.
    package static func stages(session: Int) -> String { "stages.\(session)" }
    package static let pacedLeaves = "paced.leaves"            // microbatches of paced mode, and those over their time
    package static let lateLeaves = "paced.late"
    package static let outcome = "outcome"                      // finished, interrupted, failed, running

    /// The outcome that readers give to a run that says it is running and that no process holds.
    package static let abandoned = "left by its launcher"
    /// A sentence of a reader who has seen something that the ledger cannot be right with; never stored.
    package static let contradiction = "reader.contradiction"

    /// Those that are numbers, never below 0.
    static let numbers = [
        steps, microbatches, sequencesPerMicrobatch, tokensPerStep, parameters, flopsPerToken, peakFlopsPerWorker, costPerWorkerHour,
        lossFloor, bytesPerToken, startStep, stepAllocations, cores,
    ]
}
