import CSystem
import RunSpec

/// Where a slot's worker stands, as it says itself.
package enum SlotState: UInt64, Sendable { case empty, starting, ready, draining }

extension SharedState {
    // MARK: Announcements: written by the launcher, read by workers

    package var view: Int { Int(value(.view)) }
    /// What is being computed: an attempt, counted over the run, and the step it is an attempt at, in one word, so that
    /// nobody ever sees one of them without the other. Grows with every commit and every attempt that is thrown away.
    package var turn: Int { Int(value(.turn)) }
    package var committedStep: Int { Self.step(of: turn) }
    package static func step(of turn: Int) -> Int { turn & 0xFFFF_FFFF }
    private func nextTurn(at step: Int) -> Int { ((turn >> 32) + 1) << 32 | step }
    /// Throws away what was done of the step under way. The caller rings, with the view that goes on.
    /// - Parameters:
    ///   - keptLeaves, keptUnits: whose results still count.
    package func discardAttempt(keepingLeaves keptLeaves: [Int] = [], units keptUnits: Range<Int>) {
        // Its update may have begun to write over the weights before the last one.
        if previousGeneration == nextGeneration { put(.previousGeneration, 0) }
        let turn = turn, next = nextTurn(at: committedStep)
        for leaf in keptLeaves { leaves.markDone(leaf, turn: next) }
        for unit in keptUnits where evaluations.isDone(unit, turn: turn) { evaluations.markDone(unit, turn: next) }
        put(.turn, UInt64(next))
    }
    /// Goes back, or on, to a state that lies in `generation`, and writes the next one into `next`.
    package func rewind(to step: Int, generation: Int, next: Int) {
        put(.previousGeneration, 0)
        put(.currentGeneration, UInt64(generation))
        put(.nextGeneration, UInt64(next))
        put(.damagedChunk, 0)
        put(.turn, UInt64(nextTurn(at: step)))
    }

    /// A chunk of the current generation whose floats are not what was committed, and the slot that found it; with messages
    /// it is that one's memory. Told once, and only of the attempt under way: a late worker may compare what is no longer
    /// current.
    package func takeDamagedChunk() -> (chunk: Int, slot: Int)? {
        let word = value(.damagedChunk)
        if word != 0 { put(.damagedChunk, 0) }
        guard word >> 16 == UInt64(turn >> 32), let chunk = Int(word & 0x3FF).before else { return nil }
        return (chunk, Int(word >> 10 & 0x3F))
    }
    package func reportDamage(chunk: Int, by slot: Int, turn: Int) { put(.damagedChunk, UInt64(turn >> 32) << 16 | UInt64(slot << 10 | chunk + 1)) }
    /// Whether workers compute leaves that others own and have not begun.
    package var helps: Bool { value(.helps) != 0 }
    package func setHelps(_ helps: Bool) { put(.helps, helps ? 1 : 0) }
    package var currentGeneration: Int { Int(value(.currentGeneration)) }
    package var nextGeneration: Int { Int(value(.nextGeneration)) }
    package var stopRequested: Bool { value(.stop) != 0 }
    /// Where the weights before the last update lie, until the next update begins; nil after a restore.
    package var previousGeneration: Int? { Int(value(.previousGeneration)).before }
    /// The step whose weights go through the probes next, and the one at which the probe's gradient is taken next.
    package var probeStep: Int? { Int(value(.probeStep)).before }
    package var gradientStep: Int? { Int(value(.gradientStep)).before }
    /// Changes only between steps: workers look when they begin one.
    package func setProbe(step: Int?, gradient: Int?) {
        put(.probeStep, UInt64((step ?? -1) + 1))
        put(.gradientStep, UInt64((gradient ?? -1) + 1))
    }

    /// Announces that `step` updates are committed and lie in generation `current`; the next one goes into `next`.
    /// The commit record is written by now, and so are the owners of the next step's units.
    /// - Parameter previous: where the weights before the last update lie until the next one begins; nil if nowhere.
    package func announce(step: Int, current: Int, next: Int, previous: Int? = nil, stop: Bool) {
        precondition(current != next)
        if previous != nil || step != committedStep { put(.previousGeneration, UInt64((previous ?? -1) + 1)) }
        put(.currentGeneration, UInt64(current))
        put(.nextGeneration, UInt64(next))
        put(.stop, stop ? 1 : 0)
        if step != committedStep { put(.turn, UInt64(nextTurn(at: step))) }
        ring()
    }

    /// Announces a view in the middle of a step: the owners of units are already written.
    package func announce(view: Int) {
        setView(view, from: turn >> 32)
        ring()
    }

    /// The view that begins with the step announced next.
    package func setNextView(_ view: Int) { setView(view, from: (turn >> 32) + 1) }

    private func setView(_ view: Int, from attempt: Int) {
        put(.viewFrom, UInt64(attempt))
        put(.view, UInt64(view))
    }

    /// Whether the view holds for the attempt: one that begins with the next step is there a moment before it.
    package func viewHolds(in turn: Int) -> Bool { Int(value(.viewFrom)) <= turn >> 32 }

    /// Makes the state of `generation`, at `step`, the current one for a new launcher. Stamps stay: what was
    /// published of the step under way still counts, and its updates lie where they were going.
    package func prepareAdoption(step: Int, generation: Int) {
        if generation != currentGeneration || generation == nextGeneration {
            // The commit was recorded and not announced, or not to the end: nothing of the next step exists yet.
            put(.previousGeneration, generation != currentGeneration ? UInt64(currentGeneration + 1) : 0)
            put(.currentGeneration, UInt64(generation))
            put(.nextGeneration, UInt64((generation + 1) % layout.generations))
        }
        put(.stop, 0)
        if step != committedStep { put(.turn, UInt64(nextTurn(at: step))) }
        put(.viewFrom, 0)
        put(.wantedWorkers, 0)
        put(.damagedChunk, 0)
        for slot in 0..<SharedLayout.slotsMaximum { releaseClaims(of: slot, turn: turn) }
        for fault in 0..<SharedLayout.faultsMaximum { setFaultFired(fault, at: 0) }
        for slot in 0..<SharedLayout.slotsMaximum { setSlot(slot, replica: 0, state: .empty) }
    }

    // MARK: Wishes: written by a user's command, read by the launcher

    /// How many workers somebody wants, once.
    package func takeWantedWorkers() -> Int? {
        let wanted = Int(value(.wantedWorkers))
        if wanted > 0 { put(.wantedWorkers, 0) }
        return wanted > 0 ? wanted : nil
    }
    package func wantWorkers(_ count: Int) {
        put(.wantedWorkers, UInt64(count))
        ring()
    }

    // MARK: Slots: written by their worker, read by the launcher

    func slotWord(_ slot: Int, _ place: SlotWord) -> UnsafeMutablePointer<UInt64> {
        word(layout.slotTable + (slot * SlotWord.count + place.rawValue) * 8)
    }

    package func slotState(_ slot: Int) -> (replica: Int, state: SlotState) {
        (Int(cs_load(slotWord(slot, .replica))), SlotState(rawValue: cs_load(slotWord(slot, .state))) ?? .empty)
    }
    package func setSlot(_ slot: Int, replica: Int, state: SlotState) {
        cs_store(slotWord(slot, .replica), UInt64(replica))
        cs_store(slotWord(slot, .state), state.rawValue)
    }
    /// The replica that the launcher lets compute in the slot; a worker waits until it is itself.
    package func admitted(_ slot: Int) -> Int { Int(cs_load(slotWord(slot, .admitted))) }
    package func admit(_ slot: Int, replica: Int) { cs_store(slotWord(slot, .admitted), UInt64(replica)) }
    /// Lets the slot's worker go; it leaves at the next boundary, or at once if it was never admitted.
    package func dismiss(_ slot: Int) { cs_store(slotWord(slot, .admitted), UInt64(Self.nobody)) }
    package func isDismissed(_ slot: Int) -> Bool { cs_load(slotWord(slot, .admitted)) == UInt64(Self.nobody) }
    private static let nobody = Int(UInt32.max)
    /// Allocations the slot's worker has made inside steps after its first one.
    package func stepAllocations(_ slot: Int) -> Int { Int(cs_load(slotWord(slot, .allocations))) }
    package func setStepAllocations(_ slot: Int, _ count: Int) { cs_store(slotWord(slot, .allocations), UInt64(count)) }
    /// SGEMM peak the worker measured at its start, FLOP/s; 0 when it did not.
    package func peakFlops(_ slot: Int) -> Double { Double(bitPattern: cs_load(slotWord(slot, .peakFlops))) }
    package func setPeakFlops(_ slot: Int, _ value: Double) { cs_store(slotWord(slot, .peakFlops), value.bitPattern) }

    /// What a microbatch takes the slot's worker, smoothed; 0 when it has not computed one.
    func leafNanoseconds(_ slot: Int) -> UInt64 { cs_load(slotWord(slot, .leafNanoseconds)) }
    package func noteLeaf(_ slot: Int, nanoseconds: UInt64) {
        let before = leafNanoseconds(slot)
        cs_store(slotWord(slot, .leafNanoseconds), before == 0 ? nanoseconds : (3 * before + nanoseconds) / 4)
    }
    package func forgetPace(of slot: Int) { cs_store(slotWord(slot, .leafNanoseconds), 0) }

    /// Microbatches of paced mode, and those that took longer than their virtual device allows.
    package func countLeaf(_ slot: Int, late: Bool) {
        cs_store(slotWord(slot, .leaves), cs_load(slotWord(slot, .leaves)) + 1)
        if late { cs_store(slotWord(slot, .lateLeaves), cs_load(slotWord(slot, .lateLeaves)) + 1) }
    }
    package func pacedLeaves(_ slot: Int) -> (all: Int, late: Int) {
        (Int(cs_load(slotWord(slot, .leaves))), Int(cs_load(slotWord(slot, .lateLeaves))))
    }

    // MARK: Faults: a row each, so that none fires twice

    private func faultWord(_ fault: Int, _ place: FaultWord) -> UnsafeMutablePointer<UInt64> {
        word(layout.faultTable + (fault * FaultWord.count + place.rawValue) * 8)
    }

    /// When it fired, nil if it has not.
    package func faultFired(_ fault: Int) -> UInt64? {
        let nanoseconds = cs_load(faultWord(fault, .fired))
        return nanoseconds > 0 ? nanoseconds : nil
    }
    /// By what; valid once it has fired.
    package func faultMechanism(_ fault: Int) -> Fault.Mechanism? {
        Int(cs_load(faultWord(fault, .mechanism))).before.map { Fault.Mechanism.allCases[$0] }
    }
    package func setFaultFired(_ fault: Int, at nanoseconds: UInt64, by mechanism: Fault.Mechanism? = nil) {
        let place = mechanism.flatMap { Fault.Mechanism.allCases.firstIndex(of: $0) } ?? -1
        cs_store(faultWord(fault, .mechanism), UInt64(place + 1))
        cs_store(faultWord(fault, .fired), nanoseconds)
    }
    /// When this life of the launcher began: what faults that strike by the clock count from.
    package var sessionStart: UInt64 { value(.sessionStart) }
    package func setSessionStart(_ nanoseconds: UInt64) { put(.sessionStart, nanoseconds) }

    // MARK: The bell: how anyone learns that something on the board has changed

    private var rings: UnsafeMutablePointer<UInt32> {
        (base + ControlWord.bell.rawValue * 8).assumingMemoryBound(to: UInt32.self)
    }
    private var sleepers: UnsafeMutablePointer<UInt32> { rings + 1 }

    /// Wakes everyone who waits. A full barrier: what was stored before is seen by who is woken, and what others
    /// stored before their ring is seen by the caller afterwards.
    package func ring() {
        _ = cs_add32(rings, 1)
        if cs_load32(sleepers) > 0 { cs_futex_wake_all(rings) }
    }

    /// Blocks until `condition` holds, looking again after each ring.
    /// - Parameter alive: asked at least every 100 ms; false ends the wait.
    /// - Returns: whether the condition holds.
    package func wait(alive: () -> Bool, until condition: () -> Bool) -> Bool {
        while true {
            let seen = cs_load32(rings)
            if condition() { return true }
            if !alive() { return false }
            _ = cs_add32(sleepers, 1)
            _ = cs_futex_wait(rings, seen, 100_000_000)
            _ = cs_add32(sleepers, UInt32.max)
        }
    }
}

extension Int {
    /// One less; nil for 0.
    var before: Int? { self > 0 ? self - 1 : nil }
}
