// A flight recorder: a file that a worker maps and writes with plain stores, so that it outlives any death of the
// worker, and that the launcher drains while the run goes on.
//
//   bytes 0..<8      magic "HWFLIGHT"
//   bytes 8..<16     format version, 1
//   bytes 16..<24    replica
//   bytes 24..<32    capacity in events
//   bytes 64..<72    count: events ever written; grows by one after the event's 32 bytes are in place
//   from 4096        `capacity` events; event i lies at place i modulo capacity
//
// Valid are the events count − capacity ..< count. A reader copies what it wants, reads the count again, and drops
// what has been overwritten meanwhile. All integers are little-endian.

import CSystem
import Glibc
import RunSpec

package final class FlightRing {
    package static let capacity = 65_536
    private static let headerBytes = 4096, magic: UInt64 = 0x5448_4749_4C46_5748, version: UInt64 = 1
    private let base: UnsafeMutableRawPointer
    private let byteCount = headerBytes + capacity * MemoryLayout<FlightEvent>.stride
    private var written: UInt64 = 0
    private var runDelayDescriptor: Int32 = -1

    private var countWord: UnsafeMutablePointer<UInt64> { (base + 64).assumingMemoryBound(to: UInt64.self) }
    private var events: UnsafeMutablePointer<FlightEvent> { (base + Self.headerBytes).assumingMemoryBound(to: FlightEvent.self) }

    private init(path: String, create: Bool) throws {
        let fd = open(path, create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0o644)
        guard fd >= 0 else { throw UserError(.unwritable, "flight recorder \(path) cannot be opened: \(String(cString: strerror(errno)))") }
        defer { close(fd) }
        if create, posix_fallocate(fd, 0, off_t(byteCount)) != 0 {
            throw UserError(.unwritable, "flight recorder \(path) needs \(byteCount) bytes of disk, which are not there")
        }
        // A worker that died while it made its ring leaves a file that is too short: reading it would be a bus error.
        var info = stat()
        guard fstat(fd, &info) == 0, info.st_size == off_t(byteCount) else {
            throw UserError(.badInput, "flight recorder \(path) is \(info.st_size) of \(byteCount) bytes")
        }
        guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), base != MAP_FAILED else {
            throw UserError(.system, "flight recorder \(path) cannot be mapped: \(String(cString: strerror(errno)))")
        }
        self.base = base
    }

    /// Makes the ring of a replica, ready for `record`, in the process that will record.
    package convenience init(creating path: String, replica: Int) throws {
        try self.init(path: path, create: true)
        let header = base.assumingMemoryBound(to: UInt64.self)
        header[0] = Self.magic
        header[1] = Self.version
        header[2] = UInt64(replica)
        header[3] = UInt64(Self.capacity)
        _ = cs_populate(base, byteCount)
        runDelayDescriptor = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)
    }

    /// Opens a ring to drain it.
    package convenience init(opening path: String) throws {
        try self.init(path: path, create: false)
        let header = base.assumingMemoryBound(to: UInt64.self)
        guard header[0] == Self.magic, header[1] == Self.version, header[3] == UInt64(Self.capacity) else {
            throw UserError(.badInput, "\(path) is not a flight recorder of this version")
        }
    }

    deinit {
        munmap(base, byteCount)
        if runDelayDescriptor >= 0 { close(runDelayDescriptor) }
    }

    /// Notes that the worker enters `phase` now.
    package func record(_ phase: Phase, step: Int, view: Int, unit: Int = 0) {
        append(FlightEvent(
            nanoseconds: MonotonicClock.nanoseconds(), runDelayNanoseconds: runDelay(), step: UInt32(step),
            view: UInt32(view), unit: UInt32(unit), phase: phase))
    }

    private func append(_ event: FlightEvent) {
        events[Int(written % UInt64(Self.capacity))] = event
        written += 1
        cs_store(countWord, written)
    }

    /// What it entered last.
    package var last: FlightEvent? { written > 0 ? events[Int((written - 1) % UInt64(Self.capacity))] : nil }

    /// Notes that the worker stood still from `start` until now, in the middle of the phase of `interrupted`.
    package func recordStall(from start: UInt64, in interrupted: FlightEvent) {
        guard let phase = interrupted.phase else { return }
        append(FlightEvent(nanoseconds: start, runDelayNanoseconds: interrupted.runDelayNanoseconds, step: interrupted.step,
            view: interrupted.view, unit: interrupted.unit, phase: .stalled))
        append(FlightEvent(nanoseconds: MonotonicClock.nanoseconds(), runDelayNanoseconds: runDelay(), step: interrupted.step,
            view: interrupted.view, unit: interrupted.unit, phase: phase))
    }

    /// Events ever written: grows whenever the worker does something else. For who watches from another process.
    package var count: UInt64 { cs_load(countWord) }
    /// The newest event, as far as it is whole.
    package var newest: FlightEvent? { count > 0 ? events[Int((count - 1) % UInt64(Self.capacity))] : nil }

    /// The second number of schedstat: nanoseconds runnable but waiting for a processor.
    private func runDelay() -> UInt64 {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 96) { buffer in
            let length = pread(runDelayDescriptor, buffer.baseAddress, 96, 0)
            var value: UInt64 = 0, field = 0
            for i in 0..<max(length, 0) {
                if buffer[i] == 0x20 { field += 1 } else if field == 1 { value = value &* 10 &+ UInt64(buffer[i] &- 0x30) }
                if field == 2 { break }
            }
            return value
        }
    }

    /// Copies the events from number `first` on.
    /// - Returns: them, and how many in between were overwritten before they could be read.
    package func drain(from first: UInt64) -> (events: [FlightEvent], lost: UInt64) {
        let count = cs_load(countWord)
        var start = first
        if count > UInt64(Self.capacity) { start = max(start, count - UInt64(Self.capacity)) }
        guard count > start else { return ([], 0) }
        let copied = (start..<count).map { events[Int($0 % UInt64(Self.capacity))] }
        let after = cs_load(countWord)
        let oldestIntact = after > UInt64(Self.capacity) ? after - UInt64(Self.capacity) + 1 : 0
        let torn = oldestIntact > start ? min(oldestIntact - start, UInt64(copied.count)) : 0
        return (Array(copied.dropFirst(Int(torn))), start - first + torn)
    }
}
