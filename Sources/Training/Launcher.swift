import Collectives
import Coordination
import Corpus
import CSystem
import Glibc
import Ledger
import Model
import RunSpec

/// What the launcher tells whoever watches it.
package enum Notice: Sendable {
    case progress(RunProgress)
    /// A sentence for the log: an incident, a join, a validation pass, a checkpoint.
    case message(String)
}

package struct RunProgress: Sendable {
    package var step: Int
    package var steps: Int
    /// Nats per token of the last committed step.
    package var loss: Double?
    /// Over the last ten seconds or so.
    package var tokensPerSecond: Double
    /// Processor time of workers in compute phases, and provisioned slot time, in this session as far as the flight
    /// recorders were drained; fates are not settled yet.
    package var computeNanoseconds: Double, provisionedNanoseconds: Double
    package var alive: Int
    package var slots: Int
    package var lastIncident: String?
    package var secondsLeft: Double?
}

/// `running` until the session ends; `failed`: `run` threw, and not for an interrupt.
package enum Outcome: String, Sendable { case running, finished, interrupted, failed }

/// The one process that decides: runs the view and commit machines over the shared memory, starts and watches workers,
/// writes the ledger. Synchronous: it sleeps in `poll` until a worker, a signal or a timer wants it.
package final class Launcher {
    /// How often the flight recorders are drained; a ring holds many times as much.
    static let drainNanoseconds: UInt64 = 1_000_000_000
    /// How long workers may take to leave after they are told to.
    static let leaveNanoseconds: UInt64 = 10_000_000_000
    /// How many writers are started for the last checkpoint, when one after the other fails.
    static let finalWritersMaximum = 2

    /// What the first replacement of a worker that ended before its first commit waits.
    static let backoffNanoseconds: UInt64 = 100_000_000

    struct Member {
        var process: WorkerProcess
        var row: ReplicaRow
        var ring: FlightRing?
        var drained: UInt64 = 0
        var computeNanoseconds: UInt64 = 0
        var lastEvent: FlightEvent?
        var watch = Watch()
        /// What it is or was ended for, once that is known before its end: found hung, told to make room.
        var incident: Int?
        var isDraining = false
        /// The loss of another worker that it was ended for.
        var stoppedFor: Int?
    }

    let folder: RunFolder, config: RunConfig, description: RunDescription
    let shared: SharedState
    let parameters: ParameterLayout
    let ledger: LedgerStore
    let session: Int
    let executable: String, environment: [String]
    let notify: (Notice) -> Void
    let faults: [Fault]

    var views: ViewMachine
    var commits: CommitMachine
    var members: [Int: Member] = [:]           // by slot
    var finishedCompute: UInt64 = 0            // of replicas that are gone
    var slotRows: [SlotRow] = []
    var step: Int
    var stateHash: String
    var nextReplica: Int, nextIncident: Int
    var openIncidents: [IncidentRow] = []      // detected, no commit since
    var replacementFor: [Int: Int] = [:]       // slot → incident
    var evaluated: Int?                        // step whose validation pass is recorded
    var probes: ProbeSchedule
    let text: TextMap, probeSequences: ProbeSequences
    var notedFaults: Set<Int> = []             // whose firing is in the ledger
    var blamed: Set<Int> = []                  // faults that an incident names
    var continued: Set<Int> = []               // hangs that are over
    var spawns: [(slot: Int, at: UInt64)] = [] // replacements that wait for their time
    var lastWatch: UInt64 = 0
    var lossUnderWay: Int?                     // the incident whose consequences are being drawn
    var attemptDiscarded = false               // and everybody begins the step again
    var probeRows: [ProbeRow]                  // of the run, in order
    var recheck: Recheck?
    var ownersMoved = false                    // by a recheck: the plan is to be written again
    var pastUpdates: PastUpdates               // of the lineage, up to the last commit
    /// What committed states lie in which generation.
    var recentStates: [Int: (step: Int, hash: String, pastUpdates: PastUpdates)] = [:]
    var writer: CheckpointProcess?
    var checkpointWanted = false
    var late: LateCheckpoint?                  // due, and waiting for the writer
    var hasSaidLate = false
    var checkpointStep: Int                    // of the newest checkpoint that was begun, or gone back to
    var failedWriters = 0                      // since a checkpoint became durable
    var retryStep: Int?                        // when the next one is tried after one that failed
    var tuner: CheckpointTuner?                // where the interval is `auto`
    var mark: StepMark?                        // since when the step under way is computed
    var rewoundFor: UInt64?                    // when the loss was found that everybody begins again for
    var channelTries = 0, mismatches = 0       // since the last commit
    var stopWanted = false
    /// After a failure that left the only copy of the state in shared memory.
    package internal(set) var keepsSegment = false
    var outcome = Outcome.finished
    var lastLoss: Double?, lastIncident: String?
    var recentCommits: [(nanoseconds: UInt64, step: Int)] = []
    var doorbell: Int32 = -1
    private var signals: Int32 = -1
    private var nextDrain: UInt64 = 0, nextWatch: UInt64 = 0
    private var leaveDeadline: UInt64?

    /// - Parameters:
    ///   - executable: this program; workers are started from it.
    ///   - environment: of the workers, as `NAME=value`; BLAS reads its number of threads there.
    package init(_ run: PreparedRun, executable: String, environment: [String], notify: @escaping (Notice) -> Void) throws {
        (folder, config, description, shared) = (run.folder, run.config, run.description, run.shared)
        (parameters, ledger, session) = (run.parameters, run.ledger, run.start.session)
        // A worker that crashes is gone at once: Swift's own backtrace would keep it for seconds.
        let backtrace = environment.contains { $0.hasPrefix("SWIFT_BACKTRACE=") } ? [] : ["SWIFT_BACKTRACE=enable=no"]
        (self.executable, self.environment, self.notify) = (executable, environment + backtrace, notify)
        (step, stateHash) = (run.start.step, run.start.stateHash)
        (nextReplica, nextIncident) = (run.start.nextReplica, run.start.nextIncident)
        pastUpdates = run.start.pastUpdates
        checkpointStep = run.start.checkpointStep
        if config.checkpoint.every == .auto {
            tuner = CheckpointTuner(plannedSteps: config.steps, policy: description.options.policy, failures: run.start.failures, exposureSeconds: run.start.exposureSeconds)
        }
        evaluated = run.start.isEvaluated ? run.start.step : nil
        faults = description.options.faults
        probeRows = run.probes
        views = ViewMachine(workers: description.options.workers, spares: description.options.spares, policy: description.options.lossPolicy, isWhole: description.options.groupSize > 1, leaves: config.batch.microbatches,
            chunkBlocks: description.options.transport == .shared || description.options.groupSize > 1 ? [0..<SharedLayout.chunkCount] : shared.layout.chunkBlocks(run.parameters.blocks),
            evaluationUnits: description.heldOut.count, lastView: run.start.lastView)
        probes = ProbeSchedule(run.probes, units: description.heldOut, from: run.start.step, to: config.steps)
        text = try TextMap(reading: folder.dataPath)
        probeSequences = try ProbeSequences(folder, config, description.heldOut)
        commits = CommitMachine(committed: run.start.step, lastStep: config.steps)
    }

    /// Runs the session to its end: all steps, or the first boundary after an interrupt.
    /// - Throws: `UserError` when the run cannot go on; workers are gone by then.
    package func run() throws -> Outcome {
        doorbell = cs_eventfd()
        // Under `nohup` the terminal may go.
        let wanted = [SIGINT, SIGTERM, SIGUSR1] + (cs_ignores_signal(SIGHUP) ? [] : [SIGHUP])
        signals = cs_signalfd(wanted, Int32(wanted.count))
        guard doorbell >= 0, signals >= 0 else {
            throw UserError(.system, "no descriptor for events: \(String(cString: strerror(errno)))")
        }
        defer {
            close(doorbell)
            close(signals)
        }
        do {
            if !isComplete { try open() }
            // A signal that came while the run was prepared.
            if cs_noted_interrupt() != 0 { stopAtBoundary() }
            while !members.isEmpty || !spawns.isEmpty {
                try sleep()
                try listen()
            }
            try closeSession()
        } catch let error as UserError where error.status == .interrupted {
            killEverybody()
            try? ledger.setFact(RunFact.outcome, Outcome.interrupted.rawValue)
            throw error
        } catch {
            killEverybody()
            try? ledger.setFact(RunFact.outcome, Outcome.failed.rawValue)
            throw UserError((error as? UserError)?.status ?? .runFailed, "\(error); \(rescue())")
        }
        return outcome
    }

    /// Every step is committed, and the validation and probe passes after the last one are recorded.
    var isComplete: Bool {
        step == config.steps && (description.heldOut.validation == 0 || evaluated == step) && probes.next != step
    }

    /// The run cannot go on, but its last committed state lies in memory: make it durable, or leave it there.
    private func rescue() -> String {
        // Else it is what has just failed.
        if !keepsSegment, (try? finalCheckpoint())?.durable == true { return "checkpoint step-\(step) holds all committed steps" }
        killWriter()
        if sendsMessages { return "`headway resume \(folder.path)` goes on from the newest checkpoint" }
        keepsSegment = true
        return "step \(step) stays in shared memory, `headway resume \(folder.path)` takes it up from there"
    }

    private func open() throws {
        let now = MonotonicClock.nanoseconds()
        shared.setSessionStart(now)
        PreparedRun.noteFingerprints(shared, config.model, generation: shared.currentGeneration)
        shared.setDeposit(step: step)
        recentStates = [shared.currentGeneration: (step, stateHash, pastUpdates)]
        shared.setHelps(description.options.helps)
        setProbe()
        shared.announce(step: step, current: shared.currentGeneration, next: shared.nextGeneration, stop: false)
        for slot in 0..<description.options.slots { try spawn(slot) }
        nextDrain = now + Self.drainNanoseconds
    }

    /// Sleeps until something happens, a drain is due, or it is time for a sign of life.
    func sleep() throws {
        var descriptors = [pollfd(fd: doorbell, events: Int16(POLLIN), revents: 0), pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        descriptors += members.values.map { pollfd(fd: $0.process.descriptor, events: Int16(POLLIN), revents: 0) }
        if let writer { descriptors.append(pollfd(fd: writer.process.descriptor, events: Int16(POLLIN), revents: 0)) }
        let pause = Int32(min(100, watchNanoseconds / 1_000_000))
        if poll(&descriptors, nfds_t(descriptors.count), pause) < 0 && errno != EINTR {
            throw UserError(.system, "poll: \(String(cString: strerror(errno)))")
        }
        var rung: UInt64 = 0
        _ = read(doorbell, &rung, 8)
    }

    /// Looks at everything that may have changed. The order matters: votes before deaths, so that a step whose every
    /// chunk is voted for commits even if a voter has died since.
    private func listen() throws {
        try lookAtDamage()
        try lookAtVotes()
        try lookAtSlots()
        try lookAtDeaths()
        try lookAtVotes()
        try lookAtMessages()
        try lookAtSignals { stopAtBoundary() }
        try lookAtWriter()
        try lookAtWishes()
        let now = MonotonicClock.nanoseconds()
        if shared.stopRequested {
            // Workers that are to deposit the last state wait for the writer of the one before.
            leaveDeadline = sendsMessages && writer != nil ? nil : leaveDeadline ?? now + Self.leaveNanoseconds
            if let leaveDeadline, now > leaveDeadline { members.values.forEach { $0.process.kill() } }
        }
        try spawnDue(at: now)
        if now >= nextWatch {
            nextWatch = now + watchNanoseconds
            try watchWorkers(at: now)
        }
        if now >= nextDrain {
            nextDrain = now + Self.drainNanoseconds
            for slot in members.keys { try drain(slot) }
        }
        notify(.progress(progress(at: now)))
    }

    // MARK: Views

    private func lookAtSlots() throws {
        // Once workers are told to leave, nobody joins.
        for (slot, member) in members where member.row.readyNanoseconds == nil && !shared.stopRequested {
            let (replica, state) = shared.slotState(slot)
            guard replica == member.row.replica, state == .ready else { continue }
            members[slot]!.row.readyNanoseconds = MonotonicClock.nanoseconds()
            try ledger.put(members[slot]!.row)
            try apply(views.receive(.ready(slot: slot)), ring: true)
        }
        for (slot, member) in members where member.incident == nil && !shared.stopRequested {
            let (replica, state) = shared.slotState(slot)
            guard replica == member.row.replica, state == .draining else { continue }
            let now = MonotonicClock.nanoseconds(), fault = culprit { $0.kind == .preempt && $0.worker == slot }
            members[slot]!.isDraining = true
            members[slot]!.incident = try open(.preempt, member, onset: fault?.fired ?? now, fault: fault?.index, detected: now,
                "worker \(slot) was told to make room during step \(step)")
            try apply(views.receive(.draining(slot: slot)), ring: true)
        }
    }

    /// What somebody asked for from another terminal.
    private func lookAtWishes() throws {
        guard let wanted = shared.takeWantedWorkers(), !stopWanted, !isComplete else { return }
        if let place = description.options.groupPlace {
            notify(.message("\(wanted) workers were asked for; with \(place) their number stays until the run is resumed with another"))
            return
        }
        guard wanted <= config.batch.microbatches, wanted + description.options.spares <= SharedLayout.slotsMaximum else {
            notify(.message("\(wanted) workers were asked for; a step has \(config.batch.microbatches) microbatches, so at most as many can work"))
            return
        }
        notify(.message("\(wanted) worker\(wanted == 1 ? "" : "s") from the next step on"))
        try apply(views.receive(.resize(workers: wanted)), ring: true)
    }

    /// Carries out what the view machine decided. At a step boundary the announcement of the step rings for all.
    func apply(_ effects: [ViewMachine.Effect], ring: Bool) throws {
        for effect in effects {
            switch effect {
            case .spawn(let slot):
                let asked = replacementFor[slot] == nil ? 0 : UInt64(description.options.respawnSeconds * 1e9)
                // Whatever kills workers as they come may pass: each further try waits twice as long.
                let failures = views.startFailures(of: slot)
                let delay = max(asked, failures == 0 ? 0 : Self.backoffNanoseconds << UInt64(failures - 1))
                if delay == 0 { try spawn(slot) } else { spawns.append((slot, MonotonicClock.nanoseconds() + delay)) }
            case .dismiss(let slot):
                shared.dismiss(slot)
                try dropSpawns([slot])
            case .kill(let slots):
                try settle("everybody stops")
                for slot in slots where members[slot] != nil {
                    members[slot]!.stoppedFor = lossUnderWay
                    members[slot]!.process.kill()
                }
                try dropSpawns(slots)
            case .rewind: try rewind()
            case .close(let slot): try closeSlot(slot)
            case .discard:
                shared.discardAttempt(units: shared.due(step, config))
                try noteSetback(.discard)
                attemptDiscarded = true
            case .abandon(let slot, let reason): notify(.message("worker \(slot) is not started again: \(reason); see \(folder.file("logs"))"))
            case .replan(let plan): write(plan)
            case .announce(let view, let moved, let reason): try announce(view, leavesReassigned: moved, reason: reason, ring: ring)
            case .giveUp(let reason): throw UserError(.runFailed, "\(reason); see \(folder.file("logs"))" + lastWords())
            }
        }
    }

    func write(_ plan: Plan) {
        for (leaf, owner) in plan.leafOwners.enumerated() where recheck?.owners[leaf] == nil { shared.leaves.assign(leaf, to: owner) }
        assignRechecked()
        for (chunk, owner) in (groupOwners ?? plan.chunkOwners).enumerated() { shared.reductions.assign(chunk, to: owner) }
        for (unit, owner) in plan.evaluationOwners.enumerated() { shared.evaluations.assign(unit, to: owner) }
    }

    /// Where each member of a group owns what is its part of the model: the slots, by chunk.
    private var groupOwners: [Int]? {
        let size = description.options.groupSize, members = views.view.members
        guard size > 1, !members.isEmpty, let parts = try? GroupParts(shared.layout, config.model, stages: description.options.stages) else { return nil }
        return parts.owners(groups: members.count / size).map { members[$0] }
    }

    private func announce(_ view: View, leavesReassigned: Int, reason: String, ring: Bool) throws {
        let now = MonotonicClock.nanoseconds()
        // The row first: a number that anybody has seen is never used again.
        try ledger.append(ViewRow(view: view.number, session: session, step: step, announcedNanoseconds: now,
            members: view.members.map { members[$0]!.row.replica }, reason: reason))
        write(view.plan)
        shared.setMembers(view.members, leavers: view.leavers)
        if ring { shared.announce(view: view.number) } else { shared.setNextView(view.number) }
        // Whoever is let in finds the view that he is in.
        for slot in view.members { shared.admit(slot, replica: members[slot]!.row.replica) }
        if ring { shared.ring() }
        noteTrainingGoesOn(at: now)
        for slot in view.members where members[slot]!.row.admittedNanoseconds == nil {
            members[slot]!.row.admittedNanoseconds = now
            try ledger.put(members[slot]!.row)
        }
        for index in openIncidents.indices where openIncidents[index].plannedNanoseconds == nil {
            openIncidents[index].plannedNanoseconds = now
            openIncidents[index].leavesReassigned = leavesReassigned
            try ledger.put(openIncidents[index])
            let rest = view.members.count
            let done = attemptDiscarded ? "the attempt is thrown away" : "\(leavesReassigned) microbatch\(leavesReassigned == 1 ? "" : "es") moved"
            notify(.message("\(openIncidents[index].description); \(done); \(rest) worker\(rest == 1 ? "" : "s") in view \(view.number)"))
        }
        attemptDiscarded = false
        if openIncidents.isEmpty { notify(.message("view \(view.number): \(reason); \(view.members.count) of \(slotRows.count { $0.closedNanoseconds <= $0.openedNanoseconds }) workers")) }
    }

    // MARK: Signals

    /// - Parameter onInterrupt: called for the first one; the second ends the session.
    func lookAtSignals(onInterrupt: () -> Void) throws {
        while case let signal = cs_next_signal(signals), signal != 0 {
            if signal == SIGUSR1 {
                checkpointWanted = true
            } else if stopWanted {
                throw UserError(.interrupted, "stopped at once; the newest checkpoint is what is left of the run")
            } else {
                stopWanted = true
                onInterrupt()
            }
        }
    }

    private func stopAtBoundary() {
        stopWanted = true
        _ = views.receive(.stopping)
        _ = commits.receive(.stopRequested)
        let place = step == config.steps ? "before the closing validation is done" : "after this step"
        notify(.message("stopping \(place); once more to stop at once"))
        if views.view.members.isEmpty || step == config.steps { leave() }
    }
}
