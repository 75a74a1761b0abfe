import Coordination
import Ledger
import RunSpec

/// A checkpoint that is due and waits for the one before it.
struct LateCheckpoint {
    let since: UInt64
    /// How many more have fallen due meanwhile.
    var merged = 0
}

/// What the launcher knew when the step under way began.
struct StepMark {
    let nanoseconds: UInt64, view: Int, nextIncident: Int
    /// Nothing but the step itself is computed in it, as far as was known.
    let isPlain: Bool
    let besideWriter: Bool
}

/// When checkpoints are due, and what there is to know for that. Nothing of it changes the weights.
extension Launcher {
    private static let retryDoublings = 20

    /// Whether a checkpoint is to be begun at this boundary, if a writer can be. One that falls due while the one before it
    /// is still being written waits for it; training does not. No two wait: they become one.
    func isCheckpointDue() -> Bool {
        let isDue = tuner?.isDue(stepsSinceLast: step - checkpointStep) ?? config.checkpoints(after: step) || retryStep.map { $0 <= step } ?? false
        if isDue { checkpointWanted = true }
        guard let writer, checkpointWanted, step < config.steps else { return checkpointWanted }
        if late == nil {
            late = LateCheckpoint(since: MonotonicClock.nanoseconds())
        } else if isDue, tuner == nil {
            late!.merged += 1
        }
        if isDue, tuner == nil, !hasSaidLate {
            hasSaidLate = true
            notify(.message("the disk is slower than the interval of checkpoints: the one of step \(step) waits for that of step \(writer.row.step); training does not, and the report counts those to come"))
        }
        return true
    }

    /// A whole interval without a checkpoint is what its length was chosen against: after one that failed the next is tried a
    /// step later, then two, then four.
    func retryCheckpoint() {
        retryStep = step + 1 << min(failedWriters, Self.retryDoublings)
        failedWriters += 1
    }

    // MARK: What a step took

    /// A step is committed.
    func noteStep(at now: UInt64) {
        guard let mark else { return }
        let seconds = Double(now - mark.nanoseconds) / 1e9
        tuner?.took(CheckpointTuner.Step(
            seconds: seconds, workers: views.view.members.count, isPlain: mark.isPlain && mark.view == views.view.number && mark.nextIncident == nextIncident,
            besideWriter: mark.besideWriter, writerGoesOn: writer != nil))
    }

    /// The next one begins.
    func markStep(at now: UInt64, isFirst: Bool = false) {
        guard tuner != nil else { return }
        mark = StepMark(
            nanoseconds: now, view: views.view.number, nextIncident: nextIncident,
            isPlain: !isFirst && !config.evaluates(after: step) && probes.next != step, besideWriter: writer != nil)
    }

    /// A view is announced: where nobody computed before, a step begins with it.
    func noteTrainingGoesOn(at now: UInt64) {
        guard mark == nil else { return }
        if let since = rewoundFor { tuner?.restarted(seconds: Double(now - since) / 1e9) }
        rewoundFor = nil
        markStep(at: now, isFirst: true)
    }

    // MARK: What a failure and a checkpoint took

    /// A loss that the run goes back for, or would have to without its memory.
    func noteLoss(rewound: Bool) {
        guard tuner != nil else { return }
        let found = openIncidents.first?.detectedNanoseconds ?? MonotonicClock.nanoseconds()
        let lost = mark.map { Double(found - min(found, $0.nanoseconds)) / 1e9 } ?? 0
        tuner?.failed(secondsSinceStep: lost)
        mark = nil
        if rewound { rewoundFor = rewoundFor ?? found }
    }

    func noteDurable(_ row: CheckpointRow, at now: UInt64) throws {
        failedWriters = 0
        // Once nobody trains any more there is no interval to choose, and writing is quicker.
        guard !shared.stopRequested else { return }
        tuner?.persisted(seconds: Double(now - row.requestedNanoseconds) / 1e9)
        try chooseInterval(.checkpoint)
    }

    /// Chooses the interval anew, from all that is known by now.
    func chooseInterval(_ cause: IntervalRow.Cause) throws {
        guard let before = tuner.map({ $0.choice?.steps }), let choice = tuner?.choose() else { return }
        try ledger.append(IntervalRow(session: session, step: step, nanoseconds: MonotonicClock.nanoseconds(), cause: cause, choice: choice))
        if before == nil { notify(.message("a checkpoint every \(choice.steps) step\(choice.steps == 1 ? "" : "s"), until the run shows another interval to be better")) }
    }
}
