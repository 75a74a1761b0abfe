import Checkpointing
import Collectives
import CSystem
import Foundation
import Glibc
import Kernels
import Ledger
import Model
import RunSpec

extension PreparedRun {
    /// Takes up a run whose launcher is gone: from shared memory if a state lies there that the ledger vouches for,
    /// else from the newest checkpoint whose hashes hold.
    /// - Parameters:
    ///   - asked: the step of the checkpoint to go back to instead. Whenever a launcher dies on the way, the next one goes on with it.
    ///   - allowed: what may be another than when the run began.
    ///   - choose: makes the session's options from the last one's.
    package static func resume(
        _ folder: RunFolder, at asked: Int? = nil, allowing allowed: Set<Allowance> = [], _ choose: (SessionOptions, RunConfig) throws -> SessionOptions
    ) throws -> PreparedRun {
        var (config, description) = try folder.read()
        let options = try choose(description.options, config).sharing(config)
        try options.validate(for: config)
        try Machine.check()
        cs_note_interrupts()
        try folder.lock()
        let record = try LedgerStore.read(folder.ledgerPath)
        try checkSettings(config, record, folder)
        let chosen = try asked ?? wayBack(record, folder)
        let differences = try description.move(here: config, folder, allowing: allowed)
        let ledger = try LedgerStore(writing: folder.ledgerPath)
        try endDeadSessions(record, folder, description, ledger)
        if record.facts[RunFact.outcome] == Outcome.finished.rawValue && chosen == nil {
            SharedState.unlink(description.segmentName)
            throw UserError(.usage, "\(folder.path) is finished: all \(config.steps) steps are committed; see `headway report \(folder.path)`, or go on for longer in a new run with `headway train --from \(folder.path) --set steps=\(2 * config.steps)`")
        }
        let before = description
        description.options = options
        let parameters = ParameterLayout(config.model)
        var start = SessionStart(
            session: (record.sessions.map(\.session).max() ?? 0) + 1, nextReplica: (record.replicas.map(\.replica).max() ?? 0) + 1,
            nextIncident: (record.incidents.map(\.incident).max() ?? 0) + 1, lastView: record.views.map(\.view).max() ?? 0)
        if chosen == nil, options.transport != before.options.transport, let held = try adopt(config, before, parameters, record),
            case let step = held.committedStep, try newestCheckpoint(upTo: step, folder) ?? -1 < step {
            throw UserError(.usage, "--transport \(options.transport.rawValue): the state after step \(step) is in memory only, as --transport \(before.options.transport.rawValue) has it; `headway resume \(folder.path)` without the option takes it up, and after Ctrl-C it is in a checkpoint")
        }
        var remarks = differences
        let shared: SharedState
        if chosen == nil, let adopted = try adopt(config, description, parameters, record) {
            (shared, start.step, start.stateHash, start.source) = (adopted, adopted.committedStep, record.position.stateHash, "shared memory")
            start.pastUpdates = record.pastUpdates(at: start.step)
            start.checkpointStep = try newestCheckpoint(upTo: start.step, folder) ?? record.startStep
            remarks.append("step \(start.step) is still in shared memory and its hashes hold: nothing is lost")
            try options.validate(from: start.step)
        } else {
            // Before the memory is given up.
            if let chosen { try look(at: chosen, folder, options, config, description, record) }
            SharedState.unlink(description.segmentName)
            shared = try segment(config, description, parameters)
            let isDrawn = record.facts[RunFact.initialHash] != nil && record.facts[RunFact.origin] == nil
            do {
                (start.step, start.stateHash, start.pastUpdates) = try restore(into: shared, config, description, parameters, at: chosen,
                    last: record.position.step, isDrawn: isDrawn, folder, session: start.session, ledger, &remarks)
                shared.rewind(to: start.step, generation: 0, next: 1)
                start.checkpointStep = start.step
                start.source = chosen != nil ? "chosen checkpoint" : start.step == 0 && isDrawn ? "initial" : "checkpoint"
                try compare(start.step, start.stateHash, record, folder)
                try options.validate(from: start.step)
            } catch {
                SharedState.unlink(description.segmentName)
                throw error
            }
        }
        (start.failures, start.exposureSeconds) = record.checkpointedFailures
        start.isEvaluated = record.evaluations.contains { $0.step == start.step }
        try folder.write(config, description)
        try ledger.together {
            if !differences.isEmpty {
                let before = record.facts[RunFact.allowed].map { [$0] } ?? []
                try ledger.setFact(RunFact.allowed, (before + differences).joined(separator: "\n"))
            }
            try begin(start, options, in: ledger)
        }
        // Not before the ledger says that the run goes back: till then they are what it goes on from.
        if let chosen {
            do throws(CheckpointError) {
                let store = CheckpointStore(folder: folder.checkpointsPath)
                for step in try store.steps() where step > chosen { try store.setAside(step, as: .superseded) }
            } catch {
                SharedState.unlink(description.segmentName)
                throw error.userError
            }
        }
        return PreparedRun(folder: folder, config: config, description: description, shared: shared, parameters: parameters, ledger: ledger,
            start: start, probes: record.probes, remarks: remarks)
    }

    /// The settings are those that the run began with.
    private static func checkSettings(_ config: RunConfig, _ record: RunRecord, _ folder: RunFolder) throws {
        guard let before = record.configuration, before.digest != config.digest else { return }
        let changed = ConfigKey.all.filter { $0.read(before) != $0.read(config) && !$0.name.hasPrefix("cost.") }
        let list = changed.map { "\($0.name) is \($0.read(config)) and was \($0.read(before))" }.joined(separator: ", ")
        throw UserError(.badInput, "\(folder.configPath) was changed since the run began: \(list); put it back, or begin another run with `headway train --from \(folder.path)\(changed.map { " --set \($0.name)=\($0.read(config))" }.joined())`")
    }

    private static func newestCheckpoint(upTo step: Int, _ folder: RunFolder) throws -> Int? {
        do { return try CheckpointStore(folder: folder.checkpointsPath).list().first { $0.damage == nil && $0.step <= step }?.step } catch { throw error.userError }
    }

    /// Where the last session was to go back to, if its launcher died before all that is newer was set aside.
    private static func wayBack(_ record: RunRecord, _ folder: RunFolder) throws -> Int? {
        guard let step = record.chosenStart else { return nil }
        do { return try CheckpointStore(folder: folder.checkpointsPath).steps().first ?? 0 > step ? step : nil } catch { throw error.userError }
    }

    /// Refuses a chosen checkpoint, while there still is another way.
    private static func look(at step: Int, _ folder: RunFolder, _ options: SessionOptions, _ config: RunConfig, _ description: RunDescription, _ record: RunRecord) throws {
        try options.validate(from: step)
        let store = CheckpointStore(folder: folder.checkpointsPath), hash: String
        do throws(CheckpointError) {
            let found = try store.inspect(step, .hashes)
            if let mismatch = found.manifest.mismatch(config, description) { throw .mismatch(step: step, mismatch) }
            hash = found.manifest.stateHash
        } catch {
            throw store.refusal(error)
        }
        try compare(step, hash, record, folder)
    }

    /// Refuses a checkpoint's state that is not what the ledger has of its step, if it has anything.
    private static func compare(_ step: Int, _ hash: String, _ record: RunRecord, _ folder: RunFolder) throws {
        guard let known = record.stateHash(at: step), known != hash else { return }
        throw UserError(.badInput, "checkpoint step-\(step) of \(folder.path) holds state \(hash.prefix(12)) and the ledger's commit of step \(step) made \(known.prefix(12)): one of them is of another run; choose another with --at STEP")
    }

    /// The segment an earlier launcher left, when the state in it is the one of the last commit record.
    private static func adopt(
        _ config: RunConfig, _ description: RunDescription, _ parameters: ParameterLayout, _ record: RunRecord
    ) throws -> SharedState? {
        let shared: SharedState
        do {
            shared = try SharedState(opening: description.segmentName, layout: SharedLayout(run: config, description, parameters),
                identity: description.identityWord(config))
        } catch .system(let what, let code) {
            // The only copy of committed steps may lie there: it is not given up for a failure that may pass.
            throw UserError(.system, "\(what): \(String(cString: strerror(code)))")
        } catch {
            return nil
        }
        let (step, hash) = record.position
        // The record, of a commit or of going back, comes before the announcement, and that is several words: the launcher
        // may have died anywhere in between. Whichever generation has the recorded state is the one.
        let likely = shared.committedStep == step ? shared.currentGeneration : shared.nextGeneration
        let generations = [likely] + (0..<SharedLayout.generationCount).filter { $0 != likely }
        guard let generation = generations.first(where: { fingerprintState(shared, config.model, generation: $0, step: step) == hash })
        else { return nil }
        shared.prepareAdoption(step: step, generation: generation)
        return shared
    }

    /// Puts the newest checkpoint whose hashes hold, else the first weights, into generation 0.
    /// - Parameters:
    ///   - chosen: the step of the only checkpoint that will do.
    ///   - last: committed steps so far.
    ///   - isDrawn: whether the first weights can be drawn from the seed again.
    ///   - session: that goes on from there; what is read for it is booked in the ledger.
    package static func restore(
        into shared: SharedState, _ config: RunConfig, _ description: RunDescription, _ parameters: ParameterLayout, at chosen: Int? = nil, last: Int,
        isDrawn: Bool, _ folder: RunFolder, session: Int, _ ledger: LedgerStore, _ remarks: inout [String]
    ) throws -> (step: Int, hash: String, pastUpdates: PastUpdates) {
        let state = shared.pointers(generation: 0), store = CheckpointStore(folder: folder.checkpointsPath)
        func mismatch(_ manifest: Manifest) -> CheckpointMismatch? { manifest.mismatch(config, description) }
        func hash(_ step: Int) -> String { fingerprintState(shared, config.model, generation: 0, step: step) }
        let found: Checkpoint?
        var rejected: [Restoration.Rejection] = []
        do throws(CheckpointError) {
            if let chosen {
                found = try store.restore(chosen, entries: parameters.stateEntries, parameters: state.parameters,
                    firstMoments: state.firstMoment, secondMoments: state.secondMoment, mismatch: mismatch, stateHash: hash)
            } else {
                let search = try store.restoreNewest(entries: parameters.stateEntries, parameters: state.parameters,
                    firstMoments: state.firstMoment, secondMoments: state.secondMoment, mismatch: mismatch, stateHash: hash)
                (found, rejected) = (search.checkpoint, search.rejected)
                remarks += rejected.map(\.description)
            }
        } catch {
            throw error.userError
        }
        let now = MonotonicClock.nanoseconds()
        for rejection in rejected { try ledger.append(RestoreRow(session: session, step: rejection.step, nanoseconds: now, damage: "\(rejection)")) }
        if let step = found?.step { try ledger.append(RestoreRow(session: session, step: step, nanoseconds: now)) }
        if found == nil && !isDrawn {
            throw UserError(.badInput, (["\(folder.path) has no checkpoint that is whole, and no seed gives the state it began from"] + remarks).joined(separator: "; "))
        }
        do throws(CheckpointError) {
            for rejection in rejected where rejection.damage.isLasting {
                let name = try store.setAside(rejection.step, as: .damaged)
                remarks.append("checkpoint step-\(rejection.step) is set aside as \(name)")
            }
        } catch {
            throw error.userError
        }
        guard let checkpoint = found else {
            // A damaged checkpoint may have left anything in the blocks.
            parameters.initialise(into: state.parameters, seed: config.seed)
            state.firstMoment.update(repeating: 0, count: parameters.count)
            state.secondMoment.update(repeating: 0, count: parameters.count)
            remarks.append("there is no checkpoint; starting again from step 0")
            return (0, fingerprintState(shared, config.model, generation: 0, step: 0), PastUpdates())
        }
        remarks.append("restored checkpoint step-\(checkpoint.step)" + (last > checkpoint.step ? "; \(last - checkpoint.step) committed steps after it are computed again" : ""))
        return (checkpoint.step, checkpoint.manifest.stateHash, checkpoint.manifest.pastUpdates)
    }

    /// Ends what a launcher that died without a word left open: its workers, its flight recorders, its rows.
    private static func endDeadSessions(_ record: RunRecord, _ folder: RunFolder, _ description: RunDescription, _ ledger: LedgerStore) throws {
        for session in record.sessions where session.endedNanoseconds == nil {
            var end = record.commits.last(where: { $0.session == session.session })?.nanoseconds ?? session.startedNanoseconds
            // A slot's account goes as far as its worker's last sign of life.
            var lastSign: [Int: UInt64] = [:]
            for var replica in record.replicas where replica.session == session.session && replica.reapedNanoseconds == nil {
                kill(orphan: replica, folder, segment: description.segmentName)
                var last = record.flights[replica.replica]?.last
                if let ring = try? FlightRing(opening: folder.flightPath(replica: replica.replica)) {
                    let stored = UInt64((record.flights[replica.replica]?.count ?? 0) + replica.lostEvents)
                    let (drained, lost) = ring.drain(from: stored)
                    // Events that were lost and not yet counted shift the ring: what is stored is not stored twice.
                    let events = drained.filter { $0.nanoseconds > last?.nanoseconds ?? 0 }
                    replica.lostEvents += Int(lost)
                    try ledger.append(events, replica: replica.replica)
                    last = events.last ?? last
                    unlink(folder.flightPath(replica: replica.replica))
                }
                let seen = max(last?.nanoseconds ?? 0, replica.spawnedNanoseconds)
                (replica.endedNanoseconds, replica.reapedNanoseconds, replica.exit) = (seen, seen, "orphaned")
                try ledger.put(replica)
                lastSign[replica.slot] = seen
                end = max(end, seen)
            }
            for slot in record.slots where slot.session == session.session {
                try ledger.put(SlotRow(session: slot.session, slot: slot.slot, openedNanoseconds: slot.openedNanoseconds, closedNanoseconds: lastSign[slot.slot] ?? end))
            }
            try ledger.end(session: session.session, at: end)
        }
    }

    /// Kills a worker that outlived its launcher, if the process of that id is still it, and waits until it is gone:
    /// it could still write into the memory that is to be adopted.
    private static func kill(orphan replica: ReplicaRow, _ folder: RunFolder, segment: String) {
        let descriptor = cs_pidfd_open(pid_t(replica.pid))
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        func said(_ name: String) -> String { (try? String(contentsOfFile: "/proc/\(replica.pid)/\(name)", encoding: .utf8)) ?? "" }
        let words = said("cmdline").split(separator: "\0")
        let isNamed = words.contains("worker") && words.contains(Substring(folder.absolutePath)) && words.contains(Substring(String(replica.replica)))
        // Whatever path it was started under, it maps the run's memory.
        guard isNamed || said("maps").contains(segment) else { return }
        _ = Glibc.kill(pid_t(replica.pid), SIGKILL)
        var gone = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&gone, 1, 5_000)
    }
}

extension RunRecord {
    /// The failures that checkpoints are for, and the worker-seconds of training they came in, as the last choice of an
    /// interval has them and with what came after it. A launcher that died without a word is one.
    var checkpointedFailures: (failures: Int, exposureSeconds: Double) {
        let died = facts[RunFact.outcome] == Outcome.running.rawValue ? 1 : 0
        guard let last = intervals.last else { return (died, 0) }
        let since = commits.last.flatMap { $0.session == last.session && $0.nanoseconds > last.nanoseconds ? $0.nanoseconds - last.nanoseconds : nil } ?? 0
        return (last.choice.rate.failures + died, last.choice.rate.exposureSeconds + Double(since) / 1e9 * Double(last.choice.workers))
    }
}
