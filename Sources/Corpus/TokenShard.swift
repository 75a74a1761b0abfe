import Foundation
import RunSpec

/// The tokens of one shard, mapped read-only: opening costs nothing per token, and all workers of a host share the
/// pages. The file must not be cut short while it is mapped (it never is: shards are replaced by rename).
package final class TokenShard: @unchecked Sendable {
    /// N, at least 1.
    package let count: Int
    /// V: every token is below it, once `check` has passed.
    package let vocabulary: Int
    package let path: String

    private let mapping: UnsafeRawBufferPointer
    private let tokens: UnsafeRawPointer
    private let isWide: Bool
    /// CRC-32 of the token bytes; nil for a file without header.
    private let expectedChecksum: UInt32?

    /// Opens a token shard and checks its header. `.missing` if there is none, `.badInput` if it is not valid.
    /// With `checked`, also reads every token once (`check`); a worker may leave that to its launcher.
    package convenience init(_ path: String, checked: Bool = true) throws(UserError) {
        let mapping = try Self.map(path)
        do throws(UserError) {
            let header = try TokenShardHeader(
                UnsafeRawBufferPointer(rebasing: mapping.prefix(TokenShardHeader.byteCount)),
                fileBytes: mapping.count, path: path)
            self.init(
                path, mapping, offset: TokenShardHeader.byteCount, count: header.tokenCount,
                vocabulary: header.vocabulary, width: header.bytesPerToken, checksum: header.tokenChecksum)
        } catch {
            Self.unmap(mapping)
            throw error
        }
        if checked { try check() }
    }

    /// Opens a nanoGPT `.bin`: 16-bit tokens and nothing else, all of them checked against `vocabulary`.
    package convenience init(nanoGPT path: String, vocabulary: Int) throws(UserError) {
        let mapping = try Self.map(path)
        guard mapping.count > 0, mapping.count % 2 == 0 else {
            let reason = mapping.count == 0 ? "is empty" : "has \(mapping.count) bytes, not a multiple of 2"
            Self.unmap(mapping)
            throw UserError(.badInput, "nanoGPT token file \(path) \(reason); write it again with numpy's uint16")
        }
        self.init(
            path, mapping, offset: 0, count: mapping.count / 2, vocabulary: vocabulary, width: 2, checksum: nil)
        try check()
    }

    private init(
        _ path: String, _ mapping: UnsafeRawBufferPointer, offset: Int, count: Int, vocabulary: Int, width: Int,
        checksum: UInt32?
    ) {
        precondition(UInt16(littleEndian: 1) == 1, "token shards are mapped as they are: little-endian only")
        self.path = path
        self.mapping = mapping
        self.count = count
        self.vocabulary = vocabulary
        tokens = mapping.baseAddress! + offset
        isWide = width == 4
        expectedChecksum = checksum
    }

    deinit { Self.unmap(mapping) }

    /// Token `index`, 0 ..< count.
    package subscript(index: Int) -> Int32 {
        precondition(index >= 0 && index < count, "token \(index) of \(count) in \(path)")
        return isWide
            ? Int32(truncatingIfNeeded: tokens.load(fromByteOffset: 4 * index, as: UInt32.self))
            : Int32(tokens.load(fromByteOffset: 2 * index, as: UInt16.self))
    }

    /// Writes tokens `start` ..< `start + length` to `destination`.
    package func copy(from start: Int, length: Int, to destination: UnsafeMutablePointer<Int32>) {
        precondition(
            start >= 0 && length >= 0 && start + length <= count, "tokens \(start)+\(length) of \(count) in \(path)")
        if isWide {
            let source = tokens.assumingMemoryBound(to: UInt32.self) + start
            for i in 0..<length { destination[i] = Int32(truncatingIfNeeded: source[i]) }
        } else {
            let source = tokens.assumingMemoryBound(to: UInt16.self) + start
            for i in 0..<length { destination[i] = Int32(source[i]) }
        }
    }

    /// Tells shards of other text apart: number of tokens and their checksum.
    package var fingerprint: String { "\(count)-\(expectedChecksum.map { String($0, radix: 16) } ?? "unchecked")" }

    /// Reads every token: `.badInput` if the checksum does not hold or a token is not below the vocabulary size.
    package func check() throws(UserError) {
        let bytes = UnsafeRawBufferPointer(start: tokens, count: count * (isWide ? 4 : 2))
        if let expectedChecksum {
            let actual = CRC32.of(bytes)
            guard actual == expectedChecksum else {
                throw UserError(
                    .badInput,
                    "token shard \(path) is damaged: checksum \(actual) over \(count) tokens, stored "
                        + "\(expectedChecksum); prepare the corpus again")
            }
        }
        for index in 0..<count where Int(UInt32(bitPattern: self[index])) >= vocabulary {
            throw UserError(
                .badInput,
                "\(path) has token \(UInt32(bitPattern: self[index])) at index \(index), outside the vocabulary of "
                    + "\(vocabulary); use the vocabulary size of the tokenizer that made the file")
        }
    }

    private static func map(_ path: String) throws(UserError) -> UnsafeRawBufferPointer {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR {
                throw UserError(.missing, "token shard \(path) does not exist; prepare the corpus first")
            }
            let reason = TextFile.errorText()
            throw UserError(.badInput, "cannot open token shard \(path): \(reason); check its permissions")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw UserError(.badInput, "token shard \(path) is not a regular file; prepare the corpus again")
        }
        let bytes = Int(status.st_size)
        if bytes == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        guard let start = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED else {
            throw UserError(.system, "cannot map token shard \(path), \(bytes) bytes: \(TextFile.errorText())")
        }
        return UnsafeRawBufferPointer(start: start, count: bytes)
    }

    private static func unmap(_ mapping: UnsafeRawBufferPointer) {
        if let start = mapping.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), mapping.count) }
    }
}

extension Tokenizer {
    /// Bytes of text behind all tokens of `shard`: bits per byte = nats per token · tokens / (ln 2 · bytes).
    package func byteCount(of shard: TokenShard) -> Int {
        precondition(shard.vocabulary == vocabulary, "\(shard.path): \(shard.vocabulary) ids, tokenizer: \(vocabulary)")
        let lengths = byteLengths
        return (0..<shard.count).reduce(0) { $0 + lengths[Int(shard[$1])] }
    }
}
