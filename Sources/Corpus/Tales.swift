import RunSpec

/// The built-in corpus: short stories from a stochastic grammar, made on the spot, of which the exact entropy is known.
/// A trained model's loss can be compared with the floor that no model can pass.
///
/// Story i is a function of (seed, i) alone, so that stories can be made in any order and a text of any length is a
/// range of them. ASCII only; paragraphs end with a newline, stories with an empty line.
package struct Tales: Sendable {
    private let philox: Philox
    private let grammar = TalePlots.grammar

    package init(seed: UInt64) { philox = Philox(key: seed) }

    /// One story and its information: Σ −log2 p over the choices in it.
    package struct Story: Sendable {
        package let text: [UInt8]
        package let bits: Double
        /// What was chosen, in order; `Tales.readings` finds the same in the text.
        package let choices: [Int]
    }

    package func story(_ number: Int) -> Story {
        precondition(number >= 0, "story \(number)")
        var telling = TaleTelling(grammar: grammar, philox: philox, story: UInt64(number))
        telling.tell(grammar.story)
        return Story(text: telling.text, bits: telling.chooser.bits, choices: telling.chooser.choices)
    }

    /// A text of whole stories.
    package struct Text: Sendable {
        package fileprivate(set) var text: [UInt8] = []
        /// Information of the whole text.
        package var bits: Double { ends.last?.bits ?? 0 }
        /// After each story: where it ends in the text, and the information of the text up to there.
        package fileprivate(set) var ends: [(byte: Int, bits: Double)] = []
        /// Nats per byte of the whole text: the least mean loss of any byte-level model that sees all the text
        /// before a byte.
        package var informationPerByte: Double { Tales.natsPerByte(bits: bits, bytes: text.count) }
    }

    /// The fewest stories from number `first` on that make at least `bytes` bytes; at least one.
    package func generate(bytes: Int, from first: Int = 0) -> Text {
        var result = Text(), number = first
        result.text.reserveCapacity(bytes + 2048)
        repeat {
            let story = story(number)
            result.text += story.text
            result.ends.append((result.text.count, result.bits + story.bits))
            number += 1
        } while result.text.count < bytes
        return result
    }

    static func natsPerByte(bits: Double, bytes: Int) -> Double { bits * 0.6931471805599453 / Double(bytes) }
}

/// One walk through the grammar.
struct TaleTelling {
    let grammar: TaleGrammar
    var chooser: TaleChooser
    /// The word of each role, −1 before its first mention.
    private var words: [Int]
    private(set) var text: [UInt8] = []

    init(grammar: TaleGrammar, philox: Philox, story: UInt64) {
        self.grammar = grammar
        chooser = TaleChooser(philox: philox, story: story)
        words = Array(repeating: -1, count: grammar.roles.count)
    }

    mutating func tell(_ part: TaleGrammar.Part) {
        switch part {
        case .text(let bytes): text += bytes
        case .slot(let slot): text += grammar.lists[slot.list].bytes(word(for: slot), slot.form)
        case .oneOf(let parts, let odds): tell(parts[chooser.choose(odds)])
        case .inOrder(let parts): for part in parts { tell(part) }
        }
    }

    private mutating func word(for slot: TaleGrammar.Slot) -> Int {
        guard slot.draws else { return words[slot.role!] }
        let word = chooser.choose(grammar.lists[slot.list].odds, excluding: slot.otherThan.map { words[$0] })
        if let role = slot.role { words[role] = word }
        return word
    }
}
