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
    private let tokenizer: Tokenizer, vocabulary: Int, lossFloor: Double?
    private let store: CheckpointStore

    /// - Parameter name: `runs/demo-1`, its newest whole checkpoint, or `runs/demo-1@480`.
    package init(_ name: String) throws {
        let (folder, chosen) = Self.split(name)
        parent = RunFolder(folder)
        let (config, description) = try parent.read()
        (self.config, workers) = (config, description.options.workers)
        (vocabulary, lossFloor) = (description.vocabulary, description.lossFloor)
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
    ///   - isTextGiven: its text is to be read, though it may have the names of the parent's.
    ///   - allowed: what may be another in it.
    /// - Throws: `UserError` when the parent's text is needed again and cannot be had.
    package func origin(for config: RunConfig, isTextGiven: Bool, allowing allowed: Set<Allowance>) throws -> Origin {
        let name = "\(parent.path)@\(step)"
        var origin = Origin(step: step, description: name) { layout, state in
            do throws(CheckpointError) {
                _ = try store.load(step: step, entries: layout.stateEntries, parameters: state.parameters, firstMoments: state.firstMoment,
                    secondMoments: state.secondMoment)
            } catch {
                throw UserError(error.userError.status, "\(parent.path): \(error)")
            }
        }
        if config.data == self.config.data, !isTextGiven {
            origin.corpus = try PreparedCorpus(reading: parent.dataPath, validationFloor: lossFloor)
        } else if !isTextGiven {
            try checkText(config)
        }
        // Other text has the same ids, unless other ones are asked for.
        if config.data.tokenizer == self.config.data.tokenizer { (origin.tokenizer, origin.vocabulary) = (tokenizer, vocabulary) }
        // With another degree the chunks are others, and so is the name of the same state.
        (origin.stateHash, origin.pastUpdates) = (config.batch.tensor == self.config.batch.tensor ? manifest.stateHash : nil, manifest.pastUpdates)
        origin.accepts = { traits in
            if let mismatch = manifest.traits.mismatch(for: traits, allowing: allowed) { throw UserError(.badInput, "\(name) \(mismatch)") }
            return manifest.traits.differences(from: traits).map(\.description)
        }
        return origin
    }

    /// Text that is to be cut or tokenized otherwise than the parent's is read again: standard input is gone, and where the
    /// parent was begun nobody knows.
    private func checkText(_ config: RunConfig) throws {
        guard config.data.corpus == .text, config.data.files == self.config.data.files, let file = config.data.files.first(where: { !$0.hasPrefix("/") }) else { return }
        let changed = ConfigKey.all.filter { $0.name.hasPrefix("data.") && $0.read(config) != $0.read(self.config) }.map(\.name)
        let reason = file == "-" ? "came from standard input" : "has the name \(file) from where that run was begun"
        throw UserError(.usage, "another \(changed.joined(separator: " and ")) needs the text of \(parent.path) again, which \(reason): name it with --text")
    }
}
