import Checkpointing
import Corpus
import Kernels
import Model
import RunSpec

/// The weights in one of a run's checkpoints, without their moments, and what reads and writes their tokens.
package struct RunWeights {
    package let config: RunConfig
    package let tokenizer: Tokenizer
    /// A flat vector of the model's layout.
    package let parameters: Arena
    package let step: Int
    /// Of the whole state, moments too.
    package let stateHash: String
    /// Checkpoints that were passed over because they are damaged.
    package let remarks: [String]

    /// - Parameter step: that of the checkpoint; nil for the newest whole one.
    /// - Throws: `UserError` when the run has no such checkpoint.
    package init(_ folder: RunFolder, step: Int? = nil) throws {
        let (config, description) = try folder.read()
        self.config = config
        tokenizer = try Tokenizer.load(folder.dataPath + "/tokenizer.json")
        let layout = ParameterLayout(config.model), store = CheckpointStore(folder: folder.checkpointsPath)
        parameters = Arena(count: layout.count)
        func mismatch(_ manifest: Manifest) -> CheckpointMismatch? {
            manifest.run != description.identity ? .run(found: manifest.run, expected: description.identity) : manifest.traits.mismatch(for: StateTraits(config, description), allowing: Set(Allowance.allCases))
        }
        let found: Checkpoint?
        do {
            if let step {
                found = try store.load(step: step, entries: layout.stateEntries, parameters: parameters.base, mismatch: mismatch)
                remarks = []
            } else {
                let newest = try store.restoreNewest(entries: layout.stateEntries, parameters: parameters.base, mismatch: mismatch)
                (found, remarks) = (newest.checkpoint, newest.rejected.map(\.description))
            }
        } catch { throw error.userError }
        guard let found else {
            throw UserError(.missing, "\(folder.path) has no checkpoint yet; `headway checkpoints \(folder.path) --now` asks a running one for it")
        }
        (self.step, stateHash) = (found.step, found.manifest.stateHash)
    }
}
