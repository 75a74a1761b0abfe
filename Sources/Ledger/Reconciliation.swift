// The launcher's account of a worker against the worker's own: the kernel says how long a process was on a processor,
// the flight recorder says what for.

package struct Reconciliation: Sendable {
    /// One worker that was reaped.
    package struct Worker: Equatable, Sendable {
        package let replica: Int, slot: Int
        /// What the kernel counted, of all its threads, from its first instruction to its last.
        package let cpuNanoseconds: Int
        /// What its own record claims: spans of work less their run delay. Waits claim nothing, nor does the span it died in.
        package let recordedNanoseconds: Int
        package let lostEvents: Int

        /// Work that its record claims beyond what the kernel gave it: a worker that was stopped, a machine whose
        /// hypervisor took the processor away. Otherwise 0; start-up and waking up from waits are in no record.
        package var excessNanoseconds: Int { max(0, recordedNanoseconds - cpuNanoseconds) }
    }

    package let workers: [Worker]
    package var cpuNanoseconds: Int { workers.reduce(0) { $0 + $1.cpuNanoseconds } }
    package var recordedNanoseconds: Int { workers.reduce(0) { $0 + $1.recordedNanoseconds } }
    package var excessNanoseconds: Int { workers.reduce(0) { $0 + $1.excessNanoseconds } }
    package var lostEvents: Int { workers.reduce(0) { $0 + $1.lostEvents } }

    init(_ log: FlightLog) {
        workers = log.lives.compactMap { life in
            guard let cpu = life.row.cpuNanoseconds else { return nil }
            let recorded = life.spans.filter { $0.phase.isWork && $0.ending != .gap && $0.ending != .death }.reduce(0) { $0 + Int($1.nanoseconds - $1.runDelay) }
            return Worker(replica: life.row.replica, slot: life.row.slot, cpuNanoseconds: Int(cpu), recordedNanoseconds: recorded,
                lostEvents: life.row.lostEvents)
        }
    }
}

extension Phase {
    /// On a processor by nature; everything else waits, or lasts too short to tell.
    var isWork: Bool {
        switch self {
        case .forward, .backward, .reduce, .update, .evaluate, .probe: true
        default: false
        }
    }
}
