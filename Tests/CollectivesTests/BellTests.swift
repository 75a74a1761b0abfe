import Collectives
import Foundation
import RunSpec
import Testing

@Suite struct BellTests {
    /// Two threads, each with a mapping of its own, hand a number back and forth. A wait that no ring ends looks
    /// again after 100 ms: without the bell this takes two minutes, with it a fraction of a second.
    @Test func `a waiter in another mapping wakes when the bell rings`() throws {
        let hops = 1200, boundSeconds = 30.0
        let segment = Segment()
        let here = try segment.create()
        let name = segment.name
        let begun = MonotonicClock.nanoseconds()
        let other = Thread {
            guard let there = try? SharedState(opening: name, layout: Segment.layout(), identity: 7) else { return }
            for turn in stride(from: 1, through: hops, by: 2) {
                guard there.wait(alive: { true }, until: { there.view == turn }) else { return }
                there.announce(view: turn + 1)
            }
        }
        other.start()
        for turn in stride(from: 0, to: hops, by: 2) {
            here.announce(view: turn + 1)
            let answered = here.wait(alive: { Self.seconds(since: begun) < 2 * boundSeconds }, until: { here.view == turn + 2 })
            try #require(answered, "turn \(turn)")
        }
        #expect(Self.seconds(since: begun) < boundSeconds)
        withExtendedLifetime(segment) {}
    }

    private static func seconds(since begun: UInt64) -> Double { Double(MonotonicClock.nanoseconds() - begun) * 1e-9 }

    @Test func `every waiter wakes from one ring`() throws {
        let segment = Segment(), waiters = 6
        let shared = try segment.create()
        let name = segment.name
        let woken = DispatchSemaphore(value: 0)
        for slot in 0..<waiters {
            Thread {
                guard let mine = try? SharedState(opening: name, layout: Segment.layout(), identity: 7) else { return }
                mine.setSlot(slot, replica: 1, state: .ready)
                mine.ring()
                if mine.wait(alive: { true }, until: { mine.stopRequested }) { woken.signal() }
            }.start()
        }
        let allWait = { (0..<waiters).allSatisfy { shared.slotState($0).state == .ready } }
        #expect(shared.wait(alive: { true }, until: allWait))
        shared.announce(step: 1, current: 0, next: 1, stop: true)
        for _ in 0..<waiters { #expect(woken.wait(timeout: .now() + 30) == .success) }
        withExtendedLifetime(segment) {}
    }

    @Test func `a condition that holds already needs no ring`() throws {
        let segment = Segment()
        let shared = try segment.create()
        var asked = 0
        #expect(shared.wait(alive: { asked += 1; return true }, until: { true }) && asked == 0)
    }

    @Test func `a wait ends when nobody is alive to ring`() throws {
        let segment = Segment()
        let shared = try segment.create()
        var asked = 0
        let held = shared.wait(alive: { asked += 1; return asked < 3 }, until: { false })
        #expect(!held && asked == 3)
    }

    @Test func `a condition that holds at the last look counts though nobody is alive`() throws {
        let segment = Segment()
        let shared = try segment.create()
        #expect(shared.wait(alive: { false }, until: { true }))
    }
}
