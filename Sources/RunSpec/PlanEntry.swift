import Yams

/// One mapping of a plan while it is read. Every error names the file, the entry and the key.
struct PlanEntry {
    /// A stretch of a run. A number without unit counts steps.
    enum Span: CustomStringConvertible {
        case steps(Double), seconds(Double)

        var description: String {
            switch self {
            case .steps(let amount): brief(amount) + (amount == 1 ? " step" : " steps")
            case .seconds(let amount): brief(amount) + " s"
            }
        }

        var amount: Double {
            switch self {
            case .steps(let amount), .seconds(let amount): amount
            }
        }
        var clock: FaultSchedule.Clock {
            switch self {
            case .steps: .steps
            case .seconds: .seconds
            }
        }
    }

    let place: String
    private var values: [String: Node] = [:]

    /// - Parameter keys: those that the entry may have.
    init(_ node: Node, place: String, keys: [String]) throws {
        self.place = place
        guard let mapping = node.mapping else { throw UserError(.usage, "\(place): write it as { \(keys[0]): …, \(keys[1]): … }") }
        for (key, value) in mapping {
            let name = key.string ?? "?"
            guard keys.contains(name) else {
                throw bad("there is no key `\(name)`\(suggestion(for: name, among: keys)); there are \(keys.joined(separator: ", "))")
            }
            values[name] = value
        }
    }

    func bad(_ why: String) -> UserError { UserError(.usage, "\(place): \(why)") }

    func has(_ key: String) -> Bool { values[key] != nil }

    func text(_ key: String) throws -> String? {
        guard let node = values[key] else { return nil }
        guard let text = node.scalar?.string, !text.isEmpty else { throw bad("`\(key)` must be one value") }
        return text
    }

    /// One value, or a list of them.
    func list(_ key: String) throws -> [String]? {
        guard let items = values[key]?.sequence else { return try text(key).map { [$0] } }
        let texts = items.compactMap { $0.scalar?.string }
        guard texts.count == items.count, !texts.isEmpty else { throw bad("`\(key)` must be a list of values, as in [a, b]") }
        return texts
    }

    /// A mapping or a list, as it is.
    func node(_ key: String) -> Node? { values[key] }

    func number(_ key: String, _ range: ClosedRange<Double>) throws -> Double? {
        guard let text = try text(key) else { return nil }
        guard let value = Double(text), range.contains(value) else {
            throw bad("`\(key)` must be a number from \(brief(range.lowerBound)) to \(brief(range.upperBound)), not `\(text)`")
        }
        return value
    }

    /// - Parameter example: for the error.
    func span(_ key: String, from least: Double, _ example: String) throws -> Span? {
        guard let text = try text(key) else { return nil }
        let number = text.prefix { $0.isNumber || $0 == "." || $0 == "-" || $0 == "+" }, unit = text.dropFirst(number.count).filter { $0 != " " }
        guard let value = Double(number), value >= least, value <= 1e9 else { throw bad(wanted(key, text, example, least)) }
        switch unit {
        case "", "step", "steps": return .steps(value)
        case "s", "ms", "min", "h": return .seconds(value * ["s": 1, "ms": 0.001, "min": 60, "h": 3600][unit]!)
        default: throw bad(wanted(key, text, example, least))
        }
    }

    func seconds(_ key: String) throws -> Double? {
        switch try span(key, from: 0, "2.5 s") {
        case nil: return nil
        case .seconds(let value): return value
        case .steps: throw bad("`\(key)` must be a time with its unit, as in `2.5 s`, not `\(try text(key) ?? "")`")
        }
    }

    func choice<T: RawRepresentable<String> & CaseIterable>(_ key: String, _ text: String) throws -> T {
        if let value = T(rawValue: text) { return value }
        let names = T.allCases.map(\.rawValue)
        throw bad("there is no \(key) `\(text)`\(suggestion(for: text, among: names)); there are \(names.joined(separator: ", "))")
    }

    private func wanted(_ key: String, _ text: String, _ example: String, _ least: Double) -> String {
        "`\(key)` must be steps or a time from \(brief(least)) up, as in `\(example)`, not `\(text)`"
    }
}

/// `3` for 3.0, `0.5` for 0.5.
func brief(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
}
