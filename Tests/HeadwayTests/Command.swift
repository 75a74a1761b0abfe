import CSystem
import Foundation
import RunSpec
import Testing

/// A process of the built program: what it prints as it comes, and how it ended.
final class Command {
    enum End: Equatable {
        case exited(Int)
        case signalled(Int)
    }

    struct Stuck: Error, CustomStringConvertible { let description: String }

    /// Beside the test bundle, where the build puts all products.
    static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return (bundle as NSString).deletingLastPathComponent + "/headway"
    }()

    /// No command of these tests takes longer, on two busy processors, unless it hangs.
    static let limitSeconds = 60.0

    let arguments: [String]
    let pid: pid_t
    private let ended: Int32
    private var pipes: [(descriptor: Int32, bytes: [UInt8])] = []
    private(set) var end: End?

    var output: String { String(decoding: pipes[0].bytes, as: UTF8.self) }
    var errors: String { String(decoding: pipes[1].bytes, as: UTF8.self) }
    /// The beginning of standard error: a crash prints pages.
    var complaint: String { String(errors.prefix(400)) }

    /// - Parameters:
    ///   - input: a file to read as standard input.
    ///   - ignoresHangup: as under `nohup`.
    ///   - onTerminal: standard output is a terminal.
    init(
        _ arguments: [String], in folder: String, input: String = "/dev/null", program: String = Command.program,
        ignoresHangup: Bool = false, onTerminal: Bool = false
    ) throws {
        var actions = posix_spawn_file_actions_t(), attributes = posix_spawnattr_t(), none = sigset_t(), all = sigset_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        var writers: [Int32] = []
        for target in 1...2 as ClosedRange<Int32> {
            var ends: [Int32] = [-1, -1]
            if onTerminal && target == STDOUT_FILENO { ends = try Self.terminal() } else { try #require(pipe(&ends) == 0) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
            posix_spawn_file_actions_adddup2(&actions, ends[1], target)
            pipes.append((ends[0], []))
            writers.append(ends[1])
        }
        defer { for writer in writers { close(writer) } }
        // `env` becomes the program, in the same process.
        let hangup = ignoresHangup ? ["--ignore-signal=HUP"] : []
        var argv = (["env", "--chdir=\(folder)"] + hangup + [program] + arguments).map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        var pid: pid_t = 0
        let failed = posix_spawn(&pid, "/usr/bin/env", &actions, &attributes, &argv, environ)
        try #require(failed == 0, "\(String(cString: strerror(failed)))")
        self.arguments = arguments
        self.pid = pid
        ended = cs_pidfd_open(pid)
        try #require(ended >= 0)
    }

    /// Both ends of a terminal: what reads from it, what is written to.
    private static func terminal() throws -> [Int32] {
        var reader: Int32 = -1, writer: Int32 = -1
        try #require(openpty(&reader, &writer, nil, nil, nil) == 0)
        return [reader, writer]
    }

    deinit {
        if end == nil {
            kill(pid, SIGKILL)
            _ = reap(wait: true)
        }
        for pipe in pipes where pipe.descriptor >= 0 { close(pipe.descriptor) }
        close(ended)
    }

    func signal(_ signal: Int32) { kill(pid, signal) }

    /// Waits until standard output contains `text`.
    func wait(for text: String, limitSeconds: Double = limitSeconds) throws {
        guard pump(limitSeconds, until: { self.output.contains(text) }) else {
            throw Stuck(description: "headway \(arguments.joined(separator: " ")): no `\(text)` in \(output)\(complaint)")
        }
    }

    /// Waits for the end; kills what takes too long.
    @discardableResult
    func finish(limitSeconds: Double = limitSeconds, at location: SourceLocation = #_sourceLocation) -> End {
        if let end { return end }
        if !pump(limitSeconds, until: { self.end != nil }) {
            Issue.record("headway \(arguments.joined(separator: " ")) still runs after \(limitSeconds) s: \(output)\(complaint)", sourceLocation: location)
            signal(SIGKILL)
            _ = reap(wait: true)
        }
        return end!
    }

    /// Reads what comes until `condition` holds, the process has ended, or time is up.
    private func pump(_ limitSeconds: Double, until condition: () -> Bool) -> Bool {
        let deadline = MonotonicClock.nanoseconds() + UInt64(limitSeconds * 1e9)
        while true {
            if condition() { return true }
            if end != nil { return false }
            let now = MonotonicClock.nanoseconds()
            if now >= deadline { return false }
            var waiting = pipes.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) } + [pollfd(fd: ended, events: Int16(POLLIN), revents: 0)]
            // A pipe whose writers are all gone is always ready: from then on only the end is waited for.
            for index in pipes.indices where isClosed[index] { waiting[index].fd = -1 }
            poll(&waiting, nfds_t(waiting.count), Int32(min(1000, (deadline - now) / 1_000_000 + 1)))
            let hasEnded = waiting[2].revents != 0
            for index in pipes.indices where !isClosed[index] { drain(index) }
            if hasEnded { _ = reap(wait: true) }
        }
    }

    private var isClosed = [false, false]

    /// Reads no more of standard output: who writes to it is told that nobody reads.
    func closeOutput() {
        close(pipes[0].descriptor)
        pipes[0].descriptor = -1
        isClosed[0] = true
    }

    private func drain(_ index: Int) {
        var block = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(pipes[index].descriptor, &block, block.count)
            if count > 0 { pipes[index].bytes += block[..<count] } else {
                if count == 0 { isClosed[index] = true }
                return
            }
        }
    }

    private func reap(wait: Bool) -> Bool {
        var signalled = false, code: Int32 = 0, used: UInt64 = 0
        guard cs_reap(pid, wait, &signalled, &code, &used) == 1 else { return false }
        end = signalled ? .signalled(Int(code)) : .exited(Int(code))
        return true
    }
}
