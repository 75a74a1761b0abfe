import Testing
import Foundation
import Ledger
@Suite struct Gaps {
    @Test(.enabled(if: ProcessInfo.processInfo.environment["GAP"] != nil)) func show() throws {
        let record = try LedgerStore.read(ProcessInfo.processInfo.environment["GAP"]! + "/ledger.sqlite")
        let account = RunAccount(record)
        for slot in record.slots {
            var t = slot.openedNanoseconds
            let mine = account.attribution.intervals.filter { $0.place.session == slot.session && $0.place.slot == slot.slot }
            for i in mine + [Interval(place: mine[0].place, start: slot.closedNanoseconds, end: slot.closedNanoseconds, category: .launch)] {
                if i.start > t, i.start - t > 100_000 {
                    print("GAP slot", slot.slot, "session", slot.session, "from", t, "for", Double(i.start - t) / 1e6, "ms; next", i.category.rawValue, i.replica ?? -1)
                    for r in record.replicas where r.slot == slot.slot && r.session == slot.session && (r.reapedNanoseconds ?? .max) >= t && r.spawnedNanoseconds <= i.start {
                        print("   replica", r.replica, "spawn", Int(r.spawnedNanoseconds) - Int(t), "ready", r.readyNanoseconds.map { Int($0) - Int(t) } as Any, "adm", r.admittedNanoseconds.map { Int($0) - Int(t) } as Any, "ended", r.endedNanoseconds.map { Int($0) - Int(t) } as Any, "reaped", r.reapedNanoseconds.map { Int($0) - Int(t) } as Any, r.exit as Any, r.exitCode as Any)
                        let e = record.flights[r.replica] ?? []
                        print("   flights", e.count, e.suffix(4).map { "\($0.phase!) step \($0.step) view \($0.view) unit \($0.unit) \(Int($0.nanoseconds) - Int(t))" })
                    }
                    for x in record.incidents where x.slot == slot.slot && x.detectedNanoseconds + 1_000_000_000 > t && x.detectedNanoseconds < i.start + 1_000_000_000 { print("   incident", x.incident, x.description, "onset", Int(x.onsetNanoseconds) - Int(t), "detected", Int(x.detectedNanoseconds) - Int(t), "planned", x.plannedNanoseconds.map { Int($0) - Int(t) } as Any) }
                }
                t = max(t, i.end)
            }
        }
    }
}
