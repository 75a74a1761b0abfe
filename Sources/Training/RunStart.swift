import Checkpointing
import Collectives
import Coordination
import Corpus
import CSystem
import Foundation
import Kernels
import Ledger
import Model
import RunSpec

/// Where a session of the launcher begins.
package struct SessionStart {
    package var session = 1
    package var step = 0
    package var stateHash = ""
    package var nextReplica = 1, nextIncident = 1, lastView = 0
    /// Of the newest whole checkpoint up to it; without one, where the run began.
    package var checkpointStep = 0
    /// Up to it.
    package var pastUpdates = PastUpdates()
    /// Whether the validation pass of `step` is in the ledger.
    package var isEvaluated = false
    /// What is known of the failures that checkpoints are for, and in how many worker-seconds of training they came.
    package var failures = 0, exposureSeconds = 0.0
    /// `initial`, `origin`, `checkpoint`, `chosen checkpoint` or `shared memory`.
    package var source = "initial"
}

/// What the command line decides about a session, beyond the configuration. None of it changes the weights.
package struct SessionOptions: Codable, Equatable, Sendable {
    /// How many compute.
    package var workers: Int
    /// How many more stand ready.
    package var spares = 0
    package var policy = LossPolicy.elastic
    package var faults: [Fault] = []
    /// From the loss of a worker to the start of its replacement.
    package var respawnSeconds = 0.0
    /// Paced mode: what a microbatch takes on a virtual device of each worker; nil: as long as it takes here.
    package var leafMilliseconds: Double?
    /// How many median steps a worker that has something to do may stand still before it is taken for hung.
    package var hangSteps = 2.0
    /// Binds each worker to a processor of its own.
    package var pinned = false
    /// Off only to measure what the instruments cost: such a run's ledger does not close.
    package var instrumented = true
    package var transport = Transport.shared
    /// With messages: how the workers share the model's state, and what the loss of what only one has is made good from.
    package var sharding = Sharding.State.ddp, redundancy = Sharding.Redundancy.none
    /// Where each slot's worker listens, and by how many microseconds later messages count as arrived; nil: all on loopback, at once.
    package var hosts: [WorkerHost]?
    package var linkMicroseconds: Int?
    /// With messages: how many stages the model's layers are divided among. The workers, in order, are cut into groups with
    /// one of each stage.
    package var stages = 1
    /// With messages: how many ranks share every layer, as the configuration has it; nil for one. Likewise.
    package private(set) var tensor: Int?

    package init(workers: Int, faults: [Fault] = []) { (self.workers, self.faults) = (workers, faults) }

    /// Slots that are provisioned.
    package var slots: Int { workers + spares }
    /// Share of the microbatches that are computed a second time on another worker, to see whether the bits agree.
    package var auditShare = 0.0
    /// How many workers compute a microbatch together.
    package var groupSize: Int { stages * (tensor ?? 1) }
    /// Why, as the user says it; nil where everybody computes alone.
    var groupPlace: String? { groupSize > 1 ? "--sharding \(Mesh(tensor: tensor ?? 1, pipeline: stages))" : nil }
    /// What becomes of the step under way at a loss. Where gradients are sharded their owners' sums are gone with them; where
    /// several compute together nobody can go on without the others.
    var lossPolicy: LossPolicy { groupSize > 1 ? .restart : policy == .elastic && sharding.isInRounds ? .discard : policy }
    /// Whether idle workers take over leaves that others own. With messages a leaf elsewhere is one more node to send.
    var helps: Bool { lossPolicy == .elastic && transport == .shared }
    func host(of slot: Int) -> WorkerHost { hosts.flatMap { slot < $0.count ? $0[slot] : nil } ?? .loopback }
    var messageMicroseconds: UInt32 { UInt32(linkMicroseconds ?? 0) }
    /// 0 outside paced mode.
    var leafNanoseconds: UInt64 { UInt64((leafMilliseconds ?? 0) * 1e6) }

    /// With as many ranks to a layer as the configuration has.
    func sharing(_ config: RunConfig) -> SessionOptions {
        var options = self
        options.tensor = config.batch.tensor > 1 ? config.batch.tensor : nil
        return options
    }

    /// - Throws: `UserError` when the workers or faults do not fit the run or the machine.
    func validate(for config: RunConfig) throws {
        if workers < 1 { throw UserError(.usage, "--workers \(workers): at least one worker is needed") }
        if workers / groupSize > config.batch.microbatches, let groupPlace {
            throw UserError(.usage, "\(groupPlace): \(workers) workers are \(workers / groupSize) groups, more than the \(config.batch.microbatches) microbatches of a step; use at most \(config.batch.microbatches * groupSize) workers or raise batch.microbatches")
        }
        if workers / groupSize > config.batch.microbatches {
            throw UserError(.usage, "--workers \(workers) is more than the \(config.batch.microbatches) microbatches of a step: one worker would idle; use at most \(config.batch.microbatches) or raise batch.microbatches")
        }
        if spares < 0 { throw UserError(.usage, "--spares \(spares): none is 0") }
        if slots > SharedLayout.slotsMaximum { throw UserError(.usage, "\(workers) workers and \(spares) spares: at most \(SharedLayout.slotsMaximum) fit on one host") }
        if !(0...1 ~= auditShare) { throw UserError(.usage, "--audit \(auditShare): a share from 0 to 1") }
        if !(0...3600 ~= respawnSeconds) { throw UserError(.usage, "--respawn-delay \(respawnSeconds): seconds from 0 to 3600") }
        if !(1...1e6 ~= hangSteps) { throw UserError(.usage, "--hang-steps \(hangSteps): from 1 to 1000000 median steps") }
        if let leaf = leafMilliseconds, !(leaf > 0 && leaf <= 60_000) { throw UserError(.usage, "--pace \(leaf): milliseconds above 0, at most 60000") }
        if pinned && slots > Int(cs_available_cores()) {
            throw UserError(.usage, "--pin with \(slots) workers needs as many processors, and there are \(cs_available_cores())")
        }
        try validateTransport()
        try validateGroups(config)
        if faults.count > SharedLayout.faultsMaximum { throw UserError(.usage, "\(faults.count) faults: at most \(SharedLayout.faultsMaximum)") }
        for fault in faults {
            if let worker = fault.worker, worker >= slots {
                throw UserError(.usage, "--fault '\(fault)': there is no worker \(worker), the \(slots) workers are 0 to \(slots - 1)")
            }
            if let step = fault.step, step >= config.steps {
                throw UserError(.usage, "--fault '\(fault)': the run has steps 0 to \(config.steps - 1)")
            }
        }
    }

    /// - Throws: `UserError` when stages or tensor-parallel ranks do not fit the workers or the model.
    private func validateGroups(_ config: RunConfig) throws {
        guard let place = groupPlace else { return }
        if let tensor {
            do { try config.model.checkTensorDegree(tensor) } catch { throw UserError(.usage, "\(place): \(error)") }
            if SharedLayout.chunkCount % tensor != 0 {
                throw UserError(.usage, "\(place): the state is cut into \(SharedLayout.chunkCount) chunks, of which \(tensor) ranks cannot have equally many; choose a power of two")
            }
        }
        let mesh = Mesh(data: max(1, workers / groupSize), tensor: tensor ?? 1, pipeline: stages)
        if let obstacle = Sharding(sharding, redundancy, mesh: mesh).groupObstacle() { throw UserError(.usage, "\(place): \(obstacle)") }
        if stages > config.model.layers { throw UserError(.usage, "\(place) is more than the \(config.model.layers) layer\(config.model.layers == 1 ? "" : "s") of the model; at most pp=\(config.model.layers)") }
        guard workers % groupSize == 0 else {
            throw UserError(.usage, "\(place): \(workers) worker\(workers == 1 ? "" : "s") cannot be cut into groups of \(groupSize); --workers must be a multiple of \(groupSize)")
        }
        if spares > 0 { throw UserError(.usage, "--spares \(spares): with \(place) everybody begins again after a loss, and a spare would have nothing to do; leave it out") }
        if leafMilliseconds != nil { throw UserError(.usage, "--pace: with \(place) a worker has only a part of each microbatch; leave one of them out") }
    }

    /// - Throws: `UserError` for what needs the other transport.
    private func validateTransport() throws {
        guard transport == .gloo else {
            if let groupPlace { throw UserError(.usage, "\(groupPlace): those who compute a microbatch together send each other messages; add --transport gloo") }
            if sharding != .ddp || redundancy != .none { throw UserError(.usage, "--sharding \(sharding.name(redundancy)): in shared memory the state lies once per host; add --transport gloo") }
            return
        }
        guard Messages.areAvailable else {
            throw UserError(.system, "--transport gloo: this headway was built without Gloo; install it (Debian: apt-get install libgloo-dev) and build with HEADWAY_GLOO=1 in the environment, or leave the option out")
        }
        if let microseconds = linkMicroseconds, !(0...999_999 ~= microseconds) { throw UserError(.usage, "--link-us \(microseconds): microseconds from 0 to 999999") }
        if let hosts, hosts.count < slots {
            throw UserError(.usage, "--hosts has \(hosts.count) address\(hosts.count == 1 ? "" : "es") for \(slots) workers; it takes a line for each, spares included")
        }
        for slot in 0..<slots { try host(of: slot).check(slot: slot) }
        if auditShare > 0 { throw UserError(.usage, "--audit \(auditShare): with messages nobody sees another's gradients; leave out --transport gloo") }
        if let fault = faults.first(where: { $0.kind == .nonfinite || $0.kind == .bitflip && $0.target == .gradient }) {
            throw UserError(.usage, "--fault '\(fault)': with messages nobody sees another's gradient, and a damaged one would go unnoticed; leave out --transport gloo")
        }
    }

    /// - Throws: `UserError` when a fault could not fire any more in a session that begins at `step`.
    func validate(from step: Int) throws {
        for fault in faults {
            guard let planned = fault.step, planned < step else { continue }
            throw UserError(.usage, "--fault '\(fault)': step \(planned) is committed, the run goes on with step \(step); choose that one or a later one")
        }
    }
}

/// A run that is ready for its launcher: memory made and filled, ledger open, lock held.
package struct PreparedRun {
    package let folder: RunFolder
    package let config: RunConfig
    package let description: RunDescription
    package let shared: SharedState
    package let parameters: ParameterLayout
    package let ledger: LedgerStore
    package let start: SessionStart
    /// Probe passes of earlier sessions.
    package var probes: [ProbeRow] = []
    /// Sentences the user should see: rejected checkpoints, what was adopted.
    package var remarks: [String] = []

    /// Removes what lies in shared memory. Called when the launcher is done, however it ended.
    package func removeSegment() { SharedState.unlink(description.segmentName) }
}

extension PreparedRun {
    /// A new run: text to token shards, first weights, ledger. Nothing is left behind if it fails.
    /// - Parameter origin: where the first weights come from; nil: drawn from the seed.
    package static func new(_ config: RunConfig, _ options: SessionOptions, folder: RunFolder, origin: Origin? = nil) throws -> PreparedRun {
        try config.validate()
        let options = options.sharing(config)
        if let origin, origin.step >= config.steps {
            throw UserError(.usage, "\(origin.description) has \(origin.step) committed steps and the new run is to end at \(config.steps); ask for more with --set steps=…")
        }
        try options.validate(for: config)
        try Machine.check()
        cs_note_interrupts()
        let made = try folder.create()
        // Whoever holds the lock owns what lies here; another launcher that came at the same moment touches nothing.
        try folder.lock()
        do {
            return try fill(config, options, folder, origin)
        } catch {
            folder.undo(made)
            throw error
        }
    }

    private static func fill(_ given: RunConfig, _ options: SessionOptions, _ folder: RunFolder, _ origin: Origin?) throws -> PreparedRun {
        var config = given
        let corpus = try origin?.corpus?.copied(to: folder.dataPath) ?? Ingest(config, tokenizer: origin?.tokenizer).run(into: folder.dataPath)
        if cs_noted_interrupt() != 0 { throw UserError(.interrupted, "interrupted while the run was prepared; nothing was begun") }
        config.model.vocabulary = max(corpus.tokenizer.vocabulary, origin?.vocabulary ?? 0)
        try config.model.checkTensorDegree(config.batch.tensor)
        let b = config.sequencesPerMicrobatch
        let windows = corpus.validation.tokens == 0 ? nil : EvaluationWindows(tokenCount: corpus.validation.tokens, context: config.model.context)
        var units = windows?.units(sequences: b) ?? 0
        if config.evaluation.tokens > 0 {
            units = min(units, (config.evaluation.tokens + b * config.model.context - 1) / (b * config.model.context))
        }
        let description = RunDescription(
            identity: newIdentity(), vocabulary: config.model.vocabulary, options: options,
            heldOut: options.instrumented ? HeldOutUnits(config, validation: units, windows: windows?.fullCount ?? 0) : HeldOutUnits(validation: units),
            blasCore: BLASLibrary.coreName, corpus: try PreparedCorpus.fingerprint(in: folder.dataPath), lossFloor: corpus.validationFloor,
            bytesPerToken: corpus.validation.bytesPerToken)
        let differences = try origin?.accepts(StateTraits(config, description)) ?? []
        let parameters = ParameterLayout(config.model)
        let shared = try segment(config, description, parameters)
        do {
            var start = SessionStart(), checkpoint: CheckpointRow?
            if let origin {
                try origin.fill(parameters, shared.pointers(generation: 0))
                (start.step, start.checkpointStep, start.source, start.pastUpdates) = (origin.step, origin.step, "origin", origin.pastUpdates)
                start.stateHash = fingerprintState(shared, config.model, generation: 0, step: start.step)
                if let expected = origin.stateHash, expected != start.stateHash {
                    throw UserError(.badInput, "\(origin.description) \(CheckpointDamage.state(found: start.stateHash, expected: expected)); choose another checkpoint")
                }
                try options.validate(from: start.step)
                // No seed gives this state again: from here on a checkpoint of it exists.
                checkpoint = try save(start, shared.pointers(generation: 0), config, description, parameters, folder)
            } else {
                parameters.initialise(into: shared.state(generation: 0, part: 0), seed: config.seed)
                start.stateHash = fingerprintState(shared, config.model, generation: 0, step: 0)
            }
            try folder.write(config, description)
            let ledger = try LedgerStore(writing: folder.ledgerPath)
            try record(facts: config, description, parameters, start.stateHash, in: ledger)
            if let origin {
                try ledger.setFact(RunFact.origin, origin.description)
                try ledger.setFact(RunFact.startStep, String(origin.step))
                if !differences.isEmpty { try ledger.setFact(RunFact.allowed, differences.joined(separator: "\n")) }
            }
            try ledger.setFact(RunFact.sources, corpus.inputs.map { $0.name.replacing("\n", with: " ") }.joined(separator: "\n"))
            if description.heldOut.validation > 0 {
                try ledger.setFact(RunFact.validationText, TokenShard(folder.dataPath + "/val.tokens", checked: false).fingerprint)
            }
            try begin(start, options, in: ledger)
            if let checkpoint { try ledger.append(checkpoint) }
            return PreparedRun(folder: folder, config: config, description: description, shared: shared, parameters: parameters, ledger: ledger, start: start)
        } catch {
            SharedState.unlink(description.segmentName)
            throw error
        }
    }

    /// Makes the state that a run begins from durable.
    private static func save(
        _ start: SessionStart, _ state: StatePointers, _ config: RunConfig, _ description: RunDescription, _ parameters: ParameterLayout, _ folder: RunFolder
    ) throws -> CheckpointRow {
        let asked = MonotonicClock.nanoseconds()
        let manifest = Manifest(step: start.step, parent: nil, config, description, stateHash: start.stateHash, pastUpdates: start.pastUpdates)
        do throws(CheckpointError) {
            let saved = try CheckpointStore(folder: folder.checkpointsPath).save(manifest, entries: parameters.stateEntries, parameters: state.parameters,
                firstMoments: state.firstMoment, secondMoments: state.secondMoment)
            return CheckpointRow(session: start.session, step: start.step, requestedNanoseconds: asked, durableNanoseconds: MonotonicClock.nanoseconds(),
                bytes: saved.manifest.bytes, status: "durable")
        } catch {
            throw error.userError
        }
    }

    private static func newIdentity() -> String {
        String(format: "%016lx", UInt64.random(in: UInt64.min...UInt64.max))
    }

    /// Makes the run's shared memory, with errors that say what to do.
    static func segment(_ config: RunConfig, _ description: RunDescription, _ parameters: ParameterLayout) throws -> SharedState {
        do {
            return try SharedState(creating: description.segmentName, layout: SharedLayout(run: config, description, parameters),
                identity: description.identityWord(config))
        } catch .outOfMemory(let needed, let free) {
            func size(_ bytes: Int) -> String { bytes < 1_000_000_000 ? decimal(Double(bytes) / 1e6, 1) + " MB" : decimal(Double(bytes) / 1e9, 1) + " GB" }
            throw UserError(.system, "the run needs \(size(needed)) of shared memory and \(size(free)) can be had in /dev/shm: \(config.batch.microbatches + (description.heldOut.probe > 0 ? 2 : 1)) gradients and \(SharedLayout.generationCount) generations of \(parameters.parameterCount) parameters; use a smaller model or fewer batch.microbatches, or a machine with more memory")
        } catch {
            throw UserError(.system, "shared memory \(description.segmentName): \(error)")
        }
    }

    /// Names the state in a generation, as its floats are now.
    static func fingerprintState(_ shared: SharedState, _ model: ModelConfig, generation: Int, step: Int) -> String {
        Launcher.stateHash(step: step, fingerprints: fingerprints(shared, model, generation: generation))
    }

    /// Writes down what the state in a generation is, for whoever reads it next.
    static func noteFingerprints(_ shared: SharedState, _ model: ModelConfig, generation: Int) {
        for (chunk, print) in fingerprints(shared, model, generation: generation).enumerated() { shared.setFingerprint(chunk, generation: generation, print) }
    }

    /// By chunk. In shared memory lies the whole model's vector; where chunks are of shards, those are taken from it in turn.
    private static func fingerprints(_ shared: SharedState, _ model: ModelConfig, generation: Int) -> [UInt64] {
        let layout = shared.layout, state = shared.pointers(generation: generation)
        guard layout.shards > 1 else { return (0..<SharedLayout.chunkCount).map { fingerprint(state, range: layout.chunk($0)) } }
        let parts = (0..<3).map { _ in PrivateMemory(floats: layout.shardFloats) }
        return withExtendedLifetime(parts) {
            let shard = StatePointers(parameters: parts[0].base, firstMoment: parts[1].base, secondMoment: parts[2].base)
            return model.shards(layout.shards).enumerated().flatMap { rank, parameters in
                for part in 0..<3 { parameters.takeShard(parts[part].base, from: shared.state(generation: generation, part: part)) }
                let first = layout.shard(rank).lowerBound
                return layout.chunks(ofShard: rank).map { chunk in
                    let range = layout.chunk(chunk)
                    return fingerprint(shard, range: range.lowerBound - first..<range.upperBound - first)
                }
            }
        }
    }

    static func begin(_ start: SessionStart, _ options: SessionOptions, in ledger: LedgerStore) throws {
        try ledger.together {
            try ledger.put(SessionRow(session: start.session, startedNanoseconds: MonotonicClock.nanoseconds(), endedNanoseconds: nil,
                startedUnixSeconds: Date().timeIntervalSince1970, startStep: start.step, source: start.source))
            try ledger.setFact(RunFact.outcome, Outcome.running.rawValue)
            // Of a finished run that goes back.
            try ledger.removeFact(RunFact.finalDigest)
            try ledger.setFact(RunFact.updatesBefore, start.pastUpdates.json)
            try ledger.setFact(RunFact.policy, options.policy.rawValue)
            try ledger.setFact(RunFact.spares, String(options.spares))
            if options.groupSize > 1 { try ledger.setFact(RunFact.stages(session: start.session), String(options.groupSize)) }
            for (index, fault) in options.faults.enumerated() {
                try ledger.put(FaultRow(session: start.session, fault: index, text: fault.description, firedNanoseconds: nil))
            }
        }
    }

    private static func record(
        facts config: RunConfig, _ description: RunDescription, _ parameters: ParameterLayout, _ hash: String, in ledger: LedgerStore
    ) throws {
        let facts: [(String, String)] = [
            (RunFact.runIdentity, description.identity), (RunFact.headwayVersion, RunDescription.version),
            (RunFact.swiftVersion, Machine.swiftVersion), (RunFact.blasCore, description.blasCore),
            (RunFact.blasConfig, BLASLibrary.configuration), (RunFact.configuration, config.yaml),
            (RunFact.configurationDigest, config.digest), (RunFact.steps, String(config.steps)),
            (RunFact.microbatches, String(config.batch.microbatches)), (RunFact.tokensPerStep, String(config.tokensPerStep)),
            (RunFact.sequencesPerMicrobatch, String(config.sequencesPerMicrobatch)),
            (RunFact.parameters, String(parameters.parameterCount)),
            (RunFact.flopsPerToken, String(Transformer.flopsPerToken(config.model))),
            (RunFact.costPerWorkerHour, String(config.cost.workerHour)), (RunFact.currency, config.cost.currency),
            (RunFact.bytesPerToken, String(description.bytesPerToken)), (RunFact.initialHash, hash),
            (RunFact.cores, String(cs_available_cores())),
        ] + (description.lossFloor.map { [(RunFact.lossFloor, String($0))] } ?? [])
        for (name, value) in facts { try ledger.setFact(name, value) }
    }
}

extension Ingest {
    init(_ config: RunConfig, tokenizer given: Tokenizer?) {
        self.init(
            config.data.corpus == .text ? .files(config.data.files) : .tales(bytes: config.data.talesBytes, seed: config.data.talesSeed),
            tokenizer: config.data.tokenizer == .byte ? .byte : .char, validationFraction: config.data.validation,
            context: config.model.context)
        self.given = given
    }
}

/// What the run needs of the machine.
package enum Machine {
    package static func check() throws {
        guard cs_processor_supported() else {
            throw UserError(.system, "this headway was built for processors with AVX2 and FMA, which this one lacks; build it with HEADWAY_MARCH=none")
        }
    }

    package static var swiftVersion: String {
        #if swift(>=6.3)
        "6.3"
        #elseif swift(>=6.2)
        "6.2"
        #else
        "6.1"
        #endif
    }

    package static var cores: Int { Int(cs_available_cores()) }
}
