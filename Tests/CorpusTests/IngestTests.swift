import Corpus
import Foundation
import Testing

@Suite struct IngestTests {
    private let folder: TemporaryFolder
    private var out: String { folder.file("corpus") }

    init() throws { folder = try TemporaryFolder() }

    private func ingest(
        _ paths: [String], _ kind: Tokenizer.Kind = .byte, fraction: Double = 0.1, context: Int = 4
    ) throws -> PreparedCorpus {
        try Ingest(.files(paths), tokenizer: kind, validationFraction: fraction, context: context).run(into: out)
    }

    /// The text of both shards, one after the other.
    private func text(_ corpus: PreparedCorpus) throws -> [UInt8] {
        let tokenizer = try Tokenizer.load(corpus.tokenizerPath)
        #expect(tokenizer == corpus.tokenizer)
        return try [corpus.trainPath, corpus.validationPath].flatMap { path -> [UInt8] in
            guard FileManager.default.fileExists(atPath: path) else { return [] }
            let shard = try TokenShard(path)
            #expect(shard.vocabulary == tokenizer.vocabulary)
            return tokenizer.decode((0..<shard.count).map { shard[$0] })
        }
    }

    @Test(arguments: Tokenizer.Kind.allCases)
    func filesAreJoinedInOrderWithANewlineWhereOneIsMissing(kind: Tokenizer.Kind) throws {
        let paths = try [
            folder.write("b.txt", "first, without a newline"), folder.write("empty.txt", ""),
            folder.write("a.txt", "sécond\n"), folder.write("c.txt", "the third and last"),
        ]
        let corpus = try ingest(paths, kind)
        let expected = Array("first, without a newline\nsécond\nthe third and last".utf8)
        #expect(try text(corpus) == expected)
        #expect(corpus.bytes == expected.count && corpus.inputs.map(\.bytes) == [24, 0, 8, 18])
        #expect(corpus.train.tokens + corpus.validation.tokens == expected.count - (kind == .char ? 1 : 0))
        #expect(FileManager.default.subpaths(atPath: out)!.sorted() == ["documents.json", "tokenizer.json", "train.tokens", "val.tokens"])
    }

    @Test func theSplitCountsCharactersNotBytes() throws {
        let corpus = try ingest([folder.write("t.txt", "ééééééééééaaaaaaaaaa")], .char, fraction: 0.5)
        #expect(corpus.train.tokens == 10 && corpus.train.bytes == 20 && corpus.train.bytesPerToken == 2)
        #expect(corpus.validation.tokens == 10 && corpus.validation.bytes == 10)
        #expect(corpus.validationFloor == nil)
        let shard = try TokenShard(corpus.trainPath)
        #expect(corpus.tokenizer.byteCount(of: shard) == 20)
    }

    @Test func withoutValidationThereIsNoFileNotEvenAnOldOne() throws {
        let path = try folder.write("t.txt", String(repeating: "text ", count: 40))
        _ = try ingest([path])
        #expect(FileManager.default.fileExists(atPath: out + "/val.tokens"))
        let corpus = try ingest([path], fraction: 0)
        #expect(!FileManager.default.fileExists(atPath: out + "/val.tokens"))
        #expect(corpus.train.tokens == 200 && corpus.validation.tokens == 0)
    }

    @Test func whatCannotBeReadIsNamedAndNothingIsMade() throws {
        let good = try folder.write("good.txt", String(repeating: "text ", count: 40))
        expectUserError(.missing, folder.file("none.txt"), "does not exist") {
            _ = try ingest([good, folder.file("none.txt")])
        }
        expectUserError(.badInput, "is a directory") { _ = try ingest([folder.path]) }
        let empty = try folder.write("empty.txt", "")
        expectUserError(.badInput, "the text is empty: 0 bytes", empty) { _ = try ingest([empty, empty]) }
        expectUserError(.usage, "no text") { _ = try ingest([]) }
        expectUserError(.usage, "fraction is 1.0") { _ = try ingest([good], fraction: 1) }
        expectUserError(.usage, "context is 0") { _ = try ingest([good], context: 0) }
        #expect(!FileManager.default.fileExists(atPath: out))
    }

    @Test func aTextThatIsTooShortSaysByHowMuch() throws {
        let path = try folder.write("t.txt", String(repeating: "x", count: 100))
        expectUserError(.badInput, "validation part has 10 tokens", "context 10 needs 11", "at most 9") {
            _ = try ingest([path], context: 10)
        }
        #expect(try ingest([path], context: 9).validation.tokens == 10)
        expectUserError(.badInput, "training part has 90 tokens", "needs 91", "at most 89") {
            _ = try ingest([path], context: 90)
        }
        #expect(try ingest([path], fraction: 0, context: 99).train.tokens == 100)
    }

    @Test func malformedTextIsRefusedByCharWithFileAndOffsetAndTakenByByte() throws {
        let good = try folder.write("good.txt", "some good text in the first file\n")
        let faults: [[UInt8]] = [
            [0x80], [0xC3], [0xC3, 0x41], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], [0xFF],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
        ]
        for fault in faults {
            let bad = try folder.write("bad.txt", Array("0123456789é".utf8) + fault)
            expectUserError(.badInput, bad, "byte offset 12", "byte tokenizer") { _ = try ingest([good, bad], .char) }
            _ = try ingest([good, bad], .byte)
        }
        let binary = try folder.write("bad.txt", Array("0123456789".utf8) + [0, 1, 2])
        expectUserError(.badInput, binary, "zero byte at byte offset 10", "binary") { _ = try ingest([binary], .char) }
    }

    @Test func aFolderThatCannotBeMadeIsNamed() throws {
        let path = try folder.write("t.txt", String(repeating: "x", count: 100))
        expectUserError(.unwritable, path, "is a file") {
            _ = try Ingest(.files([path]), tokenizer: .byte, context: 4).run(into: path)
        }
        expectUserError(.unwritable, "cannot make folder") {
            _ = try Ingest(.files([path]), tokenizer: .byte, context: 4).run(into: path + "/below")
        }
    }

    @Test(arguments: Tokenizer.Kind.allCases)
    func talesAreSplitBetweenStoriesAndKnowTheirFloor(kind: Tokenizer.Kind) throws {
        let corpus = try Ingest(.tales(bytes: 60_000, seed: 9), tokenizer: kind, context: 64).run(into: out)
        let text = try text(corpus), whole = Tales(seed: 9).generate(bytes: 60_000)
        #expect(text == whole.text)
        #expect(whole.ends.contains { $0.byte == corpus.train.bytes })
        // The validation part is at least a tenth, and less than a story more.
        #expect((6_000..<8_000).contains(corpus.validation.tokens))
        let floor = try #require(Tales.informationPerByte(of: Array(text[corpus.train.bytes...])))
        #expect(abs(try #require(corpus.validationFloor) / floor - 1) < 1e-9)
    }

    /// Where the text is looked for: in the folder HEADWAY_CORPORA, or in Data.
    private static let shakespearePath =
        (ProcessInfo.processInfo.environment["HEADWAY_CORPORA"] ?? "Data") + "/tinyshakespeare.txt"

    @Test(.enabled(if: FileManager.default.fileExists(atPath: shakespearePath), "no copy of tiny Shakespeare here"))
    func tinyShakespeareHasTheFiguresOfNanoGPT() throws {
        let corpus = try ingest([Self.shakespearePath], .char, context: 256)
        #expect(corpus.train.tokens == 1_003_854 && corpus.validation.tokens == 111_540)
        #expect(corpus.tokenizer.vocabulary == 65)
    }
}
