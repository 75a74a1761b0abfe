import Checkpointing
import Foundation
import RunSpec
import Testing

/// A folder of its own for each test, removed with it.
final class TemporaryFolder {
    let path: String

    /// - Parameter inMemory: for thousands of small files, where the system has such a place.
    init(inMemory: Bool = false) throws {
        let parent = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NSTemporaryDirectory()
        var template = Array((parent + "/checkpointing-XXXXXX").utf8CString)
        path = String(cString: try #require(mkdtemp(&template)))
    }

    /// A folder, and a store in it that has no folder of its own yet.
    static func withStore(inMemory: Bool = false) throws -> (TemporaryFolder, CheckpointStore) {
        let folder = try TemporaryFolder(inMemory: inMemory)
        return (folder, CheckpointStore(folder: folder.path + "/checkpoints"))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }
}

/// Blocks θ, m and v of a small model with odd sizes, one tensor longer than a MiB and gaps between tensors.
final class SampleState {
    static let gap: Float = -77
    static let entries: [StateEntry] = {
        var offset = 3
        return [("wte", [300, 1001]), ("b.0/ü.bias", [7]), ("ln", [1]), ("w", [3, 5])].map { name, shape in
            defer { offset += shape.reduce(1, *) + 2 }
            return StateEntry(name: name, shape: shape, offset: offset, count: shape.reduce(1, *))
        }
    }()
    static let floats = entries.map { $0.offset + $0.count }.max()! + 5

    var parameters, firstMoments, secondMoments: [Float]

    /// A state in which every float differs by block, place and step; nothing but gaps without a step.
    init(step: Int? = nil) {
        func block(_ number: Int) -> [Float] {
            var floats = [Float](repeating: Self.gap, count: Self.floats)
            for entry in Self.entries where step != nil {
                for i in 0..<entry.count { floats[entry.offset + i] = Float(i * 3 + number) / 7 + Float(step!) }
            }
            return floats
        }
        parameters = block(0)
        firstMoments = block(1)
        secondMoments = block(2)
        // Bits that arithmetic would not keep.
        if step != nil { parameters[3] = Float(bitPattern: 0x7FC0_1234); parameters[4] = -0.0 }
    }

    var bits: [[UInt32]] { [parameters, firstMoments, secondMoments].map { $0.map(\.bitPattern) } }
}

extension StateTraits {
    static let sample = StateTraits(
        model: ["model.width": "32", "model.vocabulary": "71"], seed: .max, corpus: "tales", kernelCore: "SkylakeX", headwayVersion: "1")

    func with(_ change: (inout StateTraits) -> Void) -> StateTraits {
        var changed = self
        change(&changed)
        return changed
    }
}

extension Manifest {
    static func sample(step: Int, stateHash: String? = nil) -> Manifest {
        Manifest(
            step: step, parent: step > 20 ? step - 20 : nil, run: "run-1", traits: .sample,
            stateHash: stateHash ?? "state-\(step)", createdUnixSeconds: 1_700_000_000 + step,
            pastUpdates: PastUpdates(stride(from: max(1, step - 40), through: step, by: 1).map { .init(step: $0, norm: $0 % 5 == 0 ? nil : 1 / Double($0), isVetoed: $0 % 5 == 0) }))
    }
}

extension CheckpointStore {
    @discardableResult
    func saveSample(
        step: Int, stateHash: String? = nil, progress: (SaveProgress) -> Void = { _ in }
    ) throws(CheckpointError) -> Checkpoint {
        let state = SampleState(step: step)
        return try save(
            .sample(step: step, stateHash: stateHash), entries: SampleState.entries, parameters: state.parameters,
            firstMoments: state.firstMoments, secondMoments: state.secondMoments, progress: progress)
    }

    func loadSample(
        step: Int, entries: [StateEntry] = SampleState.entries, mismatch: (Manifest) -> CheckpointMismatch? = { _ in nil }
    ) throws(CheckpointError) -> SampleState {
        let state = SampleState()
        _ = try load(
            step: step, entries: entries, parameters: &state.parameters, firstMoments: &state.firstMoments,
            secondMoments: &state.secondMoments, mismatch: mismatch)
        return state
    }

    static func sampleName(of step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: 10 - digits.count) + digits
    }

    func file(_ name: String, step: Int) -> URL {
        URL(fileURLWithPath: "\(folder)/\(Self.sampleName(of: step))/\(name)")
    }

    /// Overwrites a file of a checkpoint with what `change` makes of it.
    func damage(_ name: String, step: Int, _ change: (inout Data) -> Void) throws {
        var data = try Data(contentsOf: file(name, step: step))
        change(&data)
        try data.write(to: file(name, step: step))
    }
}

/// The file system with a record of the calls that change it, and with faults at chosen ones.
final class FaultyStorage: Storage {
    enum Call: Hashable {
        case makeDirectory(String), create(String), write(String), sync(String), close(String)
        case syncDirectory(String), rename(String, String), remove(String)
    }
    private let disk = DiskStorage()
    private(set) var calls: [Call] = []
    private(set) var faultsFired = 0
    /// The error number for the call that has this index among all calls, nil to let it pass.
    var fault: (_ index: Int, Call) -> Int32? = { _, _ in nil }
    /// Fails every call after the first fault, as if the process had been killed there.
    var diesAtFault = false
    var mostBytesPerWrite = Int.max
    var reportedAvailableBytes: Int?

    private func enter(
        _ call: Call, _ operation: StorageError.Operation, _ path: String
    ) throws(StorageError) {
        calls.append(call)
        let code = diesAtFault && faultsFired > 0 ? EIO : fault(calls.count - 1, call)
        if let code {
            faultsFired += 1
            throw StorageError(operation, path, code: code)
        }
    }

    func makeDirectory(_ path: String) throws(StorageError) {
        try enter(.makeDirectory(path), .makeDirectory, path)
        try disk.makeDirectory(path)
    }
    func create(_ path: String) throws(StorageError) -> OpenFile {
        try enter(.create(path), .create, path)
        return try disk.create(path)
    }
    func write(_ bytes: UnsafeRawBufferPointer, to file: OpenFile) throws(StorageError) -> Int {
        try enter(.write(file.path), .write, file.path)
        return try disk.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(mostBytesPerWrite)), to: file)
    }
    func sync(_ file: OpenFile) throws(StorageError) {
        try enter(.sync(file.path), .sync, file.path)
        try disk.sync(file)
    }
    func close(_ file: OpenFile) throws(StorageError) {
        // Closed in any case: that is what the end of the process would do.
        try disk.close(file)
        try enter(.close(file.path), .close, file.path)
    }
    func syncDirectory(_ path: String) throws(StorageError) {
        try enter(.syncDirectory(path), .syncDirectory, path)
        try disk.syncDirectory(path)
    }
    func rename(_ from: String, to: String) throws(StorageError) {
        try enter(.rename(from, to), .rename, from)
        try disk.rename(from, to: to)
    }
    func remove(_ path: String) throws(StorageError) {
        try enter(.remove(path), .remove, path)
        try disk.remove(path)
    }
    func availableBytes(in path: String) throws(StorageError) -> Int {
        if let reportedAvailableBytes { return reportedAvailableBytes }
        return try disk.availableBytes(in: path)
    }
}
