import RunSpec

/// Decides how many steps lie between checkpoints, from what the run has shown so far: how long steps take with and without
/// a writer beside them, how long writing takes, how often failures send the run back. A value type, as the other
/// machines: times are told, never taken.
package struct CheckpointTuner: Sendable {
    /// The first checkpoint comes after so many steps, to be measured; if it fails, the next one after twice as many.
    package static let firstSteps = 4
    /// Steps and checkpoints that estimates rest on: the last ones.
    static let stepsRemembered = 32, checkpointsRemembered = 16
    /// A quiet step that takes more than so many typical ones counts as so many: something else happened in it.
    static let outlier = 4.0

    /// A step as it went: from commit to commit.
    package struct Step: Equatable, Sendable {
        package var seconds: Double
        package var workers: Int
        /// Nothing else happened in it: no loss, no new view, no held-out pass.
        package var isPlain: Bool
        /// A writer was at work during it, and whether one still is.
        package var besideWriter: Bool, writerGoesOn: Bool

        package init(seconds: Double, workers: Int, isPlain: Bool, besideWriter: Bool, writerGoesOn: Bool) {
            (self.seconds, self.workers, self.isPlain) = (seconds, workers, isPlain)
            (self.besideWriter, self.writerGoesOn) = (besideWriter, writerGoesOn)
        }
    }

    private let plannedSteps: Int
    /// How much the prior of the failure rate weighs, in runs as long as this one is planned to be.
    private let priorRuns: Double
    package private(set) var failures: Int
    /// Worker-seconds of training.
    package private(set) var exposureSeconds: Double
    private var attempts = 0, stepsSinceQuiet = 0, workers = 0
    private var quiet: [Double] = [], beside: [Double] = [], besideCount = 0
    private var excesses: [Double] = [], persists: [Double] = [], restarts: [Double] = []
    package private(set) var choice: CheckpointChoice?

    /// - Parameters:
    ///   - policy: where every loss sends the run back, ten failures in a run are expected, on as little evidence as a
    ///     twentieth of one: to fear too many costs some early checkpoints, to fear too few a long way back. Where the memory
    ///     has to go for that, half a failure in 32 runs.
    ///   - failures, exposureSeconds: of earlier sessions.
    package init(plannedSteps: Int, policy: LossPolicy, failures: Int = 0, exposureSeconds: Double = 0) {
        (self.plannedSteps, priorRuns) = (plannedSteps, policy == .restart ? 0.05 : 32)
        (self.failures, self.exposureSeconds) = (failures, exposureSeconds)
    }

    /// Whether a checkpoint is due, so many steps after the last one. Now and then one waits for a step without a writer:
    /// else nobody would know any more what such a step takes.
    package func isDue(stepsSinceLast: Int) -> Bool {
        guard let choice else { return stepsSinceLast >= Self.firstSteps << min(attempts, 20) }
        return stepsSinceLast >= choice.steps && stepsSinceQuiet < Self.stepsRemembered
    }

    package mutating func took(_ step: Step) {
        exposureSeconds += step.seconds * Double(step.workers)
        workers = step.workers
        stepsSinceQuiet += 1
        if !step.besideWriter {
            stepsSinceQuiet = 0
            if step.isPlain { Self.note(step.seconds, in: &quiet, Self.stepsRemembered) }
            return
        }
        besideCount += 1
        if step.isPlain { beside.append(step.seconds) }
        if !step.writerGoesOn { closeCheckpoint() }
    }

    /// The last step beside a writer: by how much its steps together were longer than others. Those in which something else
    /// happened are taken to have been like the rest.
    private mutating func closeCheckpoint() {
        if let usual = quietSeconds, !beside.isEmpty {
            let excess = beside.reduce(0) { $0 + $1 - usual }
            Self.note(excess * Double(besideCount) / Double(beside.count), in: &excesses, Self.checkpointsRemembered)
        }
        (beside, besideCount) = ([], 0)
    }

    /// A writer was started.
    package mutating func began() { attempts += 1 }

    package mutating func persisted(seconds: Double) { Self.note(seconds, in: &persists, Self.checkpointsRemembered) }

    /// A failure sent the run back, or would have, had it not been for the memory.
    /// - Parameter secondsSinceStep: of training, since the last step that was told of.
    package mutating func failed(secondsSinceStep: Double) {
        failures += 1
        exposureSeconds += secondsSinceStep * Double(workers)
        (beside, besideCount) = ([], 0)
    }

    /// Training goes on after a failure that sent the run back.
    package mutating func restarted(seconds: Double) { Self.note(seconds, in: &restarts, Self.checkpointsRemembered) }

    /// Chooses anew; nil until there is something to choose from.
    package mutating func choose() -> CheckpointChoice? {
        guard let stepSeconds = quietSeconds, let persist = Self.median(persists), workers > 0, stepSeconds > 0 else { return nil }
        let prior = priorRuns * Double(plannedSteps) * stepSeconds * Double(workers)
        // A writer costs the steps nothing until two checkpoints have said otherwise: too many are cheap, and are learned from.
        choice = CheckpointChoice(
            plannedSteps: plannedSteps, stepSeconds: stepSeconds, blocking: max(0, Self.median(excesses + [0]) ?? 0), persist: persist,
            restart: Self.median(restarts) ?? 0,
            rate: FailureRate(failures: failures, exposureSeconds: exposureSeconds, priorSeconds: prior), workers: workers)
        return choice
    }

    /// What a step without a writer takes on average, outliers cut.
    private var quietSeconds: Double? {
        guard let typical = Self.median(quiet) else { return nil }
        return quiet.reduce(0) { $0 + min($1, Self.outlier * typical) } / Double(quiet.count)
    }

    private static func note(_ value: Double, in values: inout [Double], _ most: Int) {
        values.append(value)
        if values.count > most { values.removeFirst() }
    }

    /// The lower one of two in the middle.
    private static func median(_ values: [Double]) -> Double? { values.isEmpty ? nil : values.sorted()[(values.count - 1) / 2] }
}
