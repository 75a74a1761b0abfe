import Ledger

/// The report of a run as plain text, at most 100 columns wide. A pure function of the record: the same record gives
/// the same characters.
package struct TextReport {
    package static let width = 100

    let account: RunAccount
    let reference: ReferenceRun?
    let ink: Ink

    /// - Parameter reference: what `account`'s E comes from, if it was compared.
    package init(_ account: RunAccount, reference: ReferenceRun? = nil, colour: Bool = false) {
        self.account = account
        self.reference = reference
        ink = Ink(colour: colour)
    }

    /// What a user sees at the end of a run, and from `headway report RUN`.
    package static func summary(_ record: RunRecord, colour: Bool = false) -> String {
        TextReport(RunAccount(record), colour: colour).summary
    }

    package var summary: String {
        let sections = [
            runSection, lossSection, contributionSection, throughputSection, goodputSection, definitionSection, timeSection,
            incidentSection, faultSection, checkpointSection,
        ]
        return sections.filter { !$0.isEmpty }
            .map { $0.map(\.withoutTrailingSpaces).joined(separator: "\n") }
            .joined(separator: "\n\n") + "\n"
    }

    var record: RunRecord { account.record }
    var headlines: Headlines { account.headlines }

    func fact(_ name: String) -> String? { record.facts[name].flatMap { $0.isEmpty ? nil : $0 } }
    func number(_ name: String) -> Double? { fact(name).flatMap { Double($0) }.flatMap { abs($0) < 1e18 ? $0 : nil } }

    func title(_ text: String) -> String {
        ink.bold(text) + " " + ink.dim(String(repeating: "─", count: max(0, TextReport.width - text.count - 1)))
    }

    /// `label` in a column of its own, then the values.
    func row(_ label: String, _ value: String) -> String { "  " + label.padded(13) + value }
}

/// Colour for terminals, or none.
struct Ink {
    let colour: Bool

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func green(_ text: String) -> String { wrap(text, "32") }
    func red(_ text: String) -> String { wrap(text, "31") }

    private func wrap(_ text: String, _ code: String) -> String { colour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }
}
