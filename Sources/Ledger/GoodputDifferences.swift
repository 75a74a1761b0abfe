import Foundation

// Why a definition's figure differs from P1 ÷ B on the run at hand: sentences made of the run's own sums.

extension GoodputDefinitions {
    /// What a definition makes of the time between sessions, which the ledger does not count: nobody provisioned it.
    enum Between {
        /// So many nanoseconds of it are good time.
        case good(Int)
        case lost, leftOut
    }

    /// What a definition takes for good that the ledger does not, and the other way round: the categories inside `good`.
    func reconciliation(_ good: JobTime, between: Between) -> String {
        let bill = good.bill(account.attribution.intervals), all = account.accounts.nanoseconds(.productiveCompute)
        let missed = all - (bill[.productiveCompute] ?? 0)
        let groups = Category.Group.allCases.filter { $0 != .productive }
            .map { group in (group, bill.reduce(0) { $0 + ($1.key.group == group ? $1.value : 0) }) }
            .filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
        var parts = groups.prefix(3).map { "\(Self.seconds($0.1)) of \($0.0.plainName)" }
        let rest = groups.dropFirst(3).reduce(0) { $0 + $1.1 }
        if rest > 0 { parts.append("\(Self.seconds(rest)) of others") }
        var text = parts.isEmpty ? "nothing but productive compute is good" : "counts as good, in worker-seconds: " + parts.joined(separator: ", ")
        if missed * 1000 > all { text += "; misses \(Self.seconds(missed)) of productive compute" }
        let gap = history.gapNanoseconds
        switch between {
        case .good(let counted) where counted > 0: text += "; and \(Self.seconds(counted)) s between sessions"
        case .lost where gap > 0: text += "; the \(Self.seconds(gap)) s between sessions are lost time"
        case .leftOut where gap > 0: text += "; leaves out \(Self.seconds(gap)) s between sessions"
        default: break
        }
        return text
    }

    func productivityDifference(_ scheduling: Double?, _ runtime: Double?, _ program: Double?) -> String {
        let factors = "\(Self.factor(scheduling)) × \(Self.factor(runtime)) × \(Self.factor(program))"
        guard program != nil else { return "\(factors): no SGEMM peak was recorded, so that the program's part is unknown" }
        return "\(factors): the program's part is its MFU within kept steps, so that the whole is every slot multiplying at the measured peak"
    }

    func savedStepsDifference(_ loaded: Int, _ saved: Int?) -> String {
        guard let saved, saved > loaded else { return "no checkpoint became durable, so that no step counts" }
        return "steps \(loaded) to \(saved), the newest durable checkpoint; " + medianDifference(saved - loaded)
    }

    /// `steps` counted at the run's median: what that holds besides productive compute.
    func medianDifference(_ steps: Int) -> String {
        guard steps > 0, medianStep > 0 else { return "no two commits follow each other, so that there is no step time" }
        return "charges each step the median \(Self.milliseconds(medianStep)) ms; \(Self.percent(perStep(medianStep))) of that, on \(slotText), is productive compute"
    }

    /// Productive compute per committed step ÷ all slots' time for a step of that length.
    private func perStep(_ nanoseconds: Double) -> Double {
        ratio(Double(account.accounts.nanoseconds(.productiveCompute)), Double(headlines.committedSteps) * nanoseconds * slots)
    }

    private var slotText: String {
        let whole = abs(slots - slots.rounded()) < 0.05
        return slots.rounded() == 1 && whole ? "1 slot" : "\(Self.decimal(slots, whole ? 0 : 1)) slots"
    }

    func slidingDifference(_ worst: Window?) -> String {
        guard let worst else { return "no time has passed" }
        if worst.isWholeRun { return "the run is shorter than an hour, so that it is one window; " + reconciliation(history.kept, between: .lost) }
        let whole = ratio(Double(history.kept.nanoseconds), total)
        return "the hour that begins \(Self.decimal(Double(worst.startNanoseconds) / 60e9, 1)) min into the job; the whole job has \(Self.percent(whole))"
    }

    func commitRateDifference(_ failed: Int, _ attempts: Int) -> String {
        let alive = "× \(Self.factor(headlines.effective.availability)) alive"
        if failed == 0 { return "none of \(attempts) attempts failed; \(alive); waits, validation and start-up do not enter" }
        let lost = failed == 1 ? "1 of \(attempts) attempts lost a worker or its work and counts" : "\(failed) of \(attempts) attempts lost a worker or their work and count"
        return "\(lost) for nothing, whatever the survivors kept of them; \(alive); no other time enters"
    }

    func tokenRateDifference(_ tokens: Double) -> String {
        guard tokens > 0, fastStep > 0 else { return "no two commits follow each other, so that there is no reference rate" }
        return "reference: the fastest tenth of steps, \(Self.decimal(tokens / fastStep * 1e6, 1)) k tokens/s; \(Self.percent(perStep(fastStep))) of such a step, on \(slotText), is productive compute"
    }

    static func decimal(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    static func percent(_ share: Double) -> String { decimal(100 * share, 1) + " %" }
    static func factor(_ value: Double?) -> String { value.map { decimal($0, 4) } ?? "?" }
    static func milliseconds(_ nanoseconds: Double) -> String { decimal(nanoseconds / 1e6, 1) }

    /// About three significant digits.
    static func seconds(_ nanoseconds: Int) -> String {
        let seconds = Double(nanoseconds) / 1e9, size = abs(seconds)
        return decimal(seconds, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.001 ? 4 : 6)
    }
}

extension Category.Group {
    /// For sentences.
    package var plainName: String {
        switch self {
        case .productive: "productive compute"
        case .step: "waits in steps"
        case .waste: "wasted work"
        case .checkpoint: "checkpointing"
        case .evaluation: "evaluation"
        case .startup: "start-up"
        case .failure: "failures"
        case .policy: "slots kept waiting"
        case .host: "host contention"
        case .lifecycle: "shutdown"
        }
    }
}
