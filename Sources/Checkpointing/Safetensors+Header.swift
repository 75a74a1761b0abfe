import FoundationEssentials

extension Safetensors {
    /// Everything before the data: length, JSON in the order given, padding. Offsets follow that order.
    static func encodeHeader(_ tensors: [Tensor], metadata: [String: String]) -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
            members.append("\(quoted(metadataKey)):{\(pairs.joined(separator: ","))}")
        }
        var offset = 0
        for tensor in tensors {
            let shape = tensor.shape.map(String.init).joined(separator: ","), end = offset + 4 * tensor.count
            members.append(
                "\(quoted(tensor.name)):{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var json = Array("{\(members.joined(separator: ","))}".utf8)
        json += [UInt8](repeating: UInt8(ascii: " "), count: -(prefixBytes + json.count) & (dataAlignment - 1))
        precondition(json.count <= headerLimitBytes, "a header of \(json.count) bytes")
        return (0..<prefixBytes).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) } + json
    }

    private static func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        if isPlain { return "\"\(text)\"" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let json = try? encoder.encode(text) else { preconditionFailure("no JSON for \(text)") }
        return String(decoding: json, as: UTF8.self)
    }

    /// The length of the JSON that follows the first eight bytes of a file of `fileBytes`.
    static func headerLength(prefix: [UInt8], fileBytes: Int) throws(SafetensorsError) -> Int {
        guard prefix.count == prefixBytes else {
            throw .truncated(foundBytes: fileBytes, expectedBytes: prefixBytes)
        }
        let length = prefix.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        guard length <= headerLimitBytes else { throw .headerTooLarge(bytes: length) }
        let end = prefixBytes + Int(length)
        guard end <= fileBytes else { throw .truncated(foundBytes: fileBytes, expectedBytes: end) }
        return Int(length)
    }
}

extension Safetensors.Header {
    /// Parses and validates the JSON of a file of `fileBytes`.
    init(json: [UInt8], fileBytes: Int) throws(SafetensorsError) {
        var scanner = HeaderScanner(json), metadata: [String: String] = [:], tensors: [Safetensors.TensorInfo] = []
        try scanner.object { scanner, name throws(SafetensorsError) in
            if name == Safetensors.metadataKey {
                try scanner.object { scanner, key throws(SafetensorsError) in metadata[key] = try scanner.string() }
            } else {
                tensors.append(try scanner.tensor(name))
            }
        }
        try scanner.end()
        tensors.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }

        var end = 0
        for tensor in tensors {
            guard tensor.bytes.lowerBound == end else {
                throw .gap(name: tensor.name, begin: tensor.bytes.lowerBound, expectedBegin: end)
            }
            end = tensor.bytes.upperBound
        }
        dataOffset = Safetensors.prefixBytes + json.count
        let (expected, overflow) = dataOffset.addingReportingOverflow(end)
        guard !overflow, expected <= fileBytes else {
            throw .truncated(foundBytes: fileBytes, expectedBytes: overflow ? .max : expected)
        }
        guard expected == fileBytes else { throw .tooLong(foundBytes: fileBytes, expectedBytes: expected) }
        self.metadata = metadata
        self.tensors = tensors
    }
}

/// A strict scanner for the one shape of JSON a header has. It never recurses, and it refuses a key that comes
/// twice in an object, which general JSON readers let pass.
private struct HeaderScanner {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private func malformed(_ expected: String) -> SafetensorsError {
        .malformedHeader(byte: Safetensors.prefixBytes + at, expected: expected)
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(SafetensorsError) {
        guard take(character) else { throw malformed("'\(character)'") }
    }

    mutating func object(
        _ member: (inout HeaderScanner, _ key: String) throws(SafetensorsError) -> Void
    ) throws(SafetensorsError) {
        if at == 0, bytes.first != UInt8(ascii: "{") { throw malformed("'{'") }
        try expect("{")
        if take("}") { return }
        var seen: Set<String> = []
        repeat {
            let key = try string()
            guard seen.insert(key).inserted else { throw .duplicate(name: key) }
            try expect(":")
            try member(&self, key)
        } while take(",")
        try expect("}")
    }

    mutating func string() throws(SafetensorsError) -> String {
        skipSpace()
        let start = at
        try expect("\"")
        while at < bytes.count, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
        guard at < bytes.count, let text = try? JSONDecoder().decode(String.self, from: Data(bytes[start...at])) else {
            at = start
            throw malformed("a text")
        }
        at += 1
        return text
    }

    private mutating func integers() throws(SafetensorsError) -> [Int] {
        try expect("[")
        if take("]") { return [] }
        var list: [Int] = []
        repeat {
            skipSpace()
            let digits = bytes[at...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard digits.count == 1 || digits.first != UInt8(ascii: "0"),
                let value = Int(String(decoding: digits, as: UTF8.self))
            else { throw malformed("a whole number") }
            list.append(value)
            at += digits.count
        } while take(",")
        try expect("]")
        return list
    }

    mutating func tensor(_ name: String) throws(SafetensorsError) -> Safetensors.TensorInfo {
        var type: String?, shape: [Int]?, offsets: [Int]?
        try object { scanner, key throws(SafetensorsError) in
            switch key {
            case "dtype": type = try scanner.string()
            case "shape": shape = try scanner.integers()
            case "data_offsets": offsets = try scanner.integers()
            default: throw scanner.malformed("dtype, shape or data_offsets before the value of \(key)")
            }
        }
        guard let type, let shape, let offsets else { throw malformed("dtype, shape and data_offsets of \(name)") }
        guard let type = Safetensors.ValueType(rawValue: type) else { throw .unknownType(name: name, type) }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw malformed("two rising data_offsets of \(name)")
        }
        let size = shape.reduce((type.bytes, false)) { size, extent in
            let (product, overflow) = size.0.multipliedReportingOverflow(by: extent)
            return (product, size.1 || overflow)
        }
        guard !size.1, size.0 == offsets[1] - offsets[0] else {
            throw .size(name: name, shape: shape, foundBytes: offsets[1] - offsets[0])
        }
        return Safetensors.TensorInfo(name: name, type: type, shape: shape, bytes: offsets[0]..<offsets[1])
    }

    /// Only spaces may follow the object.
    mutating func end() throws(SafetensorsError) {
        skipSpace()
        guard at == bytes.count else { throw malformed("only spaces after the object") }
    }
}
