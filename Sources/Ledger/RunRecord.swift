// Everything a ledger holds, as values: the raw record from which each reported number is computed.
// All times are nanoseconds of CLOCK_MONOTONIC; they compare within one session.

import RunSpec

/// One life of the launcher: `headway train` or `headway resume`. A run that was resumed has several.
package struct SessionRow: Equatable, Sendable {
    package var session: Int
    package var startedNanoseconds: UInt64
    /// Nil while the launcher lives, or if it died without a word.
    package var endedNanoseconds: UInt64?
    /// Seconds since 1970 at the start.
    package var startedUnixSeconds: Double
    /// The committed step the session began from, and how it got the state: `initial`, `origin`, `checkpoint`,
    /// `chosen checkpoint`, `shared memory`.
    package var startStep: Int
    package var source: String

    package init(
        session: Int, startedNanoseconds: UInt64, endedNanoseconds: UInt64? = nil, startedUnixSeconds: Double,
        startStep: Int, source: String
    ) {
        self.session = session
        self.startedNanoseconds = startedNanoseconds
        self.endedNanoseconds = endedNanoseconds
        self.startedUnixSeconds = startedUnixSeconds
        self.startStep = startStep
        self.source = source
    }
}

/// One provisioned worker slot: what is paid for, whether or not a worker lives in it.
package struct SlotRow: Equatable, Sendable {
    package var session: Int
    package var slot: Int
    package var openedNanoseconds: UInt64
    package var closedNanoseconds: UInt64

    package init(
        session: Int, slot: Int, openedNanoseconds: UInt64, closedNanoseconds: UInt64
    ) {
        self.session = session
        self.slot = slot
        self.openedNanoseconds = openedNanoseconds
        self.closedNanoseconds = closedNanoseconds
    }
}

/// One worker process, from spawn to reap.
package struct ReplicaRow: Equatable, Sendable {
    package var replica: Int
    package var session: Int
    package var slot: Int
    /// 0 until the process is started: the row comes first.
    package var pid: Int
    /// The incident it replaces a worker of; nil for the first worker of a slot.
    package var incident: Int?
    package var spawnedNanoseconds: UInt64
    /// Reported ready to the launcher.
    package var readyNanoseconds: UInt64?
    /// The first view that includes it was announced.
    package var admittedNanoseconds: UInt64?
    /// The launcher learned of its end.
    package var endedNanoseconds: UInt64?
    package var reapedNanoseconds: UInt64?
    /// `exited` or `signalled`, with the status or signal number; `orphaned` when its launcher died before it, `not
    /// started` when there was never a process.
    package var exit: String?
    package var exitCode: Int?
    /// How long the kernel had it on a processor, all threads, as it said at the reaping; nil if nobody asked.
    package var cpuNanoseconds: UInt64?
    /// The loss of another worker that it was ended for: the policy makes everybody stop.
    package var stoppedFor: Int?
    /// Flight events that the recorder's ring had overwritten before anybody drained it.
    package var lostEvents = 0
    /// With messages, as the worker last said after an update: bytes its sockets had sent, headers of TCP not counted; bytes
    /// of memory that were its alone.
    package var sentBytes: Int?, residentBytes: Int?

    package init(
        replica: Int, session: Int, slot: Int, pid: Int, incident: Int? = nil, spawnedNanoseconds: UInt64,
        readyNanoseconds: UInt64? = nil, admittedNanoseconds: UInt64? = nil, endedNanoseconds: UInt64? = nil,
        reapedNanoseconds: UInt64? = nil, exit: String? = nil, exitCode: Int? = nil, cpuNanoseconds: UInt64? = nil,
        stoppedFor: Int? = nil, lostEvents: Int = 0, sentBytes: Int? = nil, residentBytes: Int? = nil
    ) {
        self.replica = replica
        self.session = session
        self.slot = slot
        self.pid = pid
        self.incident = incident
        self.spawnedNanoseconds = spawnedNanoseconds
        self.readyNanoseconds = readyNanoseconds
        self.admittedNanoseconds = admittedNanoseconds
        self.endedNanoseconds = endedNanoseconds
        self.reapedNanoseconds = reapedNanoseconds
        self.exit = exit
        self.exitCode = exitCode
        self.cpuNanoseconds = cpuNanoseconds
        self.stoppedFor = stoppedFor
        self.lostEvents = lostEvents
        self.sentBytes = sentBytes
        self.residentBytes = residentBytes
    }
}

/// A membership with a number that only grows.
package struct ViewRow: Equatable, Sendable {
    package var view: Int
    package var session: Int
    /// The step that was under way when it began.
    package var step: Int
    package var announcedNanoseconds: UInt64
    /// Replicas by rank.
    package var members: [Int]
    package var reason: String

    package init(
        view: Int, session: Int, step: Int, announcedNanoseconds: UInt64, members: [Int], reason: String
    ) {
        self.view = view
        self.session = session
        self.step = step
        self.announcedNanoseconds = announcedNanoseconds
        self.members = members
        self.reason = reason
    }
}

/// One committed optimizer update. Written before the commit is announced.
package struct CommitRow: Equatable, Sendable {
    package var session: Int
    /// Committed steps after this one: the first commit has step 1. Flight events of its attempt carry step − 1.
    package var step: Int
    package var view: Int
    package var nanoseconds: UInt64
    /// Sum of the token losses in nats, before the update, and how many tokens carried loss.
    package var lossSum: Double
    package var tokens: Int
    /// Global norm of the mean gradient before clipping.
    package var gradientNorm: Double
    package var learningRate: Double
    package var parentHash: String
    package var stateHash: String
    /// For each leaf, the replica whose execution was used.
    package var leafReplicas: [Int]
    /// For each leaf, −⟨gᵢ, Δᵢ⟩ in nats per token: gᵢ its mean gradient, Δᵢ this update as it would have been had this
    /// leaf been like the mean of the others. By how much it promised to lower the loss, seen from where it began. Empty when not recorded.
    package var leafForesight: [Double]
    /// For each leaf, −⟨gᵢ, θ − θ′⟩ in nats per token: θ the weights before this update, θ′ those before the update
    /// before. By how much that earlier update lowered the loss, seen from where it ended, on text it had not seen.
    /// Empty when not recorded, or when no earlier weights were in memory.
    package var leafHindsight: [Double]
    /// For each leaf, |gᵢ|². Empty when not recorded.
    package var leafSquares: [Double]
    /// The update was left out: the state is the one before, and what was computed for it counts for nothing. Its loss
    /// and tokens are 0.
    package var isVetoed = false

    package init(
        session: Int, step: Int, view: Int, nanoseconds: UInt64, lossSum: Double, tokens: Int,
        gradientNorm: Double, learningRate: Double, parentHash: String, stateHash: String, leafReplicas: [Int],
        leafForesight: [Double] = [], leafHindsight: [Double] = [], leafSquares: [Double] = [], isVetoed: Bool = false
    ) {
        self.session = session
        self.step = step
        self.view = view
        self.nanoseconds = nanoseconds
        self.lossSum = lossSum
        self.tokens = tokens
        self.gradientNorm = gradientNorm
        self.learningRate = learningRate
        self.parentHash = parentHash
        self.stateHash = stateHash
        self.leafReplicas = leafReplicas
        self.leafForesight = leafForesight
        self.leafHindsight = leafHindsight
        self.leafSquares = leafSquares
        self.isVetoed = isVetoed
    }
}

/// What the run took an incident for.
package enum IncidentKind: String, CaseIterable, Sendable {
    /// Killed by a signal; by a bad access to memory; ended with a status.
    case crash, segfault, death
    /// Stood still until it was fenced; or for a while, and went on.
    case hang, stall
    /// Told to make room, and went in order.
    case preempt
    /// Computed other bits than two others did, and was ended.
    case corruption
    /// The state in memory was not what had been committed.
    case memory
    /// A step's gradient made no sense, again and again with the same bits: its update was left out.
    case veto

    /// Whether the worker's work ended with it, at its onset.
    package var isLoss: Bool { [.crash, .segfault, .death, .hang, .corruption].contains(self) }
}

/// One fault, injected or natural: a worker's end or standstill that nobody asked for.
package struct IncidentRow: Equatable, Sendable {
    package var incident: Int
    package var session: Int
    package var kind: IncidentKind
    package var replica: Int
    package var slot: Int
    /// The step that was under way.
    package var step: Int
    /// Exact when the victim recorded the fault itself; else the launcher's first knowledge of the end.
    package var onsetNanoseconds: UInt64
    package var onsetIsExact: Bool
    package var detectedNanoseconds: UInt64
    /// The plan that goes on without the victim was announced.
    package var plannedNanoseconds: UInt64?
    /// Leaves given to other workers: in the victim's hands or not begun.
    package var leavesReassigned: Int
    /// The injected fault, as its place in the session's plan; nil when it came from outside.
    package var fault: Int?
    /// For people: `worker 1 killed by signal 9 in backward of step 50`.
    package var description: String

    package init(
        incident: Int, session: Int, kind: IncidentKind, replica: Int, slot: Int, step: Int,
        onsetNanoseconds: UInt64, onsetIsExact: Bool, detectedNanoseconds: UInt64,
        plannedNanoseconds: UInt64? = nil, leavesReassigned: Int, fault: Int? = nil, description: String
    ) {
        self.incident = incident
        self.session = session
        self.kind = kind
        self.replica = replica
        self.slot = slot
        self.step = step
        self.onsetNanoseconds = onsetNanoseconds
        self.onsetIsExact = onsetIsExact
        self.detectedNanoseconds = detectedNanoseconds
        self.plannedNanoseconds = plannedNanoseconds
        self.leavesReassigned = leavesReassigned
        self.fault = fault
        self.description = description
    }
}

/// A microbatch that was computed a second time elsewhere to see whether the bits agree.
package struct RecheckRow: Equatable, Sendable {
    package enum Verdict: String, Sendable { case agree, differ }
    package var session: Int
    package var step: Int
    package var leaf: Int
    package var nanoseconds: UInt64
    /// `audit`, `non-finite` or `spike`.
    package var reason: String
    /// Who computed it, in order; the one that the others contradict, if any.
    package var replicas: [Int]
    package var verdict: Verdict
    package var culprit: Int?

    package init(
        session: Int, step: Int, leaf: Int, nanoseconds: UInt64, reason: String, replicas: [Int], verdict: Verdict, culprit: Int? = nil
    ) {
        (self.session, self.step, self.leaf, self.nanoseconds) = (session, step, leaf, nanoseconds)
        (self.reason, self.replicas, self.verdict, self.culprit) = (reason, replicas, verdict, culprit)
    }
}

/// A decision by which work that was done counts for nothing.
package struct SetbackRow: Equatable, Sendable {
    package enum Kind: String, Sendable {
        /// The policy threw the attempt under way away, for the loss of a worker.
        case discard
        /// The attempt's reduction and update were thrown away: some of its microbatches are computed again elsewhere.
        case recheck
        /// The run went back to an older state.
        case rewind
    }
    package var session: Int
    /// Committed steps when it was decided; the attempt under way is the one after them.
    package var step: Int
    package var nanoseconds: UInt64
    package var kind: Kind
    /// Committed steps from then on.
    package var toStep: Int
    package var incident: Int?

    package init(session: Int, step: Int, nanoseconds: UInt64, kind: Kind, toStep: Int, incident: Int?) {
        (self.session, self.step, self.nanoseconds) = (session, step, nanoseconds)
        (self.kind, self.toStep, self.incident) = (kind, toStep, incident)
    }
}

/// Time of the launcher's own that all slots without a worker wait for: restoring a checkpoint, or at the end for one to
/// become durable.
package struct LauncherSpanRow: Equatable, Sendable {
    package var session: Int
    package var startNanoseconds: UInt64
    package var endNanoseconds: UInt64
    package var category: Category
    package var incident: Int?

    package init(session: Int, startNanoseconds: UInt64, endNanoseconds: UInt64, category: Category, incident: Int? = nil) {
        (self.session, self.startNanoseconds, self.endNanoseconds) = (session, startNanoseconds, endNanoseconds)
        (self.category, self.incident) = (category, incident)
    }
}

/// A fault that was planned for a session.
package struct FaultRow: Equatable, Sendable {
    package var session: Int
    /// Its place in the session's plan.
    package var fault: Int
    package var text: String
    package var firedNanoseconds: UInt64?
    /// Of a fault of the disk that has fired.
    package var mechanism: Fault.Mechanism?

    package init(
        session: Int, fault: Int, text: String, firedNanoseconds: UInt64? = nil, mechanism: Fault.Mechanism? = nil
    ) {
        self.session = session
        self.fault = fault
        self.text = text
        self.firedNanoseconds = firedNanoseconds
        self.mechanism = mechanism
    }
}

/// A pass over the whole validation text with the weights of `step`.
package struct EvaluationRow: Equatable, Sendable {
    package var session: Int
    package var step: Int
    package var nanoseconds: UInt64
    package var lossSum: Double
    package var tokens: Int

    package init(
        session: Int, step: Int, nanoseconds: UInt64, lossSum: Double, tokens: Int
    ) {
        self.session = session
        self.step = step
        self.nanoseconds = nanoseconds
        self.lossSum = lossSum
        self.tokens = tokens
    }
}

/// The losses of the two probe sets under the weights of `step`: fixed held-out sequences of equal length, the same ones
/// every time, the two sets disjoint.
package struct ProbeRow: Equatable, Sendable {
    package var session: Int
    package var step: Int
    package var nanoseconds: UInt64
    /// Nats of each sequence. The decision probe may steer a run, the audit probe is only ever reported.
    package var decision: [Double]
    package var audit: [Double]
    /// For each sequence what it belongs together with, a document or neighbours in one; empty: every one by itself.
    package var decisionClusters: [Int]
    package var auditClusters: [Int]
    package var tokensPerSequence: Int

    package init(
        session: Int, step: Int, nanoseconds: UInt64, decision: [Double], audit: [Double], decisionClusters: [Int] = [],
        auditClusters: [Int] = [], tokensPerSequence: Int
    ) {
        precondition(decisionClusters.isEmpty || decisionClusters.count == decision.count, "\(decisionClusters.count) of \(decision.count)")
        precondition(auditClusters.isEmpty || auditClusters.count == audit.count, "\(auditClusters.count) of \(audit.count)")
        self.session = session
        self.step = step
        self.nanoseconds = nanoseconds
        self.decision = decision
        self.audit = audit
        self.decisionClusters = decisionClusters
        self.auditClusters = auditClusters
        self.tokensPerSequence = tokensPerSequence
    }
}

/// What each leaf of one step did for the decision probe, to first order.
package struct ContributionRow: Equatable, Sendable {
    package var session: Int
    /// Committed steps before the update that the leaves went into.
    package var step: Int
    /// For each leaf, (1/M) · (D ⊙ q) · gᵢ in nats per token: q the gradient of the probe loss, D what AdamW multiplies a
    /// gradient with. Positive lowers the probe loss.
    package var leaves: [Double]
    /// For each leaf, the share of its tokens that came from each source of the training text; empty with one source.
    package var sources: [[Double]]

    package init(session: Int, step: Int, leaves: [Double], sources: [[Double]] = []) {
        self.session = session
        self.step = step
        self.leaves = leaves
        self.sources = sources
    }
}

package struct CheckpointRow: Equatable, Sendable {
    package var session: Int
    package var step: Int
    package var requestedNanoseconds: UInt64
    /// How long it waited for the one before it to be written, and how many more fell due meanwhile and became one with it.
    package var lateNanoseconds: UInt64
    package var merged: Int
    package var durableNanoseconds: UInt64?
    package var bytes: Int
    /// `durable`, or why it failed. A row is written when the outcome is known.
    package var status: String
    /// How long the writer process was on a processor, beside the workers.
    package var cpuNanoseconds: UInt64

    package init(
        session: Int, step: Int, requestedNanoseconds: UInt64, lateNanoseconds: UInt64 = 0, merged: Int = 0,
        durableNanoseconds: UInt64? = nil, bytes: Int, status: String, cpuNanoseconds: UInt64 = 0
    ) {
        self.session = session
        (self.lateNanoseconds, self.merged) = (lateNanoseconds, merged)
        self.step = step
        self.requestedNanoseconds = requestedNanoseconds
        self.durableNanoseconds = durableNanoseconds
        self.bytes = bytes
        self.status = status
        self.cpuNanoseconds = cpuNanoseconds
    }
}

/// A choice of the interval between checkpoints, where it is `auto`.
package struct IntervalRow: Equatable, Sendable {
    package enum Cause: String, Sendable { case checkpoint, failure }
    package var session: Int
    package var step: Int
    package var nanoseconds: UInt64
    /// What had happened that made it be chosen anew.
    package var cause: Cause
    package var choice: CheckpointChoice

    package init(session: Int, step: Int, nanoseconds: UInt64, cause: Cause, choice: CheckpointChoice) {
        (self.session, self.step, self.nanoseconds, self.cause, self.choice) = (session, step, nanoseconds, cause, choice)
    }
}

/// A checkpoint that a restore looked at.
package struct RestoreRow: Equatable, Sendable {
    /// The session that goes on from there.
    package var session: Int
    package var step: Int
    package var nanoseconds: UInt64
    /// nil when it was whole, and became the state.
    package var damage: String?

    package init(session: Int, step: Int, nanoseconds: UInt64, damage: String? = nil) {
        (self.session, self.step, self.nanoseconds, self.damage) = (session, step, nanoseconds, damage)
    }
}

/// A whole ledger in memory.
package struct RunRecord: Sendable {
    /// Facts about the run by name: see `RunFact`.
    package var facts: [String: String] = [:]
    package var sessions: [SessionRow] = []
    package var slots: [SlotRow] = []
    package var replicas: [ReplicaRow] = []
    package var views: [ViewRow] = []
    /// In the order they were written. A step appears again after a rewind; the lineage is the hash chain.
    package var commits: [CommitRow] = []
    package var incidents: [IncidentRow] = []
    package var faults: [FaultRow] = []
    package var evaluations: [EvaluationRow] = []
    package var probes: [ProbeRow] = []
    package var contributions: [ContributionRow] = []
    package var launcherSpans: [LauncherSpanRow] = []
    package var rechecks: [RecheckRow] = []
    package var setbacks: [SetbackRow] = []
    package var checkpoints: [CheckpointRow] = []
    package var intervals: [IntervalRow] = []
    package var restores: [RestoreRow] = []
    /// Flight events by replica, in time order.
    package var flights: [Int: [FlightEvent]] = [:]

    package init() {}

    /// Where the run stands: committed steps, and the hash of their state. After the last commit or rewind of the last
    /// session; before either, where that session began.
    package var position: (step: Int, stateHash: String) {
        let session = sessions.map(\.session).max() ?? commits.last?.session ?? 0
        let commit = commits.last { $0.session == session }, rewind = setbacks.last { $0.kind == .rewind && $0.session == session }
        var step = commit?.step ?? sessions.last { $0.session == session }?.startStep ?? startStep
        if let rewind, rewind.nanoseconds >= commit?.nanoseconds ?? 0 { step = rewind.toStep }
        return (step, stateHash(at: step) ?? "")
    }

    /// Of the state after so many committed steps, the last time they were; nil when no row tells.
    package func stateHash(at step: Int) -> String? {
        commits.last { $0.step == step }?.stateHash ?? (step == startStep ? facts[RunFact.initialHash] : nil)
    }

    /// Committed steps in the state that the run began from.
    package var startStep: Int { facts[RunFact.startStep].flatMap { Int($0) } ?? 0 }
    /// Steps that the run is to commit; nil when unknown.
    package var plannedCommits: Int? { facts[RunFact.steps].flatMap { Int($0) }.map { $0 - startStep } }
}

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
    package static let allowed = "state.allowed"                // in what states may differ from the run, as the user said
    package static let stepAllocations = "step.allocations"     // by workers inside steps, after their first
    package static let cores = "cores"
    package static let policy = "policy"                       // what happens when a worker is lost
    package static let spares = "spares"
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
