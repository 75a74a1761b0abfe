import Ledger
import RunSpec

/// Checkpoints that had to wait for the one before them.
struct LateCheckpoints {
    let count: Int, of: Int
    let medianNanoseconds: Int
    /// How many more fell due meanwhile and became one with those that waited.
    let merged: Int

    init(_ record: RunRecord) {
        let late = record.checkpoints.filter { $0.lateNanoseconds > 0 }
        let times = late.map { Int($0.lateNanoseconds) }.sorted()
        (count, of) = (late.count, record.checkpoints.count)
        medianNanoseconds = times.isEmpty ? 0 : times[(times.count - 1) / 2]
        merged = late.reduce(0) { $0 + $1.merged }
    }
}

extension RunAccount {
    /// What there is to say of when checkpoints were written, each with a label of one word or none; shown on page and screen.
    var checkpointNotes: [(label: String, text: String)] {
        lateNote + (record.intervals.last.map { intervalNotes($0.choice) } ?? [])
    }

    private var lateNote: [(label: String, text: String)] {
        let late = LateCheckpoints(record)
        guard late.count > 0 else { return [] }
        let merged = late.merged > 0 ? "; \(Quantity.grouped(late.merged)) more fell due meanwhile and became one with them" : ""
        let cause = record.intervals.isEmpty ? "the disk is slower than the interval: " : ""
        return [("late", "\(cause)\(late.count) of \(Quantity.plural(late.of, "checkpoint")) \(late.count == 1 ? "was" : "were") late, by a median of \(time(Double(late.medianNanoseconds) / 1e9))\(merged)")]
    }

    private func intervalNotes(_ choice: CheckpointChoice) -> [(label: String, text: String)] {
        let costs = choice.costs, between = choice.betweenFailuresInterval
        func bid(_ name: String, _ interval: Double) -> String { "\(name) \(time(interval)) and \(Quantity.percent(choice.loss(interval: interval)))" }
        return [
            ("interval", "auto, \(Quantity.plural(record.intervals.count, "choice")), the last one \(Quantity.plural(choice.steps, "step")) of \(time(choice.stepSeconds)); bounds \(choice.leastSteps) (writing) and \(Quantity.grouped(choice.mostSteps))"),
            ("", "expected loss of training time \(Quantity.percent(choice.loss)); \(bid("Young", costs.young)), \(bid("Daly", costs.daly)), within the bounds"),
            ("from", "\(time(choice.blocking)) by which a checkpoint delays training, \(time(choice.persist)) to write one, \(time(choice.restart)) to restart;"),
            ("", "\(Quantity.plural(choice.rate.failures, "failure")) in \(time(choice.rate.exposureSeconds)) of training workers: one in \(time(choice.betweenFailures)) (95 %: \(time(between.lowerBound)) to \(time(between.upperBound)))"),
        ]
    }

    /// With a decimal where milliseconds are few.
    private func time(_ seconds: Double) -> String { seconds < 0.1 ? Quantity.decimal(1000 * seconds, 1) + " ms" : Quantity.duration(seconds: seconds) }
}
