import CCrypto

/// SHA-256 (FIPS 180-4) of bytes that arrive in pieces. One use: `finish` ends it.
package struct SHA256Stream: ~Copyable {
    package static let digestBytes = 32
    private let context: OpaquePointer

    package init() {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("no memory for a SHA-256 context") }
        precondition(EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "libcrypto offers no SHA-256")
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        precondition(EVP_DigestUpdate(context, base, bytes.count) == 1, "SHA-256 of \(bytes.count) bytes failed")
    }

    /// The digest of everything so far as 64 lower-case hexadecimal digits.
    package consuming func finish() -> String {
        var digest = [UInt8](repeating: 0, count: Self.digestBytes)
        precondition(EVP_DigestFinal_ex(context, &digest, nil) == 1, "SHA-256 could not be finished")
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits. A text is hashed through its `utf8` view.
package func sha256(_ bytes: some Collection<UInt8>) -> String {
    var stream = SHA256Stream()
    if bytes.withContiguousStorageIfAvailable({ stream.update(UnsafeRawBufferPointer($0)) }) == nil {
        Array(bytes).withUnsafeBytes { stream.update($0) }
    }
    return stream.finish()
}
