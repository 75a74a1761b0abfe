// Whether rows are missing: what one row names, another must hold.

extension Verification {
    static func rows(_ account: RunAccount) -> Check {
        let name = "no row is missing", record = account.record
        let missing = unknownSessions(record) + unknownReplicas(record) + gaps(record) + missingEnd(account)
        guard let first = missing.first else { return Check(.lineage, name, .passed, "whatever a row refers to is there") }
        return Check(.lineage, name, .failed, first + (missing.count > 1 ? "; \(missing.count - 1) more like it" : ""))
    }

    private static func unknownSessions(_ record: RunRecord) -> [String] {
        let known = Set(record.sessions.map(\.session))
        let named = [
            ("slot", record.slots.map(\.session)), ("worker process", record.replicas.map(\.session)), ("view", record.views.map(\.session)),
            ("commit", record.commits.map(\.session)), ("incident", record.incidents.map(\.session)), ("fault", record.faults.map(\.session)),
            ("validation pass", record.evaluations.map(\.session)), ("probe", record.probes.map(\.session)),
            ("contribution", record.contributions.map(\.session)), ("checkpoint", record.checkpoints.map(\.session)),
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
        return replicas + record.replicas.filter { !places.contains(Place(session: $0.session, slot: $0.slot)) }.map {
            "worker process \($0.replica) lived in slot \($0.slot) of session \($0.session), which has no row: its time is in no account"
        }
    }

    /// Sessions, views and incidents are numbered from 1 without gaps.
    private static func gaps(_ record: RunRecord) -> [String] {
        let numbered = [
            ("session", record.sessions.map(\.session)), ("view", record.views.map(\.view)),
            ("incident", record.incidents.map(\.incident) + record.replicas.compactMap(\.incident)),
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
        let last = account.commits.last?.step ?? 0
        if last != steps { return ["the run finished, but its last commit is of step \(last) of \(steps)"] }
        let isSafe = account.record.checkpoints.contains { $0.step == steps && $0.durableNanoseconds != nil }
        return isSafe ? [] : ["the run finished, but no row says that the checkpoint of step \(steps) is durable"]
    }
}
