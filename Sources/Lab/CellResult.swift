import Ledger
import RunSpec

/// What is kept of one run of a campaign: a row of its results.
package struct CellResult: Equatable, Sendable {
    package enum Outcome: String, Sendable {
        /// `void`: finished, but disturbed, so that its times do not compare.
        case finished, void, failed
    }

    package var cell: String
    package var variation: Campaign.Variation
    package var seed: UInt64
    package var outcome: Outcome
    /// How often another launcher had to go on.
    package var resumes: Int
    /// Figures by name, in the order of `Figure.all`; absent in a failed run.
    package var figures: [String: Double] = [:]
    package var finalDigest = ""
    /// Cells that have it in common must have the final digest in common.
    package var weights: String
    /// Of a failure, or why it is void.
    package var reason = ""

    package var lateShare: Double { figures["late"] ?? 0 }

    package init(
        cell: String, variation: Campaign.Variation, seed: UInt64, outcome: Outcome, resumes: Int = 0, figures: [String: Double] = [:],
        finalDigest: String = "", weights: String = "", reason: String = ""
    ) {
        (self.cell, self.variation, self.seed, self.outcome, self.resumes) = (cell, variation, seed, outcome, resumes)
        (self.figures, self.finalDigest, self.weights, self.reason) = (figures, finalDigest, weights, reason)
    }

    init(_ cell: Campaign.Cell, _ account: RunAccount, resumes: Int) {
        self.init(
            cell: cell.identity, variation: cell.variation, seed: cell.seed, outcome: .finished, resumes: resumes,
            figures: Dictionary(uniqueKeysWithValues: Figure.all.map { ($0.name, $0.value(account)) }),
            finalDigest: account.record.facts[RunFact.finalDigest] ?? "", weights: String(cell.weights.prefix(12)))
    }

    init(failed cell: Campaign.Cell, resumes: Int, reason: String) {
        self.init(
            cell: cell.identity, variation: cell.variation, seed: cell.seed, outcome: .failed, resumes: resumes,
            weights: String(cell.weights.prefix(12)), reason: reason)
    }

    func void(_ reason: String) -> CellResult {
        var result = self
        (result.outcome, result.reason) = (.void, reason)
        return result
    }
}

/// One figure of a run: a column of the results.
package struct Figure: Sendable {
    package let name: String
    /// For table heads.
    package let title: String
    package let isShare: Bool
    let value: @Sendable (RunAccount) -> Double

    private init(_ name: String, _ title: String, share: Bool = false, _ value: @escaping @Sendable (RunAccount) -> Double) {
        (self.name, self.title, isShare, self.value) = (name, title, share, value)
    }

    package static let all: [Figure] = [
        Figure("wall_s", "wall s") { $0.headlines.wallSeconds },
        Figure("effective_goodput", "effective", share: true) { $0.headlines.effective.direct },
        Figure("alive", "A alive", share: true) { $0.headlines.effective.availability },
        Figure("runtime", "R runtime", share: true) { $0.headlines.effective.runtime },
        Figure("commitment", "C committed", share: true) { $0.headlines.effective.commitment },
        Figure("speed", "S speed") { $0.headlines.effective.speed },
        Figure("equivalence", "E equivalence") { $0.headlines.effective.equivalence },
        Figure("compute_goodput", "compute", share: true) { $0.headlines.computeGoodput },
        Figure("step_goodput", "step", share: true) { $0.headlines.stepGoodput },
        Figure("token_goodput", "microbatches", share: true) { $0.headlines.tokenGoodput },
        Figure("attempts_committed", "attempts", share: true) { $0.attemptsCommitted },
        Figure("incidents", "incidents") { Double($0.record.incidents.count) },
        Figure("detection_ms", "detected ms") { account in
            let times = account.incidents.map { Double($0.detectionNanoseconds) / 1e6 }
            return times.isEmpty ? 0 : times.reduce(0, +) / Double(times.count)
        },
        Figure("worker_s", "worker s") { $0.headlines.workerSeconds },
    ] + Category.Group.allCases.map { group in
        Figure("\(group)_s", "\(group) s") { Double($0.accounts.nanoseconds(group)) / 1e9 }
    } + [
        Figure("unaccounted_s", "unaccounted s") { Double($0.accounts.unaccountedNanoseconds) / 1e9 },
        Figure("late", "late", share: true) { account in
            let facts = account.record.facts, all = facts[RunFact.pacedLeaves].flatMap { Double($0) } ?? 0
            return all > 0 ? (facts[RunFact.lateLeaves].flatMap { Double($0) } ?? 0) / all : 0
        },
    ]

    package static func named(_ name: String) -> Figure? { all.first { $0.name == name } }
}

extension RunAccount {
    /// Steps of the final lineage ÷ attempts at steps. Every record of a commit was an attempt, also one that was rewound
    /// later; every time that everybody threw away what they were at, or went back, was one more.
    package var attemptsCommitted: Double {
        let attempts = record.commits.count + record.setbacks.count { $0.kind != .recheck }
        return attempts == 0 ? 0 : Double(headlines.committedSteps) / Double(attempts)
    }
}
