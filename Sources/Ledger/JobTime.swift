// Moments of a run, as sets: what definitions of goodput that know no workers divide into good and bad.

/// Disjoint stretches of time in order of session and time.
package struct JobTime: Equatable, Sendable {
    package struct Stretch: Equatable, Sendable {
        package var session: Int
        package var start: UInt64, end: UInt64
    }
    package private(set) var stretches: [Stretch]

    /// The union of `given`: in any order, overlapping or empty.
    package init(_ given: [Stretch]) {
        stretches = []
        for s in given.sorted(by: { ($0.session, $0.start) < ($1.session, $1.start) }) where s.start < s.end {
            if let last = stretches.last, last.session == s.session, s.start <= last.end {
                stretches[stretches.count - 1].end = max(last.end, s.end)
            } else {
                stretches.append(s)
            }
        }
    }

    package var nanoseconds: Int { stretches.reduce(0) { $0 + Int($1.end - $1.start) } }

    package func subtracting(_ other: JobTime) -> JobTime { combined(other) { $0 && !$1 } }
    package func intersection(_ other: JobTime) -> JobTime { combined(other) { $0 && $1 } }

    /// Walks the boundaries of both and keeps what `isKept` says of being in the one and in the other.
    private func combined(_ other: JobTime, _ isKept: (Bool, Bool) -> Bool) -> JobTime {
        var boundaries: [(session: Int, time: UInt64, set: Int)] = []
        for (set, time) in [self, other].enumerated() {
            for s in time.stretches { boundaries += [(s.session, s.start, set), (s.session, s.end, set)] }
        }
        boundaries.sort { ($0.session, $0.time) < ($1.session, $1.time) }
        var isInside = [false, false], result: [Stretch] = []
        for (index, boundary) in boundaries.enumerated() {
            isInside[boundary.set].toggle()
            guard index + 1 < boundaries.count, isKept(isInside[0], isInside[1]) else { continue }
            result.append(Stretch(session: boundary.session, start: boundary.time, end: boundaries[index + 1].time))
        }
        return JobTime(result)
    }

    /// The worker-nanoseconds that intervals, ordered by place and time, have in these stretches.
    package func bill(_ intervals: [Interval]) -> Bill {
        let bySession = Dictionary(grouping: stretches, by: \.session)
        var bill = Bill(), place: Place?, mine: [Stretch] = [], next = 0
        for interval in intervals {
            if interval.place != place { (place, mine, next) = (interval.place, bySession[interval.place.session] ?? [], 0) }
            while next < mine.count, mine[next].end <= interval.start { next += 1 }
            var at = next
            while at < mine.count, mine[at].start < interval.end {
                bill[interval.category, default: 0] += Int(min(mine[at].end, interval.end)) - Int(max(mine[at].start, interval.start))
                at += 1
            }
        }
        return bill
    }
}
