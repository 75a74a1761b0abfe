import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// Faults of the disk under a checkpoint: training goes on, to the bits of an undisturbed run.
    @Suite struct DiskFaultRuns {
        static let settings = ["steps=60", "evaluation.every=0", "checkpoint.every=20"]

        /// Whether the system does as asked, as it may not in a container.
        private static func permits(_ words: String...) -> Bool {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = words
            (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
            guard (try? process.run()) != nil else { return false }
            process.waitUntilExit()
            return process.terminationStatus == 0
        }

        private static let small = "mount -t tmpfs -o size=64k none /tmp && ! head -c 100000 /dev/zero > /tmp/full"
        private static let mountsAlone = permits("unshare", "--mount", "sh", "-c", small)
            || permits("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", small)
        private static let mountsNothing = "echo 0 > /proc/sys/user/max_mnt_namespaces"
        private static let canForbidMounts = permits("unshare", "--user", "--map-root-user", "sh", "-c", mountsNothing)

        private func reported(_ run: TestRun) throws -> String {
            let report = try run.headway("report", run.path)
            #expect(report.end == .exited(0), "\(report.complaint)")
            return report.output
        }

        private func outcome(_ record: RunRecord) throws -> FaultOutcome { try #require(FaultOutcome.all(record).first) }

        /// The checkpoint of step 20 met a full disk, was given up for it, and left nothing behind.
        private func expectFull(_ run: TestRun, _ record: RunRecord, by mechanism: Fault.Mechanism) throws {
            #expect(record.faults[0].firedNanoseconds != nil && record.faults[0].mechanism == mechanism)
            let failed = try #require(record.checkpoints.first)
            #expect(failed.step == 20 && failed.durableNanoseconds == nil && failed.status.hasPrefix("no room for checkpoint step-20 in "), "\(failed)")
            #expect(failed.status.contains(" bytes needed, 0 available"))
            #expect(record.checkpoints.dropFirst().allSatisfy { $0.status == "durable" } && record.checkpoints.count > 1)
            let names = try FileManager.default.contentsOfDirectory(atPath: run.path + "/checkpoints")
            #expect(!names.contains { $0.contains("tmp") }, "\(names)")
            let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
            #expect(!mounts.contains(run.folder))
            let outcome = try outcome(record)
            #expect(outcome.verdict == .found && outcome.mechanism == mechanism && outcome.takenFor == failed.status)
        }

        @Test(.enabled(if: mountsAlone, "nobody may mount a small file system here"))
        func `a disk that is full costs the checkpoint and nothing else, and it is the kernel who says so`() throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: 2, Self.settings, faults: ["diskfull writer step=20"], options: ["--pace", "4"]), Self.settings, steps: 60)
            try expectFull(run, record, by: .tmpfs)
            #expect(try reported(run).contains("by the kernel, on a small tmpfs that only the writer saw"))
            let table = try run.headway("report", run.path, "--table", "faults").output
            #expect(table.contains("mechanism") && table.contains("tmpfs"), "\(table)")
        }

        @Test(.enabled(if: canForbidMounts, "mounts cannot be forbidden to a process here"))
        func `where nobody may mount, the disk is full without the kernel, and the report says so`() throws {
            let run = try TestRun()
            run.program = try run.write("forbidding", "#!/bin/sh\nexec unshare --user --map-root-user sh -c '\(Self.mountsNothing) && exec \"$@\"' sh \(Command.program) \"$@\"\n".utf8)
            try #require(chmod(run.program, 0o755) == 0)
            let record = try run.expectFinished(run.train(workers: 2, Self.settings, faults: ["diskfull writer step=20"], options: ["--pace", "4"]), Self.settings, steps: 60)
            try expectFull(run, record, by: .storage)
            #expect(try reported(run).contains("by the storage protocol, without the kernel"))
        }

        @Test func `a disk that is full when the last checkpoint is begun, and no longer for the next writer, costs nothing`() throws {
            let run = try TestRun(), settings = ["steps=60", "evaluation.every=0"]
            let command = try run.train(workers: 2, settings, faults: ["diskfull writer step=0"]), record = try run.expectFinished(command, settings, steps: 60)
            #expect(record.faults[0].firedNanoseconds != nil && record.sessions.count == 1)
            #expect(record.checkpoints.map(\.step) == [60, 60] && record.checkpoints.last?.status == "durable")
            #expect(record.checkpoints[0].status.hasPrefix("no room for checkpoint step-60 in ") && command.output.contains("; once more\n"), "\(command.complaint)")
        }

        @Test func `training goes on while a slow disk takes its time`() throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings, faults: ["slowdisk writer step=20 rate=0.5MB/s"], options: ["--pace", "4"])
            let record = try run.expectFinished(command, Self.settings, steps: 60)
            let slow = try #require(record.checkpoints.first), durable = try #require(slow.durableNanoseconds)
            #expect(slow.step == 20 && durable - slow.requestedNanoseconds >= UInt64(Double(slow.bytes) / 0.5e6 * 1e9))
            #expect(record.commits.count { (slow.requestedNanoseconds...durable).contains($0.nanoseconds) } > 10)
            let outcome = try outcome(record)
            #expect(outcome.verdict == .silent && outcome.mechanism == .storage)
        }

        private static let damages = [("torn", " is truncated: 141120 of 282240 bytes in optimizer.safetensors"), ("flipped", " is damaged: MiB 1 of 1 of weights.safetensors does not have its recorded CRC-32C")]

        @Test(arguments: damages)
        func `a damaged checkpoint is passed over by those who begin again from it, and the report says so`(kind: String, damage: String) throws {
            let run = try TestRun(), faults = ["\(kind) writer step=40", "crash worker=1 step=58"]
            let record = try run.expectFinished(run.train(workers: 2, Self.settings, faults: faults, options: ["--policy", "restart", "--pace", "20"]), Self.settings, steps: 60)
            #expect(record.checkpoints.prefix(2).allSatisfy { $0.status == "durable" && $0.bytes > 0 })
            let said = "checkpoint step-40\(damage); restoring step-20 instead"
            #expect(record.restores.map(\.step) == [40, 20] && record.restores.map(\.damage) == [said, nil])
            let outcome = try outcome(record)
            #expect(outcome.verdict == .found && outcome.takenFor == said && outcome.mechanism == .file && outcome.latencyNanoseconds ?? 0 > 0)
            let report = try reported(run).split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(report.contains("rejected " + said) && report.contains("by changing the file on the disk"), "\(report)")
        }

        @Test(arguments: damages)
        func `a damaged checkpoint is passed over when a lost run is resumed, and the ledger says so`(kind: String, damage: String) throws {
            let run = try TestRun()
            let command = try run.train(workers: 2, Self.settings, faults: ["\(kind) writer step=40"], options: ["--pace", "20"])
            try command.wait(for: "checkpoint step-40 is durable")
            for process in run.processes { kill(process.pid, SIGKILL) }
            command.finish()
            #expect(unlink(try #require(run.segment)) == 0)
            let resumed = try run.resume(), record = try run.expectFinished(resumed, Self.settings, steps: 60)
            let said = "checkpoint step-40\(damage); restoring step-20 instead"
            #expect(resumed.output.contains(said) && record.sessions[1].startStep == 20)
            #expect(record.restores.map(\.session) == [2, 2] && record.restores.map(\.damage) == [said, nil])
            #expect(try outcome(record).verdict == .found)
        }

        @Test func `a damaged checkpoint that nobody reads is nobody's to find`() throws {
            let run = try TestRun()
            let record = try run.expectFinished(run.train(workers: 1, Self.settings, faults: ["torn writer step=20"]), Self.settings, steps: 60)
            #expect(record.faults[0].firedNanoseconds != nil && record.restores.isEmpty)
            #expect(try outcome(record).verdict == .silent)
        }
    }
}
