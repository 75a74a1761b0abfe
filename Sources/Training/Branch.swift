import Checkpointing
import Corpus
import Glibc
import Model
import RunSpec

/// A checkpoint of a run that another run is to begin from.
package struct Branch {
    package let parent: RunFolder
    /// The parent's: what the new run has unless it is changed.
    package let config: RunConfig, workers: Int
    package let step: Int
    /// Checkpoints that were passed over because they are damaged.
    package let remarks: [String]
    private let manifest: Manifest
    private let tokenizer: Tokenizer, vocabulary: Int
    private let store: CheckpointStore

    /// - Parameter name: `runs/demo-1`, its newest whole checkpoint, or `runs/demo-1@480`.
    package init(_ name: String) throws {
        let (folder, chosen) = Self.split(name)
        parent = RunFolder(folder)
        let (config, description) = try parent.read()
        (self.config, workers, vocabulary) = (config, description.options.workers, description.vocabulary)
        tokenizer = try Tokenizer.load(parent.dataPath + "/tokenizer.json")
        store = CheckpointStore(folder: parent.checkpointsPath)
        do throws(CheckpointError) {
            if let chosen {
                manifest = try store.inspect(chosen, .sizes).manifest
                remarks = []
            } else {
                let found = try store.newestValid()
                remarks = found.rejected.map(\.description)
                guard let checkpoint = found.checkpoint else {
                    throw .missing(step: nil, folder: store.folder)
                }
                manifest = checkpoint.manifest
            }
        } catch {
            throw store.refusal(error)
        }
        step = manifest.step
        guard manifest.run == description.identity else {
            throw UserError(.badInput, "\(folder): checkpoint step-\(step) \(CheckpointMismatch.run(found: manifest.run, expected: description.identity))")
        }
    }

    /// A folder may have an @ in its name.
    private static func split(_ name: String) -> (folder: String, step: Int?) {
        guard access(RunFolder(name).descriptionPath, F_OK) != 0, let at = name.lastIndex(of: "@"), let step = Int(name[name.index(after: at)...]) else { return (name, nil) }
        return (String(name[..<at]), step)
    }

    /// - Parameters:
    ///   - config: the new run's.
    ///   - allowed: what may be another in it.
    package func origin(for config: RunConfig, allowing allowed: Set<Allowance>) -> Origin {
        let name = "\(parent.path)@\(step)"
        var origin = Origin(step: step, description: name) { layout, state in
            do throws(CheckpointError) {
                _ = try store.load(step: step, entries: layout.stateEntries, parameters: state.parameters, firstMoments: state.firstMoment,
                    secondMoments: state.secondMoment)
            } catch {
                throw UserError(error.userError.status, "\(parent.path): \(error)")
            }
        }
        // Other text has the same ids, unless other ones are asked for.
        if config.data.tokenizer == self.config.data.tokenizer { (origin.tokenizer, origin.vocabulary) = (tokenizer, vocabulary) }
        (origin.stateHash, origin.pastUpdates) = (manifest.stateHash, manifest.pastUpdates)
        origin.accepts = { traits in
            if let mismatch = manifest.traits.mismatch(for: traits, allowing: allowed) { throw UserError(.badInput, "\(name) \(mismatch)") }
            return manifest.traits.differences(from: traits).map(\.description)
        }
        return origin
    }
}
