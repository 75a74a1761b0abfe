import Foundation
import Ledger
import Reports
import RunSpec
import Training

/// Where progress goes: one live line on a terminal, else a plain line every few seconds.
final class Screen {
    static let plainNanoseconds: UInt64 = 5_000_000_000
    private static let liveNanoseconds: UInt64 = 100_000_000, plainWidth = 160
    let live = isatty(STDOUT_FILENO) == 1
    private var shown: UInt64 = 0
    private var lineIsOpen = false
    private var last: RunProgress?
    private var recent = RecentShare()

    func show(_ notice: Notice) {
        switch notice {
        case .message(let text): show(message: text)
        case .progress(let progress):
            let now = MonotonicClock.nanoseconds()
            recent.add(compute: progress.computeNanoseconds, provisioned: progress.provisionedNanoseconds, at: now)
            guard now - shown >= (live ? Self.liveNanoseconds : Self.plainNanoseconds), progress.step != last?.step || live else { return }
            (shown, last) = (now, progress)
            show(StatusLine(progress, recent: recent.value))
        }
    }

    /// A line that stays.
    func show(message: String) {
        clear()
        say(message)
    }

    /// The live line, in place of the one before; where there is no terminal, a line more.
    func show(_ line: StatusLine) {
        let text = line.text(width: live ? terminalWidth() : Self.plainWidth, colour: live)
        say(live ? "\r\u{1B}[K" + text : text, terminator: live ? "" : "\n")
        lineIsOpen = live
    }

    func finish() { clear() }

    private func clear() {
        if lineIsOpen { say("\r\u{1B}[K", terminator: "") }
        lineIsOpen = false
    }

    private func terminalWidth() -> Int {
        var size = winsize()
        return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 20 ? Int(size.ws_col) : 100
    }
}

extension StatusLine {
    /// - Parameter recent: goodput of the last minute.
    init(_ progress: RunProgress, recent: Double?) {
        let provisioned = progress.provisionedNanoseconds
        self.init(
            step: progress.step, steps: progress.steps, loss: progress.loss, tokensPerSecond: progress.tokensPerSecond, recentGoodput: recent,
            goodput: provisioned > 0 ? min(1, progress.computeNanoseconds / provisioned) : nil, workersAlive: progress.alive,
            workers: progress.slots, secondsLeft: progress.secondsLeft, lastIncident: progress.lastIncident)
    }
}

/// Writes to standard output at once: what several processes and both streams print stays in order.
/// A reader that has gone is no reason to stop training.
func say(_ text: String, terminator: String = "\n") { try? FileHandle.standardOutput.write(contentsOf: Data((text + terminator).utf8)) }

/// A line for the person at the terminal that is not the command's result.
func printToStandardError(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8)) }
