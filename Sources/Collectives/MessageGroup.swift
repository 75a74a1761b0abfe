import Glibc
import RunSpec
#if HAVE_GLOO
import CGloo
#endif

/// Why messages failed. After any of them the group is finished; the next view has a new one.
package enum MessageFailure: Error, Equatable {
    /// Built without Gloo.
    case unavailable
    /// A peer is gone, or closed its side.
    case peer(String)
    case timeout(String)
    /// Gloo refused the call, or peers disagree.
    case refused(String)
}

package enum Messages {
    /// Whether this build can exchange messages.
    package static var areAvailable: Bool {
        #if HAVE_GLOO
        true
        #else
        false
        #endif
    }
}

#if HAVE_GLOO
/// The sockets of this process, with the thread that moves bytes. One per process; groups come and go.
package final class MessageDevice {
    fileprivate let device: OpaquePointer
    /// Of what is waited for; 0: as soon as it is there.
    fileprivate let delayMicroseconds: UInt32

    /// - Parameters:
    ///   - host: a name or address of the interface to listen on.
    ///   - delayMicroseconds: by how much later messages count as arrived, to have a long way on a short wire.
    package init(host: String, delayMicroseconds: UInt32 = 0) throws(MessageFailure) {
        self.delayMicroseconds = delayMicroseconds
        guard let device = cg_device_make(host) else { throw .refused("no socket on \(host): \(String(cString: cg_error()))") }
        self.device = device
    }

    deinit { cg_device_free(device) }
}

/// The peers of one view, each connected with every other. Not thread-safe, but for `abort`.
package final class MessageGroup {
    /// How long a wait within a step may take: a peer that is gone is an error at once, so this only ends what cannot be.
    static let waitMilliseconds: Int32 = 60_000

    package let rank: Int, size: Int
    var landing: PrivateMemory?
    fileprivate let device: MessageDevice
    private let group: OpaquePointer

    /// Listens. Nothing is sent before `connect`.
    package init(device: MessageDevice, rank: Int, size: Int, timeoutMilliseconds: Int) throws(MessageFailure) {
        precondition(0 <= rank && rank < size, "rank \(rank) of \(size)")
        guard let group = cg_group_make(device.device, Int32(rank), Int32(size), Int32(timeoutMilliseconds)) else {
            throw .refused(String(cString: cg_error()))
        }
        (self.rank, self.size, self.device, self.group) = (rank, size, device, group)
    }

    deinit { cg_group_free(group) }

    package static let addressBytes = Int(CG_ADDRESS_BYTES)

    /// Writes where `peer` finds this rank, `addressBytes` of it.
    package func address(for peer: Int, into: UnsafeMutablePointer<UInt8>) throws(MessageFailure) { try check(cg_group_address(group, Int32(peer), into)) }

    /// Connects with `peer`, given its address for this rank; blocks until it does the same.
    package func connect(_ peer: Int, _ address: UnsafePointer<UInt8>) throws(MessageFailure) { try check(cg_group_connect(group, Int32(peer), address)) }

    /// Ends all connections, which tells the peers.
    package func close() { cg_group_close(group) }

    /// Has every wait for a message of the group fail, now and from now on. May be called from any thread.
    package func abort() { cg_group_abort(group) }

    package func region(_ base: UnsafeMutableRawPointer, bytes: Int) throws(MessageFailure) -> MessageRegion {
        guard let region = cg_region_make(group, base, bytes) else { throw .refused(String(cString: cg_error())) }
        return MessageRegion(self, region)
    }
}

/// Memory that messages of a group go from or come to. What was begun must be waited for.
package final class MessageRegion {
    private let group: MessageGroup
    private let region: OpaquePointer
    private var sends = 0, receives = 0
    /// Whether there is something to wait for.
    package var isSending: Bool { sends > 0 }
    package var isReceiving: Bool { receives > 0 }

    fileprivate init(_ group: MessageGroup, _ region: OpaquePointer) { (self.group, self.region) = (group, region) }

    deinit { cg_region_free(region) }

    /// Begins to send; the bytes must not change until `finishSends`.
    package func send(to peer: Int, tag: UInt64, offset: Int, bytes: Int) {
        cg_send(region, Int32(peer), tag, offset, bytes)
        sends += 1
    }

    package func receive(from peer: Int, tag: UInt64, offset: Int, bytes: Int) {
        cg_receive(region, Int32(peer), tag, offset, bytes)
        receives += 1
    }

    package func finishSends() throws(MessageFailure) {
        while sends > 0 {
            try check(cg_wait_sent(region, MessageGroup.waitMilliseconds))
            sends -= 1
        }
    }

    /// Messages that somebody has to wait for have arrived just now, and count the delay later. What is there already when it
    /// is asked for came some time ago: of that nothing is left, at most one delay too little.
    package func finishReceives() throws(MessageFailure) {
        guard receives > 0 else { return }
        let begun = MonotonicClock.nanoseconds()
        while receives > 0 {
            try check(cg_wait_received(region, MessageGroup.waitMilliseconds))
            receives -= 1
        }
        let delay = group.device.delayMicroseconds
        if delay > 0, MonotonicClock.nanoseconds() - begun > Self.thereNanoseconds { usleep(delay) }
    }
    /// A call for what is there takes no longer.
    private static let thereNanoseconds: UInt64 = 30_000
}

private func check(_ status: Int32) throws(MessageFailure) {
    switch Int(status) {
    case CG_OK: return
    case CG_PEER: throw .peer(String(cString: cg_error()))
    case CG_TIMEOUT: throw .timeout(String(cString: cg_error()))
    default: throw .refused(String(cString: cg_error()))
    }
}
#else
// Without Gloo: the same names, and nothing that could be reached past the first.
package final class MessageDevice {
    package init(host: String, delayMicroseconds: UInt32 = 0) throws(MessageFailure) { throw .unavailable }
}

package final class MessageGroup {
    package let rank = 0, size = 1
    var landing: PrivateMemory?
    package static let addressBytes = 192
    package init(device: MessageDevice, rank: Int, size: Int, timeoutMilliseconds: Int) throws(MessageFailure) { throw .unavailable }
    package func address(for peer: Int, into: UnsafeMutablePointer<UInt8>) throws(MessageFailure) { throw .unavailable }
    package func connect(_ peer: Int, _ address: UnsafePointer<UInt8>) throws(MessageFailure) { throw .unavailable }
    package func close() {}
    package func abort() {}
    package func region(_ base: UnsafeMutableRawPointer, bytes: Int) throws(MessageFailure) -> MessageRegion { throw .unavailable }
}

package final class MessageRegion {
    private init() {}
    package var isSending: Bool { false }
    package var isReceiving: Bool { false }
    package func send(to peer: Int, tag: UInt64, offset: Int, bytes: Int) {}
    package func receive(from peer: Int, tag: UInt64, offset: Int, bytes: Int) {}
    package func finishSends() throws(MessageFailure) { throw .unavailable }
    package func finishReceives() throws(MessageFailure) { throw .unavailable }
}
#endif
