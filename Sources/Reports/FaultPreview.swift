import RunSpec

/// What a plan of faults will do to a run: text of `width` columns at most, and CSV.
package struct FaultPreview {
    private static let width = 100, label = 12
    private static let listedFaults = 20

    private let plan: FaultPlan.Resolution
    private let workers: Int, steps: Int
    private let heading: String

    /// - Parameter name: of the plan's file.
    package init(_ plan: FaultPlan.Resolution, name: String, workers: Int, steps: Int, seed: UInt64) {
        (self.plan, self.workers, self.steps) = (plan, workers, steps)
        heading = "\(name) · \(Quantity.plural(workers, "worker")) · \(Quantity.plural(steps, "step")) · seed \(seed)"
    }

    package var text: String {
        let sections = [[heading], timeline, clockTimeline, parts, counts, rates, first].filter { !$0.isEmpty }
        return sections.map { $0.map(\.withoutTrailingSpaces).joined(separator: "\n") }.joined(separator: "\n\n")
    }

    /// `step,at_s,victim,kind,point,fault`, with a header.
    package var csv: String {
        let rows = plan.faults.map { fault in
            let at = if case .seconds(let seconds) = fault.moment { String(seconds) } else { "" }
            return "\(fault.step.map { String($0) } ?? ""),\(at),\(fault.victim.name),\(fault.kind),\(fault.point),\(fault)"
        }
        return (["step,at_s,victim,kind,point,fault"] + rows).map { $0 + "\n" }.joined()
    }

    // MARK: Timelines

    private var timeline: [String] {
        let columns = min(steps, Self.width - Self.label), perColumn = (steps + columns - 1) / columns, used = (steps + perColumn - 1) / perColumn
        let faults = plan.faults.compactMap { fault in fault.step.map { (column: $0 / perColumn, fault: fault) } }
        return strips(faults, columns: used)
            + [axis(used) { Quantity.grouped($0 * perColumn) }, legend(faults.map(\.fault), Quantity.plural(perColumn, "step"))]
    }

    /// Of the faults that strike by the clock; nothing when there are none.
    private var clockTimeline: [String] {
        var times: [(seconds: Double, fault: Fault)] = []
        for fault in plan.faults { if case .seconds(let seconds) = fault.moment { times.append((seconds, fault)) } }
        guard let last = times.map(\.seconds).max() else { return [] }
        let columns = Self.width - Self.label, perColumn = max(last, 1) / Double(columns - 1)
        let faults = times.map { (column: Int($0.seconds / perColumn), fault: $0.fault) }
        return ["by the clock"] + strips(faults, columns: columns)
            + [axis(columns) { Quantity.duration(seconds: Double($0) * perColumn) }, legend(times.map(\.fault), Quantity.duration(seconds: perColumn))]
    }

    private func strips(_ faults: [(column: Int, fault: Fault)], columns: Int) -> [String] {
        let others = [Fault.Victim.launcher, .writer].filter { victim in faults.contains { $0.fault.victim == victim } }
        return ((0..<workers).map { Fault.Victim.worker($0) } + others).map { victim in
            var cells = [[Character]](repeating: [], count: columns)
            for (column, fault) in faults where fault.victim == victim { cells[column].append(fault.kind.letter) }
            return victim.name.padded(Self.label) + String(cells.map(cell))
        }
    }

    private func cell(_ letters: [Character]) -> Character {
        switch letters.count {
        case 0: "·"
        case 1: letters[0]
        case 2...9: Character(String(letters.count))
        default: "+"
        }
    }

    /// Numbers under every twentieth column.
    private func axis(_ columns: Int, _ number: (Int) -> String) -> String {
        String(repeating: " ", count: Self.label) + stride(from: 0, to: columns, by: 20).map { number($0).padded(20) }.joined()
    }

    private func legend(_ faults: [Fault], _ column: String) -> String {
        let kinds = Fault.Kind.allCases.filter { kind in faults.contains { $0.kind == kind } }
        return String(repeating: " ", count: Self.label) + (kinds.map { "\($0.letter) \($0)" } + ["2–9 + several", "a column is \(column)"]).joined(separator: "   ")
    }

    // MARK: Figures

    private var parts: [String] {
        var lines = ["".padded(Self.width - 24) + "expected".aligned(12) + "drawn".aligned(12)]
        for part in plan.parts {
            lines.append(part.title.padded(Self.width - 24) + Quantity.decimal(part.expected, 1).aligned(12) + Quantity.grouped(part.actual).aligned(12))
            let displaced = part.displaced == 0 ? nil : "\(Quantity.grouped(part.displaced)) more fell on a worker in a step in which it is struck already"
            for remark in [part.remark, displaced].compactMap({ $0 }) {
                lines += TextReport.wrapped(remark, width: Self.width - 4).map { "    " + $0 }
            }
        }
        return lines
    }

    private var counts: [String] {
        let kinds = Fault.Kind.allCases.filter { kind in plan.faults.contains { $0.kind == kind } }
        let points = FaultPoint.allCases.filter { point in plan.faults.contains { $0.point == point } }
        guard !kinds.isEmpty else { return [] }
        func row(_ name: String, _ faults: [Fault]) -> String {
            let cells = points.map { point in Quantity.grouped(faults.count { $0.point == point }).aligned(max(8, point.rawValue.count + 1)) }
            return name.padded(Self.label) + cells.joined() + Quantity.grouped(faults.count).aligned(8)
        }
        let header = "".padded(Self.label) + points.map { $0.rawValue.aligned(max(8, $0.rawValue.count + 1)) }.joined() + "all".aligned(8)
        return [header] + kinds.map { kind in row(kind.rawValue, plan.faults.filter { $0.kind == kind }) } + (kinds.count > 1 ? [row("all", plan.faults)] : [])
    }

    private var rates: [String] {
        let moments = plan.faults.compactMap(\.step), gaps = zip(moments.dropFirst(), moments).map { $0 - $1 }.sorted()
        guard !moments.isEmpty else { return plan.faults.isEmpty ? ["no faults"] : [] }
        var lines = ["steps per failure: \(Quantity.decimal(Double(steps) / Double(moments.count), 2))"]
        // What strikes by the clock is expected in seconds.
        if moments.count == plan.faults.count {
            lines[0] += ", expected \(Quantity.decimal(Double(steps) / plan.parts.reduce(0) { $0 + $1.expected }, 2))"
        }
        if !gaps.isEmpty {
            lines.append("steps from one fault to the next: least \(gaps[0]), median \(gaps[gaps.count / 2]), greatest \(gaps[gaps.count - 1])")
        }
        return lines
    }

    private var first: [String] {
        guard !plan.faults.isEmpty else { return [] }
        let shown = plan.faults.prefix(Self.listedFaults)
        return [shown.count == plan.faults.count ? "faults" : "the first \(shown.count) of \(Quantity.grouped(plan.faults.count)) faults"] + shown.map { "  \($0)" }
    }
}

extension Fault.Victim {
    fileprivate var name: String {
        switch self {
        case .worker(let slot): "worker \(slot)"
        case .launcher: "launcher"
        case .writer: "writer"
        }
    }
}
