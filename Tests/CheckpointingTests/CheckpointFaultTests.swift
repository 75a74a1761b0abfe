import Checkpointing
import Foundation
import Testing

/// Checkpoint 460 is on disk; the save of 480 meets a fault.
@Suite struct CheckpointFaultTests {
    let run: TemporaryFolder
    let storage = FaultyStorage()
    let store: CheckpointStore
    let previous: Checkpoint

    init() throws {
        run = try TemporaryFolder()
        store = CheckpointStore(folder: run.path + "/checkpoints", storage: storage)
        previous = try CheckpointStore(folder: store.folder).saveSample(step: 460)
    }

    private var namesInStore: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: store.folder).sorted() }
    }

    private func expectOnlyPrevious(_ note: Comment) throws {
        #expect(try namesInStore == ["step-0000000460"], note)
        #expect(try store.newestValid().checkpoint == previous, note)
    }

    private func failure() -> CheckpointError? {
        do throws(CheckpointError) { try store.saveSample(step: 480) } catch { return error }
        return nil
    }

    @Test func `contents are durable before names, and the folder's name comes last`() throws {
        try store.saveSample(step: 480)
        let final = store.folder + "/step-0000000480", temporary = final + ".tmp-\(getpid())"
        let (weights, optimizer, manifest) = (temporary + "/weights.safetensors", temporary + "/optimizer.safetensors", temporary + "/manifest.json")
        var expected: [FaultyStorage.Call] = [
            .makeDirectory(store.folder),
            .remove(temporary), .remove(final + ".old.tmp-\(getpid())"), .makeDirectory(temporary),
        ]
        expected += [.create(weights), .create(optimizer), .create(manifest), .write(manifest)]
        expected += [.sync(weights), .sync(optimizer), .sync(manifest), .syncDirectory(temporary), .syncDirectory(store.folder + "/..")]
        expected += [.close(weights), .close(optimizer), .close(manifest)]
        expected += [.rename(temporary, final), .syncDirectory(store.folder), .remove(final + ".old.tmp-\(getpid())")]
        // The two are written side by side.
        let sideBySide: Set<FaultyStorage.Call> = [.write(weights), .write(optimizer)]
        #expect(storage.calls.filter { !sideBySide.contains($0) } == expected)
        let written = storage.calls.indices.filter { sideBySide.contains(storage.calls[$0]) }
        let first = try #require(written.first), last = try #require(written.last)
        #expect(storage.calls[first - 1] == .create(optimizer) && storage.calls[last + 1] == .create(manifest))
        #expect(Set(storage.calls[first...last]) == sideBySide)
    }

    @Test func `the first save makes the store's folder durable as well`() throws {
        let first = FaultyStorage()
        let path = run.path + "/other"
        try CheckpointStore(folder: path, storage: first).saveSample(step: 0)
        let synced = try #require(first.calls.firstIndex(of: .syncDirectory(path + "/..")))
        #expect(first.calls[0] == .makeDirectory(path) && first.calls[synced...].contains { if case .rename(_, path + "/step-0000000000") = $0 { true } else { false } })
    }

    @Test func `a failing sync leaves no checkpoint, is not repeated, and the previous one is intact`() throws {
        try store.saveSample(step: 480)
        let syncs = storage.calls.indices.filter {
            switch storage.calls[$0] { case .sync, .syncDirectory: true; default: false }
        }
        #expect(syncs.count == 6)
        for sync in syncs {
            try DiskStorage().remove(store.folder + "/step-0000000480")
            let before = storage.calls.count, fired = storage.faultsFired
            storage.fault = { index, _ in index == before + sync ? EIO : nil }
            guard case .storage(let error)? = failure() else { Issue.record("call \(sync) did not fail"); return }
            #expect(error.code == EIO && storage.faultsFired == fired + 1)
            let failed = storage.calls[before + sync]
            #expect(storage.calls[(before + sync + 1)...].filter { $0 == failed }.isEmpty, "\(failed) was repeated")
            try expectOnlyPrevious("failed \(failed)")
            storage.fault = { _, _ in nil }
            try store.saveSample(step: 480)
        }
    }

    @Test func `whichever call fails, either nothing is left or the checkpoint is whole`() throws {
        try store.saveSample(step: 480)
        let count = storage.calls.count
        for failing in 0..<count {
            try DiskStorage().remove(store.folder + "/step-0000000480")
            let before = storage.calls.count, fired = storage.faultsFired
            storage.fault = { index, _ in index == before + failing ? EIO : nil }
            let error = failure()
            storage.fault = { _, _ in nil }
            #expect(storage.faultsFired == fired + 1)
            if error == nil {
                // Only the removal of a replaced checkpoint comes after the commit.
                #expect(failing == count - 1)
            } else {
                try expectOnlyPrevious("call \(failing)")
            }
            try store.saveSample(step: 480)
            #expect(try store.loadSample(step: 480).bits == SampleState(step: 480).bits)
        }
    }

    @Test func `killed at any call, the newest whole checkpoint is the old or the new one`() throws {
        try store.saveSample(step: 480)
        let count = storage.calls.count
        var outcomes: Set<Int> = []
        for dying in 0..<count {
            try DiskStorage().remove(store.folder + "/step-0000000480")
            let mortal = FaultyStorage()
            mortal.diesAtFault = true
            mortal.fault = { index, _ in index == dying ? EIO : nil }
            // A process number above the kernel's limit: certainly not alive.
            let dead = CheckpointStore(folder: store.folder, storage: mortal, process: .max)
            _ = try? dead.saveSample(step: 480)
            #expect(mortal.faultsFired > 0)

            let search = try store.newestValid()
            #expect(search.rejected.isEmpty)
            outcomes.insert(try #require(search.checkpoint).step)
            try store.removeAbandoned()
            #expect(try namesInStore.allSatisfy { !$0.contains("tmp") })
            try store.saveSample(step: 480)
            #expect(try store.newestValid().checkpoint?.step == 480)
        }
        #expect(outcomes == [460, 480])
    }

    @Test func `a replaced checkpoint that is damaged never hides the state while it is swapped`() throws {
        try store.saveSample(step: 480)
        try store.damage("weights.safetensors", step: 480) { $0[0] ^= 1 }
        let before = storage.calls.count
        storage.fault = { index, call in
            guard index > before, case .rename(let out, _) = storage.calls[index - 1], case .rename(_, let to) = call else { return nil }
            return out.hasSuffix("step-0000000480") && to == out ? EIO : nil
        }
        guard case .storage? = failure() else { Issue.record("the rename did not fail"); return }
        #expect(storage.faultsFired == 1)
        try expectOnlyPrevious("the damaged checkpoint is gone, the new one is not there")
    }

    @Test func `short writes are continued`() throws {
        storage.mostBytesPerWrite = 70_001
        try store.saveSample(step: 480)
        #expect(try store.loadSample(step: 480).bits == SampleState(step: 480).bits)
    }

    @Test func `prune takes checkpoints out of sight durably before it removes them`() throws {
        let sound = CheckpointStore(folder: store.folder)
        for step in [480, 500] { try sound.saveSample(step: step) }
        try store.prune(KeepRules(last: 2))
        let pruned = store.folder + "/step-0000000460", displaced = pruned + ".old.tmp-\(getpid())"
        #expect(storage.calls == [
            .syncDirectory(store.folder), .remove(displaced), .rename(pruned, displaced), .syncDirectory(store.folder),
            .remove(displaced),
        ])
    }

    @Test func `a checkpoint that is there already is returned only when its name is durable`() throws {
        #expect(try store.saveSample(step: 460) == previous)
        #expect(storage.calls == [.syncDirectory(store.folder)])
        storage.fault = { _, _ in EIO }
        #expect(throws: CheckpointError.storage(StorageError(.syncDirectory, store.folder, code: EIO))) {
            try store.saveSample(step: 460)
        }
    }

    @Test func `killed while pruning, the kept checkpoints are whole and the pruned ones out of sight`() throws {
        let sound = CheckpointStore(folder: store.folder)
        for dying in 0..<6 {
            for step in [420, 440, 460, 480] { try sound.saveSample(step: step) }
            let mortal = FaultyStorage()
            mortal.diesAtFault = true
            mortal.fault = { index, _ in index == dying ? EIO : nil }
            let dead = CheckpointStore(folder: store.folder, storage: mortal, process: .max)
            #expect(throws: CheckpointError.self) { try dead.prune(KeepRules(last: 2)) }
            #expect(mortal.faultsFired > 0)
            #expect(try sound.list(.hashes).allSatisfy { $0.damage == nil })
            #expect(try sound.steps().prefix(2) == [480, 460])
            try sound.removeAbandoned()
        }
    }
}
