import Glibc
import RunSpec

/// The text of a corpus in memory, with what is known about it.
struct SourceText {
    private(set) var bytes: [UInt8] = []
    /// The characters in it; only read if UTF-8 is needed.
    private(set) var scalars: Set<Unicode.Scalar> = []
    /// What was read, in order.
    private(set) var inputs: [PreparedCorpus.Input] = []
    /// Where the stories end, if it is tales.
    private(set) var tales: Tales.Text?
    /// Where documents end, in bytes, ascending, and which input each comes from; none is empty.
    private(set) var documents: [(end: Int, input: Int)] = []
    /// Whether the text says where its documents end; then none is cut in two.
    private(set) var isDivided = false

    /// Divides documents in GPT-2's corpora; belongs to the one before it.
    private static let mark = Array("<|endoftext|>".utf8)

    /// Reads or makes the text. With `needsUTF8` every file must be UTF-8 by itself.
    init(_ source: Ingest.Source, needsUTF8: Bool) throws(UserError) {
        switch source {
        case .files(let paths):
            for path in paths { try append(path, needsUTF8: needsUTF8) }
            guard inputs.contains(where: { $0.bytes ?? 0 > 0 }) else {
                let names = inputs.map(\.name).joined(separator: ", ")
                throw UserError(.badInput, "the text is empty: 0 bytes in \(names); name a file with text in it")
            }
        case .tales(let count, let seed):
            let text = Tales(seed: seed).generate(bytes: count)
            bytes = text.text
            tales = text
            documents = text.ends.map { ($0.byte, 0) }
            isDivided = true
            inputs = [.init(name: "tales of seed \(seed)", bytes: bytes.count)]
            if needsUTF8 { scalars = try UTF8Text.scalars(of: bytes, source: "tales") }
        }
    }

    private mutating func append(_ path: String, needsUTF8: Bool) throws(UserError) {
        let name = TextFile.name(path), newline = UInt8(ascii: "\n")
        let content = try TextFile.bytes(of: path, called: "text file")
        if needsUTF8 { scalars.formUnion(try UTF8Text.scalars(of: content, source: name)) }
        if let last = bytes.last, last != newline, !content.isEmpty {
            bytes.append(newline)
            documents[documents.count - 1].end += 1
            scalars.insert("\n")
        }
        divide(content)
        bytes += content
        inputs.append(.init(name: name, bytes: content.count))
    }

    /// Notes the documents of an input that is about to be appended.
    private mutating func divide(_ content: [UInt8]) {
        guard !content.isEmpty else { return }
        let start = bytes.count, newline = UInt8(ascii: "\n")
        var position = 0, begun = 0
        content.withUnsafeBytes { text in
            while let found = memchr(text.baseAddress! + position, Int32(Self.mark[0]), text.count - position) {
                position = UnsafeRawPointer(found) - text.baseAddress! + 1
                guard text[(position - 1)...].starts(with: Self.mark) else { continue }
                position += Self.mark.count - 1
                if position < text.count, text[position] == newline { position += 1 }
                documents.append((start + position, inputs.count))
                (begun, isDivided) = (position, true)
            }
        }
        if begun < content.count { documents.append((start + content.count, inputs.count)) }
    }
}
