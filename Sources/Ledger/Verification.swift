// Whether a record can be believed: each check has a name, a verdict and a sentence with the numbers.

/// One check of a record.
package struct Check: Equatable, Sendable {
    package enum Verdict: String, Sendable {
        case passed, failed
        /// There was nothing to check.
        case skipped
    }
    /// What a check is about. `headway verify` exits with the sum of the numbers of the topics in which one failed.
    package enum Topic: Int32, CaseIterable, Sendable {
        case accounts = 1, lineage = 2, data = 4, figures = 8, faults = 16, states = 32
    }
    package let topic: Topic
    package let name: String
    package let verdict: Verdict
    /// What was found, lower case, with numbers.
    package let detail: String

    package init(_ topic: Topic, _ name: String, _ verdict: Verdict, _ detail: String) {
        (self.topic, self.name, self.verdict, self.detail) = (topic, name, verdict, detail)
    }

    package init(_ topic: Topic, _ name: String, _ passed: Bool, _ detail: String) {
        self.init(topic, name, passed ? .passed : .failed, detail)
    }
}

/// All checks of a run.
package struct Verification: Sendable {
    /// The largest share of the budget that may stay unexplained (R7).
    package static let closureLimit = 0.001

    package private(set) var checks: [Check]

    package var failures: [Check] { checks.filter { $0.verdict == .failed } }
    package var passed: Bool { failures.isEmpty }
    /// The sum over the topics of failed checks; 0 when none failed.
    package var exitStatus: Int32 { Set(failures.map(\.topic)).reduce(0) { $0 + $1.rawValue } }

    package init(_ account: RunAccount) {
        checks = [
            Verification.closure(account), Verification.overlaps(account), Verification.named(account),
            Verification.chain(account), Verification.initialState(account), Verification.fates(account),
            Verification.leaves(account), Verification.rows(account), Verification.facts(account.record), Verification.times(account.record),
            Verification.amounts(account.record), Verification.product(account), Verification.figures(account),
            Verification.windows(account), Verification.faults(account.record),
        ]
    }

    /// Also compares the states of every step with another run's.
    package init(_ account: RunAccount, against other: RunAccount, named name: String) {
        self.init(account)
        checks.append(Verification.states(account, other, name))
    }

    /// A check that needs more than the record.
    package mutating func add(_ check: Check) { checks.append(check) }

    private static func windows(_ account: RunAccount) -> Check {
        let name = "windows sum to the whole change", windows = account.contribution.windows
        guard let total = account.contribution.total else { return Check(.figures, name, .skipped, "no probes") }
        let difference = abs(windows.reduce(0) { $0 + $1.audit.change } - total.change)
        return Check(.figures, name, difference <= 1e-6, "\(windows.count) windows differ from the change end to end by \(significant(difference)) nats per token")
    }

    private static func closure(_ account: RunAccount) -> Check {
        let a = account.accounts
        return Check(.accounts, "the ledger closes", a.budgetNanoseconds > 0 && a.closure <= closureLimit,
            "\(a.unaccountedNanoseconds) of \(a.budgetNanoseconds) worker-nanoseconds unaccounted, a share of \(significant(a.closure)); limit \(significant(closureLimit))")
    }

    private static func overlaps(_ account: RunAccount) -> Check {
        Check(.accounts, "no time counted twice", account.accounts.overlaps == 0,
            "\(account.accounts.overlaps) overlaps in \(account.attribution.intervals.count) intervals")
    }

    private static func named(_ account: RunAccount) -> Check {
        let failures = account.attribution.intervals.filter { $0.category.group == .failure }
        let nameless = failures.count { $0.incident == nil }
        return Check(.accounts, "every failure has its incident", nameless == 0, "\(nameless) of \(failures.count) failure intervals name no incident")
    }

    private static func chain(_ account: RunAccount) -> Check {
        let name = "the lineage is unbroken"
        guard let first = account.commits.first, let last = account.commits.last else { return Check(.lineage, name, .skipped, "no commits") }
        if let broken = account.lineage.broken { return Check(.lineage, name, .failed, broken) }
        let rewound = account.record.commits.count - account.commits.count
        return Check(.lineage, name, first.step == account.record.startStep + 1, "steps \(first.step) to \(last.step), each with the hash of the one before as its parent; \(rewound) rewound commits")
    }

    private static func initialState(_ account: RunAccount) -> Check {
        let name = "one initial state"
        let parents = Set(account.record.commits.filter { $0.step == account.record.startStep + 1 }.map(\.parentHash))
        guard let parent = parents.first else { return Check(.lineage, name, .skipped, "no first commit") }
        guard parents.count == 1 else {
            return Check(.lineage, name, .failed, "first steps have \(parents.count) different parents: \(parents.sorted().map { String($0.prefix(12)) }.joined(separator: ", "))")
        }
        guard let initial = account.record.facts[RunFact.initialHash] else {
            return Check(.lineage, name, .passed, "the first step's parent is \(parent.prefix(12)); the run does not say what it began from")
        }
        return Check(.lineage, name, initial == parent, "the run began from \(initial.prefix(12)), the first step's parent is \(parent.prefix(12))")
    }

    private static func fates(_ account: RunAccount) -> Check {
        let counts = account.fates.counts, total = counts.values.reduce(0, +), pending = counts[.pending] ?? 0
        let finished = account.record.facts[RunFact.outcome] == "finished"
        let list = Fate.allCases.compactMap { fate in counts[fate].map { "\($0) \(fate.rawValue)" } }.joined(separator: ", ")
        return Check(.lineage, "every execution has one fate", total == account.fates.executions.count && (pending == 0 || !finished),
            "\(total) executions: \(list.isEmpty ? "none" : list)")
    }

    private static func leaves(_ account: RunAccount) -> Check {
        let name = "every leaf of every step was computed"
        guard !account.commits.isEmpty else { return Check(.lineage, name, .skipped, "no commits") }
        let expected = account.record.facts[RunFact.microbatches].flatMap { Int($0) } ?? account.commits[0].leafReplicas.count
        if let short = account.commits.first(where: { $0.leafReplicas.count != expected }) {
            return Check(.lineage, name, .failed, "step \(short.step) has \(short.leafReplicas.count) leaves, not \(expected)")
        }
        let missing = account.fates.missing.filter { !isStillInARing($0, account) }
        guard let first = missing.first else {
            return Check(.lineage, name, .passed, "\(account.commits.count) steps of \(expected) leaves, each with the execution that was used")
        }
        return Check(.lineage, name, .failed, "\(missing.count) of \(account.commits.count * expected) leaves have no recorded execution; the first is leaf \(first.leaf) of step \(first.step), credited to replica \(first.replica)")
    }

    /// Whether a living worker's record simply does not reach as far as the commit yet.
    private static func isStillInARing(_ missing: Fates.MissingExecution, _ account: RunAccount) -> Bool {
        guard let row = account.record.replicas.first(where: { $0.replica == missing.replica }), row.endedNanoseconds == nil,
            let commit = account.commits.first(where: { $0.step == missing.step })
        else { return false }
        return account.record.isOpen(session: row.session) && commit.nanoseconds > account.record.lastKnown(of: row)
    }

    private static func product(_ account: RunAccount) -> Check {
        let e = account.headlines.effective
        return Check(.figures, "the factors multiply to the whole", abs(e.product - e.direct) <= 1e-9,
            "A·R·C·S·E differs from the direct ratio by \(significant(abs(e.product - e.direct)))")
    }
}
