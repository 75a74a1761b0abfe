// Whether what the rows say can have happened: in this order, with these settings.

import RunSpec

extension Verification {
    static func times(_ record: RunRecord) -> Check {
        let name = "times are in order"
        let wrong = record.sessions.flatMap { disorder(in: $0, record) } + disorder(record)
        guard let first = wrong.first else { return Check(.accounts, name, .passed, "within \(record.sessions.count) sessions, no row is earlier than what it follows from") }
        return Check(.accounts, name, .failed, first + (wrong.count > 1 ? "; \(wrong.count - 1) more like it" : ""))
    }

    /// Slots, workers and commits lie within their session, commits one after the other.
    private static func disorder(in session: SessionRow, _ record: RunRecord) -> [String] {
        let start = session.startedNanoseconds, end = session.endedNanoseconds ?? .max
        var wrong: [String] = []
        for slot in record.slots where slot.session == session.session && (slot.openedNanoseconds < start || slot.closedNanoseconds < slot.openedNanoseconds || slot.closedNanoseconds > end) {
            wrong.append("slot \(slot.slot) is open outside session \(session.session)")
        }
        for row in record.replicas where row.session == session.session {
            // The end of one that outlived its launcher is the last it wrote itself: what the launcher noted may be later.
            let noted = row.exit == "orphaned" ? [] : [row.readyNanoseconds, row.admittedNanoseconds]
            let marks = [start, row.spawnedNanoseconds] + (noted + [row.endedNanoseconds, row.reapedNanoseconds]).compactMap { $0 } + [end]
            if zip(marks, marks.dropFirst()).contains(where: { $0 > $1 }) { wrong.append("the life of worker process \(row.replica) is out of order") }
        }
        var last = start
        for commit in record.commits where commit.session == session.session {
            if commit.nanoseconds < last || commit.nanoseconds > end { wrong.append("step \(commit.step) is committed before the step it follows, or outside its session") }
            last = max(last, commit.nanoseconds)
        }
        return wrong
    }

    private static func disorder(_ record: RunRecord) -> [String] {
        let incidents = record.incidents.filter { $0.onsetNanoseconds > $0.detectedNanoseconds || $0.detectedNanoseconds > $0.plannedNanoseconds ?? .max }
        let checkpoints = record.checkpoints.filter { $0.requestedNanoseconds > $0.durableNanoseconds ?? .max }
        return incidents.map { "incident \($0.incident) is detected before its onset, or planned for before that" }
            + checkpoints.map { "checkpoint step-\($0.step) is durable before it was asked for" }
    }

    /// What each commit and each validation pass says of itself follows from the configuration.
    static func amounts(_ record: RunRecord) -> Check {
        let name = "amounts follow from the configuration"
        guard record.facts[RunFact.configurationDigest] != nil, let config = record.configuration else { return Check(.figures, name, .skipped, "the record has no configuration") }
        var wrong: [String] = []
        for commit in record.commits {
            if commit.tokens < (commit.isVetoed ? 0 : 1) || commit.tokens > config.tokensPerStep { wrong.append("step \(commit.step) has \(commit.tokens) tokens of \(config.tokensPerStep)") }
            let rate = commit.step > 0 ? config.schedule.rate(step: commit.step - 1, of: config.steps) : 0
            if commit.learningRate != rate { wrong.append("step \(commit.step) has learning rate \(commit.learningRate), not \(rate)") }
            if commit.lossSum < 0 || commit.gradientNorm < 0 { wrong.append("step \(commit.step) has a loss or a gradient norm below 0") }
        }
        for pass in record.evaluations where pass.tokens != record.evaluations[0].tokens || pass.lossSum < 0 {
            wrong.append("the validation pass of step \(pass.step) is over \(pass.tokens) tokens with \(pass.lossSum) nats, the first over \(record.evaluations[0].tokens)")
        }
        guard let first = wrong.first else { return Check(.figures, name, .passed, "tokens and learning rates of \(record.commits.count) commits, \(record.evaluations.count) validation passes over equal text") }
        return Check(.figures, name, .failed, first + (wrong.count > 1 ? "; \(wrong.count - 1) more like it" : ""))
    }
}
