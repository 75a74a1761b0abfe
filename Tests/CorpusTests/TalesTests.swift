import Corpus
import Foundation
import Testing

@Suite struct TalesTests {
    private static let seed: UInt64 = 20
    private static let stories = (0..<1500).map { Tales(seed: seed).story($0) }
    private static func text(_ story: Tales.Story) -> String { String(decoding: story.text, as: UTF8.self) }

    @Test func theFirstStoryIsPinned() {
        #expect(Self.text(Tales(seed: 1).story(0)) == goldenStory)
        #expect(checksum(Tales(seed: 1).generate(bytes: 100_000).text) == goldenChecksum)
    }

    private let goldenStory = """
        Once there was a kind fox called Clara. She lived with her niece, who baked the best strudel in the village. \
        One snowy morning, her grandfather fell ill. "You need tea from a turquoise pansy," said the doctor. Nobody \
        had seen one for twelve years, except at the bakery. Clara took a green doll for luck and left at once.
        On the way she heard a howl and hid behind a cedar. Under a hawthorn she met a knight who looked sad. "Have \
        you lost your way?" asked the knight. "I am looking for a turquoise pansy," explained Clara. "Follow the \
        wren and turn left at the chestnut tree," he said.
        Behind the bakery stood a single turquoise pansy. Clara picked it lightly and rambled home. Her grandfather \
        took four sips and smiled again. If you pass the lighthouse, she may tell you the story.


        """
    private let goldenChecksum: UInt32 = 1_279_998_084

    @Test func storiesDependOnSeedAndNumberAlone() {
        let tales = Tales(seed: 5), later = tales.story(17).text
        let whole = tales.generate(bytes: 20_000)
        #expect(whole.text == (0..<whole.ends.count).flatMap { tales.story($0).text })
        #expect(tales.story(17).text == later)
        #expect(tales.generate(bytes: 1, from: 17).text == later)
        #expect(Tales(seed: 6).story(17).text != later && tales.story(18).text != later)
    }

    @Test func aTextEndsWithTheStoryThatReachesTheSize() {
        for bytes in [1, 700, 10_000] {
            let text = Tales(seed: 2).generate(bytes: bytes)
            #expect(text.text.count >= bytes && text.ends.last!.byte == text.text.count)
            #expect((text.ends.dropLast().last?.byte ?? 0) < bytes)
            #expect(text.bits == text.ends.last!.bits)
        }
    }

    @Test func atLeast1500WordsAreInUse() {
        var words: Set<String> = []
        for story in Self.stories {
            let text = Self.text(story).lowercased()
            words.formUnion(text.split { !$0.isLetter && $0 != "-" }.map(String.init))
        }
        #expect(words.count >= 1500, "\(words.count) words")
    }

    @Test func noChoiceInTheGrammarIsUndecided() {
        let proof = TaleProof(grammar: TalePlots.grammar)
        #expect(proof.undecidedWords() == [])
        #expect(proof.undecidedAlternatives() == [])
    }

    @Test func theProofFindsWhatIsUndecided() {
        func proof(_ words: String, _ opening: String) -> TaleProof {
            let roles = [TaleGrammar.Role("pet", "pet"), .init("rival", "pet", otherThan: "pet")]
            let lists = [TaleWords("pet", words)]
            return TaleProof(grammar: TaleGrammar(lists: lists, roles: roles, opening: opening, plots: ["*"]))
        }
        #expect(proof("cat cattle dog", "The {pet} ran.").undecidedWords() == [])
        #expect(proof("cat cat_owl dog", "The {pet} ran.").undecidedWords().count == 1)
        for (alternatives, count) in [
            ("A {pet} ran.\nA {pet} sat.", 0), ("The dog ran.\nThe {pet} ran.", 1), ("It ran.\nIt ran. It fell.", 1),
            ("A {pet} ran.\nA {~pet} ran.", 1), ("A {pet} saw {a rival}.\nA {pet} saw the cat.", 0),
            ("{A pet} saw a {~pet} run.\n{A pet} saw a dog run.\nNobody ran.", 1),
        ] {
            #expect(proof("cat dog", alternatives).undecidedAlternatives().count == count, "\(alternatives)")
        }
    }

    @Test func aTextGivesBackItsChoicesAndNoOthers() {
        for story in Self.stories {
            let readings = Tales.readings(of: story.text)
            #expect(readings.map(\.choices) == [story.choices], "seed \(Self.seed): \(Self.text(story))")
            // The reader adds the same numbers in the same order.
            #expect(readings.first?.bits == story.bits)
        }
        let text = Tales(seed: 8).generate(bytes: 5_000)
        #expect(Tales.readings(of: text.text).map(\.choices).count == 1)
        #expect(abs(Tales.informationPerByte(of: text.text)! / text.informationPerByte - 1) < 1e-12)
    }

    @Test func theInformationIsTheSumOverTheWeightsOfTheChoices() {
        for story in Self.stories {
            var recount = Recount(grammar: TalePlots.grammar, choices: story.choices[...])
            recount.walk(TalePlots.grammar.story)
            #expect(recount.choices.isEmpty && abs(recount.bits - story.bits) < 1e-9, "seed \(Self.seed)")
        }
    }

    @Test func whatIsNoTaleHasNoReading() {
        let story = Self.stories[0].text
        #expect(Tales.informationPerByte(of: Array("Once upon a time.\n\n".utf8)) == nil)
        #expect(Tales.informationPerByte(of: Array(story.dropLast())) == nil)
        #expect(Tales.informationPerByte(of: story + story) != nil)
        for position in stride(from: 0, to: story.count, by: 37) {
            var changed = story
            changed[position] = UInt8(ascii: "#")
            #expect(Tales.readings(of: changed) == [])
        }
    }

    @Test func theExpectationComputedFromTheGrammarIsTheMeanOfManyStories() {
        func check(_ values: [Double], _ expected: Double, _ name: String) {
            let n = Double(values.count), mean = values.reduce(0, +) / n
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
            let error = (variance / n).squareRoot()
            #expect(abs(mean - expected) < 4 * error, "\(name): \(mean) ± \(error), expected \(expected)")
        }
        let expected = Tales.meanStory
        check(Self.stories.map(\.bits), expected.bits, "bits")
        check(Self.stories.map { Double($0.text.count) }, expected.bytes, "bytes")
        #expect(abs(Tales.meanInformationPerByte - goldenEntropy) < 1e-6)
    }

    private let goldenEntropy = 0.131928

    @Test func storiesAreWellFormedEnglish() throws {
        for story in Self.stories {
            let text = Self.text(story)
            #expect(story.text.allSatisfy { $0 == 10 || (32..<127).contains($0) })
            #expect(text.hasSuffix("\n\n") && !text.dropLast().contains("\n\n") && !text.contains(" \n"))
            #expect(!text.contains("  ") && !text.contains("{") && !text.contains("_"))
            #expect(!text.contains(#/\b[Aa] [aeiouAEIOU]/#) && !text.contains(#/\b[Aa]n [^aeiouAEIOU]/#), "\(text)")
            // A sentence starts with a capital letter, perhaps after a quotation mark.
            #expect(!text.contains(#/(^|[.!?] |\n)"?[a-z]/#), "\(text)")
            for paragraph in text.split(separator: "\n") {
                #expect(paragraph.count { $0 == "\"" } % 2 == 0, "\(paragraph)")
                #expect(paragraph.last.map(".!\"".contains) == true, "\(paragraph)")
            }
            let sentences = text.split { ".!?\n".contains($0) }
            #expect(sentences.allSatisfy { $0.split(separator: " ").count <= 20 })
        }
    }

    @Test func namesKeepTheirPronounInAllStories() throws {
        var pronouns: [Substring: Set<String>] = [:]
        for story in Self.stories {
            let text = Self.text(story)
            let hero = try #require(Self.hero(of: text))
            // The sentence after the introduction speaks of the hero alone.
            let second = text.split(separator: ". ")[1].split { !$0.isLetter }
            for word in second.map({ $0.lowercased() }) {
                if ["he", "him", "his"].contains(word) { pronouns[hero, default: []].insert("he") }
                if ["she", "her"].contains(word) { pronouns[hero, default: []].insert("she") }
            }
        }
        #expect(pronouns.count == Self.names.count, "\(pronouns.count) names were heroes")
        for (name, used) in pronouns { #expect(used.count == 1, "\(name): \(used)") }
    }

    @Test func kindsThingsAndFriendsStayTheSameThroughAStory() throws {
        var checked = [0, 0, 0]
        for story in Self.stories {
            let text = Self.text(story)
            #expect(Set(text.split { !$0.isLetter }).intersection(Self.names).count <= 2, "\(text)")
            let opening = text.split(separator: ". ")[0]
            if let address = text.firstMatch(of: #/going, little ([a-z]+)\?"/#) {
                #expect(opening.contains(" \(address.1)"), "\(text)")
                checked[0] += 1
            }
            if let found = text.firstMatch(of: #/lay the ([a-z]+ [a-z _-]+)!/#) {
                #expect(text.split(separator: found.1, omittingEmptySubsequences: false).count > 2, "\(text)")
                checked[1] += 1
            }
            if let dance = text.firstMatch(of: #/danced around the ([a-z]+)\./#) {
                #expect(text.contains(try Regex("[Aa]n? [a-z]+ \(dance.1)\\b")), "\(text)")
                checked[2] += 1
            }
        }
        #expect(checked.allSatisfy { $0 > 10 }, "\(checked)")
    }

    private static let names = Set(TalePlots.grammar.lists.first { $0.name == "name" }!.words.map { Substring($0) })

    /// The first name in a story.
    private static func hero(of text: String) -> Substring? { text.split { !$0.isLetter }.first(where: names.contains) }
}

/// Adds up a story's information from its choices and the bare weights, with the C library's logarithm.
private struct Recount {
    let grammar: TaleGrammar
    var choices: ArraySlice<Int>
    var bits = 0.0
    private var words: [Int: Int] = [:]

    init(grammar: TaleGrammar, choices: ArraySlice<Int>) { (self.grammar, self.choices) = (grammar, choices) }

    mutating func walk(_ part: TaleGrammar.Part) {
        switch part {
        case .text: break
        case .inOrder(let parts): for part in parts { walk(part) }
        case .oneOf(let parts, _):
            bits += log2(Double(parts.count))
            walk(parts[choices.removeFirst()])
        case .slot(let slot) where slot.draws:
            let choice = choices.removeFirst(), weights = grammar.lists[slot.list].odds.weights
            let excluded = slot.otherThan.map { weights[words[$0]!] } ?? 0
            bits -= log2(Double(weights[choice]) / Double(weights.reduce(0, +) - excluded))
            if let role = slot.role { words[role] = choice }
        case .slot: break
        }
    }
}
