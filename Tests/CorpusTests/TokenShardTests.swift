import Corpus
import RunSpec
import Testing

@Suite struct TokenShardTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Writes `tokens` to `t.tokens` and returns the path.
    @discardableResult
    private func shard(_ tokens: [UInt32], vocabulary: Int) throws -> String {
        var writer = try TokenShardWriter(folder.file("t.tokens"), vocabulary: vocabulary)
        for token in tokens { try writer.append(token) }
        try writer.finish()
        try writer.commit()
        return folder.file("t.tokens")
    }

    /// Changes the bytes of a valid shard of three tokens by `change` and expects `reason` on opening it.
    private func expectFault(
        _ reason: String, at location: SourceLocation = #_sourceLocation, _ change: (inout [UInt8]) -> Void
    ) throws {
        try shard([1, 2, 3], vocabulary: 10)
        var bytes = try folder.bytes("t.tokens")
        change(&bytes)
        let path = try folder.write("damaged.tokens", bytes)
        expectUserError(.badInput, path, reason, at: location) { _ = try TokenShard(path) }
    }

    @Test(arguments: [256, 65_536, 65_537, 1 << 30])
    func tokensRoundTripForEveryWidth(vocabulary: Int) throws {
        let seed: UInt64 = 7, philox = Philox(key: seed)
        let tokens = (0..<200_000).map { (index: Int) in
            UInt32(philox.uniform(.sampling, 0, 0, index: UInt32(index)) * Double(vocabulary))
        }
        let shard = try TokenShard(shard(tokens, vocabulary: vocabulary))
        #expect(shard.count == tokens.count && shard.vocabulary == vocabulary, "seed \(seed)")
        #expect((0..<shard.count).allSatisfy { shard[$0] == Int32(tokens[$0]) }, "seed \(seed)")
        var copy = [Int32](repeating: -1, count: 1000)
        shard.copy(from: 199_000, length: 1000, to: &copy)
        #expect(copy == tokens[199_000...].map { Int32($0) }, "seed \(seed)")
    }

    @Test func theBytesAreTheDocumentedOnes() throws {
        try shard([1, 2, 0x103], vocabulary: 1000)
        let bytes = try folder.bytes("t.tokens")
        #expect(bytes.count == 64 + 6)
        #expect(bytes[..<16] == [0x48, 0x57, 0x54, 0x4F, 0x4B, 0x45, 0x4E, 0x53, 1, 0, 0, 0, 2, 0, 0, 0])
        #expect(bytes[16..<32] == [0xE8, 3, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
        #expect(bytes[36..<60].allSatisfy { $0 == 0 })
        #expect(bytes[64...] == [1, 0, 2, 0, 3, 1])
        func number(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) } }
        #expect(number(32) == checksum(bytes[64...]) && number(60) == checksum(bytes[..<60]))
    }

    @Test func everyFaultOfAShardIsNamed() throws {
        try expectFault("is empty") { $0 = [] }
        try expectFault("does not start with HWTOKENS") { $0[0] = 0x68 }
        try expectFault("does not start with HWTOKENS") { $0 = Array("hi".utf8) }
        try expectFault("truncated: 20 bytes") { $0 = Array($0[..<20]) }
        try expectFault("format version 2") { $0[8] = 2 }
        try expectFault("damaged header") { $0[24] = 4 }
        try expectFault("truncated: 69 of 70 bytes") { $0.removeLast() }
        try expectFault("truncated: 64 of 70 bytes") { $0 = Array($0[..<64]) }
        try expectFault("2 bytes after its last token") { $0 += [0, 0] }
        try expectFault("is damaged: checksum") { $0[66] ^= 0x40 }
    }

    @Test func aHeaderWithARightChecksumMustStillMakeSense() throws {
        func seal(_ bytes: inout [UInt8]) {
            let crc = checksum(bytes[..<60])
            for k in 0..<4 { bytes[60 + k] = UInt8(truncatingIfNeeded: crc >> UInt32(8 * k)) }
        }
        try expectFault("contradicts itself") { $0[12] = 4; seal(&$0) }
        try expectFault("contradicts itself") { $0[16] = 0; seal(&$0) }
        try expectFault("contradicts itself") { $0[31] = 0xFF; seal(&$0) }
        try expectFault("holds no tokens") { $0[24] = 0; seal(&$0) }
        try expectFault("token 3 at index 2, outside the vocabulary of 3") { $0[16] = 3; seal(&$0) }
    }

    @Test func whatIsNotAFileIsRefused() throws {
        expectUserError(.missing, "does not exist") { _ = try TokenShard(folder.file("none.tokens")) }
        expectUserError(.badInput, "not a regular file") { _ = try TokenShard(folder.path) }
        expectUserError(.unwritable, "cannot create") {
            _ = try TokenShardWriter(folder.file("none/t.tokens"), vocabulary: 2)
        }
    }

    @Test func aNanoGPTFileIsReadAndChecked() throws {
        let path = try folder.write("train.bin", [1, 0, 0, 1, 64, 0])
        let shard = try TokenShard(nanoGPT: path, vocabulary: 257)
        #expect((0..<shard.count).map { shard[$0] } == [1, 256, 64])
        expectUserError(.badInput, "token 256 at index 1", "vocabulary of 256") {
            _ = try TokenShard(nanoGPT: path, vocabulary: 256)
        }
        let odd = try folder.write("odd.bin", [1, 0, 0])
        expectUserError(.badInput, "has 3 bytes, not a multiple of 2") {
            _ = try TokenShard(nanoGPT: odd, vocabulary: 9)
        }
        let empty = try folder.write("empty.bin", [])
        expectUserError(.badInput, "is empty") { _ = try TokenShard(nanoGPT: empty, vocabulary: 9) }
    }

    @Test func aWriterThatIsDroppedLeavesNothing() throws {
        do {
            var writer = try TokenShardWriter(folder.file("t.tokens"), vocabulary: 2)
            try writer.append(1)
            try writer.finish()
            #expect(folder.names.count == 1 && folder.names != ["t.tokens"])
        }
        #expect(folder.names == [])
        try shard([1], vocabulary: 2)
        #expect(folder.names == ["t.tokens"])
    }
}
