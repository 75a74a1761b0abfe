import Foundation
import RunSpec

/// Prepares a corpus: text in, token shards and tokenizer out. Everything is checked before the first file is made,
/// and the files get their names only when all of them are complete on the disk.
package struct Ingest: Sendable {
    package enum Source: Hashable, Sendable {
        /// Text files one after the other, "-" for standard input; a newline is put between two files if the
        /// first does not end with one.
        case files([String])
        /// At least so many bytes of tales.
        case tales(bytes: Int, seed: UInt64)
    }

    package var source: Source
    package var tokenizer: Tokenizer.Kind
    /// A tokenizer of that kind that there is already; nil: it is made from the text.
    package var given: Tokenizer?
    /// Share of the tokens, from the end, that is kept for validation; 0 for none.
    package var validationFraction = 0.1
    /// T: each part must hold one sequence of T inputs and their targets.
    package var context: Int

    package init(_ source: Source, tokenizer: Tokenizer.Kind, validationFraction: Double = 0.1, context: Int) {
        (self.source, self.tokenizer) = (source, tokenizer)
        (self.validationFraction, self.context) = (validationFraction, context)
    }

    /// Writes `train.tokens`, `val.tokens` (unless the fraction is 0) and `tokenizer.json` to `folder`, which is made
    /// if need be, and replaces older ones there.
    ///
    /// Errors: `.usage` for numbers out of range, `.missing` for a file that is not there, `.badInput` for input
    /// that cannot be read or tokenised or is too short, `.unwritable` for the folder.
    package func run(into folder: String) throws(UserError) -> PreparedCorpus {
        try checkNumbers()
        let text = try SourceText(source, needsUTF8: tokenizer == .char)
        let tokenizer = given ?? (self.tokenizer == .byte ? .byte : .char(CharVocabulary(scalars: text.scalars)))
        if case .char(let vocabulary)? = given, let unknown = text.scalars.filter({ vocabulary.id(of: $0) == nil }).min() {
            throw UserError(
                .badInput,
                "the text has the character \(UTF8Text.name(unknown)), which is not among the \(vocabulary.scalars.count) that the "
                    + "model knows; leave it out")
        }
        let split = try split(text)
        try checkLengths(split)
        try write(text.bytes, split, tokenizer, map(text, split), to: folder)
        return PreparedCorpus(
            folder: folder, tokenizer: tokenizer, inputs: text.inputs,
            train: .init(tokens: split.trainTokens, bytes: split.trainBytes),
            validation: .init(tokens: split.validationTokens, bytes: text.bytes.count - split.trainBytes),
            validationFloor: floor(text, split))
    }

    private func checkNumbers() throws(UserError) {
        guard validationFraction >= 0 && validationFraction < 1 else {
            throw UserError(
                .usage, "the validation fraction is \(validationFraction); it must be at least 0 and below 1, say 0.1")
        }
        guard context > 0 else { throw UserError(.usage, "the context is \(context) tokens; it must be at least 1") }
        if case .tales(let bytes, _) = source, bytes < 1 {
            throw UserError(.usage, "tales of \(bytes) bytes were asked for; ask for at least 1")
        }
        if case .files(let paths) = source, paths.isEmpty {
            throw UserError(.usage, "no text is named; name a file, or - for standard input")
        }
    }

    /// Where the text is cut in two.
    private struct Split {
        var trainBytes = 0, trainTokens = 0, validationTokens = 0
        /// Where each document ends, in tokens.
        var documentEnds: [Int] = []
    }

    /// The first ⌊n (1 − f)⌋ of n tokens are for training, as in nanoGPT; of a text that says where its documents end,
    /// only the whole ones in them, if there is one.
    private func split(_ text: SourceText) throws(UserError) -> Split {
        let bytes = text.bytes
        let isSingleByte = tokenizer == .byte || text.scalars.allSatisfy(\.isASCII)
        // A continuation byte is 10xxxxxx; all others start a scalar.
        let tokens = isSingleByte ? bytes.count : bytes.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
        var trainTokens = Int(Double(tokens) * (1 - validationFraction))
        let ends = isSingleByte ? text.documents.map(\.end) : Self.tokens(before: text.documents.map(\.end), in: bytes)
        if text.isDivided { trainTokens = ends.last { $0 <= trainTokens } ?? (text.tales == nil ? trainTokens : 0) }
        var trainBytes = trainTokens
        if !isSingleByte {
            var left = trainTokens
            trainBytes = bytes.firstIndex { byte in
                if byte & 0xC0 != 0x80 { left -= 1 }
                return left < 0
            } ?? bytes.count
        }
        return Split(trainBytes: trainBytes, trainTokens: trainTokens, validationTokens: tokens - trainTokens, documentEnds: ends)
    }

    /// How many scalars begin before each of `ends`, which ascend.
    private static func tokens(before ends: [Int], in bytes: [UInt8]) -> [Int] {
        var count = 0, position = 0
        return ends.map { end in
            while position < end {
                count += bytes[position] & 0xC0 == 0x80 ? 0 : 1
                position += 1
            }
            return count
        }
    }

    private func map(_ text: SourceText, _ split: Split) -> TextMap {
        var map = TextMap(sources: text.inputs.map(\.name)), start = 0
        (map.train.tokens, map.validation.tokens) = (split.trainTokens, split.validationTokens)
        for (document, end) in zip(text.documents, split.documentEnds) {
            // A document that is cut has a piece in either part.
            if start < split.trainTokens {
                map.train.starts.append(start)
                map.train.sources.append(document.input)
            }
            if end > split.trainTokens {
                map.validation.starts.append(max(start - split.trainTokens, 0))
                map.validation.sources.append(document.input)
            }
            start = end
        }
        return map
    }

    private func checkLengths(_ split: Split) throws(UserError) {
        var parts = [("training", split.trainTokens)]
        if validationFraction > 0 { parts.append(("validation", split.validationTokens)) }
        for (name, tokens) in parts where tokens < context + 1 {
            let remedy = tokens >= 2 ? "a context of at most \(tokens - 1) or more text" : "more text"
            throw UserError(
                .badInput,
                "the \(name) part has \(tokens) tokens, but one sequence of context \(context) needs \(context + 1); "
                    + "use \(remedy)\(name == "validation" ? ", or another validation fraction" : "")")
        }
    }

    private func write(
        _ text: [UInt8], _ split: Split, _ tokenizer: Tokenizer, _ map: TextMap, to folder: String
    ) throws(UserError) {
        let isNew = try Self.makeFolder(folder)
        do throws(UserError) {
            var train = try Self.shard("\(folder)/\(PreparedCorpus.trainName)", text[..<split.trainBytes], tokenizer)
            let validationPath = "\(folder)/\(PreparedCorpus.validationName)"
            var validation: TokenShardWriter? = nil
            if split.validationTokens > 0 {
                validation = try Self.shard(validationPath, text[split.trainBytes...], tokenizer)
            }
            var description = try PendingFile("\(folder)/\(PreparedCorpus.tokenizerName)")
            try description.write(tokenizer.fileContent(), at: 0)
            try description.flush()
            var documents = try PendingFile("\(folder)/\(TextMap.fileName)")
            try documents.write(map.fileContent(), at: 0)
            try documents.flush()
            try train.commit()
            if validation == nil { unlink(validationPath) } else { try validation?.commit() }
            try description.commit()
            try documents.commit()
            try PendingFile.flushFolder(folder)
        } catch {
            if isNew { rmdir(folder) }   // succeeds only if nothing was committed
            throw error
        }
    }

    /// A complete shard of `text`, not yet under its name.
    private static func shard(
        _ path: String, _ text: ArraySlice<UInt8>, _ tokenizer: Tokenizer
    ) throws(UserError) -> TokenShardWriter {
        var writer = try TokenShardWriter(path, vocabulary: tokenizer.vocabulary), failure: UserError?
        text.withUnsafeBufferPointer { bytes in
            do throws(UserError) {
                try tokenizer.forEachToken(in: bytes) { (token) throws(UserError) in try writer.append(token) }
            } catch { failure = error }
        }
        if let failure { throw failure }
        try writer.finish()
        return writer
    }

    /// Makes `folder` and the folders around it; returns whether it is new.
    private static func makeFolder(_ folder: String) throws(UserError) -> Bool {
        var isDirectory: ObjCBool = false
        if FileManager.default.fileExists(atPath: folder, isDirectory: &isDirectory) {
            if isDirectory.boolValue { return false }
            throw UserError(.unwritable, "\(folder) is a file, not a folder; name another folder for the corpus")
        }
        do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
            throw UserError(.unwritable, "cannot make folder \(folder); check permissions, or name another folder")
        }
        return true
    }

    /// Nats per token of the validation stories; nil if they are not tales or there are none.
    private func floor(_ text: SourceText, _ split: Split) -> Double? {
        guard let tales = text.tales, split.validationTokens > 0 else { return nil }
        let trainBits = tales.ends.last { $0.byte <= split.trainBytes }?.bits ?? 0
        return Tales.natsPerByte(bits: tales.bits - trainBits, bytes: split.validationTokens)
    }
}
