import Coordination
import CSystem
import Foundation
import RunSpec

/// A network of real links on this machine: each worker has a namespace of its own, joined to one bridge by a pair of virtual
/// Ethernet devices whose two ends send no faster than the link (`tc tbf`). There is no device that delays packets here: a
/// link's microseconds are waited for by the transport.
package final class ShapedNetwork {
    /// Of the namespaces: this, a dash, and the slot.
    package let name: String
    private let workers: Int, link: Link
    private let ip: String, tc: String, log: String

    /// How many bytes a link may send at once after a pause: a millisecond's, at least two of the largest packets.
    private static func burst(_ link: Link) -> Int { max(131_072, Int(link.gigabitsPerSecond * 1e9 / 8 * 1e-3)) }

    /// - Parameter folder: for the words of `ip` and `tc`.
    /// - Throws: `UserError` when it cannot be made; nothing of it is left then.
    package init(workers: Int, link: Link, folder: String) throws {
        guard geteuid() == 0 else { throw UserError(.system, "--link-gbps makes network namespaces, which takes root; run headway as root, or leave it out to measure over loopback") }
        func tool(_ name: String) throws -> String {
            guard let path = ["/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"].map({ $0 + name }).first(where: { access($0, X_OK) == 0 }) else {
                throw UserError(.system, "--link-gbps needs `\(name)`, which is not here; install iproute2, or leave it out to measure over loopback")
            }
            return path
        }
        (ip, tc, log) = (try tool("ip"), try tool("tc"), folder + "/network.log")
        (self.workers, self.link) = (workers, link)
        name = "headway-" + String(format: "%08x", UInt32.random(in: .min ... .max))
        do { try make() } catch {
            remove()
            throw error
        }
    }

    private var hub: String { name + "-hub" }
    private func namespace(_ slot: Int) -> String { "\(name)-\(slot)" }
    private func address(_ slot: Int) -> String { "10.77.0.\(slot + 1)" }

    /// What `headway train --hosts` reads.
    package var hosts: String { (0..<workers).map { "\(address($0)) /run/netns/\(namespace($0))\n" }.joined() }

    package var words: String {
        "in \(workers) network namespaces on a bridge; both ends of each link send at most \(link.gigabitsPerSecond) Gbit/s (tc tbf)"
            + (link.microseconds > 0 ? "; messages that are waited for count as arrived \(Int(link.microseconds)) µs later, in the transport" : "")
    }

    private func make() throws {
        let shape = ["root", "tbf", "rate", "\(Int(link.gigabitsPerSecond * 1e6))kbit", "burst", "\(Self.burst(link))", "latency", "50ms"]
        try run(ip, "netns", "add", hub)
        try run(ip, "-n", hub, "link", "add", "bridge", "type", "bridge")
        try run(ip, "-n", hub, "link", "set", "bridge", "up")
        for slot in 0..<workers {
            let own = namespace(slot), port = "port\(slot)"
            try run(ip, "netns", "add", own)
            try run(ip, "link", "add", "wire", "netns", own, "type", "veth", "peer", "name", port, "netns", hub)
            try run(ip, "-n", hub, "link", "set", port, "master", "bridge", "up")
            try run(ip, "-n", own, "addr", "add", address(slot) + "/24", "dev", "wire")
            try run(ip, "-n", own, "link", "set", "wire", "up")
            try run(ip, "-n", own, "link", "set", "lo", "up")
            try run(tc, ["-n", own, "qdisc", "add", "dev", "wire"] + shape)
            try run(tc, ["-n", hub, "qdisc", "add", "dev", port] + shape)
        }
    }

    /// Devices go with the namespaces that they are in.
    package func remove() {
        for namespace in [hub] + (0..<workers).map({ namespace($0) }) where access("/run/netns/" + namespace, F_OK) == 0 { try? run(ip, "netns", "del", namespace) }
    }

    private func run(_ program: String, _ arguments: String...) throws { try run(program, arguments) }
    private func run(_ program: String, _ arguments: [String]) throws {
        let child = try WorkerProcess(executable: program, arguments: arguments, environment: ["LC_ALL=C"], log: log)
        defer { child.closeDescriptor() }
        guard child.reap(wait: true)?.exit == .exited(status: 0) else {
            let said = (try? String(contentsOfFile: log, encoding: .utf8))?.split(separator: "\n").last.map { ": \($0)" } ?? ""
            throw UserError(.system, "`\((program as NSString).lastPathComponent) \(arguments.joined(separator: " "))` failed\(said); without --link-gbps the workers meet over loopback")
        }
    }
}
