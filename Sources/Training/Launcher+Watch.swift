import Collectives
import Coordination
import Foundation
import Glibc
import Ledger
import RunSpec

/// What the launcher knew of a worker when it last saw it do something else.
struct Watch {
    /// Events the worker had recorded, and whether it had something to do.
    var events: UInt64 = 0
    var isWorking = false
    var since: UInt64 = 0
    /// The kernel's account of it then: on a processor, and waiting for one.
    var kernel = KernelTime()
}

/// What `schedstat` in `/proc` says of threads, in nanoseconds.
package struct KernelTime: Hashable, Sendable {
    package var running: UInt64 = 0, waiting: UInt64 = 0

    init() {}

    /// Of the first thread of a process.
    package init?(of pid: pid_t) { self.init(folder: "/proc/\(pid)") }

    /// - Parameter folder: of a process or a thread.
    fileprivate init?(folder: String) {
        guard let text = try? String(contentsOfFile: folder + "/schedstat", encoding: .utf8) else { return nil }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let running = UInt64(fields[0]), let waiting = UInt64(fields[1]) else { return nil }
        (self.running, self.waiting) = (running, waiting)
    }
}

/// What all threads of a process do. Each figure of the sum only grows, but a thread that ends takes its own along.
package struct ThreadActivity {
    package private(set) var kernel = KernelTime()
    /// As `processState`, of each.
    package private(set) var states: Set<Character> = []

    /// nil when there is no such process.
    package init?(of pid: pid_t) {
        guard let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") else { return nil }
        for thread in threads {
            let folder = "/proc/\(pid)/task/\(thread)"
            // It may have ended by now.
            guard let time = KernelTime(folder: folder) else { continue }
            kernel.running += time.running
            kernel.waiting += time.waiting
            if let state = threadState(folder: folder) { states.insert(state) }
        }
    }
}

/// The letter by which the kernel says what the first thread of a process does: R runs or could, S sleeps, D waits for a
/// disk, T is stopped.
func processState(_ pid: pid_t) -> Character? { threadState(folder: "/proc/\(pid)") }

private func threadState(folder: String) -> Character? {
    (try? String(contentsOfFile: folder + "/stat", encoding: .utf8))?.split(separator: ")").last?.first { $0 != " " }
}

/// Hangs are found by the lack of progress. A worker that has something to do and records nothing new is suspected;
/// the time that the kernel ran it, or let it wait for a processor, is no sign of a hang, so that load raises no alarm.
extension Launcher {
    /// Nobody is taken for hung sooner, however short the steps are.
    static let hangFloorNanoseconds: UInt64 = 60_000_000
    /// Reading text and coming up may wait for a disk.
    static let diskFloorNanoseconds: UInt64 = 2_000_000_000
    static let startFloorNanoseconds: UInt64 = 10_000_000_000
    /// How long everybody may wait for each other before it is clear that nobody will move: a message may be on its way for 60 s.
    var deadlockNanoseconds: UInt64 { sendsMessages ? 90_000_000_000 : 20_000_000_000 }
    /// How many median steps of processor time a worker may use without doing anything else, and at least how long.
    static let spinSteps = 50.0
    static let spinFloorNanoseconds: UInt64 = 10_000_000_000

    /// Nanoseconds from commit to commit, of late; nil before there are three.
    var medianStepNanoseconds: UInt64? {
        let times = recentCommits.suffix(33).map(\.nanoseconds)
        guard times.count > 2 else { return nil }
        return zip(times, times.dropFirst()).map { $1 - $0 }.sorted()[(times.count - 1) / 2]
    }

    /// How long until the next look.
    var watchNanoseconds: UInt64 { min(max(hangLimit / 5, 5_000_000), 100_000_000) }

    private var hangLimit: UInt64 {
        let paced = 2 * description.options.leafNanoseconds
        guard let median = medianStepNanoseconds else { return max(Self.startFloorNanoseconds, paced) }
        return max(Self.hangFloorNanoseconds, UInt64(description.options.hangSteps * Double(median)), paced)
    }

    func watchWorkers(at now: UInt64) throws {
        try continueStopped(at: now)
        // Without a flight recorder nobody can be watched.
        guard description.options.instrumented else { return }
        defer { lastWatch = now }
        // A launcher that was kept from looking knows nothing of the others.
        if now - min(now, lastWatch) > 4 * watchNanoseconds + Self.hangFloorNanoseconds { for slot in members.keys { members[slot]!.watch = Watch(since: now) } }
        try checkDeadlock(at: now)
        var suspects: [(slot: Int, what: String, still: UInt64)] = []
        for (slot, member) in members where member.incident == nil && !shared.stopRequested {
            guard let idle = look(slot, at: now) else { continue }
            let phase = member.ring?.newest?.phase
            let limit = switch phase {
            case nil, .initialise, .load: Self.startFloorNanoseconds
            case .input: max(hangLimit, Self.diskFloorNanoseconds)
            default: hangLimit
            }
            let spinning = medianStepNanoseconds.map { max(Self.spinFloorNanoseconds, UInt64(Self.spinSteps * Double($0))) } ?? .max
            if idle.still > limit {
                suspects.append((slot, "stood still for \(idle.still / 1_000_000) ms\(phase.map { " in \($0)" } ?? " before its first sign")", idle.still))
            } else if idle.running > spinning {
                suspects.append((slot, "computed for \(idle.running / 1_000_000) ms without getting anywhere", .max))
            }
        }
        // What strikes everybody at once, or makes the kernel wait for a disk, is the host's and passes; it is given longer.
        let all = suspects.count > 1 && suspects.count == members.values.count { $0.incident == nil }
        for suspect in suspects where suspect.still > Self.diskFloorNanoseconds || !(all || isExcused(suspect.slot)) {
            try fence(suspect.slot, suspect.what, at: now)
        }
    }

    /// It waits for a disk, or for a processor: the kernel counts that wait when it is over.
    private func isExcused(_ slot: Int) -> Bool {
        guard let process = members[slot]?.process, let state = processState(process.pid) else { return false }
        return state == "D" || state == "R"
    }

    /// Everybody waits, and nobody has anything to do: a fault of this program, and better said than waited for.
    private func checkDeadlock(at now: UInt64) throws {
        let watches = views.view.members.compactMap { members[$0] }.filter { $0.incident == nil }
        guard !watches.isEmpty, !shared.stopRequested, writer == nil, watches.allSatisfy({ !$0.watch.isWorking && now - min(now, $0.watch.since) > deadlockNanoseconds }) else { return }
        throw UserError(.runFailed, "all \(watches.count) workers have waited for each other for \(deadlockNanoseconds / 1_000_000_000) s in step \(step): this is a mistake in headway; please report it")
    }

    /// How long a worker that has something to do has done nothing new: standing still, and on a processor. Nil for one
    /// that has moved since the last look, or has nothing to do.
    private func look(_ slot: Int, at now: UInt64) -> (still: UInt64, running: UInt64)? {
        if members[slot]!.ring == nil { members[slot]!.ring = try? FlightRing(opening: folder.flightPath(replica: members[slot]!.row.replica)) }
        let member = members[slot]!, events = member.ring?.count ?? 0, working = isWorking(slot, member)
        if events == member.watch.events, !working, !member.watch.isWorking { return nil }
        guard events == member.watch.events, working, member.watch.isWorking else {
            members[slot]!.watch = Watch(events: events, isWorking: working, since: now, kernel: KernelTime(of: member.process.pid) ?? KernelTime())
            return nil
        }
        guard let kernel = KernelTime(of: member.process.pid) else { return nil }
        let running = kernel.running - min(kernel.running, member.watch.kernel.running)
        let waiting = kernel.waiting - min(kernel.waiting, member.watch.kernel.waiting)
        let passed = now - member.watch.since
        return (passed - min(passed, running + waiting), running)
    }

    /// Whether the worker has something to do, by what it entered last and what is there for it.
    private func isWorking(_ slot: Int, _ member: Member) -> Bool {
        guard let event = member.ring?.newest, let phase = event.phase else { return true }
        let turn = shared.turn, due = shared.due(step, config)
        switch phase {
        case .awaitLeaves:
            return shared.leaves.allDone(turn: turn) && shared.evaluations.allDone(turn: turn, in: due)
                || shared.hasLeaf(for: slot, turn: turn, helping: shared.helps)
                || shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) != nil
        case .awaitReduction: return shared.reductions.allDone(turn: turn) || shared.reductions.nextOwned(by: slot, turn: turn) != nil
        case .awaitCommit: return Int(event.step) != step || shared.updates.nextOwned(by: slot, turn: turn) != nil
        case .awaitEvaluation, .leave, .fault, .stalled: return false
        // Whom it waits for shows only in who stands still himself.
        case .transfer, .regroup: return processState(member.process.pid) == "T"
        case .rendezvous: return shared.admitted(slot) == member.row.replica
        default: return true
        }
    }

    /// Ends a worker that cannot be trusted to stay away: it may wake and write. What it held is given to others once it
    /// is gone.
    private func fence(_ slot: Int, _ what: String, at now: UInt64) throws {
        let member = members[slot]!
        let fault = culprit { $0.kind == .hang && $0.worker == slot }
        let since = member.ring?.newest?.nanoseconds ?? member.row.spawnedNanoseconds
        members[slot]!.incident = try open(.hang, member, onset: fault?.fired ?? since, fault: fault?.index, detected: now,
            "worker \(slot) \(what) of step \(step)")
        member.process.kill()
    }

    /// The end of injected hangs: a zombie that was not found out goes on as if nothing had been.
    private func continueStopped(at now: UInt64) throws {
        for (index, fault) in faults.enumerated() where fault.kind == .hang && !continued.contains(index) {
            guard let seconds = fault.seconds, let slot = fault.worker, let fired = shared.faultFired(index),
                now >= fired + UInt64(seconds * 1e9)
            else { continue }
            continued.insert(index)
            guard let member = members[slot], member.row.spawnedNanoseconds < fired else { continue }
            member.process.kill(SIGCONT)
            guard member.incident == nil else { continue }
            blamed.insert(index)
            _ = try open(.stall, member, onset: fired, fault: index, detected: now, "worker \(slot) stood still for \(decimal(seconds, 3)) s at \(fault.point.rawValue) of step \(step) and went on")
        }
    }
}
