// From recorded spans to settled intervals. Two ideas: where spans of one slot overlap, the innermost counts (R1), and
// what a span is worth is decided only when the outcome of its attempt is known (R3).

/// A worker slot of one session. Times compare only within a session.
package struct Place: Hashable, Comparable, Sendable {
    package var session: Int
    package var slot: Int

    package init(session: Int, slot: Int) {
        self.session = session
        self.slot = slot
    }

    package static func < (a: Place, b: Place) -> Bool { (a.session, a.slot) < (b.session, b.slot) }
}

/// A stretch of one slot's time with its one, final category.
package struct Interval: Equatable, Sendable {
    package var place: Place
    /// The worker that lived through it; nil when the launcher vouches for it.
    package var replica: Int?
    package var start: UInt64
    package var end: UInt64
    package var category: Category
    /// The incident this time is lost to; every F has one, and every W whose cause is one.
    package var incident: Int?
    /// The slot that was waited for.
    package var culprit: Int?

    package var nanoseconds: Int { Int(end) - Int(start) }

    package init(
        place: Place, replica: Int? = nil, start: UInt64, end: UInt64, category: Category,
        incident: Int? = nil, culprit: Int? = nil
    ) {
        (self.place, self.replica, self.start, self.end) = (place, replica, start, end)
        (self.category, self.incident, self.culprit) = (category, incident, culprit)
    }
}

/// What became of a piece of work.
package enum WorkOutcome: Sendable {
    case committed, superseded, aborted, excluded, duplicate, vetoed
    /// Not decided yet: only in the record of a run under way.
    case pending

    /// The category of on-CPU time spent on work with this outcome. Pending work is provisionally productive.
    package var category: Category {
        switch self {
        case .committed, .pending: .productiveCompute
        case .superseded: .rolledBack
        case .aborted: .abortedWork
        case .excluded: .excluded
        case .duplicate: .duplicate
        case .vetoed: .vetoed
        }
    }
}

/// The outcome of an attempt, and the incident to blame when it is waste.
package struct AttemptVerdict: Sendable {
    package var outcome: WorkOutcome
    package var incident: Int?

    package init(_ outcome: WorkOutcome, incident: Int? = nil) {
        self.outcome = outcome
        self.incident = incident
    }
}

/// What a span claims to be, before outcomes are known.
package enum Claim: Sendable {
    /// Final when recorded.
    case settled(Category)
    /// On-CPU work for an attempt (an index into `Timeline.attempts`): productive or waste, by the attempt's outcome.
    case work(Int)
    /// Time that belongs to an attempt without being its work: of this category, unless the attempt was rolled back.
    case around(Category, Int)
    /// Part of a start or recovery (an index into `Timeline.recoveries`): of this category if it succeeds.
    case recovery(Category, Int)
}

/// A recorded stretch of one slot's time.
package struct TimelineSpan: Sendable {
    package var place: Place
    package var replica: Int?
    package var start: UInt64
    package var end: UInt64
    package var claim: Claim
    package var incident: Int?
    package var culprit: Int?

    package init(
        _ place: Place, replica: Int? = nil, from start: UInt64, to end: UInt64, _ claim: Claim,
        incident: Int? = nil, culprit: Int? = nil
    ) {
        (self.place, self.replica, self.start, self.end) = (place, replica, start, end)
        (self.claim, self.incident, self.culprit) = (claim, incident, culprit)
    }
}

/// Whether a start or recovery got its worker to work; if not, the incident it was for.
package struct Recovery: Sendable {
    package var succeeded: Bool
    package var incident: Int?

    package init(succeeded: Bool, incident: Int?) {
        self.succeeded = succeeded
        self.incident = incident
    }
}

/// Spans of all slots with the outcomes that settle them.
package struct Timeline: Sendable {
    /// Where two spans of a slot overlap, the later in this list is the inner one and counts.
    package var spans: [TimelineSpan] = []
    package var attempts: [AttemptVerdict] = []
    package var recoveries: [Recovery] = []

    package init() {}

    /// Settled intervals, disjoint by construction, by place and time. Time no span covers is in none of them.
    package func intervals() -> [Interval] {
        var byPlace: [Place: [Int]] = [:]
        for (index, span) in spans.enumerated() where span.start < span.end { byPlace[span.place, default: []].append(index) }
        var result: [Interval] = []
        result.reserveCapacity(spans.count)
        for place in byPlace.keys.sorted() { sweep(byPlace[place] ?? [], into: &result) }
        return result
    }

    /// Walks the boundaries of one slot's spans in time order. The inner span is the active one with the highest
    /// index; few are ever active at once.
    private func sweep(_ indices: [Int], into result: inout [Interval]) {
        var boundaries: [(time: UInt64, span: Int, opens: Bool)] = []
        boundaries.reserveCapacity(2 * indices.count)
        for index in indices {
            boundaries.append((spans[index].start, index, true))
            boundaries.append((spans[index].end, index, false))
        }
        boundaries.sort { $0.time < $1.time }
        var active: [Int] = [], current: Int?, since: UInt64 = 0, next = 0
        while next < boundaries.count {
            let time = boundaries[next].time
            while next < boundaries.count, boundaries[next].time == time {
                let boundary = boundaries[next]
                if boundary.opens {
                    active.insert(boundary.span, at: active.firstIndex { $0 > boundary.span } ?? active.count)
                } else {
                    active.removeAll { $0 == boundary.span }
                }
                next += 1
            }
            guard active.last != current else { continue }
            if let current, since < time { result.append(settle(spans[current], from: since, to: time)) }
            (current, since) = (active.last, time)
        }
    }

    private func settle(_ span: TimelineSpan, from start: UInt64, to end: UInt64) -> Interval {
        var interval = Interval(
            place: span.place, replica: span.replica, start: start, end: end, category: .productiveCompute,
            incident: span.incident, culprit: span.culprit)
        switch span.claim {
        case .settled(let category):
            interval.category = category
        case .work(let index):
            interval.category = attempts[index].outcome.category
            interval.incident = attempts[index].incident
        case .around(let category, let index):
            let rolledBack = attempts[index].outcome == .superseded
            interval.category = rolledBack ? .rolledBack : category
            if rolledBack { (interval.incident, interval.culprit) = (attempts[index].incident, nil) }
        case .recovery(let category, let index):
            interval.category = recoveries[index].succeeded ? category : .failedRecovery
            interval.incident = span.incident ?? (recoveries[index].succeeded ? nil : recoveries[index].incident)
        }
        return interval
    }
}
