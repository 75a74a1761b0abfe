import Collectives
import Kernels
import Ledger
import RunSpec

/// The launcher is gone: nobody can commit any more. What this worker has published stays where it is.
struct LauncherGone: Error {}

/// The turn under way is over: committed without this worker, or thrown away.
struct TurnIsOver: Error {}

/// The others have changed in the middle of the turn, which goes on.
struct Disturbed: Error {}

/// What the parts of a worker's step have in common: who it is, what it writes down, whom it tells, what it waits for.
final class StepContext {
    let shared: SharedState
    let config: RunConfig
    let slot: Int, replica: Int
    let parameters: ChunkSegments
    let recorder: FlightRing
    let instrumented: Bool
    var faults: FaultInjector
    private let launcherLives: () -> Bool
    let ringDoorbell: () -> Void
    /// What is computed here; a result counts for it alone.
    var turn = 0
    private var entered: (phase: Phase, step: Int, unit: Int)?

    init(
        shared: SharedState, config: RunConfig, slot: Int, replica: Int, parameters: ChunkSegments, recorder: FlightRing, instrumented: Bool,
        faults: FaultInjector, launcherLives: @escaping () -> Bool, ringDoorbell: @escaping () -> Void
    ) {
        (self.shared, self.config, self.slot, self.replica, self.parameters) = (shared, config, slot, replica, parameters)
        (self.recorder, self.instrumented, self.faults) = (recorder, instrumented, faults)
        (self.launcherLives, self.ringDoorbell) = (launcherLives, ringDoorbell)
    }

    func enter(_ phase: Phase, _ step: Int, _ unit: Int = 0) {
        guard instrumented else { return }
        entered = (phase, step, unit)
        recorder.record(phase, step: step, view: shared.view, unit: unit)
    }

    /// In the middle of something the worker waits for others, or goes on with it.
    func interrupt(_ waits: Bool) {
        guard instrumented, let entered else { return }
        recorder.record(waits ? .transfer : entered.phase, step: entered.step, view: shared.view, unit: entered.unit)
    }

    /// Sleeps until the condition holds or the turn is over.
    func wait(until condition: () -> Bool) throws {
        guard shared.wait(alive: launcherLives, until: { shared.turn != turn || condition() }) else { throw LauncherGone() }
    }

    func optimizerStep(_ step: Int, gradientNorm: Double) -> AdamWStep {
        let optimizer = config.optimizer
        return AdamWStep(
            step: step, learningRate: config.schedule.rate(step: step, of: config.steps), beta1: optimizer.beta1,
            beta2: optimizer.beta2, epsilon: optimizer.epsilon, weightDecay: optimizer.weightDecay,
            gradientNorm: gradientNorm, clip: optimizer.clip)
    }

    /// Clips and updates a chunk from one generation into the other.
    func update(_ chunk: Int, _ constants: AdamWStep, gradient: UnsafePointer<Float>, from old: StatePointers, into new: StatePointers) {
        for index in parameters.of(chunk) {
            let segment = parameters.all[index]
            adamW(constants, range: segment.range, decays: segment.decays, gradient: gradient, from: old, into: new)
        }
    }

    /// The state that the step began from is not what was committed: the launcher decides what becomes of it.
    func reportDamage(_ chunk: Int) throws -> Never {
        if shared.turn != turn { throw TurnIsOver() }
        shared.reportDamage(chunk: chunk, by: slot, turn: turn)
        ringDoorbell()
        try wait { shared.stopRequested }
        throw TurnIsOver()
    }
}

/// How the gradients of leaves become the next state: in memory that all share, or in messages. Between two calls nothing
/// may be taken for granted but that `begin` came first.
protocol GradientExchange: AnyObject {
    /// θ of the committed step: the vector of the worker's transformer. Valid from `begin` on.
    var parameters: UnsafePointer<Float> { get }
    /// Whether the others have changed so that whoever waits has something to do.
    var isDisturbed: Bool { get }
    /// Whether the launcher waits for this worker's part of the committed state.
    var isAsked: Bool { get }
    /// Whom a pass meets, where all members go through theirs together; nil where each computes for itself. Valid from `begin` on.
    var rounds: RoundPeers? { get }
    /// Whether the results of its passes are this worker's to tell: one does where several go through a pass together.
    var tellsResults: Bool { get }
    /// Runs what waits for others. When they are gone, waits until the launcher has drawn the consequences.
    /// - Throws: `Disturbed` then.
    func exchanging(_ step: Int, _ body: () throws -> Void) throws
    /// Before anything of a turn is computed, and again before every leaf and every unit of the closing passes.
    func begin(_ step: Int) throws
    /// Where the gradient of a leaf is to be written.
    func gradient(_ leaf: Int) -> UnsafeMutablePointer<Float>
    /// Whom its backward pass tells of each block, where it is the worker's last one of the step; nil when nobody wants to know.
    func lastLeaf(_ leaf: Int) -> LastLeaf?
    /// It is written, and so is what else belongs to the leaf.
    func publish(_ leaf: Int)
    /// The mean gradient of the owned chunks.
    func reduce(_ step: Int) throws
    /// The next state of the owned chunks, and a vote for it.
    func update(_ step: Int) throws
    /// Everybody was told to stop.
    func leave(_ step: Int) throws
}

extension GradientExchange {
    var tellsResults: Bool { true }
    var isAsked: Bool { false }
    func lastLeaf(_ leaf: Int) -> LastLeaf? { nil }
}
