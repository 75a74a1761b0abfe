import Ledger
import RunSpec

/// A comparison as one JSON document: values in the order of `runs`, null where a run has none or where it would mean
/// something else than in the first run; differences are from the first run, in the same unit.
package enum ComparisonDocument {
    static let formatVersion = 1

    package static func text(_ comparison: Comparison) -> String {
        JSONValue.object([
            ("format", "headway comparison"), ("format_version", .integer(formatVersion)),
            ("runs", .list(comparison.runs.indices.map { run(comparison, $0) })),
            ("settings", .list(comparison.settings.map { .object([("key", .text($0.key)), ("values", .list($0.values.map { .text($0) }))]) })),
            ("figures", .list(comparison.figures.map { figure($0) })),
            ("categories", .list(comparison.categories.map { row in
                .object([
                    ("code", .text(row.category?.code ?? "U")), ("name", .text(row.category?.name ?? "unaccounted")),
                    ("seconds", values(row.seconds.values)), ("shares", values(row.shares.values)),
                    ("seconds_differences", values(row.seconds.differences)), ("share_differences", values(row.shares.differences)),
                ])
            })),
        ]).text + "\n"
    }

    private static func run(_ comparison: Comparison, _ index: Int) -> JSONValue {
        let run = comparison.runs[index], states: (String, Int?)
        switch comparison.states[index] {
        case .first: states = ("first", nil)
        case .equal(let steps): states = ("equal", steps)
        case .differ(let step): states = ("differ", step)
        case .nothingInCommon: states = ("nothing in common", nil)
        }
        return .object([
            ("name", .text(run.name)), ("remarks", .list(run.remarks.map { .text($0) })), ("run", RunDocument.run(run.account)),
            ("headlines", RunDocument.headlines(run.account)), ("states", .text(states.0)),
            ("equal_steps", JSONValue(states.0 == "equal" ? states.1 : nil)), ("differs_from_step", JSONValue(states.0 == "differ" ? states.1 : nil)),
            ("configuration", RunDocument.configuration(run.account.record)),
        ])
    }

    private static func figure(_ figure: Comparison.Figure) -> JSONValue {
        .object([
            ("key", .text(figure.key)), ("name", .text(figure.name)), ("unit", .text(figure.unit.rawValue)), ("values", values(figure.values)),
            ("differences", values(figure.differences)),
        ])
    }

    private static func values(_ values: [Double?]) -> JSONValue { .list(values.map { JSONValue($0) }) }
}
