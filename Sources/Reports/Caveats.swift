import Ledger

extension RunAccount {
    /// What must be known before a figure of this run is believed, a sentence each; empty for a run that ended in order
    /// and whose record passes its checks.
    var caveats: [String] {
        let facts = record.facts, outcome = facts[RunFact.outcome]
        guard !record.sessions.isEmpty || !record.commits.isEmpty else { return ["nothing has been recorded yet"] }
        var sentences: [String] = []
        if outcome == "running" { sentences.append("the run is still going: every figure is of the part so far, fates of the step under way are open") }
        if outcome == RunFact.abandoned {
            sentences.append("the launcher died without a word: what workers did after their records were last drained is missing; `headway resume` takes it in and goes on")
        }
        if !record.slots.isEmpty {
            sentences += Verification(self).failures.map { "a check of its record fails, and figures that rest on it cannot be believed: \($0.name): \($0.detail)" }
        }
        let missing = [RunFact.steps, RunFact.tokensPerStep, RunFact.microbatches, RunFact.configuration].filter { facts[$0] == nil }
        if !missing.isEmpty { sentences.append("facts are missing: \(missing.joined(separator: ", "))") }
        return sentences
    }
}
