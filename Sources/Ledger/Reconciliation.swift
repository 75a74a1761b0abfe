// The launcher's account of the workers against their own: the kernel says how long a process was on a processor, the
// flight recorder says what for.

/// Sums over all workers that were reaped.
package struct Reconciliation: Sendable {
    /// What the kernel counted, of all their threads, from the first instruction to the last.
    package let cpuNanoseconds: Int
    /// What their records claim: spans of work less their run delay. Waits claim nothing, nor does a span that death cut
    /// short; start-up and waking up are in no record. More than the kernel counted where a worker was stopped, or a
    /// hypervisor took the processor away.
    package let recordedNanoseconds: Int
    package let lostEvents: Int

    init(_ log: FlightLog) {
        let lives = log.lives.filter { $0.row.cpuNanoseconds != nil }
        cpuNanoseconds = lives.reduce(0) { $0 + Int($1.row.cpuNanoseconds ?? 0) }
        recordedNanoseconds = lives.flatMap(\.spans).filter { $0.phase.isWork && $0.ending != .gap && $0.ending != .death }
            .reduce(0) { $0 + Int($1.nanoseconds - $1.runDelay) }
        lostEvents = lives.reduce(0) { $0 + $1.row.lostEvents }
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
