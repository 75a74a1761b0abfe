// The memory that the launcher and the workers of one host share: a blackboard of control words and unit tables, and
// the blocks of floats. Validity: a word is valid once it is stored with release order; a block or a unit's result is
// valid for step t once the unit's stamp is at least t + 1. Stamps only grow, and a unit has one live owner at any
// time, so a reader that sees the stamp sees the data, and a dead worker's stamped units stay usable.

import CSystem
import Glibc
import RunSpec

/// A mapping of a run's shared segment. One per process; unmapped at exit.
package final class SharedState {
    package enum Failure: Error, Equatable {
        case noSegment(name: String)
        case exists(name: String)
        case outOfMemory(neededBytes: Int, freeBytes: Int)
        case mismatch(String)
        case system(String, errno: Int32)
    }

    static let magic: UInt64 = 0x5941_5744_4145_4801, version: UInt64 = 7
    package let name: String
    package let layout: SharedLayout
    let base: UnsafeMutableRawPointer
    /// What is mapped: the size found, which is not the layout's when a segment is refused.
    private let mappedBytes: Int

    /// Makes a segment of zeros. It outlives this process until `unlink`.
    /// - Parameter identity: a number both sides derive from the run and its configuration.
    package init(creating name: String, layout: SharedLayout, identity: UInt64) throws(Failure) {
        let free = Self.freeBytes()
        if layout.byteCount > free { throw .outOfMemory(neededBytes: layout.byteCount, freeBytes: free) }
        var length = layout.byteCount
        guard let base = cs_shared_map(name, true, &length) else {
            if errno == EEXIST { throw .exists(name: name) }
            if errno == ENOSPC || errno == ENOMEM { throw .outOfMemory(neededBytes: layout.byteCount, freeBytes: free) }
            throw .system("shared memory \(name) cannot be made", errno: errno)
        }
        (self.name, self.layout, self.base, mappedBytes) = (name, layout, base, length)
        put(.layoutVersion, Self.version)
        put(.byteCount, UInt64(layout.byteCount))
        put(.identity, identity)
        put(.nextGeneration, 1)
        put(.magic, Self.magic)
    }

    /// Maps a segment that exists and checks that it is the expected one.
    package init(opening name: String, layout: SharedLayout, identity: UInt64) throws(Failure) {
        var length = 0
        guard let base = cs_shared_map(name, false, &length) else {
            if errno == ENOENT { throw .noSegment(name: name) }
            throw .system("shared memory \(name) cannot be mapped", errno: errno)
        }
        (self.name, self.layout, self.base, mappedBytes) = (name, layout, base, length)
        let expected: [(ControlWord, UInt64, String)] = [
            (.magic, Self.magic, "magic number"), (.layoutVersion, Self.version, "layout version"),
            (.byteCount, UInt64(layout.byteCount), "size"), (.identity, identity, "run and configuration"),
        ]
        for (word, wanted, what) in expected where length < SharedLayout.page || value(word) != wanted {
            throw .mismatch("shared memory \(name) has another \(what)")
        }
        if length != layout.byteCount { throw .mismatch("shared memory \(name) is \(length) of \(layout.byteCount) bytes") }
    }

    deinit { munmap(base, mappedBytes) }

    /// Removes the name; the memory goes with the last process that maps it.
    package static func unlink(_ name: String) { _ = cs_shared_unlink(name) }

    /// Bytes that shared memory can still take: what its filesystem allows, and what the machine has.
    package static func freeBytes() -> Int {
        var info = statvfs()
        let allowed = statvfs("/dev/shm", &info) == 0 ? Int(info.f_bavail) * Int(info.f_frsize) : 0
        return min(allowed, cs_available_memory())
    }

    /// Makes every page present in this process now, so that no step faults; with messages all but the deposit.
    package func populate() { _ = cs_populate(base, layout.transport == .shared ? layout.byteCount : layout.blocks) }

    // MARK: Words

    func word(_ byteOffset: Int) -> UnsafeMutablePointer<UInt64> {
        (base + byteOffset).assumingMemoryBound(to: UInt64.self)
    }
    func value(_ control: ControlWord) -> UInt64 { cs_load(word(control.rawValue * 8)) }
    func put(_ control: ControlWord, _ value: UInt64) { cs_store(word(control.rawValue * 8), value) }

    // MARK: Floats

    /// The gradient of the sum of leaf `index`'s token losses. Garbage until the leaf is stamped.
    package func gradient(_ index: Int) -> UnsafeMutablePointer<Float> { floats(layout.gradientOffset(index)) }
    /// The mean gradient of the step, chunk by chunk as they are reduced.
    package var reducedGradient: UnsafeMutablePointer<Float> { floats(layout.reducedOffset) }
    /// Part 0 is θ, 1 is m, 2 is v.
    package func state(generation: Int, part: Int) -> UnsafeMutablePointer<Float> {
        floats(layout.stateOffset(generation: generation, part: part))
    }

    /// The gradient of the summed loss of the gradient unit. Only with probes.
    package var probeGradient: UnsafeMutablePointer<Float> { floats(layout.probeGradientOffset) }

    private func floats(_ byteOffset: Int) -> UnsafeMutablePointer<Float> {
        (base + byteOffset).assumingMemoryBound(to: Float.self)
    }
}
