import Checkpointing
import Foundation
import Testing

@Suite struct DiskStorageTests {
    private let folder: TemporaryFolder, disk = DiskStorage()

    init() throws { folder = try TemporaryFolder() }

    private func files(_ count: Int) throws(StorageError) -> [OpenFile] {
        try (0..<count).map { number throws(StorageError) in try disk.create("\(folder.path)/\(number)") }
    }

    @Test func `of what is synced at once every failure counts`() throws {
        let good = try files(3), bad = OpenFile(path: "bad", descriptor: -1)
        try disk.sync(good, [folder.path])
        for place in 0...3 {
            var all = good
            all.insert(bad, at: place)
            #expect(throws: StorageError(.sync, "bad", code: EBADF), "place \(place)") { try disk.sync(all, [folder.path]) }
        }
        let gone = folder.path + "/gone"
        #expect(throws: StorageError(.syncDirectory, gone, code: ENOENT)) { try disk.sync(good, [folder.path, gone]) }
        for file in good { try disk.close(file) }
    }
}
