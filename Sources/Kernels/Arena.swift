/// One 64-byte-aligned block of `Float`, allocated once and carved into windows. It owns the memory: the windows are
/// plain pointers, valid while the arena lives, so whoever carves keeps the arena beside them.
package final class Arena {
    package let base: UnsafeMutablePointer<Float>
    /// Floats in the block, a multiple of 16.
    package let count: Int
    /// Floats carved so far, a multiple of 16.
    package private(set) var carved = 0
    private let owns: Bool

    /// A zeroed block of `count` floats, rounded up to whole cache lines.
    package init(count: Int) {
        precondition(count >= 0, "an arena of \(count) floats")
        self.count = max(Arena.wholeLines(count), 16)
        owns = true
        base = UnsafeMutableRawPointer.allocate(byteCount: self.count * MemoryLayout<Float>.stride, alignment: 64)
            .bindMemory(to: Float.self, capacity: self.count)
        base.initialize(repeating: 0, count: self.count)
    }

    /// An arena that counts what is carved and has no memory: its windows must not be touched.
    private init() {
        count = .max
        owns = false
        base = UnsafeMutablePointer(bitPattern: 64)!
    }

    /// The windows that `carve` takes, and the arena of exactly their size that owns them. `carve` runs twice, first to
    /// measure.
    package static func carving<Windows>(_ carve: (Arena) -> Windows) -> (arena: Arena, windows: Windows) {
        let arena = Arena(count: measuring { _ = carve($0) })
        return (arena, carve(arena))
    }

    /// The floats that `carve` takes, rounded up to whole cache lines one by one. It must not touch them.
    package static func measuring(_ carve: (Arena) -> Void) -> Int {
        let measure = Arena()
        carve(measure)
        return measure.carved
    }

    deinit { if owns { UnsafeMutableRawPointer(base).deallocate() } }

    /// The next `count` floats, 64-byte aligned; the rest of the last cache line stays unused and zero.
    package func carve(_ count: Int) -> UnsafeMutablePointer<Float> {
        precondition(count >= 0 && carved + Arena.wholeLines(count) <= self.count,
                     "\(count) floats do not fit: \(carved) of \(self.count) are carved")
        defer { carved += Arena.wholeLines(count) }
        return base + carved
    }

    /// `count` rounded up to a multiple of 16 floats, one cache line.
    package static func wholeLines(_ count: Int) -> Int { (count + 15) & ~15 }
}
