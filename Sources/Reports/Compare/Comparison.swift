import Ledger
import RunSpec

/// Two or more runs side by side; the first is what the others are measured against.
package struct Comparison: Sendable {
    package struct Run: Sendable {
        /// As the user named it.
        package let name: String
        let account: RunAccount
        /// What must be known before its column is read.
        let remarks: [String]
    }

    /// A figure of every run; nil where it is not known, or means something else than in the first run.
    struct Figure: Sendable {
        enum Unit: String, Sendable { case share, seconds, milliseconds, tokensPerSecond = "tokens_per_second", count, natsPerToken = "nats_per_token", money }
        let name: String, key: String, unit: Unit
        let values: [Double?]

        /// How far each is from the first.
        var differences: [Double?] { values.map { value in value.flatMap { value in values[0].map { value - $0 } } } }
    }

    /// A setting whose values are not all the same.
    struct Setting: Sendable {
        let key: String, values: [String]
    }

    /// Whether a run went through the same states as the first.
    enum States: Equatable, Sendable {
        case first
        case equal(steps: Int)
        case differ(from: Int)
        case nothingInCommon
    }

    package let runs: [Run]
    let settings: [Setting]
    let figures: [Figure]
    let categories: [(category: Category?, seconds: Figure, shares: Figure)]
    let states: [States]

    /// - Parameter runs: at least two, with the names the user gave them.
    package init(_ given: [(name: String, record: RunRecord)]) {
        precondition(given.count > 1, "\(given.count) runs")
        let accounts = given.map { RunAccount($0.record) }
        runs = zip(given, accounts).map { Run(name: $0.name, account: $1, remarks: Comparison.remarks($1, accounts[0], first: given[0].name)) }
        settings = Comparison.settings(accounts.map(\.record))
        figures = Comparison.figures(accounts)
        categories = Comparison.categories(accounts)
        states = accounts.indices.map { $0 == 0 ? .first : Comparison.states(accounts[$0], accounts[0]) }
    }

    private static func remarks(_ account: RunAccount, _ first: RunAccount, first name: String) -> [String] {
        var remarks = account.caveats
        let facts = account.record.facts, outcome = facts[RunFact.outcome] ?? "unknown"
        if ["interrupted", "failed"].contains(outcome) {
            remarks.append("\(outcome) after \(account.commits.last?.step ?? 0) of \(facts[RunFact.steps] ?? "?") steps: its figures are of that part")
        }
        if !sharesText(account, first) { remarks.append("another validation text than \(name): its losses and effects are not compared") }
        if facts[RunFact.blasCore] != first.record.facts[RunFact.blasCore] {
            remarks.append("BLAS core \(facts[RunFact.blasCore] ?? "unknown"), not \(first.record.facts[RunFact.blasCore] ?? "unknown"): equal bits are not to be expected")
        }
        if facts[RunFact.cores] != first.record.facts[RunFact.cores] {
            remarks.append("ran on \(facts[RunFact.cores] ?? "?") cores, not \(first.record.facts[RunFact.cores] ?? "?"): times compare machines, too")
        }
        if facts[RunFact.currency] != first.record.facts[RunFact.currency] { remarks.append("its costs are in \(facts[RunFact.currency] ?? "another currency"): not compared") }
        return remarks
    }

    /// Held-out losses compare when they are of the same text.
    static func sharesText(_ a: RunAccount, _ b: RunAccount) -> Bool {
        a.record.facts[RunFact.validationText] == b.record.facts[RunFact.validationText]
    }

    /// Settings of the ledgers' configurations, and what was decided at the start of the sessions.
    private static func settings(_ records: [RunRecord]) -> [Setting] {
        let configs = records.map(\.configuration)
        var settings = ConfigKey.all.map { key in
            Setting(key: key.name, values: configs.map { $0.map { key.read($0).replacing("\n", with: " ") } ?? "unknown" })
        }
        settings.append(Setting(key: "workers", values: records.map { record in
            Set(record.sessions.map { session in record.slots.count { $0.session == session.session } }).sorted().map { String($0) }.joined(separator: ", ")
        }))
        for fact in [RunFact.policy, RunFact.spares] {
            settings.append(Setting(key: fact, values: records.map { $0.facts[fact] ?? "unknown" }))
        }
        settings.append(Setting(key: "sessions", values: records.map { String($0.sessions.count) }))
        settings.append(Setting(key: "injected faults", values: records.map { String($0.faults.count) }))
        return settings.filter { Set($0.values).count > 1 }
    }

    private static func states(_ run: RunAccount, _ first: RunAccount) -> States {
        let theirs = Dictionary(first.commits.map { ($0.step, $0.stateHash) }, uniquingKeysWith: { $1 })
        let common = run.commits.filter { theirs[$0.step] != nil }
        guard !common.isEmpty else { return .nothingInCommon }
        return common.first { theirs[$0.step] != $0.stateHash }.map { .differ(from: $0.step) } ?? .equal(steps: common.count)
    }
}
