import Checkpointing
import Foundation
import Testing

/// Two processes have the same folder of checkpoints, 20 and 40 in it.
@Suite struct TwoWritersTests {
    struct Pair: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let first, second: @Sendable (PowerCuts, PowerCuts.Actor) throws -> Void
    }
    static let pairs = [
        Pair(testDescription: "the same state") { try $0.save($1, 60) } second: { try $0.save($1, 60) },
        Pair(testDescription: "two states of a step") { try $0.save($1, 60) } second: { try $0.save($1, 60, "other") },
        Pair(testDescription: "a save and a save with a prune") {
            try $0.save($1, 60)
        } second: {
            try $0.save($1, 80)
            try $0.prune($1)
        },
        Pair(testDescription: "a save with a prune, and a save") {
            try $0.save($1, 60)
            try $0.prune($1)
        } second: {
            try $0.cleanUp($1)
            try $0.save($1, 80)
        },
        Pair(testDescription: "two prunes") {
            try $0.save($1, 60)
            try $0.prune($1)
        } second: {
            try $0.prune($1)
        },
    ]

    @Test(arguments: pairs)
    func `whenever the second comes between two calls of the first, nothing that either announced is lost`(pair: Pair) throws {
        let album = PowerCuts.Album()
        var refused: Set<String> = [], interruptions = 0
        for call in 0... {
            let cuts = try PowerCuts(looks: false, album: album)
            // Both live: neither takes the other's work for abandoned.
            let first = cuts.actor(getpid()), second = cuts.actor(getppid())
            for step in [20, 40] { try cuts.save(first, step) }
            cuts.looks = true
            func unless(_ body: () throws -> Void) {
                do { try body() } catch { refused.insert("\(error)".replacingOccurrences(of: cuts.folder, with: "")) }
            }
            var interrupted = false
            first.writer.interruption = (first.writer.calls + call, {
                interrupted = true
                unless { try pair.second(cuts, second) }
            })
            unless { try pair.first(cuts, first) }
            #expect(cuts.violations.isEmpty, "the second came before call \(call)")
            interruptions += interrupted ? 1 : 0
            if !interrupted || !cuts.violations.isEmpty { break }
        }
        #expect(interruptions > 15 && album.states > 100)
        if pair.testDescription == "two states of a step" {
            #expect(!refused.isEmpty && refused.allSatisfy { $0.contains("nothing was written") }, "\(refused)")
        } else {
            #expect(refused.isEmpty)
        }
        print("\(album.states) states after power cuts, \(interruptions) interruptions by \(pair.testDescription)")
    }
}
