import Ledger

extension TextReport {
    /// The outcome of `headway verify`: one line per check, and a verdict.
    package static func checks(_ verification: Verification, colour: Bool = false) -> String {
        let ink = Ink(colour: colour)
        var lines: [String] = []
        for check in verification.checks {
            let mark = switch check.verdict {
            case .passed: ink.green("ok    ")
            case .failed: ink.red("FAILED")
            case .skipped: ink.dim("–     ")
            }
            lines.append("  \(mark)  " + check.name.padded(max(38, check.name.count)))
            lines += wrapped(check.detail, width: width - 10).map { "          " + ink.dim($0) }
        }
        let failed = verification.checks.count { $0.verdict == .failed }
        lines.append(failed == 0 ? "every check passed" : "\(Quantity.plural(failed, "check")) failed")
        return lines.map(\.withoutTrailingSpaces).joined(separator: "\n") + "\n"
    }

    /// Lines of whole words, each at most `width` long unless one word is longer.
    package static func wrapped(_ text: String, width: Int) -> [String] {
        var lines: [String] = [], line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return line.isEmpty ? lines : lines + [line]
    }
}
