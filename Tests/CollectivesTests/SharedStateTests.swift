import Collectives
import Foundation
import Testing

@Suite struct SharedStateTests {
    private func failure(_ make: () throws -> SharedState) -> SharedState.Failure? {
        do { _ = try make() } catch { return error as? SharedState.Failure }
        return nil
    }

    @Test func `what one mapping writes another one reads`() throws {
        let segment = Segment()
        let writer = try segment.create(), reader = try segment.open()
        writer.state(generation: 2, part: 1)[77] = 3.5
        writer.leaves.assign(3, to: 9)
        writer.announce(step: 12, current: 1, next: 2, stop: true)
        writer.setSlot(63, replica: 41, state: .ready)
        writer.admit(63, replica: 41)
        writer.setPeakFlops(5, 1.25e11)
        writer.setStepAllocations(5, 3)
        writer.setFaultFired(1023, at: 9, by: .file)
        writer.setFaultFired(16_383, at: 8)
        #expect(reader.state(generation: 2, part: 1)[77] == 3.5 && reader.leaves.owner(of: 3) == 9)
        #expect(reader.committedStep == 12 && reader.currentGeneration == 1 && reader.nextGeneration == 2 && reader.stopRequested)
        #expect(reader.slotState(63) == (41, .ready) && reader.admitted(63) == 41)
        #expect(reader.peakFlops(5) == 1.25e11 && reader.stepAllocations(5) == 3)
        #expect(reader.faultFired(1023) == 9 && reader.faultFired(1022) == nil && reader.faultMechanism(1023) == .file)
        #expect(reader.faultFired(16_383) == 8 && reader.faultMechanism(16_383) == nil)
    }

    @Test func `a new segment is all zeros`() throws {
        let segment = Segment()
        let shared = try segment.create()
        #expect(shared.view == 0 && shared.committedStep == 0 && !shared.stopRequested)
        for generation in 0..<3 { for part in 0..<3 { #expect((0..<4096).allSatisfy { shared.state(generation: generation, part: part)[$0] == 0 }) } }
    }

    @Test func `the name is there until it is unlinked, and the memory as long as somebody maps it`() throws {
        let segment = Segment()
        let shared = try segment.create()
        #expect(segment.exists)
        SharedState.unlink(segment.name)
        #expect(!segment.exists)
        shared.gradient(0)[0] = 1
        #expect(shared.gradient(0)[0] == 1)
        SharedState.unlink(segment.name)
        #expect(failure { try segment.open() } == .noSegment(name: segment.name))
    }

    @Test func `a mapping that ends leaves the segment to the others`() throws {
        let segment = Segment()
        do {
            let first = try SharedState(creating: segment.name, layout: Segment.layout(), identity: 7)
            withExtendedLifetime(first) { first.gradient(2)[5] = 8 }
        }
        #expect(segment.exists)
        #expect(try segment.open().gradient(2)[5] == 8)
    }

    @Test func `a name that is taken is refused and left alone`() throws {
        let segment = Segment()
        let first = try segment.create()
        first.gradient(0)[0] = 5
        #expect(failure { try segment.create() } == .exists(name: segment.name))
        #expect(segment.exists && first.gradient(0)[0] == 5)
    }

    @Test func `a segment that is not there is refused and not made`() {
        let segment = Segment()
        #expect(failure { try segment.open() } == .noSegment(name: segment.name))
        #expect(!segment.exists)
    }

    @Test func `a segment of another run or shape is refused and left alone`() throws {
        let segment = Segment()
        let shared = try segment.create()
        shared.gradient(3)[100] = 6
        #expect(failure { try segment.open(identity: 8) } == .mismatch("shared memory \(segment.name) has another run and configuration"))
        for other in [{ try segment.open(leaves: 2) }, { try segment.open(floats: 2048) }, { try segment.open(floats: 8192) }] {
            #expect(failure(other) == .mismatch("shared memory \(segment.name) has another size"))
        }
        #expect(try segment.open().gradient(3)[100] == 6)
    }

    /// Files that other programs could have put there, or a crash could have left.
    @Test(arguments: [0, 1, 8, 4_095, 4_096, 100_000])
    func `a file that is no segment is refused, whatever its size`(bytes: Int) throws {
        let segment = Segment()
        try Data(repeating: 0, count: bytes).write(to: URL(fileURLWithPath: segment.path))
        let found = failure { try segment.open() }
        if bytes == 0 {
            guard case .system? = found else { return #expect(found == nil, "an error of the system was expected") }
        } else {
            #expect(found == .mismatch("shared memory \(segment.name) has another magic number"))
        }
        #expect(segment.exists)
    }

    /// A segment that is shorter than expected is unmapped at its own size: memory beside it stays.
    @Test func `refusing a short segment leaves the memory around it alone`() throws {
        let segment = Segment(), neighbourBytes = 64 << 20
        _ = try segment.create(floats: 4096)
        // New mappings go below the newest: this one, of which every page must survive, lies above the segment's.
        let neighbour = try #require(mmap(nil, neighbourBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
        defer { munmap(neighbour, neighbourBytes) }
        #expect(failure { try segment.open(floats: 40_960) } != nil)
        var resident = [UInt8](repeating: 0, count: neighbourBytes / 4096)
        // ENOMEM: a part of the range is not mapped.
        #expect(mincore(neighbour, neighbourBytes, &resident) == 0, "\(String(cString: strerror(errno)))")
    }

    @Test func `a segment that shared memory cannot hold is refused with the sizes, and nothing is left`() {
        let segment = Segment()
        let floats = 1 << 44, layout = Segment.layout(floats)
        guard case .outOfMemory(let needed, let free)? = failure({ try segment.create(floats: floats) }) else {
            Issue.record("a segment of \(layout.byteCount) bytes was made")
            return
        }
        #expect(needed == layout.byteCount && free > 0 && free < needed)
        #expect(!segment.exists)
    }

    @Test func `a state taken over keeps what is published, and forgets workers, faults and the stop`() throws {
        let segment = Segment()
        let shared = try segment.create()
        shared.announce(step: 4, current: 1, next: 2, stop: true)
        let turn = shared.turn
        shared.leaves.markDone(2, turn: turn)
        shared.setSlot(1, replica: 5, state: .ready)
        shared.setFaultFired(3, at: 17)
        shared.prepareAdoption(step: 5, generation: 2)
        #expect(shared.committedStep == 5 && shared.currentGeneration == 2 && shared.nextGeneration == 0 && !shared.stopRequested)
        #expect(shared.leaves.isDone(2, turn: turn) && shared.turn > turn && !shared.leaves.isDone(2, turn: shared.turn))
        #expect(shared.slotState(1) == (0, .empty) && shared.faultFired(3) == nil)
    }

    @Test func `members without a state are seen when a view is written or a step ends, and not in between`() throws {
        let segment = Segment(), shared = try segment.create()
        shared.setHoldsState(2, true)
        shared.setMembers([2], leavers: [])
        #expect(!shared.hasNewcomers)
        shared.setMembers([2, 63], leavers: [5])
        #expect(shared.hasNewcomers && shared.members == [2, 63] && shared.leavers == [5])
        shared.setHoldsState(63, true)
        shared.setLeavers([])
        #expect(shared.hasNewcomers && shared.leavers.isEmpty)
        shared.findNewcomers()
        #expect(!shared.hasNewcomers)
        shared.setHoldsState(2, false)
        shared.findNewcomers()
        #expect(shared.hasNewcomers)
    }

    /// Chunks that were updated into one generation are not there when the step is to go into another.
    @Test(arguments: 0..<3, 0..<3)
    func `after a take-over no update counts that lies elsewhere than where the step goes`(current: Int, next: Int) throws {
        guard current != next else { return }
        let segment = Segment(), shared = try segment.create()
        shared.announce(step: 5, current: current, next: next, stop: false)
        shared.reductions.markDone(7, turn: shared.turn)
        shared.updates.markDone(7, turn: shared.turn)
        shared.prepareAdoption(step: 5, generation: current)
        #expect(shared.currentGeneration == current && shared.nextGeneration != current)
        #expect(shared.nextGeneration == next || !shared.updates.isDone(7, turn: shared.turn))
    }
}
