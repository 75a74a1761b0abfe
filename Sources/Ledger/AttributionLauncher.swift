// What the launcher vouches for: a slot before, between and after its workers.

extension TimelineBuilder {
    /// Covers each slot from its opening to its closing, except where a worker lived.
    mutating func addLaunchersView() {
        for slot in record.slots {
            let place = Place(session: slot.session, slot: slot.slot)
            let lives = log.lives.filter {
                $0.place == place && $0.start >= slot.openedNanoseconds && $0.start <= slot.closedNanoseconds
            }
            // A slot nobody was ever spawned into has no story to tell: it stays unaccounted.
            guard let first = lives.first else { continue }
            add(place, slot.openedNanoseconds, first.start, .launch)
            for (index, life) in lives.enumerated() {
                let next = index + 1 < lives.count ? lives[index + 1].start : slot.closedNanoseconds
                if let death = life.death { addFailure(place, life, death, until: next) } else { addExit(place, life, until: next) }
            }
        }
    }

    /// An empty slot after a fault: undetected, deciding, tearing down, then without a worker.
    private mutating func addFailure(_ place: Place, _ life: ReplicaLife, _ death: IncidentRow, until next: UInt64) {
        let detected = max(life.end, death.detectedNanoseconds)
        let planned = max(detected, death.plannedNanoseconds ?? detected)
        var cursor = min(life.end, next)
        for (end, category) in [(detected, Category.undetectedFailure), (planned, .decision)] {
            add(place, cursor, min(end, next), category, incident: death.incident)
            cursor = max(cursor, min(end, next))
        }
        // When a worker was never seen to be gone, how long tearing it down took is not known.
        guard let reaped = life.row.reapedNanoseconds else { return }
        let gone = min(max(planned, reaped), next)
        add(place, cursor, gone, .teardown, incident: death.incident)
        add(place, max(cursor, gone), next, .noCapacity, incident: death.incident)
        addLaunchersSpans(place, from: max(cursor, gone), to: next)
    }

    /// What the launcher itself did while the slot was empty.
    private mutating func addLaunchersSpans(_ place: Place, from start: UInt64, to end: UInt64) {
        for span in record.launcherSpans where span.session == place.session {
            add(place, max(span.startNanoseconds, start), min(span.endNanoseconds, end), span.category, incident: span.incident)
        }
    }

    /// A slot whose worker left in order: shutting down, then idle while others work, then closing.
    private mutating func addExit(_ place: Place, _ life: ReplicaLife, until next: UInt64) {
        // An orphan's end is only the last that was heard of it.
        guard let ended = life.row.endedNanoseconds ?? life.row.reapedNanoseconds,
            life.row.exit != "orphaned" || life.leftNanoseconds != nil
        else { return }
        let reaped = min(max(life.row.reapedNanoseconds ?? ended, life.end), next)
        if let drain = life.drain {
            add(place, life.end, reaped, .plannedDrain, incident: drain.incident)
            add(place, reaped, next, .noCapacity, incident: drain.incident)
            return
        }
        add(place, life.end, reaped, .shutdown)
        let othersDone = log.lives.lazy
            .filter { $0.place.session == place.session && $0.place != place }
            .map { $0.leftNanoseconds ?? $0.end }.max() ?? reaped
        let idle = min(max(othersDone, reaped), next)
        add(place, reaped, idle, .finishedEarly)
        add(place, idle, next, .shutdown)
        addLaunchersSpans(place, from: idle, to: next)
    }

    private mutating func add(_ place: Place, _ start: UInt64, _ end: UInt64, _ category: Category, incident: Int? = nil) {
        guard start < end else { return }
        timeline.spans.append(TimelineSpan(place, from: start, to: end, .settled(category), incident: incident))
    }
}
