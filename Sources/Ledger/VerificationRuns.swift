import Foundation
import RunSpec

extension Verification {
    /// A fault at a step that its session reached must have fired, unless its worker was not there to be struck: otherwise
    /// a run proves nothing about it.
    static func faults(_ record: RunRecord) -> Check {
        let name = "injected faults fired"
        guard !record.faults.isEmpty else { return Check(.faults, name, .skipped, "none were injected") }
        let reached = Dictionary(record.commits.map { ($0.session, $0.step) }, uniquingKeysWith: max)
        var fired = 0, notReached = 0, absent = 0, silent: [FaultRow] = []
        let absentees = record.faultsWithoutVictim
        for (index, row) in record.faults.enumerated() {
            if row.firedNanoseconds != nil {
                fired += 1
            } else if let fault = try? Fault(row.text), fault.step.map({ $0 >= reached[row.session] ?? 0 }) ?? true {
                notReached += 1
            } else if absentees.contains(index) {
                absent += 1
            } else {
                silent.append(row)
            }
        }
        let first = silent.first.map { "; the first is `\($0.text)`" } ?? ""
        return Check(.faults, name, silent.isEmpty, "\(fired) fired, \(notReached) at steps that were not reached, \(absent) found nobody there, \(silent.count) did not fire\(first)")
    }

    /// Equal state hashes, step by step, on the lineages of two runs.
    static func states(_ a: RunAccount, _ b: RunAccount, _ other: String) -> Check {
        let name = "same weights as \(other)"
        let theirs = Dictionary(b.commits.map { ($0.step, $0.stateHash) }, uniquingKeysWith: { $1 })
        let common = a.commits.filter { theirs[$0.step] != nil }
        guard !common.isEmpty else { return Check(.states, name, .failed, "the runs have no committed step in common") }
        if let first = common.first(where: { theirs[$0.step] != $0.stateHash }) {
            return Check(.states, name, .failed, "the states differ from step \(first.step) on: \(first.stateHash.prefix(12)) here, \((theirs[first.step] ?? "").prefix(12)) there")
        }
        let last = (here: a.commits.last?.step ?? 0, there: b.commits.last?.step ?? 0)
        guard last.here == last.there else {
            return Check(.states, name, .failed, "equal in all \(common.count) common steps, but this run ends at step \(last.here), the other at step \(last.there)")
        }
        return Check(.states, name, .passed, "equal state hashes in all \(common.count) steps")
    }

    /// Three significant digits.
    static func significant(_ value: Double) -> String { String(format: "%.3g", value) }
}

/// A part that a slot's worker took in a step.
private struct Presence: Hashable {
    let session: Int, slot: Int, step: Int, phase: Phase

    /// What must have been there for the fault to strike; nil when nobody knows.
    init?(_ row: FaultRow) {
        guard let fault = try? Fault(row.text), let slot = fault.worker, let step = fault.step else { return nil }
        switch fault.point {
        case .forward, .backward, .leafDone, .publish: phase = .backward
        case .reduce: phase = .reduce
        case .update, .vote: phase = .update
        case .commit: phase = .awaitCommit
        default: return nil
        }
        (session, self.slot, self.step) = (row.session, slot, step)
    }

    init(_ replica: ReplicaRow, _ event: FlightEvent, _ phase: Phase) {
        (session, slot, step, self.phase) = (replica.session, replica.slot, Int(event.step), phase)
    }
}

extension RunRecord {
    /// Those of `wanted` that were there.
    private func found(_ wanted: Set<Presence>) -> Set<Presence> {
        var found: Set<Presence> = []
        if wanted.isEmpty { return found }
        let steps = Set(wanted.map(\.step))
        for replica in replicas {
            for event in flights[replica.replica] ?? [] where steps.contains(Int(event.step)) {
                guard let phase = event.phase else { continue }
                let here = Presence(replica, event, phase)
                if wanted.contains(here) { found.insert(here) }
            }
        }
        return found
    }

    /// Faults that have not fired and whose worker did not come to their point in their step.
    fileprivate var faultsWithoutVictim: Set<Int> {
        let silent = faults.indices.filter { faults[$0].firedNanoseconds == nil }
        let wanted = Dictionary(uniqueKeysWithValues: silent.compactMap { index in Presence(faults[index]).map { (index, $0) } })
        let there = found(Set(wanted.values))
        return Set(wanted.filter { !there.contains($0.value) }.keys)
    }
}
