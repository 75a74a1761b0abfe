import Checkpointing
import Corpus
import Foundation
import Kernels
import RunSpec

extension StateTraits {
    /// Of the states of a run. Dropout is how it is trained, not what it is.
    init(_ config: RunConfig, _ description: RunDescription) {
        let settings = ConfigKey.all.filter { $0.name.hasPrefix("model.") && $0.name != "model.dropout" }.map { ($0.name, $0.read(config)) }
        self.init(
            model: Dictionary(uniqueKeysWithValues: settings + [("model.vocabulary", String(description.vocabulary))]), seed: config.seed,
            corpus: description.corpus, kernelCore: description.blasCore, headwayVersion: description.headwayVersion,
            tensorDegree: config.batch.tensor > 1 ? config.batch.tensor : nil)
    }
}

extension Manifest {
    /// Of a state of the run, as it is saved now.
    init(step: Int, parent: Int?, _ config: RunConfig, _ description: RunDescription, stateHash: String, pastUpdates: PastUpdates) {
        self.init(step: step, parent: parent, run: description.identity, traits: StateTraits(config, description), stateHash: stateHash,
            createdUnixSeconds: Int(Date().timeIntervalSince1970), pastUpdates: pastUpdates)
    }

    /// What keeps the run from taking it up; nil when nothing does.
    func mismatch(_ config: RunConfig, _ description: RunDescription) -> CheckpointMismatch? {
        if run != description.identity { return .run(found: run, expected: description.identity) }
        return traits.mismatch(for: StateTraits(config, description), allowing: Set(description.allowed))
    }
}

extension RunDescription {
    /// Makes it that of this program, this machine and the data that lie in the folder now.
    /// - Returns: what is another than before, and allowed.
    mutating func move(here config: RunConfig, _ folder: RunFolder, allowing now: Set<Allowance>) throws -> [String] {
        let before = StateTraits(config, self)
        (headwayVersion, blasCore) = (Self.version, BLASLibrary.coreName)
        corpus = try PreparedCorpus.fingerprint(in: folder.dataPath)
        allowed = Allowance.allCases.filter { now.contains($0) || allowed.contains($0) }
        let here = StateTraits(config, self)
        if let mismatch = before.mismatch(for: here, allowing: now) { throw UserError(.badInput, "\(folder.path) \(mismatch)") }
        return before.differences(from: here).map(\.description)
    }
}
