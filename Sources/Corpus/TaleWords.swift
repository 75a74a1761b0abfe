/// A list of words that can stand in the same places of a tale, each in all its forms.
package struct TaleWords: Sendable {
    /// How a word is written at a place. The raw value is what the notation writes after the dot.
    package enum Form: String, CaseIterable, Sendable {
        case plain, capital, article, capitalArticle
        case he, him, his, himself
        case capitalHe = "He", capitalHis = "His"

        var isPronoun: Bool {
            switch self {
            case .plain, .capital, .article, .capitalArticle: false
            default: true
            }
        }
    }

    package let name: String
    /// As in the middle of a sentence.
    package let words: [String]
    package let odds: TaleOdds
    /// Bytes of word `i` in form `f`: `spelled[f][i]`.
    private let spelled: [Form: [[UInt8]]]

    /// Words in `text` are separated by white space, with `_` for a space inside one; common words first. Those
    /// of `he` and `she` take turns and have that pronoun; those of `text` have none and are never asked for it.
    package init(_ name: String, _ text: String) { self.init(name, words: Self.split(text), isHe: nil) }

    package init(_ name: String, he: String, she: String) {
        let he = Self.split(he), she = Self.split(she)
        precondition(he.count == she.count, "list \(name): \(he.count) he, \(she.count) she")
        self.init(name, words: zip(he, she).flatMap { [$0, $1] }, isHe: { $0 % 2 == 0 })
    }

    private init(_ name: String, words: [String], isHe: ((Int) -> Bool)?) {
        self.name = name
        self.words = words
        odds = .falling(words.count)
        var spelled: [Form: [[UInt8]]] = [:]
        for form in Form.allCases where isHe != nil || !form.isPronoun {
            spelled[form] = words.enumerated().map { Array(Self.spell($1, form, isHe: isHe?($0) ?? true).utf8) }
        }
        self.spelled = spelled
    }

    package func bytes(_ index: Int, _ form: Form) -> [UInt8] {
        guard let words = spelled[form] else { preconditionFailure("words of list \(name) have no '\(form)'") }
        return words[index]
    }

    private static func split(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map { String($0).replacing("_", with: " ") }
    }

    private static func spell(_ word: String, _ form: Form, isHe: Bool) -> String {
        // The lexicon has no word that a vowel letter misleads about (no "hour", no "unicorn").
        let article = "aeiou".contains(word.first!.lowercased()) ? "an" : "a"
        return switch form {
        case .plain: word
        case .capital: word.prefix(1).uppercased() + word.dropFirst()
        case .article: "\(article) \(word)"
        case .capitalArticle: "\(article == "an" ? "An" : "A") \(word)"
        case .he: isHe ? "he" : "she"
        case .him: isHe ? "him" : "her"
        case .his: isHe ? "his" : "her"
        case .himself: isHe ? "himself" : "herself"
        case .capitalHe: isHe ? "He" : "She"
        case .capitalHis: isHe ? "His" : "Her"
        }
    }
}
