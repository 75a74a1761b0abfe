import Checkpointing
import Foundation
import Testing

@Suite struct PowerCutTests {
    typealias History = (PowerCuts) throws -> Void
    static func process(_ number: pid_t) -> pid_t { .max - number }

    // MARK: Histories

    /// Saves with two kept; one is damaged and replaced; one is set aside and its step saved again, twice.
    static func oneProcess(_ cuts: PowerCuts) throws {
        let actor = cuts.actor(process(0))
        for step in [20, 40, 60, 80] {
            try cuts.save(actor, step)
            try cuts.prune(actor)
        }
        for file in ["weights.safetensors", "manifest.json"] {
            try cuts.damage(80, file)
            try cuts.save(actor, 80, "mended-\(file)")
            try cuts.save(actor, 80, "mended-\(file)")
        }
        for number in 0..<2 {
            try cuts.setAside(actor, 80)
            try cuts.save(actor, 80, "other-\(number)")
        }
        try cuts.save(actor, 100)
        try cuts.save(actor, 120)
        try cuts.prune(actor)
    }

    /// What stands before the last act of a process, that act, and what the next process does.
    struct LastAct: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let before, last: @Sendable (PowerCuts, PowerCuts.Actor) throws -> Void
        let next: @Sendable (PowerCuts, PowerCuts.Actor) throws -> Void
    }
    static let lastActs = [
        LastAct(testDescription: "the first save") { _, _ in
        } last: {
            try $0.save($1, 20)
        } next: {
            try $0.save($1, 20)
        },
        LastAct(testDescription: "a save and a prune") { cuts, actor in
            for step in [20, 40] { try cuts.save(actor, step) }
        } last: {
            try $0.save($1, 60)
            try $0.prune($1)
        } next: {
            try $0.save($1, 60)
            try $0.prune($1)
        },
        LastAct(testDescription: "a save whose heir prunes") { cuts, actor in
            for step in [20, 40] { try cuts.save(actor, step) }
        } last: {
            try $0.save($1, 60)
        } next: {
            try $0.prune($1)
        },
        LastAct(testDescription: "a replacement") { cuts, actor in
            for step in [20, 40] { try cuts.save(actor, step) }
            try cuts.damage(40, "optimizer.safetensors")
        } last: {
            try $0.save($1, 40, "mended")
        } next: {
            try $0.save($1, 40, "mended")
        },
        LastAct(testDescription: "setting one aside") { cuts, actor in
            for step in [20, 40] { try cuts.save(actor, step) }
            try cuts.setAside(actor, 40)
            try cuts.save(actor, 40, "second")
        } last: {
            try $0.setAside($1, 40)
        } next: {
            if try $1.store.steps().contains(40) { try $0.setAside($1, 40) }
            try $0.save($1, 40, "third")
        },
    ]

    /// The process dies before each of the calls of its last act in turn, and another goes on; at last none dies.
    /// `look` is shown each history and returns whether to go on. How often it died.
    static func deaths(
        _ act: LastAct, _ mutation: Mutation? = nil, looks: Bool = true, album: PowerCuts.Album = .init(),
        _ look: (PowerCuts) -> Bool
    ) throws -> Int {
        for death in 0... {
            let cuts = try PowerCuts(mutation, looks: false, album: album), dying = cuts.actor(process(0))
            try act.before(cuts, dying)
            dying.writer.lifetime = dying.writer.calls + death
            let dead: Bool
            do {
                try act.last(cuts, dying)
                dead = false
            } catch CheckpointError.storage {
                dead = true
            }
            // Cuts while it lived are those of a process that does not die.
            cuts.looks = looks
            cuts.look()
            let heir = cuts.actor(process(1))
            try cuts.cleanUp(heir)
            try act.next(cuts, heir)
            guard look(cuts), dead else { return death }
        }
        return 0
    }

    // MARK: The protocol

    @Test func `after a power cut at any call every announced checkpoint is whole, and none is partial`() throws {
        let album = PowerCuts.Album(), cuts = try PowerCuts(album: album)
        try Self.oneProcess(cuts)
        #expect(cuts.violations.isEmpty)
        #expect(album.states > 900)
        print("\(album.states) states after power cuts")
    }

    @Test(arguments: lastActs)
    func `killed at any call, the next process goes on, and no power cut takes what either announced`(act: LastAct) throws {
        let album = PowerCuts.Album()
        let deaths = try Self.deaths(act, album: album) { cuts in
            #expect(cuts.violations.isEmpty)
            return cuts.violations.isEmpty
        }
        #expect(deaths >= 2 && album.states > 100)
        print("\(album.states) states after power cuts, \(deaths) deaths in \(act.testDescription)")
    }

    // MARK: Mutations of it

    /// Every sync of the histories above.
    static let syncs: [String] = {
        var found: Set<String> = []
        do {
            let cuts = try PowerCuts(looks: false)
            try oneProcess(cuts)
            found.formUnion(cuts.syncs)
            for act in lastActs {
                _ = try deaths(act, looks: false) {
                    found.formUnion($0.syncs)
                    return true
                }
            }
        } catch {
            Issue.record(error)
        }
        return found.sorted()
    }()

    @Test(arguments: syncs.map(Mutation.without) + [
        .syncedAfterRename("weights.safetensors"), .syncedAfterRename("optimizer.safetensors"),
        .syncedAfterRename("manifest.json"), .renamedBefore("weights.safetensors"),
        .renamedBefore("optimizer.safetensors"), .renamedBefore("manifest.json"), .prunedInPlace,
    ])
    func `no step of the protocol can be left out or moved unseen`(mutation: Mutation) throws {
        var applied = 0, violation: String?
        func look(_ cuts: PowerCuts) -> Bool {
            applied += cuts.mutationsApplied
            violation = violation ?? cuts.violations.first
            return violation == nil
        }
        let cuts = try PowerCuts(mutation)
        try Self.oneProcess(cuts)
        if look(cuts) {
            for act in Self.lastActs where violation == nil { _ = try Self.deaths(act, mutation, look) }
        }
        #expect(applied > 0 && violation != nil)
        print("\(mutation): \(violation ?? "survived")")
    }
}
