// Whether rows are missing or were changed: what one row names, another must hold.

import RunSpec

extension Verification {
    static func rows(_ account: RunAccount) -> Check {
        let name = "no row is missing", record = account.record
        let missing = unknownSessions(record) + unknownReplicas(record) + gaps(record) + missingEnd(account) + missingPasses(record)
        guard let first = missing.first else { return Check(.lineage, name, .passed, "whatever a row refers to is there") }
        return Check(.lineage, name, .failed, first + (missing.count > 1 ? "; \(missing.count - 1) more like it" : ""))
    }

    private static func unknownSessions(_ record: RunRecord) -> [String] {
        let known = Set(record.sessions.map(\.session))
        let named = [
            ("slot", record.slots.map(\.session)), ("worker process", record.replicas.map(\.session)), ("view", record.views.map(\.session)),
            ("commit", record.commits.map(\.session)), ("incident", record.incidents.map(\.session)), ("fault", record.faults.map(\.session)),
            ("validation pass", record.evaluations.map(\.session)), ("probe", record.probes.map(\.session)),
            ("launcher's span", record.launcherSpans.map(\.session)), ("contribution", record.contributions.map(\.session)), ("checkpoint", record.checkpoints.map(\.session)),
            ("checkpoint interval", record.intervals.map(\.session)),
        ]
        return named.flatMap { what, sessions in
            Set(sessions).subtracting(known).sorted().map { "a \(what) names session \($0), which has no row" }
        }
    }

    private static func unknownReplicas(_ record: RunRecord) -> [String] {
        let known = Set(record.replicas.map(\.replica)), places = Set(record.slots.map { Place(session: $0.session, slot: $0.slot) })
        let named = [
            ("a commit", Set(record.commits.flatMap(\.leafReplicas))), ("a view", Set(record.views.flatMap(\.members))),
            ("an incident", Set(record.incidents.map(\.replica))), ("a flight recorder", Set(record.flights.keys)),
        ]
        let replicas = named.flatMap { what, replicas in
            replicas.subtracting(known).sorted().map { "\(what) names worker process \($0), which has no row" }
        }
        let faults = Set(record.faults.map { [$0.session, $0.fault] })
        let injected = record.incidents.filter { incident in incident.fault.map { !faults.contains([incident.session, $0]) } ?? false }
            .map { "incident \($0.incident) names an injected fault, which has no row" }
        return injected + replicas + record.replicas.filter { !places.contains(Place(session: $0.session, slot: $0.slot)) }.map {
            "worker process \($0.replica) lived in slot \($0.slot) of session \($0.session), which has no row: its time is in no account"
        }
    }

    /// A finished run was validated and probed when its configuration says so.
    private static func missingPasses(_ record: RunRecord) -> [String] {
        guard record.facts[RunFact.outcome] == "finished", let config = record.configuration else { return [] }
        var missing: [String] = []
        if record.facts[RunFact.validationText] != nil {
            let validated = Set(record.evaluations.map(\.step))
            missing += (min(record.startStep, config.steps)...config.steps).filter { config.evaluates(after: $0) && !validated.contains($0) }.map { "the validation pass of step \($0) has no row" }
        }
        let probed = record.probes.map(\.step)
        if let first = probed.min(), first > record.startStep { missing.append("the first probe is of step \(first), not of step \(record.startStep)") }
        if let last = probed.max(), last < config.steps { missing.append("the last probe is of step \(last), not of step \(config.steps)") }
        return missing
    }

    /// Sessions, views and incidents are numbered from 1 without gaps.
    private static func gaps(_ record: RunRecord) -> [String] {
        let numbered = [
            ("session", record.sessions.map(\.session)), ("view", record.views.map(\.view)),
            ("incident", record.incidents.map(\.incident) + record.replicas.compactMap(\.incident) + record.replicas.compactMap(\.stoppedFor)
                + record.launcherSpans.compactMap(\.incident)),
        ]
        return numbered.compactMap { what, numbers in
            let rows = what == "incident" ? Set(record.incidents.map(\.incident)) : Set(numbers)
            return (1..<(numbers.max() ?? 0) + 1).first { !rows.contains($0) }.map { "\(what) \($0) of \(numbers.max() ?? 0) has no row" }
        }
    }

    /// A run is finished when its last step is committed and durable.
    private static func missingEnd(_ account: RunAccount) -> [String] {
        let facts = account.record.facts
        guard facts[RunFact.outcome] == "finished", let steps = facts[RunFact.steps].flatMap({ Int($0) }) else { return [] }
        let last = account.commits.last?.step ?? account.record.startStep
        if last != steps { return ["the run finished, but its last commit is of step \(last) of \(steps)"] }
        let isSafe = account.record.checkpoints.contains { $0.step == steps && $0.durableNanoseconds != nil }
        return isSafe ? [] : ["the run finished, but no row says that the checkpoint of step \(steps) is durable"]
    }

    /// What is written twice must agree: the configuration with its digest, and facts that follow from it.
    static func facts(_ record: RunRecord) -> Check {
        let name = "the facts agree with the configuration", facts = record.facts
        guard let digest = facts[RunFact.configurationDigest], facts[RunFact.configuration] != nil else { return Check(.data, name, .skipped, "the record has no configuration") }
        guard let config = record.configuration else { return Check(.data, name, .failed, "the configuration cannot be read") }
        guard config.digest == digest else {
            return Check(.data, name, .failed, "the configuration has digest \(config.digest.prefix(12)), the run began with \(digest.prefix(12)): one of them was changed")
        }
        let wanted = [
            (RunFact.steps, String(config.steps)), (RunFact.microbatches, String(config.batch.microbatches)),
            (RunFact.tokensPerStep, String(config.tokensPerStep)), (RunFact.sequencesPerMicrobatch, String(config.sequencesPerMicrobatch)),
            (RunFact.costPerWorkerHour, String(config.cost.workerHour)), (RunFact.currency, config.cost.currency),
        ]
        let wrong = wanted.filter { facts[$0.0] != $0.1 }.map { "`\($0.0)` is \(facts[$0.0] ?? "missing"), by the configuration it is \($0.1)" }
        return Check(.data, name, wrong.isEmpty, wrong.isEmpty ? "\(wanted.count) facts follow from the configuration, whose digest holds" : wrong.joined(separator: "; "))
    }
}

extension RunRecord {
    /// What the run was configured with; nil when that is missing or cannot be read.
    package var configuration: RunConfig? {
        guard let yaml = facts[RunFact.configuration] else { return nil }
        var config = RunConfig()
        do { try config.apply(yaml: yaml, file: "the ledger's configuration") } catch { return nil }
        return config
    }
}
