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
}

extension Launcher {
    private func logPath(_ step: Int) -> String { folder.file("logs/checkpoint-\(step).log") }

    /// Starts writing `generation`, which stays pinned until the writer is done.
    func startWriter(generation: Int) throws {
        checkpointWanted = false
        let arguments = ["checkpoint-writer", folder.absolutePath, "--step", String(step), "--generation", String(generation), "--state-hash", stateHash, "--launcher", String(getpid())]
        let row = CheckpointRow(session: session, step: step, requestedNanoseconds: MonotonicClock.nanoseconds(), durableNanoseconds: nil,
            bytes: 0, status: "writing")
        let process = try WorkerProcess(executable: executable, arguments: arguments, environment: environment, log: logPath(step))
        writer = CheckpointProcess(process: process, generation: generation, row: row)
    }

    func lookAtWriter() throws {
        guard let exit = writer?.process.reap(wait: false) else { return }
        notify(.message(try finishWriter(exit).said))
    }

    /// Books what became of the checkpoint and unpins its generation.
    private func finishWriter(_ exit: WorkerProcess.Exit) throws -> (durable: Bool, said: String) {
        guard var done = writer else { return (false, "") }
        writer = nil
        done.process.closeDescriptor()
        let now = MonotonicClock.nanoseconds()
        if exit == .exited(status: 0) {
            let store = CheckpointStore(folder: folder.checkpointsPath)
            done.row.bytes = (try? store.inspect(done.row.step, .sizes).manifest.bytes) ?? 0
            done.row.durableNanoseconds = now
            done.row.status = "durable"
            try ledger.append(done.row)
            let milliseconds = (now - done.row.requestedNanoseconds) / 1_000_000
            return (true, "checkpoint step-\(done.row.step) is durable: \(decimal(Double(done.row.bytes) / 1e6, 1)) MB in \(milliseconds) ms")
        }
        let said = (try? String(contentsOfFile: logPath(done.row.step), encoding: .utf8))?.split(separator: "\n").last.map { String($0) }
        done.row.status = said ?? "the writer ended without a word"
        try ledger.append(done.row)
        return (false, "checkpoint step-\(done.row.step) was not written: \(done.row.status)")
    }

    /// The state the session ends with, made durable before the launcher goes.
    func finalCheckpoint() throws -> (durable: Bool, said: String) {
        if let exit = writer?.process.reap(wait: true) { notify(.message(try finishWriter(exit).said)) }
        // After a failure between the record of a step and its announcement, the recorded state is the next one.
        try startWriter(generation: shared.committedStep == step ? shared.currentGeneration : shared.nextGeneration)
        guard let exit = writer?.process.reap(wait: true) else { return (false, "the last checkpoint's writer cannot be waited for") }
        return try finishWriter(exit)
    }
}

/// The writer process: maps the run's memory, writes one generation, prunes old ones.
package struct CheckpointWriter {
    package static func run(folder: RunFolder, step: Int, generation: Int, stateHash: String, launcher: pid_t) throws {
        // Without its launcher nobody keeps the generation pinned: a later one could write over what is being read.
        _ = cs_signal_at_parent_death(SIGKILL)
        guard getppid() == launcher else { throw UserError(.runFailed, "the launcher is gone") }
        let (config, description) = try folder.read()
        let parameters = ParameterLayout(config.model)
        let shared = try SharedState(opening: description.segmentName, layout: SharedLayout(run: config, description, parameters),
            identity: description.identityWord(config))
        let found = PreparedRun.fingerprintState(shared, generation: generation, step: step)
        guard found == stateHash else {
            throw UserError(.runFailed, "generation \(generation) of shared memory has state \(found.prefix(16))…, not the committed one of step \(step), \(stateHash.prefix(16))…; nothing was written")
        }
        let state = shared.pointers(generation: generation)
        let store = CheckpointStore(folder: folder.checkpointsPath)
        _ = try store.removeAbandoned()
        let parent = try store.steps().first { $0 < step }
        let manifest = Manifest(step: step, parent: parent, run: description.identity, seed: config.seed, configSHA256: config.digest,
            kernelCore: description.blasCore, stateHash: stateHash, createdUnixSeconds: Int(Date().timeIntervalSince1970))
        _ = try store.save(manifest, entries: parameters.stateEntries, parameters: state.parameters, firstMoments: state.firstMoment,
            secondMoments: state.secondMoment)
        _ = try store.prune(keepLast: config.checkpoint.keep)
    }
}

extension ParameterLayout {
    /// The parameters as checkpoints name them.
    var stateEntries: [StateEntry] {
        slots.map { StateEntry(name: $0.name, shape: $0.shape, offset: $0.offset, count: $0.count) }
    }
}
