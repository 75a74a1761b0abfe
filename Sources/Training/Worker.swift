import Collectives
import CSystem
import Glibc
import Kernels
import Ledger
import Model
import RunSpec

/// A worker process, from its first instruction to its last.
package struct Worker {
    package var folder: RunFolder
    package var slot: Int
    package var replica: Int
    /// Event counter that wakes the launcher.
    package var doorbell: Int32
    package var launcher: pid_t
    /// Committed steps when the launcher started it.
    package var step: Int
    /// Measures the SGEMM peak before reporting ready; the first worker of a slot does.
    package var measuresPeak: Bool

    /// How long a worker that computes goes on after its launcher is gone.
    static let graceNanoseconds: UInt64 = 1_000_000_000

    package init(folder: RunFolder, slot: Int, replica: Int, doorbell: Int32, launcher: pid_t, step: Int, measuresPeak: Bool) {
        (self.folder, self.slot, self.replica) = (folder, slot, replica)
        (self.doorbell, self.launcher, self.step, self.measuresPeak) = (doorbell, launcher, step, measuresPeak)
    }

    package func run() throws {
        signal(SIGPIPE, SIG_IGN)
        // SIGTERM asks it to go in order.
        cs_note_interrupts()
        // Until it is admitted it has nothing to finish, and a new launcher may not know of it.
        _ = cs_signal_at_parent_death(SIGKILL)
        guard getppid() == launcher else { return }
        let recorder = try FlightRing(creating: folder.flightPath(replica: replica), replica: replica)
        recorder.record(.initialise, step: 0, view: 0)
        let (config, description) = try folder.read()
        if description.options.pinned { _ = cs_pin_to_core(Int32(slot)) }
        cs_flush_denormals()
        guard BLASLibrary.coreName == description.blasCore else {
            throw UserError(.system, "worker \(slot) has BLAS core \(BLASLibrary.coreName), but the run began with \(description.blasCore); other kernels give other bits")
        }
        let parameters = ParameterLayout(config.model)
        let options = description.options
        let degree = config.batch.tensor, (stage, rank) = (slot % options.groupSize).quotientAndRemainder(dividingBy: degree)
        let part = ModelPart(layers: try ModelPart.stages(options.stages, of: config.model)[stage].layers, rank: rank, degree: degree)
        let transformer = Transformer(
            config.model, sequences: config.sequencesPerMicrobatch, part: part, putsOffWeightGradients: PipelineSchedule.putsOffWeights(stage: stage))
        let data = try WorkerData(folder: folder, config: config, heldOut: description.heldOut)

        recorder.record(.load, step: 0, view: 0)
        let layout = SharedLayout(run: config, description, parameters)
        let shared = try SharedState(opening: description.segmentName, layout: layout, identity: description.identityWord(config))
        shared.populate()
        var faults = FaultInjector(description.options.faults, victim: .worker(slot), shared: shared, recorder: recorder)
        faults.strike(.join, step: step)
        if measuresPeak {
            recorder.record(.initialise, step: 0, view: 0)
            shared.setPeakFlops(slot, BLASLibrary.peakFlops(repeats: 4))
        }

        let launcher = launcher, doorbell = doorbell, slot = slot, replica = replica
        var goneSince: UInt64?
        // Without a launcher nobody can commit, but the step under way can still be finished for the next one.
        let launcherLives = {
            if getppid() == launcher { return true }
            let now = MonotonicClock.nanoseconds()
            goneSince = goneSince ?? now
            return now - goneSince! < Self.graceNanoseconds
        }
        let ringDoorbell = { var one: UInt64 = 1; _ = write(doorbell, &one, 8) }
        recorder.record(.rendezvous, step: shared.committedStep, view: shared.view)
        shared.setSlot(slot, replica: replica, state: .ready)
        ringDoorbell()
        faults.strike(.recovery, step: step)
        let mayGo = { shared.stopRequested || shared.isDismissed(slot) || cs_noted_interrupt() == SIGTERM }
        guard shared.wait(alive: launcherLives, until: { shared.admitted(slot) == replica || mayGo() }) else { return }
        if shared.admitted(slot) != replica {
            // A spare, or one that came too late: nothing was begun.
            if cs_noted_interrupt() == SIGTERM { shared.setSlot(slot, replica: replica, state: .draining) }
            recorder.record(.leave, step: shared.committedStep, view: shared.view)
            return
        }
        _ = cs_signal_at_parent_death(0)
        let context = StepContext(
            shared: shared, config: config, slot: slot, replica: replica, 
            parameters: ChunkSegments(shared: layout, parameters: degree > 1 ? config.model.shards(degree) : [parameters]),
            recorder: recorder, instrumented: options.instrumented, faults: faults, launcherLives: launcherLives, ringDoorbell: ringDoorbell)
        let exchange: any GradientExchange = switch options.transport {
        case .shared: SharedExchange(context)
        case .gloo where options.groupSize > 1:
            try GroupExchange(context, options, transformer, GroupParts(layout, config.model, stages: options.stages), groups: options.workers / options.groupSize,
                identity: description.identityWord(config))
        case .gloo: try MessageExchange(context, options, blocks: parameters.blocks, identity: description.identityWord(config))
        }
        let steps = TrainStep(context, exchange, transformer: transformer, data: data, leafNanoseconds: options.leafNanoseconds)
        do {
            try steps.run()
        } catch is LauncherGone {
            // What is published stays in shared memory; `headway resume` decides what becomes of it.
        }
        recorder.record(.leave, step: shared.committedStep, view: shared.view)
    }
}

extension GroupParts {
    /// Of so many stages, and as many ranks as the layout has shards.
    init(_ layout: SharedLayout, _ model: ModelConfig, stages: Int) throws {
        let parameters = ParameterLayout(model, degree: layout.shards), blocks = parameters.blocks
        let computes = try ModelPart.stages(stages, of: model).map { part in
            blocks[part.isFirst ? 0 : 1 + part.layers.lowerBound].lowerBound..<blocks[part.isLast(of: model) ? model.layers + 1 : part.layers.upperBound].upperBound
        }
        self.init(layout, computes: computes, table: model.tied ? parameters.tokenTable : nil)
    }
}

extension SharedLayout {
    init(run config: RunConfig, _ description: RunDescription, _ parameters: ParameterLayout) {
        let degree = config.batch.tensor
        self.init(parameterFloats: parameters.count, leaves: config.batch.microbatches, heldOut: description.heldOut,
            sequences: config.sequencesPerMicrobatch, transport: description.options.transport, shards: degree,
            shardFloats: degree > 1 ? config.model.shards(degree)[0].count : nil)
    }
}

extension ModelConfig {
    /// What the ranks that share every layer have, by rank.
    func shards(_ degree: Int) -> [ParameterLayout] { (0..<degree).map { ParameterLayout(self, rank: $0, degree: degree) } }
}
