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

    /// Reads or makes the text. With `needsUTF8` every file must be UTF-8 by itself.
    init(_ source: Ingest.Source, needsUTF8: Bool) throws(UserError) {
        switch source {
        case .files(let paths):
            for path in paths { try append(path, needsUTF8: needsUTF8) }
            guard inputs.contains(where: { $0.bytes > 0 }) else {
                let names = inputs.map(\.name).joined(separator: ", ")
                throw UserError(.badInput, "the text is empty: 0 bytes in \(names); name a file with text in it")
            }
        case .tales(let count, let seed):
            let text = Tales(seed: seed).generate(bytes: count)
            bytes = text.text
            tales = text
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
            scalars.insert("\n")
        }
        bytes += content
        inputs.append(.init(name: name, bytes: content.count))
    }
}
