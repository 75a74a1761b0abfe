// A worker's life as spans: what it recorded, clipped to what the launcher knows of it (R2).

/// From one flight event of a worker to the next, or to the end of its life.
struct FlightSpan: Sendable {
    /// How the span ended.
    enum Ending: Sendable {
        /// With the worker's next event.
        case next
        /// With the worker: a fault.
        case death
        /// With the worker, in order.
        case exit
        /// Not at all: the worker lived when the record was made.
        case alive
        /// Unknown: the events after it are lost, so its length means nothing.
        case gap
    }
    var phase: Phase
    var step: Int
    var view: Int
    var unit: Int
    var start: UInt64
    var end: UInt64
    /// Time off the processor while runnable, within the span; at most its length.
    var runDelay: UInt64
    var ending: Ending
    /// In forward and backward: the execution it belongs to.
    var execution: Int?

    var nanoseconds: UInt64 { end - start }
}

/// One worker process with everything recorded about it.
struct ReplicaLife: Sendable {
    let row: ReplicaRow
    let place: Place
    /// The incident that ended it: its own, or the loss of another that it was stopped for.
    let death: IncidentRow?
    /// It was told to make room, and went.
    let drain: IncidentRow?
    let start: UInt64
    /// Onset of the fault that ended it, else its end as the launcher saw it, else the closing of its slot.
    let end: UInt64
    let diedInFault: Bool
    var spans: [FlightSpan]
    /// Run delay beyond the spans it was measured over: clocks that disagree.
    let excessRunDelay: UInt64

    /// Whether it was ever part of a step.
    var tookPart: Bool { row.admittedNanoseconds != nil || spans.contains { $0.phase.isWithinStep } }

    /// When it had nothing left to do; nil if it never left in order.
    var leftNanoseconds: UInt64? { spans.last { $0.phase == .leave }?.start }

    init(_ row: ReplicaRow, in slot: SlotRow, death: IncidentRow?, drain: IncidentRow? = nil, flight: [FlightEvent], paced: Bool = false) {
        self.row = row
        self.place = Place(session: row.session, slot: row.slot)
        (self.death, self.drain) = (death, drain)
        let latest = min(row.reapedNanoseconds ?? slot.closedNanoseconds, slot.closedNanoseconds)
        var end = row.endedNanoseconds ?? latest
        if let death, row.stoppedFor == nil {
            let fault = flight.last { $0.phase == .fault && $0.nanoseconds <= death.detectedNanoseconds }
            end = fault.map { min($0.nanoseconds, death.onsetNanoseconds) } ?? death.onsetNanoseconds
        }
        let start = max(row.spawnedNanoseconds, slot.openedNanoseconds)
        end = max(min(end, latest), start)
        self.start = start
        self.end = end
        self.diedInFault = death != nil
        let last: FlightSpan.Ending = death != nil ? .death : (row.endedNanoseconds ?? row.reapedNanoseconds) != nil ? .exit : .alive
        (spans, excessRunDelay) = ReplicaLife.spans(flight, from: start, to: end, last: last)
        // A virtual device goes on whatever the host does.
        if paced { for index in spans.indices where spans[index].phase == .forward || spans[index].phase == .backward { spans[index].runDelay = 0 } }
    }

    /// Cuts [start, end] at the events. Events outside are dropped, clocks that run backwards are held.
    private static func spans(
        _ flight: [FlightEvent], from start: UInt64, to end: UInt64, last: FlightSpan.Ending
    ) -> ([FlightSpan], UInt64) {
        var spans: [FlightSpan] = [], excess: UInt64 = 0, cursor = start
        spans.reserveCapacity(flight.count)
        for (index, event) in flight.enumerated() where event.nanoseconds <= end {
            let next = index + 1 < flight.count ? flight[index + 1] : nil
            let from = max(event.nanoseconds, cursor)
            let to = max(from, min(next?.nanoseconds ?? end, end))
            cursor = from
            guard let phase = event.phase else { continue }
            var ending = FlightSpan.Ending.next, delay: UInt64 = 0
            if let next, next.nanoseconds <= end {
                if next.phase == .fault { ending = .death } else if !event.mayPrecede(next) { ending = .gap }
            } else {
                ending = last
            }
            if let next, next.runDelayNanoseconds > event.runDelayNanoseconds, ending != .gap {
                delay = next.runDelayNanoseconds - event.runDelayNanoseconds
                // An event after the end of this life says nothing about this span.
                if next.nanoseconds > end { delay = 0 }
                excess += delay - min(delay, to - from)
            }
            spans.append(FlightSpan(
                phase: phase, step: Int(event.step), view: Int(event.view), unit: Int(event.unit), start: from, end: to,
                runDelay: min(delay, to - from), ending: ending))
        }
        return (spans, excess)
    }
}

extension Phase {
    /// Between the first and the last thing done for a step.
    var isWithinStep: Bool {
        switch self {
        case .initialise, .load, .rendezvous, .fault, .leave, .stalled: false
        default: true
        }
    }
}

extension FlightEvent {
    /// Whether `next` can be the very next event of the same worker. If not, events between them are lost.
    func mayPrecede(_ next: FlightEvent) -> Bool {
        guard let phase, let following = next.phase else { return false }
        if following == .fault || following == .leave || following == .stalled || phase == .stalled { return true }
        let bothWithinStep = phase.isWithinStep && following.isWithinStep
        if bothWithinStep && next.step > step + 1 { return false }
        if view != next.view || phase == .glue || following == .glue { return true }
        switch phase {
        case .input: return following == .forward && next.unit == unit && next.step == step
        // In the middle of it a worker may wait for messages.
        case .forward: return (following == .backward && next.unit == unit || following == .transfer) && next.step == step
        // A step can be committed while its view's members still meet.
        case .awaitCommit, .update, .evaluate, .probe, .awaitEvaluation, .regroup: return true
        default: return !bothWithinStep || next.step <= step
        }
    }
}

/// All lives of a record, and where to find them.
struct FlightLog: Sendable {
    var lives: [ReplicaLife] = []
    private(set) var indexByReplica: [Int: Int] = [:]

    /// Replicas without a slot row are left out: there is nothing to charge their time to.
    init(_ record: RunRecord) {
        var deaths: [Int: IncidentRow] = [:]
        for incident in record.incidents where incident.kind.isLoss && (deaths[incident.replica]?.onsetNanoseconds ?? .max) > incident.onsetNanoseconds {
            deaths[incident.replica] = incident
        }
        let byNumber = Dictionary(record.incidents.map { ($0.incident, $0) }, uniquingKeysWith: { $1 })
        let drains = Dictionary(record.incidents.filter { $0.kind == .preempt }.map { ($0.replica, $0) }, uniquingKeysWith: { a, _ in a })
        let paced = record.facts[RunFact.pacedLeaves] != nil
        for row in record.replicas.sorted(by: { ($0.session, $0.slot, $0.spawnedNanoseconds) < ($1.session, $1.slot, $1.spawnedNanoseconds) }) {
            guard let slot = record.slots.first(where: {
                $0.session == row.session && $0.slot == row.slot && row.spawnedNanoseconds <= $0.closedNanoseconds && row.spawnedNanoseconds >= $0.openedNanoseconds
            }) else { continue }
            indexByReplica[row.replica] = lives.count
            let death = deaths[row.replica] ?? row.stoppedFor.flatMap { byNumber[$0] }
            lives.append(ReplicaLife(row, in: slot, death: death, drain: death == nil ? drains[row.replica] : nil, flight: record.flights[row.replica] ?? [], paced: paced))
        }
    }
}

extension RunRecord {
    /// A slot row is written when the slot opens, with its closing still to come. In a session that has not ended, or
    /// ended without a word, such a slot is taken to reach to the last that its living worker is known to have done:
    /// events still in the worker's ring are not in the record yet, and nothing is invented in their place. An empty
    /// slot reaches to the last thing known of the session.
    package func closingOpenSlots() -> RunRecord {
        var result = self
        for index in slots.indices where isOpen(session: slots[index].session) && slots[index].closedNanoseconds <= slots[index].openedNanoseconds {
            let slot = slots[index], own = replicas.filter { $0.session == slot.session && $0.slot == slot.slot }
            let last = own.max { $0.spawnedNanoseconds < $1.spawnedNanoseconds }
            let close = last.flatMap { $0.endedNanoseconds == nil ? lastKnown(of: $0) : nil } ?? lastKnown(ofSession: slot.session)
            result.slots[index].closedNanoseconds = max(close, slot.openedNanoseconds)
        }
        return result
    }

    /// Whether a session goes on, or ended without a word and nobody has cleared up after it yet.
    func isOpen(session: Int) -> Bool {
        sessions.first { $0.session == session }.map { $0.endedNanoseconds == nil } ?? true
    }

    func lastKnown(of replica: ReplicaRow) -> UInt64 {
        max(replica.reapedNanoseconds ?? replica.spawnedNanoseconds, flights[replica.replica]?.last?.nanoseconds ?? 0)
    }

    private func lastKnown(ofSession session: Int) -> UInt64 {
        let commit = commits.last { $0.session == session }?.nanoseconds ?? 0
        return replicas.filter { $0.session == session }.reduce(commit) { max($0, lastKnown(of: $1)) }
    }
}
