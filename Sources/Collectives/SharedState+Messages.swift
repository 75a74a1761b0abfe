import CSystem
import RunSpec

/// What launcher and workers of one host tell each other when floats travel in messages. Workers tell one another nothing
/// here but where they listen.
extension SharedState {
    // MARK: The view's members

    /// Slots of the view, in the order of ranks.
    package var members: [Int] { slots(.members) }
    /// Whether some of them need the state from the others.
    package var hasNewcomers: Bool { value(.newcomers) != 0 }
    /// Former members that live and are to go, once the others have what only they have.
    package var leavers: [Int] { slots(.leavers) }
    private func slots(_ word: ControlWord) -> [Int] {
        let bits = value(word)
        return (0..<SharedLayout.slotsMaximum).filter { bits >> UInt64($0) & 1 == 1 }
    }
    private func put(_ word: ControlWord, slots: [Int]) { put(word, slots.reduce(0) { $0 | 1 << UInt64($1) }) }
    /// To be called before the view is announced.
    package func setMembers(_ members: [Int], leavers: [Int]) {
        put(.members, slots: members)
        setLeavers(leavers)
        findNewcomers()
    }
    /// Looks once for all who of the members has no state yet. To be called before a view or a step is announced.
    package func findNewcomers() { put(.newcomers, slots: members.filter { cs_load(slotWord($0, .holdsState)) == 0 }) }
    /// Set by a worker that has the committed state, cleared before one is started.
    package func setHoldsState(_ slot: Int, _ holds: Bool) { cs_store(slotWord(slot, .holdsState), holds ? 1 : 0) }
    package func setLeavers(_ leavers: [Int]) { put(.leavers, slots: leavers) }

    /// Where `peer` finds `slot`: `MessageGroup.addressBytes`, valid once `addressStamp` says so.
    package func address(of slot: Int, for peer: Int) -> UnsafeMutablePointer<UInt8> {
        let place = slot * SharedLayout.slotsMaximum + peer
        return (base + layout.addressTable + place * MessageGroup.addressBytes).assumingMemoryBound(to: UInt8.self)
    }
    package func addressStamp(_ slot: Int) -> Int { Int(cs_load(slotWord(slot, .addressStamp))) }
    package func setAddressStamp(_ slot: Int, _ stamp: Int) { cs_store(slotWord(slot, .addressStamp), UInt64(stamp)) }

    /// A worker's messages failed in the view. When nobody turns out to be gone, channels are made anew.
    package func reportLostChannels(view: Int) { put(.channelsLost, UInt64(view)) }
    package func takeLostChannels() -> Int? {
        let view = Int(value(.channelsLost))
        if view != 0 { put(.channelsLost, 0) }
        return view == 0 ? nil : view
    }

    // MARK: The deposit

    /// The step whose state is asked for, and the one whose state is there. A worker copies its chunks before it computes
    /// anything of the step after.
    package var depositWanted: Int? { Int(value(.depositWanted)).before }
    package var depositStep: Int? { Int(value(.depositStep)).before }
    /// To be called before the step is announced.
    package func wantDeposit(of step: Int?) {
        if step != nil { put(.depositStep, 0) }
        put(.depositWanted, UInt64((step ?? -1) + 1))
    }
    /// The deposit is the state after `step`: the launcher has filled it, or everybody has.
    package func setDeposit(step: Int) {
        put(.depositWanted, 0)
        put(.depositStep, UInt64(step + 1))
    }

    /// Nobody has a part of the state of this turn: the worker that found it goes on when a state is there again.
    package func reportLostState(turn: Int) { put(.stateLost, UInt64(turn + 1)) }
    package func takeLostState() -> Bool {
        let word = value(.stateLost)
        if word != 0 { put(.stateLost, 0) }
        return word == UInt64(turn + 1)
    }

    /// The owner of a chunk and its partner made different things of it in this attempt.
    package func reportMismatch(chunk: Int, turn: Int) { put(.mismatch, UInt64(turn >> 32) << 16 | UInt64(chunk + 1)) }
    package func takeMismatch() -> Int? {
        let word = value(.mismatch)
        if word != 0 { put(.mismatch, 0) }
        return word >> 16 == UInt64(turn >> 32) ? Int(word & 0xFFFF).before : nil
    }

    // MARK: What a worker has measured

    /// Bytes its sockets have sent in the run, as the kernel counts them, and of them those beside computing; bytes of memory
    /// that are its own.
    package func sentBytes(_ slot: Int) -> Int { Int(cs_load(slotWord(slot, .sentBytes))) }
    package func hiddenBytes(_ slot: Int) -> Int { Int(cs_load(slotWord(slot, .hiddenBytes))) }
    package func residentBytes(_ slot: Int) -> Int { Int(cs_load(slotWord(slot, .residentBytes))) }
    package func setMeasured(_ slot: Int, sentBytes: Int, hiddenBytes: Int, residentBytes: Int) {
        cs_store(slotWord(slot, .sentBytes), UInt64(sentBytes))
        cs_store(slotWord(slot, .hiddenBytes), UInt64(hiddenBytes))
        cs_store(slotWord(slot, .residentBytes), UInt64(residentBytes))
    }
}
