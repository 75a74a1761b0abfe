import Collectives
import Foundation
import Ledger
import RunSpec
import Testing
import Training

@Suite struct PreparedRunTests {
    private func config(_ change: (inout RunConfig) -> Void = { _ in }) throws -> RunConfig {
        var config = try Preset.named("tiny").config
        change(&config)
        return config
    }

    /// A run that is ready for its launcher, and its memory's name taken back.
    private func prepared(_ config: RunConfig, _ temporary: TemporaryFolder, _ name: String = "run") throws -> PreparedRun {
        let run = try PreparedRun.new(config, SessionOptions(workers: 2), folder: RunFolder(temporary.path + "/" + name))
        run.removeSegment()
        return run
    }

    private func floats(_ run: PreparedRun, _ part: Int) -> [Float] {
        withExtendedLifetime(run) { Array(UnsafeBufferPointer(start: run.shared.state(generation: 0, part: part), count: run.parameters.count)) }
    }

    @Test func `a run begins from weights that its seed decides`() throws {
        let temporary = try TemporaryFolder()
        let first = try prepared(config(), temporary, "a"), again = try prepared(config(), temporary, "b")
        let other = try prepared(config { $0.seed = 2 }, temporary, "c")
        #expect(first.start.stateHash == again.start.stateHash && first.start.stateHash != other.start.stateHash)
        #expect(first.description.identity != again.description.identity)
        #expect(first.start.step == 0 && first.start.source == "initial" && first.start.session == 1)
        for part in 0..<3 {
            let a = floats(first, part), b = floats(again, part)
            #expect(a.map(\.bitPattern) == b.map(\.bitPattern) && a.contains { $0 != 0 } == (part == 0))
        }
    }

    @Test func `a run with an origin begins at its step, from a durable checkpoint, and never from its seed`() throws {
        let temporary = try TemporaryFolder(), config = try config(), folder = RunFolder(temporary.path + "/run")
        let origin = Origin(step: 30, description: "somewhere") { layout, state in
            for slot in layout.slots { for i in slot.offset..<slot.offset + slot.count { state.parameters[i] = Float(i % 11) / 100 } }
        }
        let run = try PreparedRun.new(config, SessionOptions(workers: 1), folder: folder, origin: origin)
        defer { run.removeSegment() }
        #expect(run.start.step == 30 && run.start.source == "origin" && floats(run, 0).contains { $0 == 0.07 })
        let record = try LedgerStore.read(folder.ledgerPath)
        #expect(record.facts[RunFact.origin] == "somewhere" && record.startStep == 30 && record.plannedCommits == 20)
        #expect(record.facts[RunFact.initialHash] == run.start.stateHash && record.checkpoints.map(\.status) == ["durable"])

        var remarks: [String] = []
        let restored = try PreparedRun.restore(into: run.shared, run.config, run.description, run.parameters, last: 30, isDrawn: false, folder, session: 1, run.ledger, &remarks)
        #expect(restored == (30, run.start.stateHash, PastUpdates()))
        let checkpoint = folder.checkpointsPath + "/step-0000000030/weights.safetensors"
        try #require(truncate(checkpoint, 1000) == 0)
        remarks = []
        #expect { try PreparedRun.restore(into: run.shared, run.config, run.description, run.parameters, last: 30, isDrawn: false, folder, session: 1, run.ledger, &remarks) } throws: { error in
            "\(error)".contains("no checkpoint that is whole, and no seed gives the state it began from; checkpoint step-30 is truncated")
        }
    }

    @Test func `an origin that is as far as the run shall come is refused and leaves nothing behind`() throws {
        let temporary = try TemporaryFolder(), folder = RunFolder(temporary.path + "/run")
        let origin = Origin(step: 50, description: "somewhere") { _, _ in }
        #expect { try PreparedRun.new(config(), SessionOptions(workers: 1), folder: folder, origin: origin) } throws: { error in
            "\(error)" == "somewhere has 50 committed steps and the new run is to end at 50; ask for more with --set steps=…"
        }
        #expect(!FileManager.default.fileExists(atPath: folder.path))
    }

    @Test func `the ledger knows the run before its first worker starts`() throws {
        let temporary = try TemporaryFolder(), config = try config()
        let run = try prepared(config, temporary), record = try LedgerStore.read(run.folder.ledgerPath)
        #expect(record.facts[RunFact.initialHash] == run.start.stateHash && record.facts[RunFact.runIdentity] == run.description.identity)
        #expect(record.facts[RunFact.steps] == "50" && record.facts[RunFact.microbatches] == "8" && record.facts[RunFact.tokensPerStep] == "512")
        #expect(record.facts[RunFact.outcome] == "running" && record.facts[RunFact.parameters] == String(run.parameters.parameterCount))
        #expect(record.sessions.count == 1 && record.commits.isEmpty)
        let (read, description) = try run.folder.read()
        #expect(read == run.config && description == run.description)
    }

    @Test func `validation units hold the tokens asked for, or all`() throws {
        let temporary = try TemporaryFolder()
        // Two sequences of 32 tokens a unit.
        let some = try prepared(config { $0.evaluation.tokens = 1000 }, temporary, "a")
        let all = try prepared(config { $0.evaluation.tokens = 0 }, temporary, "b")
        let none = try prepared(config { $0.data.validation = 0 }, temporary, "c")
        #expect(some.description.heldOut.validation == 16 && none.description.heldOut.count == 0)
        #expect(all.description.heldOut.validation > 100)
    }

    @Test func `the state hash depends on the step and on each chunk`() {
        let prints = (0..<256).map { UInt64($0) }
        let hash = Launcher.stateHash(step: 7, fingerprints: prints)
        #expect(hash.count == 64 && hash == Launcher.stateHash(step: 7, fingerprints: prints))
        #expect(hash != Launcher.stateHash(step: 8, fingerprints: prints))
        for chunk in 0..<256 {
            var other = prints
            other[chunk] ^= 1 << 63
            #expect(Launcher.stateHash(step: 7, fingerprints: other) != hash, "chunk \(chunk)")
        }
    }
}
