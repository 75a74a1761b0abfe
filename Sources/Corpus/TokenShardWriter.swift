import RunSpec

/// Streams tokens into a token shard under a temporary name. `finish` writes the header and flushes; `commit` gives
/// the file its name. Dropped before `commit`, it leaves nothing.
package struct TokenShardWriter: ~Copyable {
    private static let bufferBytes = 1 << 18
    private var file: PendingFile
    private let vocabulary: Int
    private let bytesPerToken: Int
    private var checksum = CRC32()
    private var buffer: [UInt8] = []
    private var written = TokenShardHeader.byteCount
    package private(set) var tokenCount = 0

    /// `vocabulary`: V; tokens must be below it. `.unwritable` if the file cannot be made.
    package init(_ path: String, vocabulary: Int) throws(UserError) {
        precondition(vocabulary > 0, "a vocabulary of \(vocabulary)")
        file = try PendingFile(path)
        self.vocabulary = vocabulary
        bytesPerToken = TokenShardHeader.bytesPerToken(vocabulary: vocabulary)
        buffer.reserveCapacity(Self.bufferBytes + 4)
    }

    package mutating func append(_ token: UInt32) throws(UserError) {
        precondition(Int(token) < vocabulary, "token \(token) of a vocabulary of \(vocabulary)")
        buffer.append(UInt8(truncatingIfNeeded: token))
        buffer.append(UInt8(truncatingIfNeeded: token >> 8))
        if bytesPerToken == 4 {
            buffer.append(UInt8(truncatingIfNeeded: token >> 16))
            buffer.append(UInt8(truncatingIfNeeded: token >> 24))
        }
        tokenCount += 1
        if buffer.count >= Self.bufferBytes { try writeBuffer() }
    }

    private mutating func writeBuffer() throws(UserError) {
        checksum.update(buffer)
        try file.write(buffer, at: written)
        written += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }

    /// Completes the temporary file. A shard without tokens is a programmer's error: the format has none.
    package mutating func finish() throws(UserError) {
        precondition(tokenCount > 0, "an empty token shard at \(file.path)")
        try writeBuffer()
        let header = TokenShardHeader(
            vocabulary: vocabulary, tokenCount: tokenCount, tokenChecksum: checksum.value)
        try file.write(header.encoded, at: 0)
        try file.flush()
    }

    package mutating func commit() throws(UserError) { try file.commit() }
}
