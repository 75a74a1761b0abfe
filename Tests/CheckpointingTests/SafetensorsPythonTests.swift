import Checkpointing
import Foundation
import Testing

/// Against the reference implementation, where the Python on the path has it.
@Suite struct SafetensorsPythonTests {
    struct Output { let status: Int32, text: String }

    static func python(_ script: String, _ arguments: String...) throws -> Output {
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", script] + arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Output(status: process.terminationStatus, text: text)
    }

    static let available = (try? python("import numpy, safetensors.numpy").status) == 0
    static let skipped: Comment = "python3 on the path has no safetensors and numpy"

    @Test(.enabled(if: available, skipped))
    func `the reference implementation reads what a checkpoint holds`() throws {
        let folder = try TemporaryFolder()
        let store = CheckpointStore(folder: folder.path)
        try store.saveSample(step: 480)
        let script = """
            import sys, numpy
            from safetensors import safe_open
            for path in sys.argv[1:]:
                with safe_open(path, framework="numpy") as f:
                    print(f.metadata()["format"], f.metadata()["step"])
                    for name in sorted(f.keys()):
                        t = f.get_tensor(name)
                        assert t.dtype == numpy.float32
                        print(name, list(t.shape), int(t.view(numpy.uint32).astype(numpy.uint64).sum()))
            """
        let output = try Self.python(
            script, store.file("weights.safetensors", step: 480).path,
            store.file("optimizer.safetensors", step: 480).path)

        let bits = SampleState(step: 480).bits
        func lines(_ prefix: String, _ block: Int) -> [String] {
            SampleState.entries.map { entry in
                let sum = bits[block][entry.offset..<entry.offset + entry.count].reduce(0) { $0 + UInt64($1) }
                return "\(prefix)\(entry.name) \(entry.shape) \(sum)"
            }
        }
        let expected = ["pt 480"] + lines("", 0).sorted() + ["pt 480"] + (lines("m.", 1) + lines("v.", 2)).sorted()
        #expect(output.status == 0)
        #expect(output.text.split(separator: "\n").map(String.init) == expected)
    }

    @Test(.enabled(if: available, skipped))
    func `the reader reads what the reference implementation writes`() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/x.safetensors"
        let script = """
            import sys, numpy
            from safetensors.numpy import save_file
            save_file({"b": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "a\\u00fc": numpy.float32([7])},
                      sys.argv[1], metadata={"format": "pt"})
            """
        let output = try Self.python(script, path)
        try #require(output.status == 0, "\(output.text)")
        let file = try SafetensorsFile(path)
        var b = [Float](repeating: 0, count: 6), a: [Float] = [0]
        try file.read("b", shape: [2, 3], into: &b)
        try file.read("aü", shape: [1], into: &a)
        #expect(b == [0, 1, 2, 3, 4, 5] && a == [7] && file.header.metadata == ["format": "pt"])
    }
}
