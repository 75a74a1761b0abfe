import RunSpec

/// What is wrong with a checkpoint on disk. Each description continues a sentence that starts with
/// `checkpoint step-480`.
package enum CheckpointDamage: Error, Hashable, CustomStringConvertible, Sendable {
    case manifestMissing
    case manifest(String)
    /// Nothing is wrong with it; another headway wrote it.
    case otherFormat(Int)
    case fileMissing(String)
    case truncated(file: String, foundBytes: Int, expectedBytes: Int)
    case tooLong(file: String, foundBytes: Int, expectedBytes: Int)
    /// A MiB whose CRC-32C differs, counted from 0.
    case contents(file: String, mebibyte: Int, of: Int)
    case digest(file: String, found: String, expected: String)
    case format(file: String, SafetensorsError)
    /// The files are as they were written, and do not hold the state that the manifest names.
    case state(found: String, expected: String)
    case unreadable(StorageError)

    /// Whether it is in the files, and not in what there is to read them with.
    package var isLasting: Bool {
        switch self {
        case .otherFormat, .unreadable: false
        default: true
        }
    }

    package var description: String {
        switch self {
        case .manifestMissing: "has no manifest"
        case .manifest(let reason): "has a damaged manifest: \(reason)"
        case .otherFormat(let found):
            "is of format \(found), and this headway reads format \(Manifest.currentFormat); use the headway that wrote it"
        case .fileMissing(let file): "lacks \(file)"
        case .truncated(let file, let found, let expected): "is truncated: \(found) of \(expected) bytes in \(file)"
        case .tooLong(let file, let found, let expected):
            "is too long: \(found) bytes instead of \(expected) in \(file)"
        case .contents(let file, let mebibyte, let count):
            "is damaged: MiB \(mebibyte + 1) of \(count) of \(file) does not have its recorded CRC-32C"
        case .digest(let file, let found, let expected):
            "is damaged: \(file) has SHA-256 \(found) instead of \(expected)"
        case .format(let file, let error): "is damaged: \(file) \(error)"
        case .state(let found, let expected):
            "is damaged: its state has hash \(found), and its manifest says \(expected)"
        case .unreadable(let error): "is unreadable: \(error)"
        }
    }
}

/// How a valid checkpoint differs from what the caller wants to load.
package enum CheckpointMismatch: Error, Hashable, CustomStringConvertible, Sendable {
    case run(found: String, expected: String)
    case traits([TraitDifference])
    case missingTensor(String)
    case unknownTensor(String)
    case shape(name: String, found: [Int], expected: [Int])

    package var description: String {
        switch self {
        case .run(let found, let expected):
            "was written by run \(found), and this is run \(expected): take it out of the folder; `headway train --from` begins a run from another's checkpoint"
        case .traits(let differences):
            "was made with " + differences.map(\.description).joined(separator: ", ") + "; " + Self.remedy(differences)
        case .missingTensor(let name): "has no tensor \(name), which this model needs"
        case .unknownTensor(let name): "holds the tensor \(name), which this model does not have"
        case .shape(let name, let found, let expected):
            "holds \(name) with shape \(found), and this model needs \(expected)"
        }
    }

    private static func remedy(_ differences: [TraitDifference]) -> String {
        let allowances = differences.compactMap(\.allowance)
        if allowances.isEmpty { return "a state fits no other model" }
        let core = differences.first { $0.allowance == .core }.map { "OPENBLAS_CORETYPE=\($0.found) if the processor allows it, or " } ?? ""
        return core + "--allow \(allowances.map(\.rawValue).joined(separator: ",")) goes on with it all the same, to other bits"
    }
}

package enum CheckpointError: Error, Hashable, CustomStringConvertible, Sendable {
    /// There is no checkpoint of this step, or none that is whole.
    case missing(step: Int?, folder: String)
    case damaged(step: Int, CheckpointDamage)
    case mismatch(step: Int, CheckpointMismatch)
    /// A valid checkpoint of the step exists and holds another state.
    case otherState(step: Int, found: String, given: String)
    case diskFull(step: Int, path: String, neededBytes: Int, availableBytes: Int)
    case storage(StorageError)

    package var description: String {
        switch self {
        case .missing(let step?, let folder): "there is no checkpoint step-\(step) in \(folder)"
        case .missing(nil, let folder): "there is no whole checkpoint in \(folder)"
        case .damaged(let step, let damage): "checkpoint step-\(step) \(damage)"
        case .mismatch(let step, let mismatch): "checkpoint step-\(step) \(mismatch)"
        case .otherState(let step, let found, let given):
            "checkpoint step-\(step) exists with state \(found), and the state to save is \(given); nothing was written"
        case .diskFull(let step, let path, let needed, let available):
            """
            no room for checkpoint step-\(step) in \(path): \(needed) bytes needed, \(available) available; \
            nothing was left behind, and earlier checkpoints are untouched
            """
        case .storage(let error): "\(error)"
        }
    }

    /// The error as a command reports it.
    package var userError: UserError {
        switch self {
        case .missing: UserError(.missing, description)
        case .damaged, .mismatch, .otherState: UserError(.badInput, description)
        case .diskFull: UserError(.unwritable, description)
        case .storage(let error):
            switch error.operation {
            case .open, .read, .list: UserError(.missing, description)
            default: UserError(.unwritable, description)
            }
        }
    }
}
