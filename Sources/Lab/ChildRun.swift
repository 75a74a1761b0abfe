import Coordination
import CSystem
import Foundation
import RunSpec

/// A `headway` command in a process of its own, in a process group of its own: an interrupt at the terminal reaches the
/// laboratory, which passes it on and waits.
package struct ChildRun: Sendable {
    package enum End: Equatable, Sendable {
        case exited(Int)
        case signalled(Int)
        /// Ended because it took longer than allowed; because somebody interrupted the laboratory.
        case overdue, interrupted
    }

    /// The program, and the environment it gets.
    package let program: String
    private let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }

    /// How long a run may take to stop at a step boundary; then it is asked to stop at once; then it is killed.
    private static let stopNanoseconds: UInt64 = 10_000_000_000
    /// How long a worker that computes goes on after its launcher was killed, with room.
    private static let orphanNanoseconds: UInt64 = 5_000_000_000

    package init(program: String) { self.program = program }

    /// Runs a command to its end.
    /// - Parameters:
    ///   - log: file that everything it prints is appended to.
    ///   - limitSeconds: how long it may take.
    package func run(_ arguments: [String], log: String, limitSeconds: Double) throws -> End {
        let child = try WorkerProcess(executable: program, arguments: arguments, environment: environment, log: log)
        defer { child.closeDescriptor() }
        let deadline = MonotonicClock.nanoseconds() + UInt64(limitSeconds * 1e9)
        var stopped: End?, asked = 0, askedAt: UInt64 = 0
        while true {
            var ended = pollfd(fd: child.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&ended, 1, 100)
            if let end = child.reap(wait: false) {
                switch end.exit {
                case .exited(let status): return stopped ?? .exited(status)
                case .signalled(let signal): return stopped ?? .signalled(signal)
                }
            }
            let now = MonotonicClock.nanoseconds()
            if stopped == nil { stopped = cs_noted_interrupt() != 0 ? .interrupted : now > deadline ? .overdue : nil }
            if stopped != nil, asked == 0 || now > askedAt + Self.stopNanoseconds {
                child.kill([SIGINT, SIGINT, SIGKILL][min(asked, 2)])
                (asked, askedAt) = (asked + 1, now)
            }
        }
    }

    /// What a run has left: processes that name its folder, and its memory.
    package static func leftovers(of folder: String) -> (processes: [pid_t], memory: String?) {
        let mine = getpid(), path = URL(fileURLWithPath: folder).standardizedFileURL.path
        let pids = ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
        let processes = pids.filter { pid in
            guard pid != mine, let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.contains(path) && words.contains { $0 == "worker" || $0 == "checkpoint-writer" || $0 == "train" || $0 == "resume" }
        }
        struct Description: Decodable { let identity: String }
        let description = FileManager.default.contents(atPath: folder + "/run.json").flatMap { try? JSONDecoder().decode(Description.self, from: $0) }
        let memory = description.map { "/dev/shm/headway-\($0.identity)" }
        return (processes, memory.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil })
    }

    /// Ends and removes what a killed run has left; workers get the time to leave by themselves.
    package static func cleanUp(_ folder: String) {
        let deadline = MonotonicClock.nanoseconds() + orphanNanoseconds
        while case let left = leftovers(of: folder).processes, !left.isEmpty {
            if MonotonicClock.nanoseconds() > deadline {
                for pid in left { kill(pid, SIGKILL) }
                break
            }
            usleep(20_000)
        }
        if let memory = leftovers(of: folder).memory { unlink(memory) }
    }
}
