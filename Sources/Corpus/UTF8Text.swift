import RunSpec

/// Strict UTF-8 with positions: the standard library repairs malformed text silently, a tokenizer must not.
enum UTF8Text {
    /// The scalar that starts at byte `i` and its length in bytes, or nil when the bytes there are malformed,
    /// overlong, a surrogate, above U+10FFFF or cut off (Unicode 16, table 3-7).
    @inline(__always)
    static func scalar(in text: UnsafeBufferPointer<UInt8>, at i: Int) -> (Unicode.Scalar, length: Int)? {
        let first = text[i]
        if first < 0x80 { return (Unicode.Scalar(first), 1) }
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        guard first >= 0xC2, first <= 0xF4, i + length <= text.count else { return nil }
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for k in 1..<length {
            guard text[i + k] & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(text[i + k] & 0x3F)
        }
        let smallest: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x1_0000
        guard value >= smallest, let scalar = Unicode.Scalar(value) else { return nil }
        return (scalar, length)
    }

    /// The scalars of `bytes`, or `.badInput` naming `source` and the byte offset where they stop being text.
    /// A zero byte is refused too: it is valid UTF-8 but a sure sign of binary data or UTF-16.
    static func scalars(of bytes: [UInt8], source: String) throws(UserError) -> Set<Unicode.Scalar> {
        var found: Set<Unicode.Scalar> = [], position = 0, wrong: Int?
        var isASCII = [Bool](repeating: false, count: 128)
        bytes.withUnsafeBufferPointer { text in
            while position < text.count {
                guard let (scalar, length) = scalar(in: text, at: position), scalar != "\0" else {
                    wrong = position
                    return
                }
                if scalar.isASCII { isASCII[Int(scalar.value)] = true } else { found.insert(scalar) }
                position += length
            }
        }
        if let wrong { throw malformed(bytes[wrong], at: wrong, in: source) }
        for value in 0..<128 where isASCII[value] { found.insert(Unicode.Scalar(UInt8(value))) }
        return found
    }

    static func malformed(_ byte: UInt8, at offset: Int, in source: String) -> UserError {
        let value = String(byte, radix: 16)
        let found = byte == 0
            ? "a zero byte at byte offset \(offset): this looks like binary data or UTF-16"
            : "malformed UTF-8 at byte offset \(offset) (byte 0x\(value.count == 1 ? "0" : "")\(value))"
        return UserError(
            .badInput,
            "\(source) has \(found); the char tokenizer needs UTF-8 text: convert the text, or use the byte tokenizer")
    }

    /// A scalar for an error message: the character and its code, or the code alone if it cannot be seen.
    static func name(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        let code = "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        let hidden: Set<Unicode.GeneralCategory> = [.control, .format, .unassigned, .privateUse, .spaceSeparator]
        return hidden.contains(scalar.properties.generalCategory) ? code : "'\(scalar)' (\(code))"
    }
}
