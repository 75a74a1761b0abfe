import Ledger

extension Comparison {
    static func figures(_ accounts: [RunAccount]) -> [Figure] {
        let first = accounts[0]
        func figure(_ name: String, _ key: String, _ unit: Figure.Unit, _ value: (RunAccount) -> Double?) -> Figure {
            Figure(name: name, key: key, unit: unit, values: accounts.map(value))
        }
        /// Of the held-out text: nil for a run that has another one than the first.
        func held(_ name: String, _ key: String, _ value: (RunAccount) -> Double?) -> Figure {
            figure(name, key, .natsPerToken) { sharesText($0, first) ? value($0) : nil }
        }
        let common = lastCommonValidation(accounts)
        func validation(_ account: RunAccount, _ step: Int?) -> Double? {
            account.validations.last { step == nil || $0.step == step }.map { $0.lossSum / Double($0.tokens) }
        }
        return [
            figure("compute goodput", "compute_goodput", .share) { $0.headlines.computeGoodput },
            figure("step goodput", "step_goodput", .share) { $0.headlines.stepGoodput },
            figure("token goodput", "token_goodput", .share) { $0.headlines.tokenGoodput },
            figure("effective goodput", "effective_goodput", .share) { $0.headlines.effective.product },
            figure("MFU", "model_flops_utilisation", .share) { $0.headlines.modelFlopsUtilisation },
            figure("committed steps", "committed_steps", .count) { Double($0.headlines.committedSteps) },
            figure("good tokens/s", "good_tokens_per_second", .tokensPerSecond) { $0.headlines.goodTokensPerSecond },
            figure("processed tokens/s", "processed_tokens_per_second", .tokensPerSecond) { $0.headlines.tokensPerSecond },
            figure("median step, ms", "median_step_milliseconds", .milliseconds) { Double($0.headlines.medianStepNanoseconds) / 1e6 },
            figure("wall time, s", "wall_seconds", .seconds) { $0.headlines.wallSeconds },
            figure("worker time, s", "worker_seconds", .seconds) { $0.headlines.workerSeconds },
            figure("cost", "cost", .money) { $0.headlines.currency == first.headlines.currency ? $0.headlines.cost : nil },
            figure("incidents", "incidents", .count) { Double($0.incidents.count) },
            figure("lost to incidents, s", "incident_worker_seconds", .seconds) { Double($0.incidents.reduce(0) { $0 + $1.workerNanoseconds }) / 1e9 },
            figure("microbatches lost", "microbatches_lost", .count) { Double($0.incidents.reduce(0) { $0 + $1.microbatchesLost }) },
            held("last validation", "last_validation_nats_per_token") { validation($0, nil) },
            held(common.map { "validation, step \(Quantity.grouped($0))" } ?? "validation, same step", "common_validation_nats_per_token") { account in
                common.flatMap { validation(account, $0) }
            },
            held("audit effect", "audit_effect_nats_per_token") { $0.contribution.total?.change },
            held("its standard error", "audit_effect_se_nats_per_token") { account in account.contribution.total.flatMap { $0.standardError.isFinite ? $0.standardError : nil } },
        ]
    }

    /// The last step at which every run that has the first one's text was validated.
    private static func lastCommonValidation(_ accounts: [RunAccount]) -> Int? {
        let steps = accounts.filter { sharesText($0, accounts[0]) }.map { Set($0.validations.map(\.step)) }
        guard let first = steps.first else { return nil }
        return steps.dropFirst().reduce(first) { $0.intersection($1) }.max()
    }

    /// Categories that occur in any run, and what is unaccounted for (nil).
    static func categories(_ accounts: [RunAccount]) -> [(category: Category?, seconds: Figure, shares: Figure)] {
        func row(_ category: Category?, _ time: (Accounts) -> Int) -> (Category?, Figure, Figure) {
            let code = category?.code ?? "U"
            let seconds = accounts.map { Double(time($0.accounts)) / 1e9 as Double? }
            let shares = accounts.map { $0.accounts.budgetNanoseconds > 0 ? Double(time($0.accounts)) / Double($0.accounts.budgetNanoseconds) as Double? : nil }
            return (category, Figure(name: code, key: "\(code)_seconds", unit: .seconds, values: seconds), Figure(name: code, key: "\(code)_share", unit: .share, values: shares))
        }
        let present = Category.allCases.filter { category in accounts.contains { $0.accounts.nanoseconds(category) != 0 } }
        return present.map { category in row(category) { $0.nanoseconds(category) } } + [row(nil) { $0.unaccountedNanoseconds }]
    }
}
