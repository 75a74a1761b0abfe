import Foundation
import RunSpec

/// Text to token ids and back. Both kinds are lossless; neither knows about words.
package enum Tokenizer: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Codable, Sendable { case byte, char }

    /// 256 ids, one for each byte value. Takes any data.
    case byte
    /// One id for each Unicode scalar of a text, in scalar order. Takes well-formed UTF-8 only.
    case char(CharVocabulary)

    package var kind: Kind {
        switch self {
        case .byte: .byte
        case .char: .char
        }
    }

    /// Number of ids, V: ids are 0 ..< V.
    package var vocabulary: Int {
        switch self {
        case .byte: 256
        case .char(let vocabulary): vocabulary.scalars.count
        }
    }

    /// Calls `body` with each id of `text` in order. Throws what `body` throws, or `.badInput` for a character
    /// outside the vocabulary or malformed UTF-8, with the byte offset in `text`.
    package func forEachToken(
        in text: UnsafeBufferPointer<UInt8>, _ body: (UInt32) throws(UserError) -> Void
    ) throws(UserError) {
        switch self {
        case .byte:
            for byte in text { try body(UInt32(byte)) }
        case .char(let vocabulary):
            var position = 0
            while position < text.count {
                guard let (scalar, length) = UTF8Text.scalar(in: text, at: position) else {
                    throw UTF8Text.malformed(text[position], at: position, in: "the text")
                }
                guard let id = vocabulary.id(of: scalar) else {
                    throw vocabulary.unknown(scalar, at: position)
                }
                try body(id)
                position += length
            }
        }
    }

    /// The ids of `text`; errors as in `forEachToken`.
    package func encode(_ text: String) throws(UserError) -> [Int32] {
        let bytes = Array(text.utf8)
        var ids: [Int32] = []
        ids.reserveCapacity(bytes.count)
        var failure: UserError?
        bytes.withUnsafeBufferPointer { buffer in
            do throws(UserError) {
                try forEachToken(in: buffer) { (id) throws(UserError) in ids.append(Int32(id)) }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return ids
    }

    /// The bytes `ids` stand for: UTF-8 for `char`, anything for `byte`. An id outside 0 ..< V is a
    /// programmer's error.
    package func decode(_ ids: some Sequence<Int32>) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in ids {
            precondition(id >= 0 && id < vocabulary, "id \(id) of a vocabulary of \(vocabulary)")
            switch self {
            case .byte: bytes.append(UInt8(id))
            case .char(let vocabulary): bytes.append(contentsOf: UTF8.encode(vocabulary.scalars[Int(id)])!)
            }
        }
        return bytes
    }

    /// `decode` for showing: bytes that are not UTF-8 become U+FFFD.
    package func text(of ids: some Sequence<Int32>) -> String {
        String(decoding: decode(ids), as: UTF8.self)
    }

    /// Bytes of text behind each id, V values: a loss in nats per token becomes bits per byte with
    /// loss · tokens / (ln 2 · Σ bytes).
    package var byteLengths: [Int] {
        switch self {
        case .byte: Array(repeating: 1, count: 256)
        case .char(let vocabulary): vocabulary.scalars.map { UTF8.width($0) }
        }
    }
}

/// The sorted Unicode scalars of a text; a scalar's id is its place.
package struct CharVocabulary: Hashable, Sendable {
    /// Strictly ascending, never empty.
    package let scalars: [Unicode.Scalar]

    package init(scalars: some Sequence<Unicode.Scalar>) {
        self.scalars = Set(scalars).sorted()
        precondition(!self.scalars.isEmpty, "a vocabulary needs a character")
    }

    package func id(of scalar: Unicode.Scalar) -> UInt32? {
        var low = 0, high = scalars.count
        while low < high {
            let middle = (low + high) / 2
            if scalars[middle] < scalar { low = middle + 1 } else { high = middle }
        }
        return low < scalars.count && scalars[low] == scalar ? UInt32(low) : nil
    }

    func unknown(_ scalar: Unicode.Scalar, at offset: Int) -> UserError {
        UserError(
            .badInput,
            "character \(UTF8Text.name(scalar)) at byte \(offset) is not among the \(scalars.count) characters this "
                + "tokenizer was made from; leave it out, or prepare the corpus with the byte tokenizer")
    }
}
