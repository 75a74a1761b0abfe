// The few numbers a run is judged by, all from the same sums.

/// Effective goodput as a product of five factors, each with one cause. A factor whose denominator is zero is 0.
package struct EffectiveGoodput: Equatable, Sendable {
    /// A: alive ÷ provisioned. Alive is a worker's time from spawn to its end or the onset of the fault that ended it.
    package var availability: Double
    /// R: compute ÷ alive. Compute is P1 and W1 to W5.
    package var runtime: Double
    /// C: committed compute (P1) ÷ compute.
    package var commitment: Double
    /// S: reference ÷ actual compute seconds of the committed work. The reference charges each committed leaf that
    /// was recorded the run's own median on-CPU time of a leaf (forward and backward), and reduce and update as they
    /// were. Above 1 when the mean leaf is faster than the median.
    package var speed: Double
    /// E: equivalent reference steps ÷ committed steps.
    package var equivalence: Double
    /// The same quantity without the factors: reference compute ÷ budget × E.
    package var direct: Double

    package var product: Double { availability * runtime * commitment * speed * equivalence }
}

package struct Headlines: Sendable {
    /// From first spawn to the end, summed over sessions; time between sessions is not provisioned.
    package let wallSeconds: Double
    /// B in worker-seconds.
    package let workerSeconds: Double
    /// Steps on the final lineage.
    package let committedSteps: Int
    package let committedTokens: Int
    package let processedTokens: Int
    /// P1 ÷ B.
    package let computeGoodput: Double
    /// (P1 + S1 + S2 + S3 + S4) ÷ B.
    package let stepGoodput: Double
    package let effective: EffectiveGoodput
    /// Model FLOPs of the committed tokens ÷ what all provisioned workers could have done at the peak measured at
    /// start-up; nil when no peak is known.
    package let modelFlopsUtilisation: Double?
    /// Median on-CPU time of a committed leaf's forward and backward pass, in nanoseconds.
    package let medianLeafNanoseconds: Int
    /// Median time from commit to commit, in nanoseconds.
    package let medianStepNanoseconds: Int
    /// What a provisioned worker costs per second, in `currency`.
    package let pricePerWorkerSecond: Double
    package let currency: String

    package var tokensPerSecond: Double { ratio(Double(processedTokens), wallSeconds) }
    /// Tokens of the final lineage per second of wall time.
    package var goodTokensPerSecond: Double { ratio(Double(committedTokens), wallSeconds) }
    /// Committed ÷ processed tokens.
    package var tokenGoodput: Double { ratio(Double(committedTokens), Double(processedTokens)) }
    package var cost: Double { workerSeconds * pricePerWorkerSecond }
    package var costPerMillionGoodTokens: Double { ratio(cost, Double(committedTokens) / 1e6) }

    package func cost(nanoseconds: Int) -> Double { Double(nanoseconds) / 1e9 * pricePerWorkerSecond }

    init(
        _ record: RunRecord, _ lineage: Lineage, _ log: FlightLog, _ fates: Fates, _ accounts: Accounts, equivalence: Double
    ) {
        wallSeconds = Double(record.sessionSpans.reduce(0) { $0 + Int($1.end - $1.start) }) / 1e9
        workerSeconds = Double(accounts.budgetNanoseconds) / 1e9
        committedSteps = lineage.rows.count
        committedTokens = fates.committedTokens
        processedTokens = fates.processedTokens
        let budget = Double(accounts.budgetNanoseconds), productive = Double(accounts.nanoseconds(.productiveCompute))
        computeGoodput = ratio(productive, budget)
        stepGoodput = ratio(productive + Double(accounts.nanoseconds(.step)), budget)

        let leaves = fates.executions.filter { $0.fate == .committed }.map { Int($0.computeNanoseconds) }
        medianLeafNanoseconds = median(leaves) ?? 0
        let reference = productive - Double(leaves.reduce(0, +)) + Double(medianLeafNanoseconds) * Double(leaves.count)
        let alive = Double(log.lives.reduce(0) { $0 + Int($1.end - $1.start) })
        let compute = productive + Double(accounts.nanoseconds(.waste))
        effective = EffectiveGoodput(
            availability: ratio(alive, budget), runtime: ratio(compute, alive), commitment: ratio(productive, compute),
            speed: ratio(reference, productive), equivalence: equivalence, direct: ratio(reference, budget) * equivalence)

        let perToken = record.facts[RunFact.flopsPerToken].flatMap { Double($0) }
        let peak = record.facts[RunFact.peakFlopsPerWorker].flatMap { Double($0) }
        if let perToken, let peak, peak > 0 {
            modelFlopsUtilisation = ratio(perToken * Double(fates.committedTokens), peak * budget / 1e9)
        } else {
            modelFlopsUtilisation = nil
        }
        medianStepNanoseconds = median(record.stepDurations.map(\.nanoseconds)) ?? 0
        pricePerWorkerSecond = (record.facts[RunFact.costPerWorkerHour].flatMap { Double($0) } ?? 0) / 3600
        currency = record.facts[RunFact.currency] ?? ""
    }
}

/// 0 when nothing is divided by nothing.
func ratio(_ a: Double, _ b: Double) -> Double { b == 0 ? 0 : a / b }

/// The lower of the two middle values for an even count; nil for none.
func median(_ values: [Int]) -> Int? {
    values.isEmpty ? nil : values.sorted()[(values.count - 1) / 2]
}

extension RunRecord {
    /// Every session that provisioned something, in order: from its first spawn to the last thing known of it.
    var sessionSpans: [(session: Int, start: UInt64, end: UInt64)] {
        Set(slots.map(\.session)).sorted().map { session in
            let slots = slots.filter { $0.session == session }, row = sessions.first { $0.session == session }
            let opened = slots.map(\.openedNanoseconds).min() ?? 0, closed = slots.map(\.closedNanoseconds).max() ?? 0
            let start = replicas.filter { $0.session == session }.map(\.spawnedNanoseconds).min() ?? opened
            let commit = commits.last { $0.session == session }?.nanoseconds ?? 0
            return (session, start, max(row?.endedNanoseconds ?? closed, start, commit))
        }
    }

    /// Time from one commit to the next of the following step, within a session.
    var stepDurations: [(commit: Int, nanoseconds: Int)] {
        zip(commits.indices, commits.indices.dropFirst()).compactMap { a, b in
            guard commits[a].session == commits[b].session, commits[b].step == commits[a].step + 1 else { return nil }
            return (b, Int(commits[b].nanoseconds) - Int(commits[a].nanoseconds))
        }
    }
}
