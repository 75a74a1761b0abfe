import Corpus
import Foundation
import Testing

@Suite struct TokenizerTests {
    private func char(_ text: String) -> Tokenizer { .char(CharVocabulary(scalars: text.unicodeScalars)) }

    @Test func bytesRoundTripForEveryValue() throws {
        let ids = (0..<256).map { Int32($0) }
        #expect(Tokenizer.byte.decode(ids) == Array(0...255))
        #expect(try Tokenizer.byte.encode("aé") == [97, 0xC3, 0xA9])
        #expect(Tokenizer.byte.vocabulary == 256)
    }

    @Test func charactersRoundTripAndIdsFollowScalarOrder() throws {
        let text = "zebra 🦓, naïve é e\u{301} \u{FEFF}\n"
        let tokenizer = char(text)
        let ids = try tokenizer.encode(text)
        #expect(ids.count == text.unicodeScalars.count)
        #expect(tokenizer.decode(ids) == Array(text.utf8))
        #expect(try tokenizer.encode("\n ,abe") == [0, 1, 2, 3, 4, 5])
    }

    @Test func aCharacterOutsideTheVocabularyIsNamedWithItsPlace() {
        expectUserError(.badInput, "'x' (U+0078)", "byte 2", "3 characters") { _ = try char("abc").encode("abx") }
        expectUserError(.badInput, "character U+0009 ") { _ = try char("abc").encode("\t") }
    }

    @Test func byteLengthsAddUpToTheText() throws {
        let text = "aé€🦓a"
        let tokenizer = char(text)
        let lengths = tokenizer.byteLengths
        #expect(lengths == [1, 2, 3, 4])
        #expect(try tokenizer.encode(text).reduce(0) { $0 + lengths[Int($1)] } == text.utf8.count)
    }

    @Test func aSavedTokenizerIsLoadedAsItWas() throws {
        let folder = try TemporaryFolder()
        for tokenizer in [Tokenizer.byte, char("\n\u{FEFF}e\u{301}é🦓\"\\")] {
            try folder.write("tokenizer.json", tokenizer.fileContent())
            #expect(try Tokenizer.load(folder.file("tokenizer.json")) == tokenizer)
        }
    }

    @Test(arguments: [
        (#"{"format": "headway-tokenizer", "version": 2, "kind": "byte"}"#, "version is 2"),
        (#"{"format": "other", "version": 1, "kind": "byte"}"#, "'other'"),
        (#"{"version": 1, "kind": "byte"}"#, "no 'format'"),
        (#"{"format": "headway-tokenizer", "version": 1, "kind": "char", "scalars": [98, 97]}"#, "ascending"),
        (#"{"format": "headway-tokenizer", "version": 1, "kind": "char", "scalars": [55296]}"#, "code points"),
        (#"{"format": "headway-tokenizer", "version": 1, "kind": "char", "scalars": []}"#, "ascending"),
        (#"[1, 2"#, "prepare the corpus again"),
    ])
    func anUnusableFileIsRefusedWithTheReason(content: String, reason: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("tokenizer.json", content)
        expectUserError(.badInput, path, reason) { _ = try Tokenizer.load(path) }
        expectUserError(.missing, "does not exist") { _ = try Tokenizer.load(folder.file("none.json")) }
    }
}
