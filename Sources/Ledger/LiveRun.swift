/// How a run stands, as far as its ledger says: what `LedgerFollower` keeps up to date. Goodput is of the newest session,
/// by the same sums as the launcher's own line.
package struct LiveRun: Sendable {
    package struct Session: Sendable {
        package var number: Int, startStep: Int, source: String, isOpen: Bool
    }
    struct Commit: Sendable {
        var session: Int, step: Int, nanoseconds: UInt64, lossSum: Double, tokens: Int
    }
    /// Over how long the rate of tokens is taken, as on the launcher's line.
    private static let rateNanoseconds: UInt64 = 10_000_000_000

    package internal(set) var facts: [String: String] = [:]
    package internal(set) var session: Session?
    /// When each slot of the session was opened and closed (equal while it is open), and the worker process that lives in it.
    var slots: [(slot: Int, openedNanoseconds: UInt64, closedNanoseconds: UInt64)] = []
    var alive: [Int: Int] = [:]
    /// The least number of a worker process of the session.
    var firstReplica = Int.max
    package internal(set) var step = 0
    package internal(set) var loss: Double?
    package internal(set) var lastIncident: String?
    private var recent: [Commit] = []
    private var last: [Int: FlightEvent] = [:]
    private var computeNanoseconds = 0.0
    private var share = RecentShare()

    package var outcome: String { facts[RunFact.outcome] ?? "unknown" }
    package var plannedSteps: Int { facts[RunFact.steps].flatMap { Int($0) } ?? 0 }
    package var workersAlive: Int { alive.count }
    package var workers: Int { slots.count { $0.closedNanoseconds <= $0.openedNanoseconds } }
    /// Of the last minute.
    package var recentGoodput: Double? { share.value }

    package var tokensPerSecond: Double {
        guard let first = recent.first, let last = recent.last, last.nanoseconds > first.nanoseconds else { return 0 }
        return Double(recent.dropFirst().reduce(0) { $0 + $1.tokens }) / (Double(last.nanoseconds - first.nanoseconds) / 1e9)
    }

    package var secondsLeft: Double? {
        guard let first = recent.first, let last = recent.last, last.step > first.step, last.nanoseconds > first.nanoseconds else { return nil }
        return Double(plannedSteps - step) * Double(last.nanoseconds - first.nanoseconds) / 1e9 / Double(last.step - first.step)
    }

    /// - Parameter now: the monotonic clock of the run's machine.
    package func goodput(at now: UInt64) -> Double? {
        let provisioned = provisionedNanoseconds(at: now)
        return provisioned > 0 ? min(1, computeNanoseconds / provisioned) : nil
    }

    /// Slot time as far as the recorders tell of it.
    private func provisionedNanoseconds(at now: UInt64) -> Double {
        slots.reduce(0) { sum, slot in
            let isClosed = slot.closedNanoseconds > slot.openedNanoseconds
            let end = isClosed ? slot.closedNanoseconds : alive[slot.slot].flatMap { last[$0]?.nanoseconds } ?? now
            return sum + Double(max(end, slot.openedNanoseconds) - slot.openedNanoseconds)
        }
    }

    mutating func begin(_ session: Session) {
        self.session = session
        (computeNanoseconds, share, last, recent, step) = (0, RecentShare(), [:], [], session.startStep)
        loss = nil
    }

    mutating func add(_ commit: Commit) {
        guard commit.session == session?.number else { return }
        (step, loss) = (commit.step, commit.tokens > 0 ? commit.lossSum / Double(commit.tokens) : nil)
        recent.append(commit)
        let old = recent.firstIndex { $0.nanoseconds + Self.rateNanoseconds >= commit.nanoseconds } ?? 0
        recent.removeFirst(min(old, max(0, recent.count - 3)))
    }

    /// Time from event to event counts for the phase that the earlier one began, less what the host kept from the worker.
    mutating func add(_ events: [FlightEvent], of replica: Int) {
        for event in events {
            if let before = last[replica], before.phase?.isCompute == true, event.nanoseconds > before.nanoseconds {
                let delay = Double(event.runDelayNanoseconds) - Double(before.runDelayNanoseconds)
                computeNanoseconds += max(0, Double(event.nanoseconds - before.nanoseconds) - max(0, delay))
            }
            last[replica] = event
        }
        guard let newest = events.last?.nanoseconds else { return }
        share.add(compute: computeNanoseconds, provisioned: provisionedNanoseconds(at: newest), at: newest)
    }
}

extension Phase {
    /// Productive if the attempt is committed.
    var isCompute: Bool { self == .forward || self == .backward || self == .reduce || self == .update }
}
