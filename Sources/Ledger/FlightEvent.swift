// The flight recorder's alphabet: what a worker was doing, since when.

/// What a worker does from one flight event to the next. The raw values are stored in ledgers; never renumber.
package enum Phase: UInt8, CaseIterable, Sendable {
    /// Process start: arguments, BLAS, buffers.
    case initialise = 1
    /// Mapping the shared state and making its pages present.
    case load = 2
    /// Ready, waiting for the first plan that includes this worker.
    case rendezvous = 3
    /// Fetching a microbatch from the token shard. `unit` is the leaf.
    case input = 4
    /// Forward pass of leaf `unit`.
    case forward = 5
    /// Backward pass of leaf `unit`, until its gradient is published; on later stages of a pipeline in two parts.
    case backward = 6
    /// Blocked: own leaves are published, other workers' are not yet.
    case awaitLeaves = 7
    /// Adding up the gradient tree over the owned chunks.
    case reduce = 8
    /// Blocked: own chunks are reduced, others are not yet.
    case awaitReduction = 9
    /// Clipping and AdamW over the owned chunks, into the next generation.
    case update = 10
    /// Blocked: own chunks are updated and voted for; the commit is not announced yet.
    case awaitCommit = 11
    /// Forward pass over validation unit `unit`.
    case evaluate = 12
    /// Blocked: own validation units are done, others are not yet.
    case awaitEvaluation = 13
    /// Anything else between two of the above.
    case glue = 14
    /// An injected fault fires now: the onset, written just before the signal.
    case fault = 15
    /// Told to stop: leaving in order. The last event of a worker that was not killed.
    case leave = 16
    /// Forward pass over probe unit `unit`, or the forward and backward pass whose gradient is compared with the leaves'.
    case probe = 17
    /// Stopped by a fault in the middle of something, and gone on with it later.
    case stalled = 18
    /// Blocked in messages: what others have ready is under way.
    case transfer = 19
    /// Meeting the members of a view, and taking or handing over the state.
    case regroup = 20
    /// Copying the state for a checkpoint.
    case snapshot = 21
}

/// One transition of a worker: at `nanoseconds` it entered `phase`. 32 bytes, fixed layout, little-endian:
/// the same bytes lie in the recorder's ring and in the ledger's `flight` blobs.
package struct FlightEvent: Equatable, Sendable {
    /// CLOCK_MONOTONIC.
    package var nanoseconds: UInt64
    /// Nanoseconds this thread was runnable but not on a processor, since it began (`/proc/thread-self/schedstat`).
    package var runDelayNanoseconds: UInt64
    /// The step being computed: committed steps before it.
    package var step: UInt32
    /// The view the worker acts in.
    package var view: UInt32
    /// Leaf or validation unit, by `phase`; else 0.
    package var unit: UInt32
    package var phaseCode: UInt8
    private var padding: (UInt8, UInt8, UInt8) = (0, 0, 0)

    package var phase: Phase? { Phase(rawValue: phaseCode) }

    package init(nanoseconds: UInt64, runDelayNanoseconds: UInt64, step: UInt32, view: UInt32, unit: UInt32, phase: Phase) {
        self.nanoseconds = nanoseconds
        self.runDelayNanoseconds = runDelayNanoseconds
        self.step = step
        self.view = view
        self.unit = unit
        self.phaseCode = phase.rawValue
    }

    package static func == (a: FlightEvent, b: FlightEvent) -> Bool {
        a.nanoseconds == b.nanoseconds && a.runDelayNanoseconds == b.runDelayNanoseconds && a.step == b.step
            && a.view == b.view && a.unit == b.unit && a.phaseCode == b.phaseCode
    }
}
