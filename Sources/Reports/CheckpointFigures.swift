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
        let cause = record.intervals.isEmpty ? ": the disk is slower than the interval" : ""
        let merged = late.merged > 0 ? "; \(Quantity.grouped(late.merged)) more fell due meanwhile and became one with them" : ""
        return [("late", "\(late.count) of \(Quantity.plural(late.of, "checkpoint")) \(late.count == 1 ? "was" : "were") late, by a median of \(time(Double(late.medianNanoseconds) / 1e9))\(cause)\(merged)")]
    }

    private func intervalNotes(_ choice: CheckpointChoice) -> [(label: String, text: String)] {
        let costs = choice.costs, between = choice.betweenFailuresInterval
        func bid(_ name: String, _ interval: Double) -> String { "\(name) \(time(interval)) \(Quantity.percent(choice.loss(interval: interval)))" }
        return [
            ("interval", "auto, \(Quantity.plural(record.intervals.count, "choice")), the last one \(Quantity.plural(choice.steps, "step")) of \(time(choice.stepSeconds)); bounds \(choice.leastSteps) (writing) and \(Quantity.grouped(choice.mostSteps))"),
            ("", "expected loss \(Quantity.percent(choice.loss)); \(bid("Young", costs.young)), \(bid("Daly", costs.daly)) (in the bounds)"),
            ("from", "a checkpoint delays training by \(time(choice.blocking)), writing takes \(time(choice.persist)), a restart \(time(choice.restart))"),
            ("failures", "\(Quantity.grouped(choice.rate.failures)) in \(Quantity.decimal(choice.rate.exposureSeconds, 1)) worker-seconds: one in \(time(choice.betweenFailures)) of training (95 %: \(time(between.lowerBound)) to \(time(between.upperBound)))"),
        ]
    }

    /// With a decimal where milliseconds are few.
    private func time(_ seconds: Double) -> String { seconds < 0.1 ? Quantity.decimal(1000 * seconds, 1) + " ms" : Quantity.duration(seconds: seconds) }
}
