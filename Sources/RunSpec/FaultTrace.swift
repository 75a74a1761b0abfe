import Yams

// A recorded trace of what became of machines. As CSV, with a header; `#` begins a comment:
//
//     time_s,event,worker,kind
//     0,add,node1
//     4080,preempt,node1
//     5220.5,fail,node2,hang
//
// or as JSON, a list of objects with the same keys: [{"time_s": 4080, "event": "preempt", "worker": "node1"}, …].
//
//     time_s or time_ms   since the beginning of the recording, from 0, in any order
//     event               preempt or the name of another kind of fault: that kind; remove or fail: a crash;
//                         add: somebody came, counted and otherwise ignored
//     worker              optional; a whole number is a slot, other names count from 0 as they appear; both wrap around the
//                         workers of the run. Without it a worker is drawn
//     kind                optional; the kind of fault, whatever the event says

/// Who was lost when, as recorded.
package struct FaultTrace: Sendable {
    struct Removal: Sendable {
        /// In seconds of the recording, until a schedule brings it to its own clock.
        var time: Double
        /// nil when the recording does not say.
        var node: Int?
        /// nil when a schedule decides.
        var kind: Fault.Kind?
    }

    /// Ascending in time.
    private(set) var removals: [Removal] = []
    private(set) var additions = 0
    private var nodes: [String: Int] = [:]

    private static let columns = ["time_s", "time_ms", "event", "worker", "kind"]
    private static let events = ["preempt", "remove", "fail", "add"]

    /// - Throws: `UserError` naming file and line, or file and entry.
    init(_ text: String, file: String) throws {
        if text.drop(while: \.isWhitespace).first == "[" { try read(json: text, file) } else { try read(csv: text, file) }
        // Those at one instant stay as they were recorded.
        removals = removals.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }

    /// With other times: those of a run.
    func timed(_ change: (Double) -> Double) -> FaultTrace {
        var trace = self
        for index in removals.indices { trace.removals[index].time = change(removals[index].time) }
        return trace
    }

    /// With every loss of one kind.
    func all(_ kind: Fault.Kind) -> FaultTrace {
        var trace = self
        for index in removals.indices { trace.removals[index].kind = kind }
        return trace
    }

    private mutating func read(csv text: String, _ file: String) throws {
        var header: [String]?
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let cells = line.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed }
            if cells == [""] || cells[0].hasPrefix("#") { continue }
            let place = "\(file): line \(number + 1)"
            guard let names = header else {
                for name in cells { try Self.check(name, place) }
                header = cells
                continue
            }
            guard cells.count <= names.count else { throw UserError(.badInput, "\(place): \(cells.count) values under \(names.count) columns") }
            // A line may end early: what is optional comes last.
            try add(Dictionary(zip(names, cells), uniquingKeysWith: { $1 }).filter { !$0.value.isEmpty }, place)
        }
        if header == nil { throw UserError(.badInput, "\(file): the trace is empty") }
    }

    private mutating func read(json text: String, _ file: String) throws {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch { throw RunConfig.notYAML(file, error, format: "JSON") }
        for (index, node) in (root?.sequence.map { Array($0) } ?? []).enumerated() {
            let place = "\(file): entry \(index + 1)"
            guard let mapping = node.mapping else { throw UserError(.badInput, "\(place) is not an object with the keys of a trace") }
            var values: [String: String] = [:]
            for (key, value) in mapping {
                let name = key.string ?? "?"
                try Self.check(name, place)
                guard let text = value.string else { throw UserError(.badInput, "\(place): `\(name)` must be one value") }
                values[name] = text
            }
            try add(values, place)
        }
    }

    private static func check(_ name: String, _ place: String) throws {
        guard !columns.contains(name) else { return }
        throw UserError(.badInput, "\(place): a trace has no `\(name)`\(suggestion(for: name, among: columns)); it has \(columns.joined(separator: ", "))")
    }

    private mutating func add(_ values: [String: String], _ place: String) throws {
        guard let written = values["time_s"] ?? values["time_ms"] else { throw UserError(.badInput, "\(place): `time_s` is missing") }
        guard let time = Double(written), time >= 0, time.isFinite else {
            throw UserError(.badInput, "\(place): the time must be a number from 0, not `\(written)`")
        }
        guard let event = values["event"] else { throw UserError(.badInput, "\(place): `event` is missing") }
        var node: Int?
        if let name = values["worker"] { node = number(name) }
        if event == "add" {
            additions += 1
            return
        }
        let kind = try kind(event, values["kind"], place)
        removals.append(Removal(time: values["time_s"] == nil ? time / 1000 : time, node: node, kind: kind))
    }

    private mutating func number(_ name: String) -> Int {
        if let slot = Int(name), slot >= 0 { return slot }
        if let known = nodes[name] { return known }
        nodes[name] = nodes.count
        return nodes.count - 1
    }

    private func kind(_ event: String, _ named: String?, _ place: String) throws -> Fault.Kind {
        // What can befall a machine that is lost.
        let kinds = Fault.Kind.allCases.filter { !$0.isOfDisk }.map(\.rawValue)
        if let named {
            if kinds.contains(named), let kind = Fault.Kind(rawValue: named) { return kind }
            throw UserError(.badInput, "\(place): there is no kind `\(named)`\(suggestion(for: named, among: kinds)); there are \(kinds.joined(separator: ", "))")
        }
        if event == "remove" || event == "fail" { return .crash }
        if kinds.contains(event), let kind = Fault.Kind(rawValue: event) { return kind }
        let names = Self.events + kinds.filter { $0 != "preempt" }
        throw UserError(.badInput, "\(place): there is no event `\(event)`\(suggestion(for: event, among: names)); there are \(names.joined(separator: ", "))")
    }
}

extension Substring {
    fileprivate var trimmed: String {
        let start = drop(while: \.isWhitespace)
        return String(start.prefix(start.count - start.reversed().prefix(while: \.isWhitespace).count))
    }
}
