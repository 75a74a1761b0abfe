import Corpus

/// Checks the two rules behind the unambiguity of tales (see TaleGrammar.swift) for the whole grammar, not for samples.
struct TaleProof {
    let grammar: TaleGrammar

    /// Words of a list that begin another word of it, up to a character that is not a letter.
    func undecidedWords() -> [String] {
        grammar.lists.flatMap { list in
            list.words.indices.flatMap { i in
                list.words.indices.compactMap { j -> String? in
                    guard i != j else { return nil }
                    for form in [TaleWords.Form.plain, .capital, .article, .capitalArticle] {
                        let short = list.bytes(i, form), long = list.bytes(j, form)
                        guard long.starts(with: short) else { continue }
                        if long.count > short.count, isLetter(long[short.count]) { continue }
                        return "\(list.name): '\(list.words[i])' begins '\(list.words[j])'"
                    }
                    return nil
                }
            }
        }
    }

    /// Pairs of alternatives of which one might begin the other.
    func undecidedAlternatives() -> [String] { undecided(grammar.story) }

    private func undecided(_ part: TaleGrammar.Part) -> [String] {
        switch part {
        case .text, .slot: return []
        case .inOrder(let parts): return parts.flatMap(undecided)
        case .oneOf(let parts, _):
            let pairs = parts.indices.flatMap { i in (i + 1..<parts.count).map { (i, $0) } }
            let faults = pairs.filter { !differ([parts[$0]], [parts[$1]]) }
            return faults.map { "\(start(parts[$0])) | \(start(parts[$1]))" } + parts.flatMap(undecided)
        }
    }

    /// Whether every text of the parts `a` in order differs from every text of `b` before either ends. Sound, not
    /// complete: a word repeated on one side is taken to be any word of its list.
    private func differ(_ a: [TaleGrammar.Part], _ b: [TaleGrammar.Part]) -> Bool {
        guard let x = a.first, let y = b.first else { return false }
        let restA = Array(a.dropFirst()), restB = Array(b.dropFirst())
        switch (x, y) {
        case (.inOrder(let parts), _): return differ(parts + restA, b)
        case (_, .inOrder(let parts)): return differ(a, parts + restB)
        case (.oneOf(let parts, _), _): return parts.allSatisfy { differ([$0] + restA, b) }
        case (_, .oneOf(let parts, _)): return parts.allSatisfy { differ(a, [$0] + restB) }
        case (.slot(let left), .slot(let right)) where isSameKind(left, right):
            // Two different words differ by the rule for lists; for the same word the rest must differ.
            return differ(restA, restB)
        case (.slot(let slot), _): return texts(slot).allSatisfy { differ([.text($0)] + restA, b) }
        case (_, .slot(let slot)): return texts(slot).allSatisfy { differ(a, [.text($0)] + restB) }
        case (.text(let left), .text(let right)):
            let common = zip(left, right).prefix { $0 == $1 }.count
            if common < min(left.count, right.count) { return true }
            let moreA = common < left.count ? [TaleGrammar.Part.text(Array(left[common...]))] : []
            let moreB = common < right.count ? [TaleGrammar.Part.text(Array(right[common...]))] : []
            return differ(moreA + restA, moreB + restB)
        }
    }

    private func isSameKind(_ a: TaleGrammar.Slot, _ b: TaleGrammar.Slot) -> Bool {
        a.list == b.list && a.form == b.form && (a.draws && b.draws || !a.draws && !b.draws && a.role == b.role)
    }

    private func texts(_ slot: TaleGrammar.Slot) -> [[UInt8]] {
        let list = grammar.lists[slot.list]
        return Array(Set(list.words.indices.map { list.bytes($0, slot.form) }))
    }

    private func isLetter(_ byte: UInt8) -> Bool { byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A }

    private func start(_ part: TaleGrammar.Part) -> String {
        switch part {
        case .text(let bytes): String(decoding: bytes, as: UTF8.self)
        case .slot(let slot): "{\(grammar.lists[slot.list].name)}"
        case .inOrder(let parts): parts.prefix(4).map(start).joined()
        case .oneOf(let parts, _): start(parts[0])
        }
    }
}
