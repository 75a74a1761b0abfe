import ArgumentParser
import Foundation
import Ledger
import Reports
import RunSpec
import Training

struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow a run from another terminal.",
        discussion: """
            Reads what is new in the ledger, twice a second. Ends with the run.

            EXAMPLES
              headway watch runs/demo-1
              headway watch runs/demo-1 --once      one line: how it stands

            EXIT STATUS
              0 the run is finished, or goes on (--once)   130 it was interrupted
              1 it failed, or its launcher died
            """)

    private static let pauseMicroseconds: UInt32 = 500_000

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String

    @Flag(help: "Print one line and end.")
    var once = false

    func run() throws {
        // The run goes first.
        _ = nice(10)
        guard FileManager.default.fileExists(atPath: folder) else { throw UserError(.missing, "there is no folder \(folder); name the one that `headway train` printed") }
        let run = RunFolder(folder), screen = Screen()
        if screen.live, !once { signal(SIGINT) { _ in endLine() } }
        guard let follower = try begun(run) else { return say("\(folder) is being prepared: the run has not begun") }
        var shown: UInt64 = 0
        while true {
            // Asked before the ledger is read: what a launcher wrote before it left is seen.
            let isHeld = run.launcher() != nil
            for event in try follower.look() { screen.show(message: event) }
            if hasEnded(follower.run, isHeld) {
                screen.finish()
                return try close(run, follower.run)
            }
            let now = MonotonicClock.nanoseconds()
            if screen.live || once || now - shown >= Screen.plainNanoseconds {
                screen.show(StatusLine(follower.run, at: now))
                shown = now
            }
            if once { return screen.live ? say("") : () }
            usleep(Self.pauseMicroseconds)
        }
    }

    /// Waits until the run has begun; nil when it has not and only one look is wanted.
    private func begun(_ run: RunFolder) throws -> LedgerFollower? {
        var hasSaid = false
        while true {
            let isHeld = run.launcher() != nil
            if let follower = try LedgerFollower(run.ledgerPath) { return follower }
            guard isHeld else { throw UserError(.missing, "\(folder) holds no run: there is no ledger, and no launcher that would begin one") }
            if once { return nil }
            if !hasSaid { say("\(folder) is being prepared; waiting for the run to begin") }
            hasSaid = true
            usleep(Self.pauseMicroseconds)
        }
    }

    /// The launcher sets the outcome first and closes the session after it.
    private func hasEnded(_ run: LiveRun, _ isHeld: Bool) -> Bool {
        if run.outcome == Outcome.running.rawValue { return !isHeld }
        return run.session?.isOpen != true || !isHeld
    }

    /// Says how the run ended, from its whole record: it costs nobody anything any more.
    private func close(_ run: RunFolder, _ live: LiveRun) throws {
        let record = try run.record(), outcome = record.facts[RunFact.outcome] ?? "outcome unknown"
        say(TextReport.outcome(record))
        switch outcome {
        case Outcome.finished.rawValue: return
        case Outcome.interrupted.rawValue: throw UserError(.interrupted, "\(folder) was interrupted at step \(live.step); `headway resume \(folder)` goes on")
        case RunFact.abandoned, Outcome.running.rawValue: throw UserError(.runFailed, "the launcher of \(folder) died at step \(live.step) without a word; `headway resume \(folder)` goes on")
        default: throw UserError(.runFailed, "\(folder) \(outcome) at step \(live.step); see \(run.file("logs")), and `headway resume \(folder)` to go on")
        }
    }
}

/// Of a live line, when Ctrl-C ends the command in the middle of it.
private func endLine() {
    write(STDOUT_FILENO, "\n", 1)
    _exit(130)
}

extension StatusLine {
    init(_ run: LiveRun, at now: UInt64) {
        self.init(
            step: run.step, steps: run.plannedSteps, loss: run.loss, tokensPerSecond: run.tokensPerSecond, recentGoodput: run.recentGoodput,
            goodput: run.goodput(at: now), workersAlive: run.workersAlive, workers: run.workers, secondsLeft: run.secondsLeft,
            lastIncident: run.lastIncident)
    }
}
