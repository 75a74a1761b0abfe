/// Everything computed from a record, once: what reports, checks and exports read.
package struct RunAccount: Sendable {
    /// As read, but with the slots of an unfinished session closed at the last thing known of it.
    package let record: RunRecord
    package let lineage: Lineage
    package let fates: Fates
    package let attribution: Attribution
    package let accounts: Accounts
    package let headlines: Headlines
    /// By incident, in the order of the record.
    package let incidents: [IncidentBill]
    package let contribution: Contribution
    package let reconciliation: Reconciliation

    /// - Parameter equivalence: E, the reference steps this run's committed steps are worth, per committed step;
    ///   1 for a run with the reference's bits.
    package init(_ record: RunRecord, equivalence: Double = 1) {
        let record = record.closingOpenSlots()
        var log = FlightLog(record)
        lineage = Lineage(record)
        fates = Fates(record, lineage, &log)
        attribution = Attribution(record, lineage, log, fates)
        accounts = Accounts(record, attribution)
        headlines = Headlines(record, lineage, log, fates, accounts, equivalence: equivalence)
        incidents = IncidentBill.bills(record, fates, accounts, price: headlines.pricePerWorkerSecond)
        reconciliation = Reconciliation(log)
        contribution = Contribution(record, lineage.rows.map { record.commits[$0] })
        self.record = record
    }

    /// The commits of the final lineage, by step.
    package var commits: [CommitRow] { lineage.rows.map { record.commits[$0] } }

    /// One validation pass per step, the latest, of the steps on the lineage.
    package var validations: [EvaluationRow] {
        let last = lineage.rows.last.map { record.commits[$0].step } ?? 0
        var byStep: [Int: EvaluationRow] = [:]
        for row in record.evaluations where row.step <= last && row.tokens > 0 { byStep[row.step] = row }
        return byStep.values.sorted { $0.step < $1.step }
    }
}
