/// What a state means beyond its floats: runs with equal traits go on from it alike.
package struct StateTraits: Codable, Hashable, Sendable {
    /// The settings of the model that say what its parameters are, by name, and the size of the vocabulary.
    package var model: [String: String]
    package var seed: UInt64
    /// Tells the training text as tokens, and the tokenizer, from others.
    package var corpus: String
    /// The BLAS core whose kernels computed the state.
    package var kernelCore: String
    package var headwayVersion: String
    /// How many ranks shared every layer; nil for one.
    package var tensorDegree: Int?

    package init(model: [String: String], seed: UInt64, corpus: String, kernelCore: String, headwayVersion: String, tensorDegree: Int? = nil) {
        (self.model, self.seed, self.corpus) = (model, seed, corpus)
        (self.kernelCore, self.headwayVersion, self.tensorDegree) = (kernelCore, headwayVersion, tensorDegree)
    }
}

/// A trait that may differ, when the user says so by its name.
package enum Allowance: String, Codable, CaseIterable, Sendable {
    case seed, corpus, core, version, tensor
}

/// A trait of a state that is another where it is to be taken up.
package struct TraitDifference: Hashable, CustomStringConvertible, Sendable {
    package let trait: String, found: String, expected: String
    /// Nil when nothing can be done with the state.
    package let allowance: Allowance?

    package var description: String {
        allowance == .corpus ? "another training text or tokenizer" : "\(trait) \(found), not \(expected)"
    }
}

extension StateTraits {
    /// In what these are others than `wanted`.
    package func differences(from wanted: StateTraits) -> [TraitDifference] {
        let shapes = Set(model.keys).union(wanted.model.keys).sorted().filter { model[$0] != wanted.model[$0] }.map {
            TraitDifference(trait: $0, found: model[$0] ?? "unknown", expected: wanted.model[$0] ?? "unknown", allowance: nil)
        }
        return shapes + [
            TraitDifference(trait: "seed", found: String(seed), expected: String(wanted.seed), allowance: .seed),
            TraitDifference(trait: "corpus", found: corpus, expected: wanted.corpus, allowance: .corpus),
            TraitDifference(trait: "BLAS core", found: kernelCore, expected: wanted.kernelCore, allowance: .core),
            TraitDifference(trait: "headway", found: headwayVersion, expected: wanted.headwayVersion, allowance: .version),
            TraitDifference(trait: "tensor parallelism", found: "tp=\(tensorDegree ?? 1)", expected: "tp=\(wanted.tensorDegree ?? 1)", allowance: .tensor),
        ].filter { $0.found != $0.expected }
    }

    /// What keeps a state with these traits from being taken up where `wanted` hold; nil when nothing does.
    package func mismatch(for wanted: StateTraits, allowing allowed: Set<Allowance>) -> CheckpointMismatch? {
        let all = differences(from: wanted), hopeless = all.filter { $0.allowance == nil }
        let refused = hopeless.isEmpty ? all.filter { !allowed.contains($0.allowance!) } : hopeless
        return refused.isEmpty ? nil : .traits(refused)
    }
}
