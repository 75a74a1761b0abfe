import Foundation
import Reports
import RunSpec
import Training

/// Where progress goes: one live line on a terminal, else a plain line every few seconds.
final class Screen {
    private static let liveNanoseconds: UInt64 = 100_000_000, plainNanoseconds: UInt64 = 5_000_000_000, plainWidth = 160
    private let live = isatty(STDOUT_FILENO) == 1
    private var shown: UInt64 = 0
    private var lineIsOpen = false
    private var last: RunProgress?

    func show(_ notice: Notice) {
        switch notice {
        case .message(let text):
            clear()
            say(text)
        case .progress(let progress):
            let now = MonotonicClock.nanoseconds()
            guard now - shown >= (live ? Self.liveNanoseconds : Self.plainNanoseconds), progress.step != last?.step || live else { return }
            (shown, last) = (now, progress)
            let line = StatusLine(progress).text(width: live ? terminalWidth() : Self.plainWidth, colour: live)
            if live {
                say("\r\u{1B}[K" + line, terminator: "")
                lineIsOpen = true
            } else {
                say(line)
            }
        }
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
    init(_ progress: RunProgress) {
        self.init(
            step: progress.step, steps: progress.steps, loss: progress.loss, tokensPerSecond: progress.tokensPerSecond,
            goodput: progress.computeShare, workersAlive: progress.alive, workers: progress.slots, secondsLeft: progress.secondsLeft,
            lastIncident: progress.lastIncident)
    }
}

/// Writes to standard output at once: what several processes and both streams print stays in order.
/// A reader that has gone is no reason to stop training.
func say(_ text: String, terminator: String = "\n") { try? FileHandle.standardOutput.write(contentsOf: Data((text + terminator).utf8)) }

/// A line for the person at the terminal that is not the command's result.
func printToStandardError(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8)) }
