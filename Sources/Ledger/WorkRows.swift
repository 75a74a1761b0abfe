// What a ledger says of what was made: updates, held-out passes, checkpoints.
// All times are nanoseconds of CLOCK_MONOTONIC; they compare within one session.

import RunSpec

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
    /// Global norm of the mean gradient before clipping, also of an update that was left out; 0 where it was no number.
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

    /// A longer gradient is recorded as this: a reader takes greater numbers for damage.
    package static let largestNorm = LedgerRow.largestNumber

    /// What later updates are judged by.
    var update: PastUpdates.Update {
        PastUpdates.Update(step: step, norm: isVetoed && gradientNorm == 0 ? nil : gradientNorm, isVetoed: isVetoed)
    }

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
