import Checkpointing
import Collectives
import Coordination
import CSystem
import Foundation
import Glibc
import Ledger
import Model
import RunSpec

/// A process that writes one pinned generation to disk while training goes on.
struct CheckpointProcess {
    let process: WorkerProcess
    let generation: Int
    var row: CheckpointRow
    /// When it was last seen to do something, and the processor time of its threads then.
    var movedNanoseconds: UInt64, kernel = KernelTime()
}

extension Launcher {
    private static let writerStandstillNanoseconds: UInt64 = 2_000_000_000
    private static let noWord = "the writer ended without a word"

    private func logPath(_ step: Int) -> String { folder.file("logs/checkpoint-\(step).log") }

    /// Starts writing `generation`, which stays pinned until the writer is done.
    /// - Returns: why no writer could be started, which is booked; nil when one was.
    /// - Parameter alone: nobody trains beside it, so that it need not stand back.
    func startWriter(generation: Int, alone: Bool = false) throws -> String? {
        (checkpointWanted, retryStep) = (false, nil)
        checkpointStep = step
        tuner?.began()
        let arguments = ["checkpoint-writer", folder.absolutePath, "--step", String(step), "--generation", String(generation), "--state-hash", stateHash,
            "--past-updates", pastUpdates.json, "--launcher", String(getpid())]
            + (alone ? ["--alone"] : [])
        let now = MonotonicClock.nanoseconds()
        var row = CheckpointRow(session: session, step: step, requestedNanoseconds: now, lateNanoseconds: late.map { now - $0.since } ?? 0,
            merged: late?.merged ?? 0, durableNanoseconds: nil, bytes: 0, status: Self.noWord)
        late = nil
        do {
            let process = try WorkerProcess(executable: executable, arguments: arguments, environment: environment, log: logPath(step))
            writer = CheckpointProcess(process: process, generation: generation, row: row, movedNanoseconds: row.requestedNanoseconds)
            return nil
        } catch {
            row.status = "\(error)"
            try ledger.append(row)
            retryCheckpoint()
            return "checkpoint step-\(step) was not written: \(error)"
        }
    }

    func lookAtWriter() throws {
        try watchWriter()
        guard let end = writer?.process.reap(wait: false) else { return }
        notify(.message(try finishWriter(end).said))
        if shared.stopRequested || step == config.steps { askForDeposit() }
    }

    /// A writer that neither computes nor waits for the disk has hung, and keeps its generation pinned.
    private func watchWriter() throws {
        guard let pid = writer?.process.pid, let activity = ThreadActivity(of: pid) else { return }
        let now = MonotonicClock.nanoseconds()
        if activity.kernel != writer!.kernel || !activity.states.isDisjoint(with: ["D", "R"]) {
            (writer!.movedNanoseconds, writer!.kernel) = (now, activity.kernel)
        } else if now - writer!.movedNanoseconds > Self.writerStandstillNanoseconds {
            try noteFaults()
            writer!.row.status = "the writer stood still for \(Self.writerStandstillNanoseconds / 1_000_000_000) s and was ended"
            writer!.process.kill()
        }
    }

    /// Books what became of the checkpoint and unpins its generation.
    private func finishWriter(_ end: WorkerProcess.End) throws -> (durable: Bool, said: String) {
        guard var done = writer else { return (false, "") }
        writer = nil
        done.process.closeDescriptor()
        try noteFaults()
        let now = MonotonicClock.nanoseconds()
        done.row.cpuNanoseconds = end.cpuNanoseconds
        if end.exit == .exited(status: 0) {
            // As its writer says: whether all of it is there shows when somebody reads it.
            let found = try? CheckpointStore(folder: folder.checkpointsPath).list().first { $0.step == done.row.step }
            done.row.bytes = found?.manifest?.bytes ?? 0
            done.row.durableNanoseconds = now
            done.row.status = "durable"
            try ledger.append(done.row)
            try noteDurable(done.row, at: now)
            let milliseconds = (now - done.row.requestedNanoseconds) / 1_000_000
            return (true, "checkpoint step-\(done.row.step) is durable: \(decimal(Double(done.row.bytes) / 1e6, 1)) MB in \(milliseconds) ms")
        }
        if case .signalled(let signal) = end.exit {
            if done.row.status == Self.noWord { done.row.status = "the writer was killed by signal \(signal)" }
        } else if let said = (try? String(contentsOfFile: logPath(done.row.step), encoding: .utf8))?.split(separator: "\n").last {
            done.row.status = String(said.trimmingPrefix("headway: "))
        }
        try ledger.append(done.row)
        retryCheckpoint()
        return (false, "checkpoint step-\(done.row.step) was not written: \(done.row.status)")
    }

    /// The state the session ends with, made durable before the launcher goes. A writer that fails is replaced: what it met
    /// may be over, like a kill, or a disk that was full.
    /// - Throws: when it is interrupted for the second time.
    func finalCheckpoint() throws -> (durable: Bool, said: String) {
        let began = MonotonicClock.nanoseconds()
        if let end = try awaitWriter() {
            notify(.message(try finishWriter(end).said))
            let now = MonotonicClock.nanoseconds()
            try ledger.append(LauncherSpanRow(session: session, startNanoseconds: began, endNanoseconds: now, category: .backPressure))
            late = late ?? LateCheckpoint(since: began)
        }
        if sendsMessages, shared.depositStep != step {
            return (false, "the state after step \(step) is gone with the workers' memory; `headway resume \(folder.path)` computes again what came after the newest checkpoint")
        }
        // After a failure between the record of a step and its announcement, the recorded state is the next one.
        let generation = shared.committedStep == step ? shared.currentGeneration : shared.nextGeneration
        var last = (durable: false, said: "")
        for attempt in 1...Self.finalWritersMaximum {
            if let failure = try startWriter(generation: generation, alone: true) { return (false, failure) }
            guard let end = try awaitWriter() else { break }
            last = try finishWriter(end)
            if last.durable || attempt == Self.finalWritersMaximum { break }
            notify(.message("\(last.said); once more"))
        }
        return last
    }

    /// The end of the writer under way, nil when there is none.
    private func awaitWriter() throws -> WorkerProcess.End? {
        while let writer {
            try watchWriter()
            if let end = writer.process.reap(wait: false) { return end }
            try sleep()
            try lookAtSignals { notify(.message("stopping when the last checkpoint is durable; once more to stop at once")) }
        }
        return nil
    }

    /// Ends a writer whose generation is about to go, and books why.
    func abandonWriter(_ why: String) throws {
        guard var row = writer?.row else { return }
        killWriter()
        row.status = why
        try ledger.append(row)
    }

    func killWriter() {
        guard let writer else { return }
        writer.process.kill()
        _ = writer.process.reap(wait: true)
        writer.process.closeDescriptor()
        self.writer = nil
    }
}

/// The writer process: maps the run's memory, writes one generation, prunes old ones.
package struct CheckpointWriter {
    /// - Parameter alone: nobody trains meanwhile.
    package static func run(folder: RunFolder, step: Int, generation: Int, stateHash: String, pastUpdates: PastUpdates, launcher: pid_t, alone: Bool) throws {
        // Without its launcher nobody keeps the generation pinned: a later one could write over what is being read.
        _ = cs_signal_at_parent_death(SIGKILL)
        guard getppid() == launcher else { throw UserError(.runFailed, "the launcher is gone") }
        let (config, description) = try folder.read()
        if !alone { cs_stand_back(Int32(config.checkpoint.nice)) }
        let parameters = ParameterLayout(config.model)
        let shared = try SharedState(opening: description.segmentName, layout: SharedLayout(run: config, description, parameters),
            identity: description.identityWord(config))
        let found = PreparedRun.fingerprintState(shared, config.model, generation: generation, step: step)
        guard found == stateHash else {
            throw UserError(.runFailed, "generation \(generation) of shared memory has state \(found.prefix(16))…, not the committed one of step \(step), \(stateHash.prefix(16))…; nothing was written")
        }
        // Full, it takes half of what is to be written.
        let disk = FaultyDisk(roomBytes: 3 * MemoryLayout<Float>.stride * parameters.count / 2)
        var faults = FaultInjector(description.options.faults, victim: .writer, shared: shared, disk: disk)
        faults.strike(.snapshot, step: step)
        // The commits that the state rests on are in the ledger, and may be with the operating system only. Here nobody who
        // trains waits for the disk.
        try LedgerStore.sync(folder.ledgerPath)
        let state = shared.pointers(generation: generation)
        let store = CheckpointStore(folder: folder.checkpointsPath, storage: PacedStorage(disk, bytesPerSecond: alone ? 0 : config.checkpoint.bandwidth * 1e6))
        _ = try store.removeAbandoned()
        let parent = try store.steps().first { $0 < step }
        let manifest = Manifest(step: step, parent: parent, config, description, stateHash: stateHash, pastUpdates: pastUpdates)
        _ = try store.save(manifest, entries: parameters.stateEntries, parameters: state.parameters, firstMoments: state.firstMoment,
            secondMoments: state.secondMoment) { progress in
            switch progress {
            case .files: faults.strike(.persist, step: step, disk: true)
            case .writing: faults.strike(.persist, step: step)
            case .manifest: faults.strike(.manifest, step: step)
            case .rename:
                faults.strike(.rename, step: step, disk: true)
                faults.strike(.rename, step: step)
            case .durable: break
            }
        }
        // The checkpoint is there, whatever becomes of older ones.
        do { _ = try store.prune(KeepRules(config, folder), upTo: step) } catch {
            FileHandle.standardError.write(Data("older checkpoints were not removed: \(error)\n".utf8))
        }
    }
}

extension ParameterLayout {
    /// The parameters as checkpoints name them.
    package var stateEntries: [StateEntry] {
        slots.map { StateEntry(name: $0.name, shape: $0.shape, offset: $0.offset, count: $0.count) }
    }
}
