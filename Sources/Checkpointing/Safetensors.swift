// The safetensors file format on little-endian machines. Only float32 is written; other types can be read.
//
//   bytes 0 ..< 8            N, the length of the header, unsigned, little-endian
//   bytes 8 ..< 8+N          the header: one JSON object that starts with "{", padded on the right with spaces
//   bytes 8+N ..< the end    the data: row-major values, no strides, no gaps
//
//   header: {"__metadata__": {"key": "text", ...},
//            "name": {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}, ...}
//
// A file is valid when N is at most 100,000,000; no key comes twice; metadata values are texts; end - begin is
// product(shape) times the width of the type for each tensor, offsets counting from 8+N; the tensors, ordered by
// offset, tile the data without hole or overlap; and 8 + N + the last end is the size of the file. Shape [] is one
// value; a 0 in a shape makes an empty tensor. The writer pads the header so that the data starts at a multiple of 64 and gives
// `"format": "pt"`, which some loaders insist on. Truncation shows in the size rule; a flipped byte of data shows
// only against checksums kept elsewhere.

/// Namespace of the format; the reader of single files is `SafetensorsFile`.
package enum Safetensors {
    package static let headerLimitBytes = 100_000_000
    package static let standardMetadata = ["format": "pt"]
    static let metadataKey = "__metadata__"
    static let prefixBytes = 8
    /// So that copies go from line to line.
    static let dataAlignment = 64

    /// A tensor to write: `product(shape)` floats at `data`, which must stay unchanged until the write returns.
    package struct Tensor {
        package let name: String
        package let shape: [Int]
        package let data: UnsafePointer<Float>

        package init(name: String, shape: [Int], data: UnsafePointer<Float>) {
            self.name = name
            self.shape = shape
            self.data = data
        }
        package var count: Int { shape.reduce(1, *) }
    }

    /// The types of whole bytes.
    package enum ValueType: String, CaseIterable, Sendable {
        case bool = "BOOL", u8 = "U8", i8 = "I8", f8E5M2 = "F8_E5M2", f8E4M3 = "F8_E4M3"
        case u16 = "U16", i16 = "I16", f16 = "F16", bf16 = "BF16"
        case u32 = "U32", i32 = "I32", f32 = "F32"
        case u64 = "U64", i64 = "I64", f64 = "F64", c64 = "C64"

        package var bytes: Int {
            switch self {
            case .bool, .u8, .i8, .f8E5M2, .f8E4M3: 1
            case .u16, .i16, .f16, .bf16: 2
            case .u32, .i32, .f32: 4
            case .u64, .i64, .f64, .c64: 8
            }
        }
    }

    /// What a header says of one tensor. `bytes` counts from the start of the data.
    package struct TensorInfo: Hashable, Sendable {
        package let name: String
        package let type: ValueType
        package let shape: [Int]
        package let bytes: Range<Int>
    }

    /// A validated header: `tensors` are ordered by offset and tile the data.
    package struct Header: Hashable, Sendable {
        package let metadata: [String: String]
        package let tensors: [TensorInfo]
        /// Where the data starts in the file.
        package let dataOffset: Int
    }
}

/// Why a file is not a safetensors file that can be read here. Each description continues a sentence that starts
/// with the name of the file.
package enum SafetensorsError: Error, Hashable, CustomStringConvertible, Sendable {
    case storage(StorageError)
    case truncated(foundBytes: Int, expectedBytes: Int)
    case tooLong(foundBytes: Int, expectedBytes: Int)
    case headerTooLarge(bytes: UInt64)
    case malformedHeader(byte: Int, expected: String)
    case duplicate(name: String)
    case unknownType(name: String, String)
    case type(name: String, found: Safetensors.ValueType, expected: Safetensors.ValueType)
    case size(name: String, shape: [Int], foundBytes: Int)
    case gap(name: String, begin: Int, expectedBegin: Int)
    case missing(name: String)
    case shape(name: String, found: [Int], expected: [Int])

    package var description: String {
        switch self {
        case .storage(let error): "cannot be read: \(error)"
        case .truncated(let found, let expected): "is truncated: \(found) of \(expected) bytes"
        case .tooLong(let found, let expected): "is too long: \(found) bytes instead of \(expected)"
        case .headerTooLarge(let bytes):
            "claims a header of \(bytes) bytes; the format allows \(Safetensors.headerLimitBytes)"
        case .malformedHeader(let byte, let expected): "has a malformed header: expected \(expected) at byte \(byte)"
        case .duplicate(let name): "names \(name) twice"
        case .unknownType(let name, let type): "holds \(name) as \(type), a type that is not read here"
        case .type(let name, let found, let expected):
            "holds \(name) as \(found.rawValue) instead of \(expected.rawValue)"
        case .size(let name, let shape, let bytes): "gives \(name) of shape \(shape) \(bytes) bytes"
        case .gap(let name, let begin, let expected):
            "has a gap or an overlap: \(name) begins at byte \(begin) of the data instead of \(expected)"
        case .missing(let name): "has no tensor \(name)"
        case .shape(let name, let found, let expected): "holds \(name) with shape \(found) instead of \(expected)"
        }
    }
}
