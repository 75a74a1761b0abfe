// Where a worker slot's time can go: the closed list of categories. A slot is in exactly one at any instant.

/// One category of a slot's time. The raw values are the codes printed in reports and stored in exports; never reuse
/// one. What no category explains is `unaccounted`: a remainder, not a category, so no interval can claim it.
package enum Category: String, CaseIterable, Sendable {
    case productiveCompute = "P1"
    case exposedCommunication = "S1", stragglerWait = "S2", inputWait = "S3", stepGlue = "S4"
    case abortedWork = "W1", rolledBack = "W2", excluded = "W3", duplicate = "W4", vetoed = "W5"
    case snapshotBlocking = "K1", backPressure = "K2", publishBarrier = "K3", replicaSend = "K4"
    case evaluation = "E1", verification = "E2", instrumentation = "E3"
    case launch = "I1", initialisation = "I2", firstRendezvous = "I3", firstLoad = "I4"
    case undetectedFailure = "F1", undetectedBlocking = "F2", decision = "F3", teardown = "F4", respawn = "F5"
    case noCapacity = "F6", regroup = "F7", restoreFromDisk = "F8", restoreFromMemory = "F9", serveState = "F10"
    case dataSeek = "F11", survivorStall = "F12", failedRecovery = "F13"
    case shrunkOnPurpose = "D1", spareIdle = "D2", plannedDrain = "D3", awaitingAdmission = "D4"
    case hostContention = "H1"
    case userPause = "Q1", shutdown = "Q2", finishedEarly = "Q3"

    /// The families of categories, by the first letter of the code.
    package enum Group: String, CaseIterable, Sendable {
        case productive = "P", step = "S", waste = "W", checkpoint = "K", evaluation = "E", startup = "I"
        case failure = "F", policy = "D", host = "H", lifecycle = "Q"
    }

    package var code: String { rawValue }

    package var group: Group {
        guard let group = Group(rawValue: String(rawValue.prefix(1))) else { preconditionFailure("no group for \(rawValue)") }
        return group
    }

    /// Two or three words, for tables.
    package var name: String { entry.name }

    /// One line: what a nanosecond in this category was spent on.
    package var definition: String { entry.definition }

    /// Position in the list above, the order of every table.
    package var order: Int { Category.positions[self] ?? 0 }

    private static let positions = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })

    private var entry: (name: String, definition: String) {
        switch self {
        case .productiveCompute: ("productive compute", "on CPU in forward, backward, reduce or update of work that is in the final weights")
        case .exposedCommunication: ("exposed communication", "blocked in a transfer after all peers had arrived")
        case .stragglerWait: ("straggler wait", "blocked before the last peer arrived; charged to that peer's slot")
        case .inputWait: ("input wait", "blocked on the next microbatch")
        case .stepGlue: ("step glue", "the rest of a productive step")
        case .abortedWork: ("aborted work", "computed in an attempt and never used")
        case .rolledBack: ("rolled back", "spent on a step that was committed and later rewound")
        case .excluded: ("excluded work", "computed and deliberately not reduced: late, dropped or stale")
        case .duplicate: ("duplicate work", "another execution of the same microbatch was used")
        case .vetoed: ("vetoed update", "reduced, but the update was skipped: non-finite, spike or corruption")
        case .snapshotBlocking: ("snapshot blocking", "the step waited while state was pinned or copied")
        case .backPressure: ("back-pressure", "waited for the previous checkpoint to become durable")
        case .publishBarrier: ("publish barrier", "manifest, sync or vote of a checkpoint on the critical path")
        case .replicaSend: ("replica send", "blocked in sending state to another holder")
        case .evaluation: ("evaluation", "validation and probe passes")
        case .verification: ("verification", "hashes and corruption checks on the critical path")
        case .instrumentation: ("instrumentation", "the cost of measuring")
        case .launch: ("launch", "slot open, first worker's process not yet recording")
        case .initialisation: ("initialisation", "a first worker's own start: arguments, BLAS, buffers")
        case .firstRendezvous: ("first rendezvous", "a first worker ready, waiting for the first plan")
        case .firstLoad: ("first load", "a first worker mapping or reading the state")
        case .undetectedFailure: ("undetected failure", "the failed slot, from the fault to its detection")
        case .undetectedBlocking: ("blocked, undetected", "survivors blocked by a fault nobody had noticed yet")
        case .decision: ("decision", "the failed slot, from detection to the plan that goes on without it")
        case .teardown: ("teardown", "fencing, aborting and reaping the failed worker")
        case .respawn: ("respawn", "a replacement's process start, until it can load the state")
        case .noCapacity: ("no capacity", "an empty slot after a failure")
        case .regroup: ("regroup", "agreeing on membership and rebuilding channels")
        case .restoreFromDisk: ("restore from disk", "a replacement reading a checkpoint")
        case .restoreFromMemory: ("restore from memory", "a replacement taking the state from a peer or shared memory")
        case .serveState: ("serving state", "a survivor sending state to a joiner")
        case .dataSeek: ("data seek", "moving the input to the position of the restored step")
        case .survivorStall: ("survivor stall", "survivors blocked by a detected fault until the lost work was done again")
        case .failedRecovery: ("failed recovery", "a start or recovery that was cut short by another fault")
        case .shrunkOnPurpose: ("shrunk on purpose", "a slot left empty by policy")
        case .spareIdle: ("idle spare", "a hot spare that is not needed")
        case .plannedDrain: ("planned drain", "a worker emptied before a planned stop")
        case .awaitingAdmission: ("awaiting admission", "a replacement ready, waiting for the next step boundary")
        case .hostContention: ("host contention", "runnable, but the host gave the processor to others")
        case .userPause: ("user pause", "the run was paused by hand")
        case .shutdown: ("shutdown", "leaving in order, final flush, reaping")
        case .finishedEarly: ("finished early", "nothing left to do while other slots still work")
        }
    }
}

extension Category: Comparable {
    package static func < (a: Category, b: Category) -> Bool { a.order < b.order }
}
