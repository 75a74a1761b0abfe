import Corpus
import RunSpec

extension Tokenizer {
    /// `tokenizer.json` of the `tokenizers` library, with the same ids both ways.
    var exported: JSONValue {
        let (splitting, decoding, model): (JSONValue, JSONValue, JSONValue)
        switch self {
        case .byte:
            // Its byte-level tokenizer writes each byte as a printable character; without merges that is all it does.
            let byteLevel: JSONValue = .object([("type", "ByteLevel"), ("add_prefix_space", .flag(false)), ("trim_offsets", .flag(false)), ("use_regex", .flag(false))])
            (splitting, decoding) = (byteLevel, byteLevel)
            model = .object([("type", "BPE"), ("vocab", Self.ids(Self.printableBytes)), ("merges", .list([]))])
        case .char(let vocabulary):
            // Every scalar is a word. One that is not in the vocabulary is an error, as here: the unknown one is not in it either.
            splitting = .object([("type", "Split"), ("pattern", .object([("Regex", "[\\s\\S]")])), ("behavior", "Isolated"), ("invert", .flag(false))])
            decoding = .object([("type", "Fuse")])
            model = .object([("type", "WordLevel"), ("vocab", Self.ids(vocabulary.scalars)), ("unk_token", "no such character")])
        }
        return .object([
            ("version", "1.0"), ("truncation", .null), ("padding", .null), ("added_tokens", .list([])), ("normalizer", .null),
            ("pre_tokenizer", splitting), ("post_processor", .null), ("decoder", decoding), ("model", model),
        ])
    }

    private static func ids(_ scalars: [Unicode.Scalar]) -> JSONValue {
        .object(scalars.enumerated().map { (key: String($0.element), value: .integer($0.offset)) })
    }

    /// GPT-2's characters for the bytes 0 to 255: themselves where Latin-1 prints something, else from U+0100 on in order.
    private static var printableBytes: [Unicode.Scalar] {
        var next: UInt32 = 0x100
        return (0...255).map { byte in
            if 0x21...0x7E ~= byte || 0xA1...0xAC ~= byte || 0xAE...0xFF ~= byte { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next)!
        }
    }

    /// `tokenizer_config.json`.
    static func exportedConfig(context: Int) -> JSONValue {
        .object([("tokenizer_class", "PreTrainedTokenizerFast"), ("model_max_length", .integer(context)), ("clean_up_tokenization_spaces", .flag(false))])
    }
}
