import Foundation
import Ledger
import RunSpec

/// A run as one JSON document for other programs. Names end with the unit: `_ns` integer nanoseconds, `_nats_per_token`,
/// `_seconds`, `share` and goodputs from 0 to 1, costs in `headlines.currency`. Times called `_ns` that are instants are of
/// the machine's monotonic clock and compare within one session. What is not known is null. A key may be added with any
/// version of headway; one that changes its meaning comes with a new `format_version`.
package enum RunDocument {
    static let formatVersion = 1

    /// - Parameter reference: what `account`'s E comes from, if it was compared.
    package static func text(_ account: RunAccount, reference: ReferenceRun? = nil) -> String {
        let head: [(key: String, value: JSONValue)] = [
            ("format", "headway report"), ("format_version", .integer(formatVersion)),
            ("caveats", .list(account.caveats.map { .text($0) })), ("run", run(account)), ("headlines", headlines(account)),
            ("reference", reference.map(json) ?? .null), ("loss", loss(account)), ("contribution", contribution(account)),
            ("accounts", accounts(account)), ("waterfall", waterfall(account)),
        ]
        let tables = RunTable.all(account).map { (key: $0.name, value: $0.json) }
        return JSONValue.object(head + tables + [("facts", facts(account)), ("configuration", configuration(account.record))]).text + "\n"
    }

    static func run(_ account: RunAccount) -> JSONValue {
        let facts = account.record.facts
        func text(_ name: String) -> JSONValue { JSONValue(facts[name]) }
        func integer(_ name: String) -> JSONValue { JSONValue(facts[name].flatMap { Int($0) }) }
        return .object([
            ("identity", text(RunFact.runIdentity)), ("outcome", text(RunFact.outcome)), ("planned_steps", integer(RunFact.steps)),
            ("start_step", .integer(account.record.startStep)), ("origin", text(RunFact.origin)),
            ("parameters", integer(RunFact.parameters)), ("tokens_per_step", integer(RunFact.tokensPerStep)),
            ("microbatches_per_step", integer(RunFact.microbatches)), ("sequences_per_microbatch", integer(RunFact.sequencesPerMicrobatch)),
            ("slots", .integer(Set(account.record.slots.map(\.slot)).count)), ("processes", .integer(account.record.replicas.count)),
            ("cores", integer(RunFact.cores)), ("headway_version", text(RunFact.headwayVersion)), ("swift_version", text(RunFact.swiftVersion)),
            ("blas_core", text(RunFact.blasCore)), ("final_state_sha256", text(RunFact.finalDigest)),
            ("configuration_sha256", text(RunFact.configurationDigest)), ("validation_text", text(RunFact.validationText)),
        ])
    }

    static func headlines(_ account: RunAccount) -> JSONValue {
        let h = account.headlines, e = h.effective
        return .object([
            ("compute_goodput", .real(h.computeGoodput)), ("step_goodput", .real(h.stepGoodput)), ("token_goodput", .real(h.tokenGoodput)),
            ("effective_goodput", .real(e.product)), ("availability", .real(e.availability)), ("runtime", .real(e.runtime)),
            ("commitment", .real(e.commitment)), ("speed", .real(e.speed)), ("equivalence", .real(e.equivalence)),
            ("wall_seconds", .real(h.wallSeconds)), ("worker_seconds", .real(h.workerSeconds)), ("committed_steps", .integer(h.committedSteps)),
            ("committed_tokens", .integer(h.committedTokens)), ("processed_tokens", .integer(h.processedTokens)),
            ("processed_tokens_per_second", .real(h.tokensPerSecond)), ("good_tokens_per_second", .real(h.goodTokensPerSecond)),
            ("model_flops_utilisation", JSONValue(h.modelFlopsUtilisation)), ("median_step_ns", .integer(h.medianStepNanoseconds)),
            ("median_microbatch_cpu_ns", .integer(h.medianLeafNanoseconds)), ("incidents", .integer(account.incidents.count)), ("cost", .real(h.cost)),
            ("cost_per_million_good_tokens", .real(h.costPerMillionGoodTokens)), ("currency", .text(h.currency)),
        ])
    }

    private static func json(_ reference: ReferenceRun) -> JSONValue {
        let e = reference.equivalence
        return .object([
            ("name", .text(reference.name)), ("basis", .text(e.basis.rawValue)), ("step", .integer(e.step)), ("reference_steps", .real(e.referenceSteps)),
            ("reference_steps_se", JSONValue(e.standardError)), ("is_bound", .flag(e.isBound)), ("same_schedule_phase", .flag(e.samePhase)),
        ])
    }

    private static func loss(_ account: RunAccount) -> JSONValue {
        let commits = account.commits.filter { $0.tokens > 0 }, validations = account.validations.map { ($0.step, $0.lossSum / Double($0.tokens)) }
        let best = validations.min { $0.1 < $1.1 }
        func nats(_ commit: CommitRow?) -> JSONValue { JSONValue(commit.map { $0.lossSum / Double($0.tokens) }) }
        return .object([
            ("first_training_nats_per_token", nats(commits.first)), ("last_training_nats_per_token", nats(commits.last)),
            ("last_validation_nats_per_token", JSONValue(validations.last?.1)), ("last_validation_step", JSONValue(validations.last?.0)),
            ("best_validation_nats_per_token", JSONValue(best?.1)), ("best_validation_step", JSONValue(best?.0)),
            ("floor_nats_per_token", JSONValue(account.record.facts[RunFact.lossFloor].flatMap { Double($0) })),
            ("bytes_per_token", JSONValue(account.record.facts[RunFact.bytesPerToken].flatMap { Double($0) })),
        ])
    }

    /// Sums over the run; window by window and step by step it is in the tables.
    private static func contribution(_ account: RunAccount) -> JSONValue {
        let c = account.contribution, total = c.total
        return .object([
            ("credit_nats_per_token", JSONValue(c.credit?.credit)), ("credit_se_nats_per_token", JSONValue(c.credit?.standardError)),
            ("credited_updates", JSONValue(c.credit?.credited)), ("updates", JSONValue(c.credit?.updates)),
            ("effect_nats_per_token", JSONValue(total?.change)), ("effect_low_nats_per_token", JSONValue(total?.low)),
            ("effect_high_nats_per_token", JSONValue(total?.high)), ("effect_se_nats_per_token", JSONValue(total?.standardError)),
            ("effect_verdict", JSONValue(total?.verdict.rawValue)), ("effect_sequences", JSONValue(total?.sequences)), ("effect_clusters", JSONValue(total?.clusters)),
            ("windows_with_clear_effect_and_credit", .integer(c.significant)), ("of_them_of_the_same_sign", .integer(c.agreeing)),
        ])
    }

    private static func accounts(_ account: RunAccount) -> JSONValue {
        let a = account.accounts, r = account.reconciliation
        return .object([
            ("budget_ns", .integer(a.budgetNanoseconds)), ("unaccounted_ns", .integer(a.unaccountedNanoseconds)), ("overlaps", .integer(a.overlaps)),
            ("executions", .integer(account.fates.executions.count)),
            ("beside_checkpoint_writers_ns", .integer(a.checkpointWriterNanoseconds)),
            ("beside_excess_run_delay_ns", .integer(a.excessRunDelayNanoseconds)), ("beside_kernel_cpu_ns", .integer(r.cpuNanoseconds)),
            ("beside_recorded_work_ns", .integer(r.recordedNanoseconds)), ("beside_lost_events", .integer(r.lostEvents)),
        ])
    }

    private static func waterfall(_ account: RunAccount) -> JSONValue {
        let w = LossWaterfall(account)
        return .object([
            ("provisioned_ns", .integer(w.provisioned)), ("alive_ns", .integer(w.alive)), ("computing_ns", .integer(w.computing)), ("kept_ns", .integer(w.kept)),
            ("contributed_ns", .integer(w.contributed)), ("indeterminate_ns", .integer(w.indeterminate)), ("harmful_ns", .integer(w.harmful)),
            ("unmeasured_ns", .integer(w.unmeasured)),
        ])
    }

    private static func facts(_ account: RunAccount) -> JSONValue {
        .object(account.record.facts.filter { $0.key != RunFact.configuration }.sorted { $0.key < $1.key }.map { (key: $0.key, value: .text($0.value)) })
    }

    /// Every setting by its dotted name; null when the record's own configuration cannot be read.
    static func configuration(_ record: RunRecord) -> JSONValue {
        guard let config = record.configuration else { return .null }
        let files = JSONValue.list(config.data.files.map { .text($0) })
        return .object(ConfigKey.all.map { (key: $0.name, value: $0.name == "data.files" ? files : plain($0.read(config))) })
    }

    private static func plain(_ text: String) -> JSONValue {
        if let integer = Int(text) { return .integer(integer) }
        if let real = Double(text), real.isFinite { return .real(real) }
        return ["true": .flag(true), "false": .flag(false)][text] ?? .text(text)
    }
}
