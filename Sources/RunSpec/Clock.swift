import Glibc

/// The one clock of a run: CLOCK_MONOTONIC, the same for every process of a host.
package enum MonotonicClock {
    package static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// The longest sleep in one piece: whoever watches the process sees it move.
    private static let pieceNanoseconds: UInt64 = 250_000_000

    /// Returns at `end`, or at once when that is past.
    package static func sleep(until end: UInt64) {
        while case let now = nanoseconds(), now < end {
            var piece = timespec(tv_sec: 0, tv_nsec: Int(min(end - now, pieceNanoseconds)))
            nanosleep(&piece, nil)
        }
    }
}
