// What a ledger says of workers and of what happened to them: slots, processes, views, faults and what followed from those.
// All times are nanoseconds of CLOCK_MONOTONIC; they compare within one session.

import RunSpec

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
    /// With messages, as the worker last said after an update: bytes its sockets had sent, headers of TCP not counted, and of
    /// them those that went out beside its computing; bytes of memory that were its alone, the most until then.
    package var sentBytes: Int?, hiddenBytes: Int?, residentBytes: Int?

    package init(
        replica: Int, session: Int, slot: Int, pid: Int, incident: Int? = nil, spawnedNanoseconds: UInt64,
        readyNanoseconds: UInt64? = nil, admittedNanoseconds: UInt64? = nil, endedNanoseconds: UInt64? = nil,
        reapedNanoseconds: UInt64? = nil, exit: String? = nil, exitCode: Int? = nil, cpuNanoseconds: UInt64? = nil,
        stoppedFor: Int? = nil, lostEvents: Int = 0, sentBytes: Int? = nil, hiddenBytes: Int? = nil, residentBytes: Int? = nil
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
        self.hiddenBytes = hiddenBytes
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
