// Sums over intervals, against the budget. Integer worker-nanoseconds throughout.

/// Worker-nanoseconds by category.
package typealias Bill = [Category: Int]

/// Where the budget went.
package struct Accounts: Sendable {
    /// B: the time all provisioned slots were open, empty ones included.
    package let budgetNanoseconds: Int
    package let byCategory: Bill
    package let bySlot: [Int: Bill]
    package let byIncident: [Int: Bill]
    /// Straggler wait charged to the slot that was waited for.
    package let straggledFor: [Int: Int]
    /// Places where two intervals of a slot overlap, or one lies outside its slot's time. Must be 0.
    package let overlaps: Int
    /// Shadow figure: run delay beyond the span it was measured over.
    package let excessRunDelayNanoseconds: Int
    /// Shadow figure: time checkpoints took to become durable, beside the workers.
    package let checkpointWriterNanoseconds: Int

    package init(_ record: RunRecord) {
        let record = record.closingOpenSlots()
        self.init(record, Attribution(record))
    }

    package init(_ record: RunRecord, _ attribution: Attribution) {
        self.init(
            slots: record.slots, intervals: attribution.intervals,
            excessRunDelayNanoseconds: attribution.excessRunDelayNanoseconds, checkpoints: record.checkpoints)
    }

    package init(slots: [SlotRow], intervals: [Interval], excessRunDelayNanoseconds: Int = 0, checkpoints: [CheckpointRow] = []) {
        budgetNanoseconds = slots.reduce(0) { $0 + Int($1.closedNanoseconds) - Int($1.openedNanoseconds) }
        var byCategory = Bill(), bySlot: [Int: Bill] = [:], byIncident: [Int: Bill] = [:], straggledFor: [Int: Int] = [:]
        for interval in intervals {
            byCategory[interval.category, default: 0] += interval.nanoseconds
            bySlot[interval.place.slot, default: [:]][interval.category, default: 0] += interval.nanoseconds
            if let incident = interval.incident {
                byIncident[incident, default: [:]][interval.category, default: 0] += interval.nanoseconds
            }
            if let culprit = interval.culprit, interval.category == .stragglerWait {
                straggledFor[culprit, default: 0] += interval.nanoseconds
            }
        }
        self.byCategory = byCategory
        self.bySlot = bySlot
        self.byIncident = byIncident
        self.straggledFor = straggledFor
        overlaps = Accounts.countOverlaps(slots, intervals)
        self.excessRunDelayNanoseconds = excessRunDelayNanoseconds
        checkpointWriterNanoseconds = checkpoints.reduce(0) {
            $0 + ($1.durableNanoseconds.map { Int($0) } ?? Int($1.requestedNanoseconds)) - Int($1.requestedNanoseconds)
        }
    }

    /// U = B − Σ, signed: negative if more was claimed than provisioned.
    package var unaccountedNanoseconds: Int { budgetNanoseconds - byCategory.values.reduce(0, +) }

    /// |U| ÷ B.
    package var closure: Double { budgetNanoseconds == 0 ? 0 : Double(abs(unaccountedNanoseconds)) / Double(budgetNanoseconds) }

    package func nanoseconds(_ category: Category) -> Int { byCategory[category] ?? 0 }

    package func nanoseconds(_ group: Category.Group) -> Int {
        byCategory.reduce(0) { $0 + ($1.key.group == group ? $1.value : 0) }
    }

    /// Independent of how the intervals were made: sorts them and looks.
    private static func countOverlaps(_ slots: [SlotRow], _ intervals: [Interval]) -> Int {
        var count = 0
        let sorted = intervals.sorted { ($0.place, $0.start) < ($1.place, $1.start) }
        for (a, b) in zip(sorted, sorted.dropFirst()) where a.place == b.place && b.start < a.end { count += 1 }
        var open: [Place: [SlotRow]] = [:]
        for slot in slots { open[Place(session: slot.session, slot: slot.slot), default: []].append(slot) }
        for interval in sorted {
            let inside = open[interval.place]?.contains { $0.openedNanoseconds <= interval.start && interval.end <= $0.closedNanoseconds }
            if inside != true { count += 1 }
        }
        return count
    }
}
