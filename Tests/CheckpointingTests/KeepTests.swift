import Checkpointing
import Foundation
import Testing

@Suite struct KeepTests {
    let run: TemporaryFolder
    let store: CheckpointStore

    init() throws {
        (run, store) = try TemporaryFolder.withStore()
    }

    @Test func `rules name the newest, the first at each multiple and the nearest after the best passes`() {
        let losses = [0: 5.0, 20: 3, 40: 2, 60: .nan, 80: 4]
        let rules = KeepRules(last: 2, every: 40, best: 2, losses: losses)
        let reasons = rules.reasons(among: [90, 80, 70, 60, 50, 45, 25, 22, 10], pinned: [10])
        #expect(reasons == [
            90: [.newest], 80: [.newest, .multiple], 45: [.multiple, .best], 22: [.best], 10: [.pinned],
        ])
        #expect(rules.pass(at: 59) == 40 && KeepRules(last: 2).pass(at: 59) == nil)
        #expect(KeepRules(last: 0).reasons(among: [3, 2, 1], pinned: []).keys.sorted() == [2, 3])
    }

    @Test func `prune keeps what rules and pins name, and what is unpinned goes`() throws {
        for step in stride(from: 20, through: 120, by: 20) { try store.saveSample(step: step) }
        let rules = KeepRules(last: 2, every: 60, best: 1, losses: [80: 1, 100: 2])
        try store.pin(40)
        #expect(try store.prune(rules) == [20])
        #expect(try store.steps() == [120, 100, 80, 60, 40])
        try store.unpin(40)
        #expect(try store.prune(rules) == [40] && store.steps() == [120, 100, 80, 60])
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder).count == 4)
    }

    @Test func `a damaged checkpoint is pinned or goes, and with every byte read does not count as one of the newest`() throws {
        for step in [20, 40, 60, 80] { try store.saveSample(step: step) }
        try store.damage("weights.safetensors", step: 80) { $0[$0.count - 3] ^= 1 }
        #expect(try store.prune(KeepRules(last: 3), checking: .hashes).isEmpty)
        #expect(try store.prune(KeepRules(last: 2), checking: .hashes) == [20])
        #expect(try store.prune(KeepRules(last: 2)) == [40])
    }

    /// It may look whole and not be: what is newer than the checkpoint that was just saved comes from before the run went back.
    @Test func `what is newer than the checkpoint just saved neither counts nor goes`() throws {
        for step in [20, 40, 60, 80, 100] { try store.saveSample(step: step) }
        for step in [80, 100] { try store.damage("weights.safetensors", step: step) { $0[$0.count - 3] ^= 1 } }
        #expect(try store.prune(KeepRules(last: 2), upTo: 60) == [20])
        #expect(try store.steps() == [100, 80, 60, 40])
    }

    @Test func `a pin outlives the process, and a checkpoint that is not there cannot be pinned`() throws {
        for step in [20, 40, 60] { try store.saveSample(step: step) }
        try store.pin(20)
        let later = CheckpointStore(folder: store.folder, process: 1)
        #expect(later.isPinned(20) && !later.isPinned(40))
        #expect(try later.prune(KeepRules(last: 2)).isEmpty)
        #expect(throws: CheckpointError.missing(step: 30, folder: store.folder)) { try store.pin(30) }
        #expect(!store.isPinned(30))
    }

    /// Whoever prunes has moved the checkpoint out of sight when somebody else pins it.
    @Test func `a checkpoint that is pinned while it is pruned comes back`() throws {
        for step in [20, 40, 60] { try store.saveSample(step: step) }
        let storage = FaultyStorage(), folder = store.folder
        var pinned = false
        storage.fault = { _, call in
            // After the rename, at the next call.
            if case .rename(let from, let to) = call, from.hasSuffix("step-0000000020"), to.contains(".old.") {
                pinned = FileManager.default.createFile(atPath: folder + "/step-0000000020.pin", contents: nil)
            }
            return nil
        }
        #expect(try CheckpointStore(folder: folder, storage: storage).prune(KeepRules(last: 2)).isEmpty)
        #expect(pinned)
        #expect(try store.steps() == [60, 40, 20] && store.newestValid().checkpoint?.step == 60)
        #expect(try store.loadSample(step: 20).bits == SampleState(step: 20).bits)
    }

    @Test func `what is set aside is listed by name and removed together, as far as it is not pinned`() throws {
        for step in [20, 40, 60, 80] { try store.saveSample(step: step) }
        try store.pin(80)
        try store.setAside(80, as: .superseded)
        try store.setAside(60, as: .superseded)
        try store.setAside(40, as: .damaged)
        let names = ["step-0000000040.damaged", "step-0000000060.superseded", "step-0000000080.superseded"]
        #expect(try store.steps() == [20] && store.aside().map { $0.name } == names && store.aside().map { $0.step } == [40, 60, 80])
        #expect(try store.removeAside() == Array(names.prefix(2)))
        #expect(try FileManager.default.contentsOfDirectory(atPath: store.folder).sorted() == ["step-0000000020", "step-0000000080.pin", names[2]])
        try store.unpin(80)
        #expect(try store.removeAside() == [names[2]] && run.names == ["checkpoints"] && store.aside().isEmpty)
    }

    @Test func `one that is set aside again stays beside the first`() throws {
        var files: [Data] = []
        for number in 1...3 {
            try store.saveSample(step: 60, stateHash: "state \(number)")
            files.append(try Data(contentsOf: store.file("manifest.json", step: 60)))
            #expect(try store.setAside(60, as: .superseded) == "step-0000000060.superseded" + (number == 1 ? "" : "-\(number)"))
        }
        let names = try store.aside().map { $0.name }
        #expect(try names.map { try Data(contentsOf: URL(fileURLWithPath: "\(store.folder)/\($0)/manifest.json")) } == files && Set(files).count == 3)
        #expect(try store.removeAside() == names && store.steps().isEmpty)
    }

    @Test func `traits that differ are told, the model first, and those that may differ by name`() throws {
        let here = StateTraits.sample
        func said(_ change: (inout StateTraits) -> Void, allowing allowed: Set<Allowance> = []) -> String? {
            StateTraits.sample.mismatch(for: here.with(change), allowing: allowed).map { "\($0)" }
        }
        #expect(said { _ in } == nil)
        #expect(said({ ($0.model["model.width"], $0.seed) = ("64", 2) }, allowing: Set(Allowance.allCases))
            == "was made with model.width 32, not 64; a state fits no other model")
        #expect(said { ($0.corpus, $0.headwayVersion) = ("text", "2") }
            == "was made with another training text or tokenizer, headway 1, not 2; --allow corpus,version goes on with it all the same, to other bits")
        #expect(said({ ($0.corpus, $0.headwayVersion) = ("text", "2") }, allowing: [.corpus])
            == "was made with headway 1, not 2; --allow version goes on with it all the same, to other bits")
        #expect(said { $0.tensorDegree = 2 } == "was made with tensor parallelism tp=1, not tp=2; --allow tensor goes on with it all the same, to other bits")
        #expect(said({ $0.tensorDegree = 2 }, allowing: [.tensor]) == nil)
        #expect(said({ $0.kernelCore = "Haswell" }, allowing: [.core]) == nil)
        #expect(said { $0.kernelCore = "Haswell" }?.contains("OPENBLAS_CORETYPE=SkylakeX if the processor allows it, or --allow core") == true)
    }
}
