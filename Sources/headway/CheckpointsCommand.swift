import ArgumentParser
import Checkpointing
import Foundation
import Reports
import RunSpec
import Training

struct Checkpoints: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "checkpoints", abstract: "List a run's checkpoints; verify, prune or pin them, or ask for one now.",
        discussion: """
            Works while the run trains. Which checkpoints stay is said by the settings checkpoint.keep (the newest),
            checkpoint.keep-every (the first at or after each multiple of so many steps) and checkpoint.keep-best (the least validation loss); a
            pinned one stays whatever they say.

            EXAMPLES
              headway checkpoints runs/demo-1               what there is, and why it stays
              headway checkpoints runs/demo-1 --verify      reads every byte; exit status 1 if one is damaged
              headway checkpoints runs/demo-1 --pin 400     keeps that one
              headway checkpoints runs/demo-1 --prune       removes what nothing keeps, and what was set aside
              headway checkpoints runs/demo-1 --now         asks the run for one; returns when it is durable
            """)

    /// Writing a state can take as long as the disk takes; a launcher that lives answers within this.
    private static let waitSeconds = 600

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String
    @Flag(help: "Compare every byte with its hashes.") var verify = false
    @Flag(help: "Remove what no rule and no pin keeps.") var prune = false
    @Flag(help: "Ask a run that is going for a checkpoint of this moment. Training does not stop for it.") var now = false
    @Option(help: ArgumentHelp("Keep this one until it is unpinned.", valueName: "step")) var pin: Int?
    @Option(help: ArgumentHelp("Leave this one to the rules again.", valueName: "step")) var unpin: Int?

    func run() throws {
        let run = RunFolder(folder)
        _ = try run.read()
        if now { try ask(run) }
        let checkpoints = try RunCheckpoints(run)
        do throws(CheckpointError) {
            if let pin { try checkpoints.store.pin(pin) }
            if let unpin { try checkpoints.store.unpin(unpin) }
        } catch {
            throw checkpoints.store.refusal(error)
        }
        if prune {
            let removed = try checkpoints.prune()
            say(removed.isEmpty ? "nothing to remove" : "removed \(removed.joined(separator: ", "))")
        }
        if !now || verify { try list(checkpoints) }
    }

    private func list(_ checkpoints: RunCheckpoints) throws {
        let entries = try checkpoints.entries(verify ? .hashes : .sizes)
        if entries.isEmpty { say("there is none yet") } else { say(line("step", "age", "size", "kept as", "validation loss", "state")) }
        for entry in entries {
            let age = entry.manifest.map { Quantity.roughly(seconds: max(0, Date().timeIntervalSince1970 - Double($0.createdUnixSeconds))) }
            let state = entry.damage.map { "DAMAGED: \($0)" } ?? (verify ? "whole" : "complete")
            let loss = entry.pass.map { "\(Quantity.decimal($0.loss, 4))\($0.step == entry.step ? "" : " at step \($0.step)")" }
            say(line(String(entry.step), age ?? "?", entry.manifest.map { Quantity.bytes($0.bytes) } ?? "?",
                entry.keptFor.map(\.rawValue).joined(separator: ", "), loss ?? "", state))
        }
        do throws(CheckpointError) {
            for (name, step) in try checkpoints.store.aside() {
                say(checkpoints.store.isPinned(step) ? "\(name) is set aside and pinned; --unpin \(step) leaves it to --prune" : "\(name) is set aside; --prune removes it")
            }
        } catch {
            throw error.userError
        }
        if verify {
            let damaged = entries.count { $0.damage != nil }
            if damaged > 0 { throw UserError(.runFailed, "\(damaged) of \(entries.count) checkpoints of \(folder) are damaged") }
        } else if !entries.isEmpty {
            say("complete: sizes and manifest are right; --verify reads every byte")
        }
    }

    private func line(_ step: String, _ age: String, _ size: String, _ kept: String, _ loss: String, _ state: String) -> String {
        func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
        func left(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        return right(step, 9) + right(age, 11) + right(size, 11) + "  " + left(kept, 24) + "  " + left(loss, 24) + "  " + state
    }

    private func ask(_ run: RunFolder) throws {
        guard let launcher = run.launcher() else {
            throw UserError(.usage, "\(folder) is not running; `headway checkpoints \(folder)` lists what it has")
        }
        let store = CheckpointStore(folder: run.checkpointsPath)
        let before = try store.steps().first ?? -1
        guard kill(launcher, SIGUSR1) == 0 else { throw UserError(.system, "process \(launcher) cannot be signalled: \(String(cString: strerror(errno)))") }
        for _ in 0..<Self.waitSeconds * 20 {
            if let newest = try store.steps().first, newest > before {
                say("checkpoint step-\(newest) is durable")
                return
            }
            if run.launcher() != launcher { throw UserError(.runFailed, "the run ended before a new checkpoint was written") }
            usleep(50_000)
        }
        throw UserError(.runFailed, "no new checkpoint after \(Self.waitSeconds) s; see \(run.file("logs"))")
    }
}
