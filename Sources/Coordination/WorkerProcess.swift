import CSystem
import Glibc
import RunSpec

/// A child process that the launcher started: spawned, watched and reaped by id.
package struct WorkerProcess: Sendable {
    package enum Exit: Equatable, Sendable {
        case exited(status: Int)
        case signalled(signal: Int)
    }

    /// How a process ended, and how long the kernel had it on a processor.
    package struct End: Equatable, Sendable {
        package let exit: Exit
        package let cpuNanoseconds: UInt64
    }

    package let pid: pid_t
    /// Readable once the process has ended.
    package let descriptor: Int32

    /// Starts `executable` in a process group of its own, so that a terminal's Ctrl-C reaches the launcher alone.
    /// - Parameters:
    ///   - environment: the whole environment of the child, as `NAME=value`.
    ///   - log: file that standard output and standard error are appended to.
    package init(executable: String, arguments: [String], environment: [String], log: String) throws {
        var attributes = posix_spawnattr_t(), actions = posix_spawn_file_actions_t()
        posix_spawnattr_init(&attributes)
        posix_spawn_file_actions_init(&actions)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var argv = ([executable] + arguments).map { strdup($0) } + [nil]
        var envp = environment.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let failed = posix_spawn(&pid, executable, &actions, &attributes, &argv, &envp)
        guard failed == 0 else {
            throw UserError(.system, "process cannot be started: \(String(cString: strerror(failed)))")
        }
        self.pid = pid
        descriptor = cs_pidfd_open(pid)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            kill()
            _ = reap(wait: true)
            throw UserError(.system, "process \(pid) cannot be watched (pidfd_open): \(reason); Linux 5.3 or newer is needed")
        }
    }

    /// How it ended, or nil while it runs. After an answer the id may belong to another process: ask no more.
    package func reap(wait: Bool) -> End? {
        var signalled = false, code: Int32 = 0, used: UInt64 = 0
        guard cs_reap(pid, wait, &signalled, &code, &used) == 1 else { return nil }
        return End(exit: signalled ? .signalled(signal: Int(code)) : .exited(status: Int(code)), cpuNanoseconds: used)
    }

    package func kill(_ signal: Int32 = SIGKILL) { _ = Glibc.kill(pid, signal) }

    package func closeDescriptor() { close(descriptor) }
}
