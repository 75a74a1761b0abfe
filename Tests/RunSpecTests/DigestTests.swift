import RunSpec
import Testing

/// Known answers from FIPS 180-4 and the NIST example vectors.
@Suite struct DigestTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ])
    func `sha256 gives the published digest`(text: String, digest: String) {
        #expect(sha256(text.utf8) == digest)
        #expect(sha256(text.utf8.lazy.map { $0 }) == digest)
    }

    @Test(arguments: [1, 7, 63, 64, 65, 1000])
    func `a digest does not depend on the pieces the bytes come in`(pieceBytes: Int) {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 31) }
        var stream = SHA256Stream()
        for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
            bytes[start..<min(start + pieceBytes, bytes.count)].withUnsafeBytes { stream.update($0) }
            stream.update(UnsafeRawBufferPointer(start: nil, count: 0))
        }
        #expect(stream.finish() == sha256(bytes))
    }
}
