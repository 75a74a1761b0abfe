// manifest.json: what a checkpoint is and how each of its files must look. One JSON object of two lines:
//
//   {"createdUnixSeconds":1764000000, … ,"traits":{"corpus":"…", … }}
//   ,"manifestSHA256":"64 digits"}
//
// The manifest is valid when the SHA-256 of the first line, without its line break, is that digest, the format is 3,
// and the files are those of `CheckpointFile`. It is written last, so a folder without one was never complete.
import FoundationEssentials
import RunSpec

/// The two files of a checkpoint with data.
package enum CheckpointFile: String, CaseIterable, Sendable {
    /// θ, under the names of the parameters.
    case weights = "weights.safetensors"
    /// The moments of AdamW, as `m.<name>` and `v.<name>`.
    case optimizer = "optimizer.safetensors"
}

package struct Manifest: Codable, Hashable, Sendable {
    package static let currentFormat = 3
    static let name = "manifest.json"
    static let limitBytes = 256 << 20

    package let format: Int
    /// Committed optimizer updates in this state.
    package let step: Int
    /// The step of the checkpoint this one descends from; absent in the first of a run.
    package let parent: Int?
    package let run: String
    package let traits: StateTraits
    /// The run's own hash of (θ, m, v); two checkpoints of a step are the same state when it is equal.
    package let stateHash: String
    package let createdUnixSeconds: Int
    /// The last updates up to this state: whether the next ones are made depends on them.
    package let pastUpdates: PastUpdates
    /// Filled in by the store, in the order of `CheckpointFile`.
    package internal(set) var files: [FileRecord] = []

    package init(
        step: Int, parent: Int?, run: String, traits: StateTraits, stateHash: String, createdUnixSeconds: Int, pastUpdates: PastUpdates = PastUpdates()
    ) {
        precondition((0...CheckpointStore.lastStep).contains(step), "step \(step)")
        precondition(parent.map { $0 < step } ?? true, "parent \(parent ?? 0) of step \(step)")
        precondition(pastUpdates.updates.last.map { $0.step <= step } ?? true, "updates to \(pastUpdates.updates.last?.step ?? 0) of step \(step)")
        format = Self.currentFormat
        self.step = step
        self.parent = parent
        self.run = run
        self.traits = traits
        self.stateHash = stateHash
        self.createdUnixSeconds = createdUnixSeconds
        self.pastUpdates = pastUpdates
    }

    /// Bytes of the data files together.
    package var bytes: Int { files.reduce(0) { $0 + $1.bytes } }

    func record(of file: CheckpointFile) -> FileRecord { files[file == .weights ? 0 : 1] }
}

extension Manifest {
    private static let tailStart = Array("\n,\"manifestSHA256\":\"".utf8), tailEnd = Array("\"}\n".utf8)

    func sealed() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let json = try? encoder.encode(self) else { preconditionFailure("no JSON for \(self)") }
        let body = Array(json.dropLast())
        return body + Self.tailStart + Array(sha256(body).utf8) + Self.tailEnd
    }

    /// Reads what `sealed` wrote; every changed byte shows.
    init(sealed bytes: [UInt8]) throws(CheckpointDamage) {
        let digestBytes = 2 * SHA256Stream.digestBytes
        let body = bytes.dropLast(Self.tailStart.count + digestBytes + Self.tailEnd.count)
        let tail = Self.tailStart + Array(sha256(body).utf8) + Self.tailEnd
        guard bytes.dropFirst(body.count) == tail[...] else {
            throw .manifest("its contents do not have their recorded SHA-256")
        }
        struct Version: Decodable { let format: Int }
        guard let version = try? JSONDecoder().decode(Version.self, from: Data(bytes)) else {
            throw .manifest("it is not a JSON object with a format")
        }
        guard version.format == Self.currentFormat else {
            throw .otherFormat(version.format)
        }
        guard let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(bytes)) else {
            throw .manifest("fields are missing or have the wrong type")
        }
        guard manifest.files.map(\.name) == CheckpointFile.allCases.map(\.rawValue) else {
            throw .manifest("it lists \(manifest.files.map(\.name)) instead of the files of a checkpoint")
        }
        for file in manifest.files {
            let pieces = file.bytes / PieceHasher.pieceBytes + (file.bytes % PieceHasher.pieceBytes == 0 ? 0 : 1)
            guard file.bytes >= 0, file.crc32c.count == pieces else {
                throw .manifest("it gives \(file.name) \(file.bytes) bytes and \(file.crc32c.count) checksums")
            }
        }
        self = manifest
    }

    /// An upper bound on the size of the sealed manifest for data files of `dataBytes` together.
    func sizeBound(dataBytes: Int) -> Int {
        sealed().count + 1024 + 11 * (dataBytes / PieceHasher.pieceBytes + CheckpointFile.allCases.count)
    }
}
