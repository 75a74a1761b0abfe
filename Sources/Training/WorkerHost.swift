import CSystem
import Foundation
import RunSpec

/// Where a worker listens for messages: an address of this machine, or of a network of its own on it.
package struct WorkerHost: Codable, Equatable, Sendable {
    package static let loopback = WorkerHost(address: "127.0.0.1")

    package var address: String
    /// A network namespace, as `ip netns add` makes below /run/netns; nil: the launcher's.
    package var namespace: String?

    package init(address: String, namespace: String? = nil) { (self.address, self.namespace) = (address, namespace) }

    /// Reads a file with a line for each slot: an address and, if need be, the path of a namespace. What follows a # and empty
    /// lines count for nothing.
    package static func read(_ path: String) throws -> [WorkerHost] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw UserError(.missing, "--hosts \(path): there is no such file, or it is not text")
        }
        return try text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { number, line in
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map { String($0) }
            guard words.count <= 2 else {
                throw UserError(.badInput, "\(path):\(number + 1): `\(line)` is not an address and at most one namespace, as in 10.0.0.1 /run/netns/one")
            }
            return words.first.map { WorkerHost(address: $0, namespace: words.count == 2 ? words[1] : nil) }
        }
    }

    /// Moves the calling thread, and those that it starts from here on, into the namespace.
    func enter() throws {
        guard let namespace else { return }
        let fd = open(namespace, O_RDONLY | O_CLOEXEC), missing = errno
        guard fd >= 0 else {
            throw UserError(.missing, "the network namespace \(namespace) cannot be opened: \(String(cString: strerror(missing))); `ip netns list` names those that are there")
        }
        defer { close(fd) }
        switch cs_enter_network(fd) {
        case 0: break
        case EPERM: throw UserError(.system, "the network namespace \(namespace) cannot be entered without the right to; run headway as root")
        case EINVAL: throw UserError(.badInput, "\(namespace) is no network namespace; `ip netns add` makes one")
        case let failed: throw UserError(.system, "the network namespace \(namespace) cannot be entered: \(String(cString: strerror(failed)))")
        }
    }

    /// Finds out whether a worker can listen there. The calling thread is where it was afterwards.
    func check(slot: Int) throws {
        let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        defer { close(home) }
        try enter()
        let failed = cs_can_listen(address)
        if namespace != nil { precondition(cs_enter_network(home) == 0, "the way back into the own network namespace is closed") }
        let place = namespace.map { "in \($0)" } ?? "of this machine"
        switch failed {
        case 0: break
        case -1: throw UserError(.usage, "--hosts: `\(address)` of worker \(slot) is neither an address nor a name that is known; write it as 10.0.0.1")
        case EADDRNOTAVAIL: throw UserError(.usage, "--hosts: \(address) of worker \(slot) is no address \(place); `ip addr` lists those that are")
        default: throw UserError(.system, "--hosts: worker \(slot) cannot listen on \(address) \(place): \(String(cString: strerror(failed)))")
        }
    }
}
