extension Tales {
    /// Means over all stories of the grammar, exact up to rounding: information of a story in bits, length in bytes.
    package static let meanStory: (bits: Double, bytes: Double) = TalePlots.grammar.mean(TalePlots.grammar.story)

    /// Entropy of the grammar in nats per byte: mean information of a story by mean length. A long text comes near.
    package static var meanInformationPerByte: Double { meanStory.bits * 0.6931471805599453 / meanStory.bytes }
}

extension TaleGrammar {
    /// Mean information in bits and mean length in bytes of `part`. See TaleGrammar.swift for why means add up.
    func mean(_ part: Part) -> (bits: Double, bytes: Double) {
        switch part {
        case .text(let bytes): return (0, Double(bytes.count))
        case .inOrder(let parts):
            return parts.map(mean).reduce((0, 0)) { ($0.0 + $1.bits, $0.1 + $1.bytes) }
        case .oneOf(let parts, let odds):
            return parts.map(mean).enumerated().reduce((odds.entropy(), 0)) { sum, part in
                let p = odds.probability(of: part.offset)
                return (sum.0 + p * part.element.bits, sum.1 + p * part.element.bytes)
            }
        case .slot(let slot): return mean(slot)
        }
    }

    private func mean(_ slot: Slot) -> (bits: Double, bytes: Double) {
        let list = lists[slot.list], odds = list.odds, words = list.words.indices
        var chances = words.map { odds.probability(of: $0) }, bits = odds.entropy()
        let name = slot.role.flatMap { roles[$0].otherThan }
        if let name {
            // The other role has `odds` itself (a chain of three would need a sum over pairs); this one has `odds`
            // given that it is another word.
            precondition(roles.first { $0.name == name }?.otherThan == nil, "\(name) differs from a third role")
            let other = chances
            chances = words.map { word in
                words.reduce(0) { $0 + other[$1] * odds.probability(of: word, excluding: $1) }
            }
            bits = words.reduce(0) { $0 + other[$1] * odds.entropy(excluding: $1) }
        }
        let bytes = words.reduce(0.0) { $0 + chances[$1] * Double(list.bytes($1, slot.form).count) }
        return (slot.draws ? bits : 0, bytes)
    }
}
