import Foundation
import RunSpec

extension Verification {
    /// A fault at a step that its session reached must have fired: otherwise a run proves nothing about it.
    static func faults(_ record: RunRecord) -> Check {
        let name = "injected faults fired"
        guard !record.faults.isEmpty else { return Check(.faults, name, .skipped, "none were injected") }
        let reached = Dictionary(record.commits.map { ($0.session, $0.step) }, uniquingKeysWith: max)
        var fired = 0, notReached = 0, silent: [FaultRow] = []
        for row in record.faults {
            if row.firedNanoseconds != nil {
                fired += 1
            } else if let fault = try? Fault(row.text), fault.step.map({ $0 >= reached[row.session] ?? 0 }) ?? true {
                notReached += 1
            } else {
                silent.append(row)
            }
        }
        let first = silent.first.map { "; the first is `\($0.text)`" } ?? ""
        return Check(.faults, name, silent.isEmpty, "\(fired) fired, \(notReached) at steps that were not reached, \(silent.count) did not fire\(first)")
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
