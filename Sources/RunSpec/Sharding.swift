/// A sharding choice: who keeps what of the model's state. Written as the state's sharding, what it is doubled by, and the
/// mesh: `zero1 dp=8`, `zero2+shadow dp=4,tp=2`, `tp=8`.
package struct Sharding: Hashable, Sendable {
    /// How the data-parallel workers share parameters θ, gradients g and moments m, v.
    package enum State: String, Codable, CaseIterable, Sendable {
        /// Everybody has all.
        case ddp
        /// Each keeps m and v of the range that it owns.
        case zero1
        /// And of gradients, too: they go to the owners microbatch by microbatch.
        case zero2
        /// And of θ, gathered block by block for each microbatch.
        case zero3

        /// Whether workers go through their microbatches in rounds, so that what they exchange meets.
        package var isInRounds: Bool { self == .zero2 || self == .zero3 }

        /// As it is written with what it is doubled by: `zero1+shadow`.
        package func name(_ redundancy: Redundancy) -> String { rawValue + (redundancy == .none ? "" : "+\(redundancy.rawValue)") }
    }

    /// What the loss of an owner's range is made good from.
    package enum Redundancy: String, Codable, CaseIterable, Sendable {
        /// The newest checkpoint.
        case none
        /// A second copy: the partner of an owner gets the same reduced gradient and makes the same updates.
        case shadow
        /// XOR over the ranges of all owners, its stripes dealt among them in turn, as RAID 5 does.
        case parity
    }

    package var state: State, redundancy: Redundancy
    package var mesh: Mesh

    package init(_ state: State = .ddp, _ redundancy: Redundancy = .none, mesh: Mesh) {
        (self.state, self.redundancy, self.mesh) = (state, redundancy, mesh)
    }

    /// Reads what `description` writes. Words may come in any order, separated by spaces or commas; without `dp=` as many
    /// workers as the other axes leave are data-parallel.
    /// - Parameters:
    ///   - workers: of the run.
    ///   - place: of the text, for messages.
    /// - Throws: `UserError` for what is no sharding.
    package init(_ text: String, workers: Int, place: String) throws {
        var state: State?, redundancy: Redundancy?, axes: [Substring] = []
        let names = State.allCases.map(\.rawValue), kinds = Redundancy.allCases.dropFirst().map(\.rawValue)
        for word in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            if word.contains("=") || Mesh.Axis(rawValue: String(word)) != nil {
                axes.append(word)
                continue
            }
            let parts = word.split(separator: "+", omittingEmptySubsequences: false).map { String($0) }
            guard let named = State(rawValue: parts[0]) else {
                throw UserError(.usage, "\(place): `\(parts[0])` is no sharding\(suggestion(for: parts[0], among: names)); there are \(names.joined(separator: ", ")), and meshes as in dp=2,tp=2,pp=2")
            }
            guard state == nil else { throw UserError(.usage, "\(place): `\(text)` names two shardings, \(state!.rawValue) and \(named.rawValue)") }
            state = named
            for part in parts.dropFirst() {
                guard let kind = Redundancy(rawValue: part), kind != .none else {
                    throw UserError(.usage, "\(place): `+\(part)` is nothing that a state can be doubled by\(suggestion(for: part, among: kinds)); there are \(kinds.joined(separator: ", "))")
                }
                guard redundancy == nil else { throw UserError(.usage, "\(place): `\(word)` is doubled twice; one of \(kinds.joined(separator: ", ")) is enough") }
                redundancy = kind
            }
        }
        guard state != nil || !axes.isEmpty else {
            throw UserError(.usage, "\(place) is empty; write it as zero1, zero2+shadow or dp=2,tp=2")
        }
        let named = axes.isEmpty ? [:] : try Mesh.axes(axes.joined(separator: ","), place: place)
        let others = (named[.tensor] ?? 1) * (named[.pipeline] ?? 1)
        let mesh = Mesh(data: named[.data] ?? max(1, workers / others), tensor: named[.tensor] ?? 1, pipeline: named[.pipeline] ?? 1)
        self.init(state ?? .ddp, redundancy ?? .none, mesh: mesh)
    }
}

extension Sharding: CustomStringConvertible {
    package var description: String {
        let name = state.name(redundancy)
        // One data-parallel worker has nobody to share with.
        return name == State.ddp.rawValue && mesh.data == 1 && mesh.workers > 1 ? "\(mesh)" : "\(name) \(mesh)"
    }
}

extension Sharding {
    /// Why a model cannot be trained so by so many workers: one sentence with what would do instead. Nil if it can.
    package func obstacle(_ model: ShardedModel, workers: Int) -> String? {
        meshObstacle(workers) ?? modelObstacle(model) ?? stateObstacle()
    }

    private func meshObstacle(_ workers: Int) -> String? {
        guard mesh.workers != workers else { return nil }
        let others = mesh.tensor * mesh.pipeline
        let fitting = workers % others == 0 ? "; \(Mesh(data: workers / others, tensor: mesh.tensor, pipeline: mesh.pipeline)) has" : ""
        return "\(mesh) has \(mesh.workers) worker\(mesh.workers == 1 ? "" : "s"), not \(workers)\(fitting)"
    }

    private func modelObstacle(_ model: ShardedModel) -> String? {
        let m = model.config
        if mesh.data > model.leaves {
            return "dp=\(mesh.data) is more than the \(model.leaves) microbatch\(model.leaves == 1 ? "" : "es") of a step; at most dp=\(model.leaves), or more batch.microbatches"
        }
        if mesh.pipeline > m.layers { return "pp=\(mesh.pipeline) is more than the \(m.layers) layer\(m.layers == 1 ? "" : "s") of the model; at most pp=\(m.layers)" }
        let divided = [(m.heads, "attention heads"), (m.keyValueHeads, "key and value heads"), (m.hidden, "columns of the feed-forward part")]
        let fitting = (1...m.heads).filter { degree in degree.nonzeroBitCount == 1 && divided.allSatisfy { $0.0 % degree == 0 } }
        if fitting.contains(mesh.tensor) { return nil }
        let why = divided.first { $0.0 % mesh.tensor != 0 }.map { "does not divide the \($0.0) \($0.1)" } ?? "is no power of two, and so many equal parts the chunks of the state have not"
        return "tp=\(mesh.tensor) \(why); tp can be \(fitting.map { String($0) }.joined(separator: ", "))"
    }

    /// What the state's sharding has against several workers that compute a microbatch together.
    package func groupObstacle() -> String? {
        guard mesh.workers > mesh.data else { return nil }
        let together = Mesh(tensor: mesh.tensor, pipeline: mesh.pipeline)
        if state.isInRounds {
            return "\(state.rawValue) goes through blocks in lockstep with data-parallel workers, and \(together) with others; use zero1 \(mesh), or \(state.rawValue) without \(together)"
        }
        guard state != .ddp, redundancy != .none else { return nil }
        return "with \(together) nobody goes on without the others, and a loss is made good from the newest checkpoint; leave +\(redundancy.rawValue) out"
    }

    /// What the state's sharding has against the mesh, whatever the model.
    package func stateObstacle() -> String? {
        if state != .ddp, mesh.data == 1 {
            return "\(state.rawValue) shares the state among data-parallel workers, and \(mesh) has one; use dp=2 or more"
        }
        if let obstacle = groupObstacle() { return obstacle }
        if redundancy != .none, state == .ddp {
            return mesh.data > 1
                ? "ddp has \(mesh.data) copies of the state already; \(redundancy.rawValue) goes with zero1, zero2 and zero3"
                : "\(redundancy.rawValue) needs data-parallel owners, and \(mesh) has one; use zero1+\(redundancy.rawValue) with dp=2 or more"
        }
        if redundancy == .parity, mesh.data < 3 { return "the parity of dp=\(mesh.data) owners is a copy; use \(state.rawValue)+shadow, or dp=3 or more" }
        return nil
    }
}
