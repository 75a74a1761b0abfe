/// How workers are arranged: data-parallel groups × tensor-parallel ranks × pipeline stages. Written `dp=2,tp=2`; an axis
/// of 1 need not be named.
package struct Mesh: Hashable, Sendable {
    package enum Axis: String, CaseIterable, Sendable { case data = "dp", tensor = "tp", pipeline = "pp" }

    /// W: the same layers on other microbatches.
    package var data: Int
    /// t: the same layers and microbatches, other heads and columns.
    package var tensor: Int
    /// p: the same microbatches, other layers.
    package var pipeline: Int

    package init(data: Int = 1, tensor: Int = 1, pipeline: Int = 1) {
        precondition(data > 0 && tensor > 0 && pipeline > 0, "a mesh of \(data) × \(tensor) × \(pipeline)")
        (self.data, self.tensor, self.pipeline) = (data, tensor, pipeline)
    }

    package var workers: Int { data * tensor * pipeline }

    /// Every way to arrange so many workers, the most data-parallel first.
    package static func all(workers: Int) -> [Mesh] {
        func divisors(_ count: Int) -> [Int] { (1...count).filter { count % $0 == 0 } }
        return divisors(workers).reversed().flatMap { data in
            divisors(workers / data).reversed().map { Mesh(data: data, tensor: $0, pipeline: workers / data / $0) }
        }
    }

    private static let sizeMaximum = 65_536

    /// The axes that a text names.
    /// - Parameter place: of the text, for messages.
    /// - Throws: `UserError` for what is no axis, no number from 1, or named twice.
    package static func axes(_ text: some StringProtocol, place: String) throws -> [Axis: Int] {
        var axes: [Axis: Int] = [:]
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false), names = Axis.allCases.map(\.rawValue)
            guard let axis = Axis(rawValue: String(parts[0])) else {
                throw UserError(.usage, "\(place): `\(word)` is no axis of a mesh\(suggestion(for: String(parts[0]), among: names)); write it as dp=2,tp=2,pp=2")
            }
            guard parts.count == 2 else { throw UserError(.usage, "\(place): `\(axis.rawValue)` needs a number, as in \(axis.rawValue)=2") }
            guard let size = Int(parts[1]), 1...sizeMaximum ~= size else {
                throw UserError(.usage, "\(place): `\(word)` must have a whole number from 1 to \(sizeMaximum)")
            }
            guard axes.updateValue(size, forKey: axis) == nil else { throw UserError(.usage, "\(place): `\(axis.rawValue)` is given twice") }
        }
        return axes
    }

    /// - Throws: see `axes`.
    package init(_ text: some StringProtocol, place: String) throws {
        let axes = try Self.axes(text, place: place)
        self.init(data: axes[.data] ?? 1, tensor: axes[.tensor] ?? 1, pipeline: axes[.pipeline] ?? 1)
    }
}

extension Mesh: CustomStringConvertible {
    package var description: String {
        let named = [(Axis.data, data), (.tensor, tensor), (.pipeline, pipeline)].filter { $0.1 > 1 }
        return named.isEmpty ? "dp=1" : named.map { "\($0.0.rawValue)=\($0.1)" }.joined(separator: ",")
    }
}
