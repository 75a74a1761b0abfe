import Ledger
import RunSpec

extension RunTable {
    /// Every table of a run, in the order of the report.
    package static func all(_ account: RunAccount) -> [RunTable] {
        [
            categories(account), slots(account), steps(account), validations(account), probes(account), windows(account), fates(account),
            incidents(account), bills(account), faults(account), workers(account), processes(account), sources(account), noise(account),
            definitions(account), checkpoints(account), intervals(account), restores(account), sessions(account),
        ]
    }

    /// Sums to the budget: what no category explains is the last row.
    private static func categories(_ account: RunAccount) -> RunTable {
        let accounts = account.accounts, budget = Double(accounts.budgetNanoseconds)
        func row(_ code: String, _ name: String, _ group: String, _ definition: String, _ time: Int) -> [JSONValue] {
            [.text(code), .text(name), .text(group), .text(definition), .integer(time), JSONValue(budget > 0 ? Double(time) / budget : nil),
             .real(account.headlines.cost(nanoseconds: time))]
        }
        let rows = Category.allCases.map { row($0.code, $0.name, $0.group.plainName, $0.definition, accounts.nanoseconds($0)) }
        return RunTable("categories", ["code", "name", "group", "definition", "time_ns", "share", "cost"],
            rows + [row("U", "unaccounted", "unaccounted", "what no category explains", accounts.unaccountedNanoseconds)])
    }

    private static func slots(_ account: RunAccount) -> RunTable {
        RunTable("slots", ["slot", "code", "time_ns"], account.accounts.bySlot.sorted { $0.key < $1.key }.flatMap { slot, bill in
            bill.sorted { $0.key < $1.key }.map { [.integer(slot), .text($0.key.code), .integer($0.value)] }
        })
    }

    /// The final lineage. Step n is the update that was the n-th to be committed.
    private static func steps(_ account: RunAccount) -> RunTable {
        let credits = Dictionary(account.contribution.credits.map { ($0.step, $0) }, uniquingKeysWith: { $1 })
        let sessions = Dictionary(account.record.sessions.map { ($0.session, $0) }, uniquingKeysWith: { $1 })
        var previous: CommitRow?
        let rows = account.commits.map { commit -> [JSONValue] in
            let credit = credits[commit.step], session = sessions[commit.session]
            let took = previous.flatMap { $0.session == commit.session ? Int(commit.nanoseconds) - Int($0.nanoseconds) : nil }
            let unix = session.map { $0.startedUnixSeconds + (Double(commit.nanoseconds) - Double($0.startedNanoseconds)) / 1e9 }
            previous = commit
            return [
                .integer(commit.step), .integer(commit.session), .integer(commit.view), JSONValue(unix), JSONValue(commit.nanoseconds), JSONValue(took),
                .integer(commit.tokens), JSONValue(commit.tokens > 0 ? commit.lossSum / Double(commit.tokens) : nil), .real(commit.gradientNorm),
                .real(commit.learningRate), JSONValue(credit?.credit), JSONValue(credit?.standardError), .text(commit.stateHash),
            ]
        }
        return RunTable("steps", [
            "step", "session", "view", "committed_unix_seconds", "committed_ns", "step_ns", "tokens", "loss_nats_per_token", "gradient_norm",
            "learning_rate", "credit_nats_per_token", "credit_se_nats_per_token", "state_hash",
        ], rows)
    }

    private static func validations(_ account: RunAccount) -> RunTable {
        RunTable("validations", ["step", "loss_nats_per_token", "tokens"], account.validations.map {
            [.integer($0.step), .real($0.lossSum / Double($0.tokens)), .integer($0.tokens)]
        })
    }

    private static func probes(_ account: RunAccount) -> RunTable {
        RunTable("probes", ["step", "decision_loss_nats_per_token", "audit_loss_nats_per_token", "sequences"],
            Contribution.probes(account.record, upTo: account.commits.last?.step ?? 0).map { row in
                func mean(_ nats: [Double]) -> JSONValue { .real(nats.reduce(0, +) / Double(nats.count * row.tokensPerSequence)) }
                return [.integer(row.step), mean(row.decision), mean(row.audit), .integer(row.audit.count)]
            })
    }

    private static func windows(_ account: RunAccount) -> RunTable {
        func columns(_ probe: String) -> [String] {
            ["change", "low", "high", "se", "minimum_detectable"].map { "\(probe)_\($0)_nats_per_token" } + ["\(probe)_verdict"]
        }
        func effect(_ e: PairedEffect) -> [JSONValue] {
            [.real(e.change), .real(e.low), .real(e.high), .real(e.standardError), .real(e.minimumDetectable), .text(e.verdict.rawValue)]
        }
        let ends = ["credit_nats_per_token", "credit_se_nats_per_token", "credited_updates", "updates"]
        return RunTable("windows", ["start_step", "end_step"] + columns("audit") + columns("decision") + ends, account.contribution.windows.map {
            let isCredited = $0.credit.credited > 0
            return [.integer($0.start), .integer($0.end)] + effect($0.audit) + effect($0.decision)
                + [JSONValue(isCredited ? $0.credit.credit : nil), JSONValue(isCredited ? $0.credit.standardError : nil), .integer($0.credit.credited), .integer($0.credit.updates)]
        })
    }

    private static func fates(_ account: RunAccount) -> RunTable {
        let counts = account.fates.counts, total = account.fates.executions.count
        return RunTable("fates", ["fate", "executions", "share"], Fate.allCases.map {
            [.text($0.rawValue), .integer(counts[$0] ?? 0), JSONValue(total > 0 ? Double(counts[$0] ?? 0) / Double(total) : nil)]
        })
    }

    private static func incidents(_ account: RunAccount) -> RunTable {
        func text(of incident: IncidentRow) -> String? {
            incident.fault.flatMap { fault in account.record.faults.first { $0.session == incident.session && $0.fault == fault }?.text }
        }
        return RunTable("incidents", [
            "incident", "session", "kind", "slot", "replica", "step", "description", "injected_fault", "onset_ns", "onset_is_exact", "detected_ns",
            "planned_ns", "detection_ns", "onset_to_commit_ns", "delay_ns", "lost_worker_ns", "cost", "microbatches_lost", "microbatches_moved",
        ], account.incidents.map { bill in
            let i = bill.incident
            return [
                .integer(i.incident), .integer(i.session), .text(i.kind.rawValue), .integer(i.slot), .integer(i.replica), .integer(i.step), .text(i.description),
                JSONValue(text(of: i)), JSONValue(i.onsetNanoseconds), .flag(i.onsetIsExact), JSONValue(i.detectedNanoseconds), JSONValue(i.plannedNanoseconds),
                JSONValue(i.onsetIsExact ? bill.detectionNanoseconds : nil), JSONValue(bill.onsetToCommitNanoseconds), JSONValue(bill.delayNanoseconds),
                .integer(bill.workerNanoseconds), .real(bill.cost), .integer(bill.microbatchesLost), .integer(i.leavesReassigned),
            ]
        })
    }

    /// Every injected fault, matched with what the run saw of it.
    private static func faults(_ account: RunAccount) -> RunTable {
        RunTable("faults", ["session", "fault", "kind", "verdict", "fired_ns", "detection_ns", "taken_for", "mechanism"], FaultOutcome.all(account.record).map {
            [
                .integer($0.session), .text($0.text), JSONValue($0.kind?.rawValue), .text($0.verdict.rawValue), JSONValue($0.firedNanoseconds),
                JSONValue($0.latencyNanoseconds), JSONValue($0.takenFor), JSONValue($0.mechanism?.rawValue),
            ]
        })
    }

    /// Where the time lost to each incident went.
    private static func bills(_ account: RunAccount) -> RunTable {
        RunTable("incident_bills", ["incident", "code", "time_ns"], account.incidents.flatMap { bill in
            bill.bill.sorted { $0.key < $1.key }.map { [.integer(bill.incident.incident), .text($0.key.code), .integer($0.value)] }
        })
    }
}
