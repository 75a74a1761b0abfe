/// What one incident cost.
package struct IncidentBill: Sendable {
    package let incident: IncidentRow
    /// Onset to detection. Zero when only the detection is known (`incident.onsetIsExact` is false).
    package let detectionNanoseconds: Int
    /// Worker-nanoseconds lost to it, by category.
    package let bill: Bill
    /// Executions of microbatches it threw away: lost in the victim's hands, aborted, made duplicates or rolled back.
    package let microbatchesLost: Int
    /// Onset to the next commit; nil when none followed in its session.
    package let onsetToCommitNanoseconds: Int?
    /// How much later the next commit came than the one before it plus the run's median step of the same kind (with
    /// or without a validation or probe pass, and without an incident). Signed; nil without a commit on either side, or
    /// a like step.
    package let delayNanoseconds: Int?
    /// In the run's currency.
    package let cost: Double

    package var workerNanoseconds: Int { bill.values.reduce(0, +) }

    static func bills(_ record: RunRecord, _ fates: Fates, _ accounts: Accounts, price: Double) -> [IncidentBill] {
        let lost = fates.executions.reduce(into: [Int: Int]()) { counts, execution in
            if let incident = execution.incident, execution.fate != .committed { counts[incident, default: 0] += 1 }
        }
        let delays = StepDelays(record)
        return record.incidents.map { incident in
            let bill = accounts.byIncident[incident.incident] ?? [:]
            let next = record.commits.first { $0.session == incident.session && $0.nanoseconds >= incident.onsetNanoseconds }
            return IncidentBill(
                incident: incident,
                detectionNanoseconds: Int(incident.detectedNanoseconds) - Int(incident.onsetNanoseconds), bill: bill,
                microbatchesLost: lost[incident.incident] ?? 0,
                onsetToCommitNanoseconds: next.map { Int($0.nanoseconds) - Int(incident.onsetNanoseconds) },
                delayNanoseconds: delays.delay(incident), cost: Double(bill.values.reduce(0, +)) / 1e9 * price)
        }
    }
}

/// How long undisturbed steps take, to tell how much longer a disturbed one took.
private struct StepDelays {
    private struct Key: Hashable { var session: Int, step: Int }
    /// What a step does besides: steps are compared with their like.
    private struct Kind: Hashable { var validates: Bool, probes: Bool }
    private let record: RunRecord
    private let validations: Set<Key>, probes: Set<Key>
    private let durations: [(commit: Int, nanoseconds: Int)]
    private var typical: [Kind: Int] = [:]

    init(_ record: RunRecord) {
        self.record = record
        validations = Set(record.evaluations.map { Key(session: $0.session, step: $0.step) })
        probes = Set(record.probes.map { Key(session: $0.session, step: $0.step) })
        durations = record.stepDurations
        let disturbed = Set(record.incidents.map { Key(session: $0.session, step: $0.step) })
        var undisturbed: [Kind: [Int]] = [:]
        for (index, nanoseconds) in durations where !disturbed.contains(key(index)) { undisturbed[kind(index), default: []].append(nanoseconds) }
        typical = undisturbed.compactMapValues { median($0) }
    }

    private func key(_ commit: Int) -> Key { Key(session: record.commits[commit].session, step: record.commits[commit].step - 1) }
    private func kind(_ commit: Int) -> Kind { Kind(validates: validations.contains(key(commit)), probes: probes.contains(key(commit))) }

    /// Nil where there is no like step to compare with.
    func delay(_ incident: IncidentRow) -> Int? {
        guard let (index, nanoseconds) = durations.first(where: {
            let commit = record.commits[$0.commit]
            return commit.session == incident.session && commit.nanoseconds >= incident.onsetNanoseconds
        }) else { return nil }
        return typical[kind(index)].map { nanoseconds - $0 }
    }
}
