// The launcher's account of a worker against the worker's own: the kernel says how long a process was on a processor,
// the flight recorder says what for.

package struct Reconciliation: Sendable {
    /// One worker that was reaped.
    package struct Worker: Equatable, Sendable {
        package let replica: Int, slot: Int
        /// What the kernel counted, of all its threads, from its first instruction to its last.
        package let cpuNanoseconds: Int
        /// What its own record claims: spans of work less their run delay. Waits claim nothing.
        package let recordedNanoseconds: Int
        package let lostEvents: Int

        /// Positive: start-up before the first event, waking up from waits, and what was lost. Negative beyond the limit:
        /// the record claims time that the worker never had.
        package var difference: Int { cpuNanoseconds - recordedNanoseconds }
        package var isImpossible: Bool { -difference > Int(Double(cpuNanoseconds) * Reconciliation.limit) + Reconciliation.slack }
    }

    /// The kernel's clock may lag behind by a tick or so at either end; beyond this the two accounts contradict.
    package static let limit = 0.01, slack = 10_000_000

    package let workers: [Worker]
    package var cpuNanoseconds: Int { workers.reduce(0) { $0 + $1.cpuNanoseconds } }
    package var recordedNanoseconds: Int { workers.reduce(0) { $0 + $1.recordedNanoseconds } }
    package var lostEvents: Int { workers.reduce(0) { $0 + $1.lostEvents } }

    init(_ log: FlightLog) {
        workers = log.lives.compactMap { life in
            guard let cpu = life.row.cpuNanoseconds else { return nil }
            let recorded = life.spans.filter { $0.phase.isWork && $0.ending != .gap }.reduce(0) { $0 + Int($1.nanoseconds - $1.runDelay) }
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

extension Verification {
    static func clocks(_ account: RunAccount) -> Check {
        let name = "workers' records fit the kernel's clock", r = account.reconciliation
        guard !r.workers.isEmpty else { return Check(name, .skipped, "no worker was reaped") }
        let impossible = r.workers.filter(\.isImpossible)
        let worst = impossible.first.map { "; worker process \($0.replica) claims \($0.recordedNanoseconds) ns of \($0.cpuNanoseconds)" } ?? ""
        return Check(name, impossible.isEmpty,
            "\(r.recordedNanoseconds) of \(r.cpuNanoseconds) processor-nanoseconds are in the records of \(r.workers.count) processes, \(r.lostEvents) events lost\(worst)")
    }
}
