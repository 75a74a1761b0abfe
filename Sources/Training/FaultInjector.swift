import Collectives
import Glibc
import Ledger
import RunSpec

/// Strikes the worker it lives in, at the point the plan names: a real signal, noted in the flight recorder just
/// before, so that the onset is known to the nanosecond. A flag in shared memory keeps a fault from firing twice.
struct FaultInjector {
    private let mine: [(index: Int, fault: Fault)]
    private let shared: SharedState
    private let recorder: FlightRing
    /// Whether a `labels` fault has struck.
    private(set) var permutesTargets = false

    init(_ faults: [Fault], slot: Int, shared: SharedState, recorder: FlightRing) {
        mine = faults.enumerated().filter { $0.element.worker == slot }.map { (index: $0.offset, fault: $0.element) }
        self.shared = shared
        self.recorder = recorder
    }

    @inline(__always)
    mutating func strike(_ point: FaultPoint, step: Int) {
        for entry in mine where entry.fault.step == step && entry.fault.point == point { fire(entry.index, entry.fault, step) }
    }

    private mutating func fire(_ index: Int, _ fault: Fault, _ step: Int) {
        guard !shared.faultHasFired(index) else { return }
        shared.setFaultFired(index)
        switch fault.kind {
        case .crash:
            recorder.record(.fault, step: step, view: shared.view, unit: index)
            kill(getpid(), SIGKILL)
        case .labels: permutesTargets = true
        default: break
        }
    }
}
