import Ledger

extension RunAccount {
    /// Facts without which a figure of the report would be another.
    private static let needed = [
        RunFact.outcome, RunFact.steps, RunFact.microbatches, RunFact.tokensPerStep, RunFact.sequencesPerMicrobatch, RunFact.parameters,
        RunFact.flopsPerToken, RunFact.costPerWorkerHour, RunFact.currency, RunFact.bytesPerToken, RunFact.configuration,
        RunFact.configurationDigest,
    ]

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
        if let sentence = facts[RunFact.contradiction] { sentences.append(sentence) }
        if !record.slots.isEmpty || !record.replicas.isEmpty || !record.commits.isEmpty {
            sentences += Verification(self).failures.map { "a check of its record fails, and figures that rest on it cannot be believed: \($0.name): \($0.detail)" }
        }
        let missing = RunAccount.needed.filter { facts[$0] == nil } + (outcome == "finished" && facts[RunFact.finalDigest] == nil ? [RunFact.finalDigest] : [])
        if !missing.isEmpty { sentences.append("facts are missing, and figures that rest on them are wrong or left out: \(missing.joined(separator: ", "))") }
        return sentences
    }
}
