extension Tales {
    /// A way to make a text with the grammar.
    package struct Reading: Equatable, Sendable {
        package let choices: [Int]
        /// Σ −log2 p of the choices.
        package let bits: Double
    }

    /// All ways in which the grammar makes `text`, whole stories one after the other: exactly one for a text of
    /// tales, none for any other. `text` may be a model's: then this says whether it is a tale, and how likely.
    package static func readings(of text: [UInt8]) -> [Reading] {
        let reader = TaleReader(grammar: TalePlots.grammar, text: text)
        var open = [TaleReader.State()], complete: [Reading] = []
        while !open.isEmpty {
            open = reader.read(TalePlots.grammar.story, open)
            for state in open where state.position == text.count {
                complete.append(Reading(choices: state.choices, bits: state.bits))
            }
            open = open.filter { $0.position < text.count }
            for index in open.indices { open[index].words = [:] }
        }
        return complete
    }

    /// Nats per byte of `text`, the floor of a byte-level model's mean loss on it; nil if it is no text of tales.
    package static func informationPerByte(of text: [UInt8]) -> Double? {
        let readings = readings(of: text)
        return readings.isEmpty || text.isEmpty ? nil : natsPerByte(bits: readings[0].bits, bytes: text.count)
    }
}

/// Follows all ways through the grammar that agree with a text. There is rarely more than one for long, because the
/// next few letters decide every choice.
struct TaleReader {
    struct State {
        var position = 0
        /// The word of each role mentioned.
        var words: [Int: Int] = [:]
        var choices: [Int] = []
        var bits = 0.0
    }

    let grammar: TaleGrammar
    let text: [UInt8]

    /// The states after `part`, from each of `states`.
    func read(_ part: TaleGrammar.Part, _ states: [State]) -> [State] {
        switch part {
        case .text(let bytes):
            return states.compactMap { state in
                guard matches(bytes, at: state.position) else { return nil }
                var state = state
                state.position += bytes.count
                return state
            }
        case .inOrder(let parts):
            return parts.reduce(states) { states, part in states.isEmpty ? [] : read(part, states) }
        case .oneOf(let parts, let odds):
            return parts.enumerated().flatMap { index, part in
                read(part, states.map { chosen(index, odds.bits(of: index), $0) })
            }
        case .slot(let slot):
            return states.flatMap { read(slot, $0) }
        }
    }

    private func read(_ slot: TaleGrammar.Slot, _ state: State) -> [State] {
        let list = grammar.lists[slot.list]
        func advance(_ word: Int, _ state: State) -> State? {
            let bytes = list.bytes(word, slot.form)
            guard matches(bytes, at: state.position) else { return nil }
            var state = state
            state.position += bytes.count
            return state
        }
        guard slot.draws else { return advance(state.words[slot.role!]!, state).map { [$0] } ?? [] }
        let excluded = slot.otherThan.map { state.words[$0]! }
        return list.words.indices.compactMap { word in
            guard word != excluded, var next = advance(word, state) else { return nil }
            if let role = slot.role { next.words[role] = word }
            return chosen(word, list.odds.bits(of: word, excluding: excluded), next)
        }
    }

    private func chosen(_ choice: Int, _ bits: Double, _ state: State) -> State {
        var state = state
        state.choices.append(choice)
        state.bits += bits
        return state
    }

    private func matches(_ bytes: [UInt8], at position: Int) -> Bool {
        guard position + bytes.count <= text.count else { return false }
        for (i, byte) in bytes.enumerated() where text[position + i] != byte { return false }
        return true
    }
}
