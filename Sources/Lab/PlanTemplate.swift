import RunSpec
import Yams

/// A plan of faults in which some values are left open: a list where a plan takes one value is an axis of the campaign.
package struct PlanTemplate: Sendable {
    /// File and key, for errors.
    private let place: String
    /// The plan as YAML, with `@name@` where a value of an axis goes.
    private let yaml: String
    private let traces: [String: String]
    package let axes: [Campaign.Axis]

    /// Lists that belong to a plan as they are.
    private static let lists: Set<String> = ["faults", "schedules", "points", "workers"]

    /// - Parameter load: the text of a trace, given its name in the plan.
    /// - Throws: `UserError` for two axes of one name, or for a trace that is not there.
    init(_ node: Node, place: String, load: (String) throws -> String) throws {
        self.place = place
        var axes: [Campaign.Axis] = [], traces: [String: String] = [:]
        func open(_ node: Node, key: String) throws -> Node {
            switch node {
            case .mapping(let mapping):
                if let trace = mapping["trace"]?["file"]?.string { traces[trace] = try load(trace) }
                return .mapping(Node.Mapping(try mapping.map { ($0, try open($1, key: $0.string ?? "")) }))
            case .sequence(let items) where Self.lists.contains(key):
                return .sequence(Node.Sequence(try items.map { try open($0, key: "") }))
            case .sequence(let items):
                let axis = try Campaign.Axis(name: key, items: items.map(\.scalar?.string), place: place)
                guard !axes.contains(where: { $0.name == key }) else { throw UserError(.usage, "\(place): `\(key)` is a list twice; one of them can be an axis") }
                axes.append(axis)
                return .scalar(Node.Scalar("@\(key)@"))
            default: return node
            }
        }
        yaml = try Yams.serialize(node: open(node, key: ""))
        (self.axes, self.traces) = (axes, traces)
    }

    /// The faults of one run.
    /// - Parameter chosen: a value for each axis.
    func faults(_ chosen: [Campaign.Setting], workers: Int, steps: Int, seed: UInt64) throws -> [Fault] {
        var text = yaml
        for setting in chosen { for quote in ["'", "\"", ""] { text = text.replacing("\(quote)@\(setting.name)@\(quote)", with: setting.value) } }
        let plan = try FaultPlan(yaml: text, file: place) { traces[$0] ?? "" }
        return try plan.resolve(workers: workers, steps: steps, seed: seed, limit: Self.faultsMaximum)
    }

    /// As many as a run keeps track of.
    private static let faultsMaximum = 16_384
}

extension Campaign.Axis {
    /// - Parameter items: nil for what is not one value.
    /// - Throws: `UserError` for an empty list, a list in a list, or a value twice.
    init(name: String, items: [String?], place: String) throws {
        let values = items.compactMap { $0 }
        guard values.count == items.count, !values.isEmpty else { throw UserError(.usage, "\(place): `\(name)` must be one value or a list of values, as in [a, b]") }
        if let twice = values.enumerated().first(where: { values[..<$0].contains($1) }) { throw UserError(.usage, "\(place): `\(name)` has the value `\(twice.element)` twice") }
        self.init(name: name, values: values)
    }
}
