// A token shard, `*.tokens`: the ids of one tokenised text, ready to be mapped. All numbers are little-endian.
//
//     offset  bytes  content
//          0      8  magic: "HWTOKENS" in ASCII
//          8      4  format version, 1
//         12      4  bytes per token, w: 2 if the vocabulary is at most 65,536, else 4
//         16      8  vocabulary size, V
//         24      8  number of tokens, N
//         32      4  CRC-32 of the token bytes (offset 64 to the end)
//         36     24  zero
//         60      4  CRC-32 of bytes 0 ..< 60
//         64    N·w  the tokens, unsigned
//
// A shard is valid when the magic is right, the version is 1, the header's CRC-32 holds, w follows from V, N > 0,
// the file has exactly 64 + N·w bytes, the tokens' CRC-32 holds, and every token is below V. CRC-32 is the one of
// zip and PNG (reflected polynomial 0xEDB88320).
//
// To read: check the header in that order, so that the first fault is the one that explains the others; map the
// file; check the tokens once per run, not once per worker. Token i is at byte 64 + i·w. The header's 64 bytes keep
// the tokens aligned to a cache line. A writer leaves space for the header, streams the tokens, then writes the
// header, flushes and renames: a file under its final name is complete.
//
// `.bin` files of nanoGPT are read too: no header, 16-bit tokens to the end of the file. Only an odd size and
// tokens outside a given vocabulary can be noticed.

import RunSpec

/// The 64 bytes before the tokens.
struct TokenShardHeader: Equatable {
    static let byteCount = 64
    static let magic = Array("HWTOKENS".utf8)
    static let version: UInt32 = 1

    var vocabulary: Int
    var tokenCount: Int
    /// CRC-32 of the token bytes.
    var tokenChecksum: UInt32

    var bytesPerToken: Int { Self.bytesPerToken(vocabulary: vocabulary) }
    static func bytesPerToken(vocabulary: Int) -> Int { vocabulary <= 65_536 ? 2 : 4 }

    var encoded: [UInt8] {
        var bytes = Self.magic
        func append(_ value: UInt64, width: Int) {
            for k in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * k))) }
        }
        append(UInt64(Self.version), width: 4)
        append(UInt64(bytesPerToken), width: 4)
        append(UInt64(vocabulary), width: 8)
        append(UInt64(tokenCount), width: 8)
        append(UInt64(tokenChecksum), width: 4)
        append(0, width: 24)
        append(UInt64(CRC32.of(bytes)), width: 4)
        return bytes
    }

    /// Reads the header of a file of `fileBytes` bytes that starts with `bytes`; `.badInput` for the first fault.
    init(_ bytes: UnsafeRawBufferPointer, fileBytes: Int, path: String) throws(UserError) {
        func fault(_ reason: String) -> UserError {
            UserError(.badInput, "token shard \(path) \(reason); prepare the corpus again")
        }
        func number(_ offset: Int, width: Int) -> UInt64 {
            (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
        }
        guard fileBytes > 0 else { throw fault("is empty") }
        guard bytes.prefix(Self.magic.count).elementsEqual(Self.magic.prefix(bytes.count)) else {
            throw fault("is not a token shard: it does not start with HWTOKENS")
        }
        guard bytes.count >= Self.byteCount else {
            throw fault("is truncated: \(fileBytes) bytes, the header alone has \(Self.byteCount)")
        }
        let version = number(8, width: 4)
        guard version == UInt64(Self.version) else {
            throw fault("has format version \(version), this program reads version \(Self.version)")
        }
        let stored = UInt32(number(60, width: 4)), actual = CRC32.of(bytes.prefix(60))
        guard stored == actual else { throw fault("has a damaged header: checksum \(actual), stored \(stored)") }
        guard let vocabulary = Int(exactly: number(16, width: 8)), vocabulary > 0,
            number(12, width: 4) == UInt64(Self.bytesPerToken(vocabulary: vocabulary)),
            let count = Int(exactly: number(24, width: 8)), count < Int.max / 8
        else { throw fault("has a header that contradicts itself") }
        guard count > 0 else { throw fault("holds no tokens") }
        (self.vocabulary, tokenCount, tokenChecksum) = (vocabulary, count, UInt32(number(32, width: 4)))
        let expected = Self.byteCount + count * bytesPerToken
        guard fileBytes >= expected else { throw fault("is truncated: \(fileBytes) of \(expected) bytes") }
        guard fileBytes == expected else { throw fault("has \(fileBytes - expected) bytes after its last token") }
    }

    init(vocabulary: Int, tokenCount: Int, tokenChecksum: UInt32) {
        (self.vocabulary, self.tokenCount, self.tokenChecksum) = (vocabulary, tokenCount, tokenChecksum)
    }
}

/// CRC-32 as in zip and PNG, byte by byte. The value for "123456789" is 0xCBF43926.
struct CRC32 {
    private static let table: [UInt32] = (0..<256).map { (index: UInt32) in
        (0..<8).reduce(index) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    private var state: UInt32 = .max
    var value: UInt32 { ~state }

    mutating func update(_ bytes: some Sequence<UInt8>) {
        Self.table.withUnsafeBufferPointer { table in
            var crc = state
            for byte in bytes { crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
            state = crc
        }
    }

    static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        var crc = CRC32()
        crc.update(bytes)
        return crc.value
    }
}
