// The notation of tales. A plot is a text:
//
//     One {~weather} {~daytime}, {hero} lost {hero.his} {look} {thing}.
//     {hero} owned {a look} {thing}. One {~daytime} it was gone.
//
//     {hero.He} looked under the {~spot}.
//     ...
//     *
//
// Lines that follow each other are alternatives, equally likely; an empty line ends them; `*` ends a paragraph.
//
//     {thing}     a role: the first mention draws a word from the role's list, later ones repeat it
//     {~spot}     a word of the list `spot`, drawn for this place alone
//     {a thing}   with its article; {A thing} and {Thing} at the start of a sentence
//     {hero.he}   the pronoun of a role already mentioned: he, him, his, himself, or He, His
//
// Unambiguity. Every choice is one of two: an alternative or a word. Words of a list are followed by a character that
// is not a letter, and none is another one cut at such a place; two alternatives differ in a character before either
// ends, whatever their words are (TaleProof.swift in the tests checks both for the whole grammar). A reader that
// knows the choices so far, and so the words of all roles mentioned, can therefore tell the next choice from the text,
// and by induction all of them: one text, one list of choices. The probability of a text is the product of its
// choices' probabilities and its information is their Σ −log2 p, exactly.
//
// Expectation. Which alternative is taken never depends on words, nor words on alternatives (a role that must differ
// from another depends on that one alone), so the mean of a sum over the places of a story is the sum over places of
// means: Tales+Expectation.swift computes the entropy and the mean length of a story by recursion.

/// A compiled grammar: word lists, roles, and the tree of choices that is a story.
package struct TaleGrammar: Sendable {
    /// One place in a text where a word stands.
    package struct Slot: Hashable, Sendable {
        package let list: Int
        /// nil: drawn for this place alone.
        package let role: Int?
        package let form: TaleWords.Form
        /// Whether the word is drawn here; otherwise the role's word is repeated.
        package let draws: Bool
        /// The role whose word this draw must not repeat.
        package let otherThan: Int?
    }

    package indirect enum Part: Sendable {
        case text([UInt8])
        case slot(Slot)
        case oneOf([Part], TaleOdds)
        case inOrder([Part])
    }

    /// What a role's word is drawn from, and which role it must differ from.
    package struct Role: Sendable {
        package let name: String
        let list: String
        let otherThan: String?
        package init(_ name: String, _ list: String, otherThan: String? = nil) {
            (self.name, self.list, self.otherThan) = (name, list, otherThan)
        }
    }

    package let lists: [TaleWords]
    package let roles: [Role]
    package let story: Part

    /// Compiles `opening`, then one of `plots`, then the empty line that ends a story. A mistake in the notation is
    /// a programmer's error and stops the program with the place.
    package init(lists: [TaleWords], roles: [Role], opening: String, plots: [String]) {
        (self.lists, self.roles) = (lists, roles)
        var compiler = TaleCompiler(lists: lists, roles: roles)
        let first = compiler.sequence(opening)
        let afterOpening = compiler
        let rest = plots.map { plot in
            compiler = afterOpening
            return compiler.sequence(plot)
        }
        story = .inOrder([first, .oneOf(rest, .equal(rest.count)), .text([0x0A])])
    }
}

/// Turns the notation into the tree, following which roles have their word at each place.
struct TaleCompiler {
    private let lists: [TaleWords]
    private let roles: [TaleGrammar.Role]
    /// Roles that have a word on every way to this place.
    var bound: Set<Int> = []
    /// Roles that have one on some ways only: they may not be mentioned any more.
    private var uncertain: Set<Int> = []

    init(lists: [TaleWords], roles: [TaleGrammar.Role]) { (self.lists, self.roles) = (lists, roles) }

    /// Beats in order: groups of lines, with a space between beats and a newline where a paragraph ends.
    mutating func sequence(_ text: String) -> TaleGrammar.Part {
        var parts: [TaleGrammar.Part] = [], needsSpace = false
        for beat in text.split(separator: "\n\n") {
            let lines = beat.split(separator: "\n").map(String.init)
            if lines == ["*"] {
                parts.append(.text([0x0A]))
                needsSpace = false
                continue
            }
            if needsSpace { parts.append(.text([0x20])) }
            parts.append(alternatives(lines))
            needsSpace = true
        }
        // The opening ends inside a paragraph; the plot goes on after a space.
        if case .text(let last)? = parts.last, last == [0x0A] {} else { parts.append(.text([0x20])) }
        return .inOrder(parts)
    }

    private mutating func alternatives(_ lines: [String]) -> TaleGrammar.Part {
        let before = bound
        var everywhere: Set<Int>?, somewhere = before
        let parts = lines.map { text in
            bound = before
            let part = line(text)
            everywhere = everywhere.map { $0.intersection(bound) } ?? bound
            somewhere.formUnion(bound)
            return part
        }
        bound = everywhere ?? before
        uncertain.formUnion(somewhere.subtracting(bound))
        return parts.count == 1 ? parts[0] : .oneOf(parts, .equal(parts.count))
    }

    private mutating func line(_ text: String) -> TaleGrammar.Part {
        var parts: [TaleGrammar.Part] = []
        for (number, piece) in text.split(separator: "{", omittingEmptySubsequences: false).enumerated() {
            guard number > 0 else {
                if !piece.isEmpty { parts.append(.text(Array(piece.utf8))) }
                continue
            }
            let halves = piece.split(separator: "}", omittingEmptySubsequences: false)
            precondition(halves.count == 2, "braces do not match: \(text)")
            parts.append(.slot(slot(String(halves[0]), in: text)))
            precondition(halves[1].first?.isLetter != true, "a word runs on: \(text)")
            if !halves[1].isEmpty { parts.append(.text(Array(halves[1].utf8))) }
        }
        return .inOrder(parts)
    }

    /// The slot for `{text}` in `line`.
    private mutating func slot(_ text: String, in line: String) -> TaleGrammar.Slot {
        var name = text, form = TaleWords.Form.plain
        if name.hasPrefix("a ") || name.hasPrefix("A ") {
            form = name.hasPrefix("a") ? .article : .capitalArticle
            name.removeFirst(2)
        }
        if let dot = name.firstIndex(of: ".") {
            guard let pronoun = TaleWords.Form(rawValue: String(name[name.index(after: dot)...])) else {
                preconditionFailure("no such pronoun: {\(text)}")
            }
            name = String(name[..<dot])
            form = pronoun
        }
        let isLocal = name.hasPrefix("~")
        if isLocal { name.removeFirst() }
        if let initial = name.first, initial.isUppercase {
            name = initial.lowercased() + name.dropFirst()
            form = .capital
        }
        if isLocal {
            return TaleGrammar.Slot(list: list(name, line), role: nil, form: form, draws: true, otherThan: nil)
        }
        guard let role = roles.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("no role '\(name)': \(line)")
        }
        precondition(!uncertain.contains(role), "role '\(name)' may or may not have its word: \(line)")
        let draws = bound.insert(role).inserted
        precondition(!draws || !form.isPronoun, "'\(name)' starts with a pronoun: \(line)")
        let other = roles[role].otherThan.map { other in roles.firstIndex { $0.name == other }! }
        precondition(!draws || other.map(bound.contains) ?? true, "'\(name)' comes too early: \(line)")
        return TaleGrammar.Slot(
            list: list(roles[role].list, line), role: role, form: form, draws: draws, otherThan: other)
    }

    private func list(_ name: String, _ line: String) -> Int {
        guard let index = lists.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("no word list '\(name)': \(line)")
        }
        return index
    }
}
