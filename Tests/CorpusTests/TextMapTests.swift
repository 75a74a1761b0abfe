import Corpus
import Foundation
import RunSpec
import Testing

@Suite struct TextMapTests {
    private let folder: TemporaryFolder
    private var out: String { folder.file("corpus") }

    init() throws { folder = try TemporaryFolder() }

    private func map(_ texts: [String], _ kind: Tokenizer.Kind = .byte, fraction: Double) throws -> TextMap {
        let paths = try texts.enumerated().map { try folder.write("\($0.offset).txt", $0.element) }
        _ = try Ingest(.files(paths), tokenizer: kind, validationFraction: fraction, context: 4).run(into: out)
        return try TextMap(reading: out)
    }

    @Test func `marks divide documents, and the text is cut between two of them`() throws {
        let story = "A story <with> ends.<|endoftext|>\n"
        let map = try map([String(repeating: story, count: 10)], fraction: 0.25)
        #expect(map.train.starts == (0..<7).map { $0 * story.utf8.count } && map.train.tokens == 7 * story.utf8.count)
        #expect(map.validation.starts == (0..<3).map { $0 * story.utf8.count } && map.validation.tokens == 3 * story.utf8.count)
    }

    @Test(arguments: [Tokenizer.Kind.byte, .char])
    func `a file without marks is one document, which a cut divides, and counts in tokens`(kind: Tokenizer.Kind) throws {
        let map = try map(["éé first", "second, longer\n"], kind, fraction: 0.5)
        let first = kind == .byte ? 11 : 9          // with the newline that joins the two
        let cut = (first + 15) / 2
        #expect(map.train == part(cut, [0, first], [0, 1]) && map.validation == part(first + 15 - cut, [0], [1]))
        #expect(map.sources.map { ($0 as NSString).lastPathComponent } == ["0.txt", "1.txt"])
        var shares = [0.0, 0]
        map.train.count(first - 3..<first + 1, into: &shares)
        #expect(shares == [3, 1])
    }

    @Test func `every tale is a document`() throws {
        _ = try Ingest(.tales(bytes: 60_000, seed: 9), tokenizer: .byte, context: 64).run(into: out)
        let map = try TextMap(reading: out), ends = Tales(seed: 9).generate(bytes: 60_000).ends.map(\.byte)
        #expect((map.train.starts + map.validation.starts.map { $0 + map.train.tokens }).dropFirst() == ends.dropLast()[...])
    }

    @Test(arguments: ["", "{}", #"{"sources":["a"],"train":{"tokens":9,"starts":[0,9],"sources":[0,0]},"validation":{"tokens":0,"starts":[],"sources":[]}}"#])
    func `a damaged list is refused`(text: String) throws {
        _ = try folder.write(TextMap.fileName, text)
        let error = #expect(throws: UserError.self) { try TextMap(reading: (folder.file("x") as NSString).deletingLastPathComponent) }
        #expect(error?.status == .badInput)
    }

    private func part(_ tokens: Int, _ starts: [Int], _ sources: [Int]) -> TextMap.Part {
        TextMap.Part(tokens: tokens, starts: starts, sources: sources)
    }

    // MARK: Probes

    @Test func `no document is in both probes, and what touches one is a cluster`() {
        // Windows of 10 tokens; documents of 25: windows 0, 1, 2 touch the first, 2 to 4 the second …
        let text = part(1001, Array(stride(from: 0, to: 1001, by: 25)), Array(repeating: 0, count: 41))
        let sparse = ProbeSequences(count: 20, fullWindows: 100, context: 10, text: text)
        #expect(sparse.clusters == Array(0..<20) && sparse.decision == Array(stride(from: 0, to: 20, by: 2)))
        let dense = ProbeSequences(count: 50, fullWindows: 100, context: 10, text: text)
        for i in dense.windows.indices {
            for j in dense.windows.indices where j < i {
                let a = Set(text.document(at: 10 * dense.windows[i])...text.document(at: 10 * dense.windows[i] + 10))
                let b = Set(text.document(at: 10 * dense.windows[j])...text.document(at: 10 * dense.windows[j] + 10))
                #expect((dense.clusters[i] == dense.clusters[j]) || a.isDisjoint(with: b))
            }
        }
        #expect(Set(dense.decision.map { dense.clusters[$0] }).isDisjoint(with: dense.audit.map { dense.clusters[$0] }))
        #expect((dense.decision + dense.audit).sorted() == Array(0..<50) && abs(dense.decision.count - dense.audit.count) <= 4)
    }

    @Test func `a text of too few documents leaves every sequence by itself`() {
        let probes = ProbeSequences(count: 16, fullWindows: 100, context: 10, text: part(1001, [0, 400], [0, 0]))
        #expect(probes.clusters == Array(0..<16) && probes.audit.count == 8)
    }
}
