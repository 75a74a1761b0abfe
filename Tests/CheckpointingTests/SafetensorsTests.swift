import Checkpointing
import Foundation
import RunSpec
import Testing

@Suite struct SafetensorsTests {
    let folder: TemporaryFolder
    var path: String { folder.path + "/x.safetensors" }

    init() throws { folder = try TemporaryFolder() }

    /// The tensor `a` = [1, 2] without metadata.
    static let vector: [UInt8] =
        [0x38, 0, 0, 0, 0, 0, 0, 0] + Array(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  "#.utf8)
        + [0, 0, 0x80, 0x3F, 0, 0, 0, 0x40]

    @discardableResult
    func write(_ tensors: [(String, [Int], [Float])], metadata: [String: String] = [:]) throws -> FileRecord {
        let floats = tensors.flatMap(\.2)
        return try floats.withUnsafeBufferPointer { all in
            var offset = 0
            let list = tensors.map { name, shape, values in
                defer { offset += values.count }
                return Safetensors.Tensor(name: name, shape: shape, data: all.baseAddress! + offset)
            }
            return try Safetensors.write(list, metadata: metadata, to: path)
        }
    }

    /// The error of reading `bytes`.
    func refusal(of bytes: [UInt8]) throws -> SafetensorsError? {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        do throws(SafetensorsError) { _ = try SafetensorsFile(path) } catch { return error }
        return nil
    }

    func refusal(ofHeader json: String, dataBytes: Int = 0) throws -> SafetensorsError? {
        let length = (0..<8).map { UInt8(truncatingIfNeeded: json.utf8.count >> (8 * $0)) }
        return try refusal(of: length + Array(json.utf8) + [UInt8](repeating: 0, count: dataBytes))
    }

    @Test func `the writer gives the test vector bit for bit`() throws {
        try write([("a", [2], [1, 2])])
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(Self.vector))
    }

    @Test func `the reader reads the test vector`() throws {
        #expect(try refusal(of: Self.vector) == nil)
        let file = try SafetensorsFile(path)
        var values: [Float] = [0, 0]
        try file.read("a", shape: [2], into: &values)
        #expect(values == [1, 2])
        #expect(file.header.tensors.map(\.name) == ["a"] && file.header.metadata.isEmpty)
    }

    @Test func `tensors of all shapes come back with their bits, names and metadata`() throws {
        let long = (0..<(1 << 19) + 3).map { Float(bitPattern: UInt32($0) &* 2_654_435_761) }
        let tensors: [(String, [Int], [Float])] = [
            ("z.first", [3, 5], (0..<15).map(Float.init)), ("scalar", [], [4]), ("empty", [0, 9], []),
            ("long", [long.count], long), ("\"quoted\\ \n ü/\u{1F600}", [1, 1, 2], [-0.0, .infinity]),
        ]
        let metadata = ["format": "pt", "a/b": "\"c\"", "": ""]
        let record = try write(tensors, metadata: metadata)
        let file = try SafetensorsFile(path)
        #expect(file.header.metadata == metadata)
        #expect(file.header.dataOffset % 64 == 0)
        for (name, shape, expected) in tensors {
            var values = [Float](repeating: 0, count: expected.count)
            try file.read(name, shape: shape, into: &values)
            #expect(values.map(\.bitPattern) == expected.map(\.bitPattern), "\(name)")
        }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(record.bytes == bytes.count && record.sha256 == sha256(bytes) && record.name == "x.safetensors")
        let pieces = stride(from: 0, to: bytes.count, by: 1 << 20).map { bytes[$0..<min($0 + 1 << 20, bytes.count)] }
        #expect(record.crc32c == pieces.map(Self.crc32c) && pieces.count == 3)
        #expect(Self.crc32c(Data("123456789".utf8)) == 0xE306_9283)
    }

    /// The definition: the reflected polynomial, bit by bit.
    private static func crc32c(_ bytes: Data) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) } }
    }

    @Test func `standard metadata names the format, and an empty list makes a valid file`() throws {
        try Safetensors.write([], to: path)
        let file = try SafetensorsFile(path)
        #expect(file.header.metadata == ["format": "pt"] && file.header.tensors.isEmpty)
    }

    @Test func `reading asks for the right name and shape`() throws {
        try write([("a", [2, 3], [1, 2, 3, 4, 5, 6])])
        let file = try SafetensorsFile(path)
        var values = [Float](repeating: 0, count: 6)
        func refusal(_ name: String, _ shape: [Int]) -> SafetensorsError? {
            do throws(SafetensorsError) { try file.read(name, shape: shape, into: &values) } catch { return error }
            return nil
        }
        #expect(refusal("b", [2, 3]) == .missing(name: "b"))
        #expect(refusal("a", [3, 2]) == .shape(name: "a", found: [2, 3], expected: [3, 2]))
    }

    @Test func `other types are read when asked for, and never as floats`() throws {
        let header = #"{"i":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}"#
        #expect(try refusal(ofHeader: header, dataBytes: 8) == nil)
        let file = try SafetensorsFile(path)
        var values: [Int32] = [1, 1]
        #expect(throws: SafetensorsError.type(name: "i", found: .i32, expected: .f32)) {
            try file.read("i", shape: [2], into: &values)
        }
        try file.read("i", type: .i32, shape: [2], into: &values)
        #expect(values == [0, 0])
    }

    @Test func `every truncation and every extension is refused with found and expected bytes`() throws {
        for count in 0..<Self.vector.count {
            let expected = count < 8 ? 8 : count < 64 ? 64 : 72
            let error = try refusal(of: Array(Self.vector.prefix(count)))
            #expect(error == .truncated(foundBytes: count, expectedBytes: expected), "\(count) bytes")
        }
        #expect(try refusal(of: Self.vector + [0]) == .tooLong(foundBytes: 73, expectedBytes: 72))
        #expect(try "\(refusal(of: Array(Self.vector.prefix(70)))!)" == "is truncated: 70 of 72 bytes")
    }

    @Test func `a file that is not there is an error of the file system`() {
        let absent = SafetensorsError.storage(StorageError(.open, path, code: ENOENT))
        #expect(throws: absent) { _ = try SafetensorsFile(path) }
    }

    @Test func `a header above the limit is refused before it is read`() throws {
        let error = try refusal(of: [0x01, 0xE1, 0xF5, 0x05, 0, 0, 0, 0] + [UInt8](repeating: 0x20, count: 8))
        #expect(error == .headerTooLarge(bytes: 100_000_001))
        #expect(try refusal(of: [UInt8](repeating: 255, count: 16)) == .headerTooLarge(bytes: .max))
    }

    @Test func `sizes, holes, overlaps, types and duplicates are refused by name`() throws {
        func tensor(_ name: String, _ begin: Int, _ end: Int, shape: String = "1", type: String = "F32") -> String {
            "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[\(begin),\(end)]}"
        }
        func error(_ tensors: String..., bytes: Int) throws -> SafetensorsError? {
            try refusal(ofHeader: "{\(tensors.joined(separator: ", "))}", dataBytes: bytes)
        }
        #expect(try error(tensor("b", 4, 8), tensor("a", 0, 4), bytes: 8) == nil)
        #expect(try error(tensor("a", 0, 8), bytes: 8) == .size(name: "a", shape: [1], foundBytes: 8))
        #expect(try error(tensor("a", 0, 4), tensor("b", 8, 12), bytes: 12)
            == .gap(name: "b", begin: 8, expectedBegin: 4))
        #expect(try error(tensor("a", 0, 8, shape: "2"), tensor("b", 4, 8), bytes: 8)
            == .gap(name: "b", begin: 4, expectedBegin: 8))
        #expect(try error(tensor("a", 4, 8), bytes: 8) == .gap(name: "a", begin: 4, expectedBegin: 0))
        #expect(try error(tensor("a", 0, 2, type: "F6_E2M3"), bytes: 2) == .unknownType(name: "a", "F6_E2M3"))
        #expect(try error(tensor("a", 0, 4, type: "BF16"), bytes: 4) == .size(name: "a", shape: [1], foundBytes: 4))
        #expect(try error(tensor("a", 0, 4), tensor("a", 4, 8), bytes: 8) == .duplicate(name: "a"))
        #expect(try error(tensor("a", 0, 4), tensor("\\u0061", 4, 8), bytes: 8) == .duplicate(name: "a"))
        #expect(try error(#""__metadata__":{"k":"1","k":"2"}"#, bytes: 0) == .duplicate(name: "k"))
        let huge = "4611686018427387904,4"
        #expect(try error(tensor("a", 0, 0, shape: huge), bytes: 0)
            == .size(name: "a", shape: [4_611_686_018_427_387_904, 4], foundBytes: 0))
    }

    @Test(arguments: [
        "", " {}", "[]", "{", "{}x", "{\"a\"}", "{\"a\":1}", "{\"a\":{}}", "{\"\u{1}\":{}}", "{\"a", "{\"a\\",
        "{}\u{0}",
        #"{"__metadata__":{"k":1}}"#, #"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#,
        #"{"a":{"dtype":"F32","shape":[1]}}"#,
    ])
    func `a header that is not of the format is refused with the place`(json: String) throws {
        guard case .malformedHeader? = try refusal(ofHeader: json, dataBytes: 4) else {
            Issue.record("read \(json)")
            return
        }
    }
}
