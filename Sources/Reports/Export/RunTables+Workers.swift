import Ledger
import RunSpec

extension RunTable {
    /// By slot: who lived in it, how long others waited for it, and what its microbatches did for the probe loss.
    static func workers(_ account: RunAccount) -> RunTable {
        let record = account.record, contributions = Dictionary(account.contribution.workers.map { ($0.slot, $0) }, uniquingKeysWith: { $1 })
        return RunTable("workers", [
            "slot", "processes", "incidents", "waited_for_ns", "sampled_steps", "sampled_microbatches", "predicted_drop_nats_per_token",
            "others_predicted_drop_nats_per_token", "z", "is_suspect",
        ], Set(record.slots.map(\.slot)).sorted().map { slot in
            let c = contributions[slot]
            return [
                .integer(slot), .integer(record.replicas.count { $0.slot == slot }), .integer(record.incidents.count { $0.slot == slot }),
                .integer(account.accounts.straggledFor[slot] ?? 0), .integer(c?.steps ?? 0), .integer(c?.leaves ?? 0), JSONValue(c?.mean), JSONValue(c?.others),
                JSONValue(c?.z), .flag(c?.isSuspect ?? false),
            ]
        })
    }

    static func processes(_ account: RunAccount) -> RunTable {
        RunTable("processes", [
            "replica", "session", "slot", "pid", "replaces_after_incident", "spawned_ns", "ready_ns", "admitted_ns", "ended_ns", "reaped_ns", "exit",
            "exit_code", "cpu_ns", "lost_events", "sent_bytes", "hidden_bytes", "resident_bytes",
        ], account.record.replicas.map {
            [
                .integer($0.replica), .integer($0.session), .integer($0.slot), .integer($0.pid), JSONValue($0.incident), JSONValue($0.spawnedNanoseconds),
                JSONValue($0.readyNanoseconds), JSONValue($0.admittedNanoseconds), JSONValue($0.endedNanoseconds), JSONValue($0.reapedNanoseconds),
                JSONValue($0.exit), JSONValue($0.exitCode), JSONValue($0.cpuNanoseconds), .integer($0.lostEvents), JSONValue($0.sentBytes), JSONValue($0.hiddenBytes),
                JSONValue($0.residentBytes),
            ]
        })
    }

    static func sources(_ account: RunAccount) -> RunTable {
        RunTable("sources", ["source", "token_share", "predicted_drop_nats_per_token", "predicted_drop_se_nats_per_token"], account.contribution.sources.map {
            [.text($0.name), .real($0.share), .real($0.mean), .real($0.standardError)]
        })
    }

    static func noise(_ account: RunAccount) -> RunTable {
        RunTable("noise_scale", ["step", "noise_scale_sequences"], account.contribution.noiseScale.map { [.integer($0.step), .real($0.sequences)] })
    }

    static func definitions(_ account: RunAccount) -> RunTable {
        let own = ("this ledger", "headway", "productive compute ÷ provisioned worker time", account.headlines.computeGoodput as Double?, "")
        let others = GoodputDefinition.all(account).map { ($0.name, $0.source, $0.formula, $0.value, $0.difference) }
        return RunTable("definitions", ["name", "source", "formula", "goodput", "difference"], ([own] + others).map {
            [.text($0.0), .text($0.1), .text($0.2), JSONValue($0.3), .text($0.4)]
        })
    }

    static func checkpoints(_ account: RunAccount) -> RunTable {
        RunTable("checkpoints", ["session", "step", "requested_ns", "durable_ns", "took_ns", "bytes", "status", "writer_cpu_ns", "late_ns", "merged"], account.record.checkpoints.map {
            let requested = $0.requestedNanoseconds, took = $0.durableNanoseconds.map { Int($0) - Int(requested) }
            return [
                .integer($0.session), .integer($0.step), JSONValue($0.requestedNanoseconds), JSONValue($0.durableNanoseconds), JSONValue(took), .integer($0.bytes),
                .text($0.status), JSONValue($0.cpuNanoseconds), JSONValue($0.lateNanoseconds), .integer($0.merged),
            ]
        })
    }

    /// What the interval between checkpoints was chosen from, each time that it was: see `CheckpointChoice`.
    static func intervals(_ account: RunAccount) -> RunTable {
        RunTable("checkpoint_intervals", [
            "session", "step", "chosen_ns", "cause", "steps", "least_steps", "most_steps", "step_seconds", "blocking_seconds", "persist_seconds", "restart_seconds",
            "failures", "exposure_worker_seconds", "prior_worker_seconds", "workers", "between_failures_seconds", "between_failures_low_seconds",
            "between_failures_high_seconds", "young_seconds", "daly_seconds", "expected_loss", "young_expected_loss", "daly_expected_loss",
        ], account.record.intervals.map { row in
            let choice = row.choice, costs = choice.costs, between = choice.betweenFailuresInterval
            let seconds = [choice.betweenFailures, between.lowerBound, between.upperBound, costs.young, costs.daly, choice.loss, choice.loss(interval: costs.young), choice.loss(interval: costs.daly)]
            return [
                .integer(row.session), .integer(row.step), JSONValue(row.nanoseconds), .text(row.cause.rawValue), .integer(choice.steps), .integer(choice.leastSteps),
                .integer(choice.mostSteps), .real(choice.stepSeconds), .real(choice.blocking), .real(choice.persist), .real(choice.restart), .integer(choice.rate.failures),
                .real(choice.rate.exposureSeconds), .real(choice.rate.priorSeconds), .integer(choice.workers),
            ] + seconds.map { .real($0) }
        })
    }

    /// Every checkpoint that a restore looked at.
    static func restores(_ account: RunAccount) -> RunTable {
        RunTable("restores", ["session", "step", "at_ns", "damage"], account.record.restores.map {
            [.integer($0.session), .integer($0.step), JSONValue($0.nanoseconds), JSONValue($0.damage)]
        })
    }

    static func sessions(_ account: RunAccount) -> RunTable {
        RunTable("sessions", ["session", "started_ns", "ended_ns", "started_unix_seconds", "start_step", "source"], account.record.sessions.map {
            [
                .integer($0.session), JSONValue($0.startedNanoseconds), JSONValue($0.endedNanoseconds), .real($0.startedUnixSeconds), .integer($0.startStep),
                .text($0.source),
            ]
        })
    }
}
