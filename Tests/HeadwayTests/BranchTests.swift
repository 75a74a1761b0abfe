import Foundation
import GRDB
import Ledger
import RunSpec
import Testing
import Training

extension HeadwayCommand {
    /// Runs that begin from checkpoints of others, and runs that go back to one of their own.
    @Suite struct Branches {
        static let settings = ["checkpoint.every=5", "checkpoint.keep=100", "evaluation.every=10"]
        /// Steps as short as the tiny model's outrun the disk, and checkpoints that fall due meanwhile come later.
        static let pace = ["--pace", "10"]

        /// A finished run of 50 steps, a checkpoint of it that is neither the first nor the last, and where that is.
        private func parent() throws -> (run: TestRun, step: Int, from: String) {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 4, Self.settings, options: Self.pace), Self.settings)
            try #require(run.checkpoints.count > 2)
            let step = run.checkpoints[run.checkpoints.count / 2]
            return (run, step, "run@\(step)")
        }

        private func branch(_ run: TestRun, _ from: String, to name: String, _ rest: String...) throws -> Command {
            let command = try run.start(["train", "--from", from, "--out", "\(run.folder)/\(name)"] + rest)
            command.finish()
            return command
        }

        private func record(_ run: TestRun, _ name: String) throws -> RunRecord { try LedgerStore.read("\(run.folder)/\(name)/ledger.sqlite") }

        private func isVerified(_ run: TestRun, _ name: String, against: String? = nil) throws -> Bool {
            try run.headway("verify", "\(run.folder)/\(name)", "--against", against ?? "\(run.folder)/\(name)").end == .exited(0)
        }

        @Test func `a branch with nothing changed but the workers ends with the bits of its parent`() throws {
            let (run, step, from) = try parent()
            let command = try branch(run, from, to: "branch", "--workers", "3", "--fault", "crash worker=1 step=48")
            try #require(command.end == .exited(0), "\(command.complaint)")
            let mine = try record(run, "branch")
            #expect(try mine.facts[RunFact.finalDigest] == TestRun.reference(Self.settings))
            #expect(mine.commits.map(\.step) == Array(step + 1...50) && mine.incidents.count == 1)
            #expect(mine.facts[RunFact.origin] == from && mine.startStep == step && mine.sessions.map(\.source) == ["origin"])
            #expect(try mine.facts[RunFact.initialHash] == run.record.commits.last { $0.step == step }?.stateHash)
            #expect(mine.checkpoints.first?.step == step && mine.checkpoints.first?.status == "durable")
            #expect(try isVerified(run, "branch", against: run.path))
            let report = try run.headway("report", run.folder + "/branch").output
            #expect(report.contains("finished after \(50 - step) of \(50 - step) steps") && report.contains("\(from), after \(step) committed steps"), "\(report)")
        }

        @Test func `a branch goes on for longer, from the newest checkpoint, and others from it`() throws {
            let run = try parent().run
            let finished = try run.headway("resume", run.path)
            run.expectRefused(finished, .usage, "is finished", "headway train --from \(run.path) --set steps=100")
            run.expectRefused(try branch(run, "run", to: "none"), .usage, "run@50 has 50 committed steps", "--set steps=")
            try #require(branch(run, "run", to: "long", "--set", "steps=70", "--set", "schedule.peak=5e-4").end == .exited(0))
            let long = try record(run, "long")
            #expect(long.commits.map(\.step) == Array(51...70) && long.facts[RunFact.steps] == "70" && long.facts[RunFact.outcome] == "finished")
            #expect(try isVerified(run, "long"))
            let middle = try #require(long.checkpoints.first { $0.step > 50 && $0.step < 70 }).step
            try #require(branch(run, "long@\(middle)", to: "again").end == .exited(0))
            #expect(try record(run, "again").facts[RunFact.finalDigest] == long.facts[RunFact.finalDigest])
        }

        /// Elastic after the loss of all, and restart, both before the first commit of the run's own and after.
        @Test func `a branch whose workers are lost goes back to its origin, not to the seed`() throws {
            let (run, step, from) = try parent()
            let command = try branch(run, from, to: "branch", "--policy", "restart", "--workers", "2", "--fault", "crash worker=1 step=\(step + 2)", "--set", "checkpoint.every=0")
            try #require(command.end == .exited(0), "\(command.complaint)")
            let mine = try record(run, "branch")
            #expect(mine.commits.map(\.step) == [step + 1, step + 2] + Array(step + 1...50) && mine.incidents.count == 1)
            #expect(try mine.facts[RunFact.finalDigest] == TestRun.reference(Self.settings))
            #expect(try isVerified(run, "branch"))
        }

        @Test func `a branch that lost its launcher and its memory is taken up from its origin`() throws {
            let (run, step, from) = try parent(), folder = run.folder + "/branch"
            let command = try run.start(["train", "--from", from, "--out", folder, "--set", "checkpoint.every=0", "--workers", "2", "--fault", "crash launcher step=\(step + 3) point=commit"])
            #expect(command.finish() == .signalled(9))
            let (_, description) = try RunFolder(folder).read()
            #expect(eventually { run.workers.isEmpty } && unlink("/dev/shm" + description.segmentName) == 0)
            let resumed = try run.headway("resume", folder)
            try #require(resumed.end == .exited(0), "\(resumed.complaint)")
            #expect(try record(run, "branch").sessions.map(\.startStep) == [step, step])
            #expect(try record(run, "branch").facts[RunFact.finalDigest] == TestRun.reference(Self.settings))
            #expect(try isVerified(run, "branch"))
        }

        @Test(arguments: ["-", "story.txt"])
        func `a branch has the text of its parent, wherever that came from, and says what to do if it needs it otherwise`(text: String) throws {
            let run = try TestRun(), story = try run.write("story.txt", String(repeating: "the quick brown fox jumps over the lazy dog\n", count: 400).utf8)
            let parent = try run.train(workers: 2, Self.settings, options: Self.pace, text: text, input: story)
            try #require(parent.finish() == .exited(0), "\(parent.complaint)")
            let digest = try #require(run.record.facts[RunFact.finalDigest]), step = try #require(run.checkpoints.dropFirst().first)
            try #require(mkdir(run.folder + "/elsewhere", 0o755) == 0 && unlink(story) == 0)
            func branch(_ name: String, _ rest: String...) throws -> Command {
                let command = try Command(["train", "--from", "\(run.path)@\(step)", "--out", "\(run.folder)/\(name)"] + rest, in: run.folder + "/elsewhere")
                command.finish()
                return command
            }
            let same = try branch("same")
            try #require(same.end == .exited(0), "\(same.complaint)")
            let mine = try record(run, "same")
            #expect(try mine.facts[RunFact.finalDigest] == digest && mine.facts[RunFact.sources] == run.record.facts[RunFact.sources] && isVerified(run, "same"))
            #expect(try mine.facts[RunFact.bytesPerToken] == run.record.facts[RunFact.bytesPerToken])
            let refused = try branch("other", "--set", "data.validation=0.2", "--allow", "corpus")
            let said = text == "-" ? "came from standard input" : "has the name story.txt from where that run was begun"
            run.expectRefused(refused, .usage, "another data.validation needs the text of \(run.path) again, which \(said): name it with --text")
            let given = try run.write("given.txt", String(repeating: "sphinx of black quartz, judge my vow\n", count: 400).utf8)
            let other = try branch("other", "--text", given, "--allow", "corpus")
            #expect(other.end == .exited(0), "\(other.complaint)")
            #expect(try record(run, "other").facts[RunFact.sources] == given)
        }

        /// What is changed, what is said of it, and what allows it.
        static let mismatches: [(arguments: [String], words: [String], allow: String?)] = [
            (["--set", "model.width=64", "--allow", "seed,corpus,core,version"], ["model.width 32, not 64", "no other model"], nil),
            (["--set", "data.tokenizer=char"], ["model.vocabulary 256, not "], nil),
            (["--set", "seed=2"], ["seed 1, not 2; --allow seed"], "seed"),
            (["--set", "data.talesSeed=2"], ["another training text or tokenizer; --allow corpus"], "corpus"),
        ]

        @Test func `a state that does not fit is refused with what differs, and taken where that is allowed by name`() throws {
            let (run, _, from) = try parent()
            for (arguments, words, allow) in Self.mismatches {
                let refused = try run.start(["train", "--from", from, "--out", run.folder + "/none"] + arguments)
                refused.finish()
                #expect(refused.end == .exited(Int(UserError.Status.badInput.rawValue)) && refused.errors.hasPrefix("headway: \(from) was made with "), "\(refused.complaint)")
                for word in words { #expect(refused.errors.contains(word), "\(refused.complaint)") }
                #expect(!FileManager.default.fileExists(atPath: run.folder + "/none"))
                guard let allow else { continue }
                let allowed = try run.start(["train", "--from", from, "--out", run.folder + "/" + allow, "--allow", allow] + arguments)
                try #require(allowed.finish() == .exited(0), "\(allowed.complaint)")
                #expect(try record(run, allow).facts[RunFact.allowed] != nil && isVerified(run, allow))
            }
        }

        /// Of the run's own checkpoints, a manifest that is whole and says so.
        private func reseal(_ run: TestRun, step: Int, _ old: String, _ new: String) throws {
            let path = String(format: "%@/checkpoints/step-%010d/manifest.json", run.path, step)
            let body = try #require(String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "\n").first)
            let other = body.replacingOccurrences(of: old, with: new)
            try #require(other != body)
            try Data("\(other)\n,\"manifestSHA256\":\"\(sha256(other.utf8))\"}\n".utf8).write(to: URL(fileURLWithPath: path))
        }

        @Test func `a state of another BLAS core or headway is refused, and taken where that is allowed`() throws {
            let (run, step, from) = try parent()
            for (name, key, words) in [("core", "\"kernelCore\":\"", "BLAS core Other"), ("version", "\"headwayVersion\":\"", "headway Other")] {
                try reseal(run, step: step, key, key + "Other")
                let refused = try branch(run, from, to: name)
                #expect(refused.end == .exited(65) && refused.errors.contains("was made with \(words)") && refused.errors.contains("--allow \(name) "), "\(refused.complaint)")
                let allowed = try branch(run, from, to: name, "--allow", name)
                try #require(allowed.end == .exited(0), "\(allowed.complaint)")
                #expect(try record(run, name).facts[RunFact.finalDigest] == TestRun.reference(Self.settings))
                try reseal(run, step: step, key + "Other", key)
            }
        }

        @Test func `what a branch cannot begin from is refused in one sentence`() throws {
            let (run, step, from) = try parent()
            for (name, more, status, words) in [
                ("run@51", [], UserError.Status.missing, "there is no checkpoint step-51 in run/checkpoints; there are 50, "),
                ("none@20", [], .missing, "none holds no run"),
                (from, ["--preset", "tiny"], .usage, "--preset tiny with --from"),
                (from, ["--allow", "sed"], .usage, "did you mean `seed`?"),
                (from, ["--fault", "crash worker=0 step=\(step - 1)"], .usage, "step \(step - 1) is committed"),
            ] {
                let command = try run.start(["train", "--from", name, "--out", run.folder + "/other"] + more)
                command.finish()
                #expect(command.end == .exited(Int(status.rawValue)) && command.errors.contains(words), "\(command.complaint)")
                #expect(!FileManager.default.fileExists(atPath: run.folder + "/other"))
            }
            run.expectRefused(try run.headway("train", "--preset", "tiny", "--allow", "seed", "--out", "other"), .usage, "--allow goes with --from")
            run.expectNoSegmentStranded()
        }

        // MARK: Going back

        private func interrupted(_ run: TestRun, settings: [String]) throws {
            let command = try run.train(workers: 4, settings, options: Self.pace)
            try command.wait(for: "step 50: validation loss")
            command.signal(SIGINT)
            try run.expectInterrupted(command)
        }

        @Test func `a run that goes back to a chosen checkpoint with fewer workers books what it rolls back`() throws {
            let run = try TestRun(), settings = ["steps=120", "checkpoint.every=10", "checkpoint.keep=100", "evaluation.every=10"]
            try interrupted(run, settings: settings)
            let steps = run.checkpoints, chosen = try #require(steps.dropFirst(2).first), last = steps[0]
            run.expectRefused(try run.headway("resume", run.path, "--at", "3"), .missing, "no checkpoint step-3", "there are \(last)")
            let command = try run.resume("--at", "\(chosen)", "--workers", "3")
            let record = try run.expectFinished(command, settings, steps: 120)
            #expect(command.output.contains("restored checkpoint step-\(chosen); \(last - chosen) committed steps after it are computed again"), "\(command.output)")
            #expect(record.sessions[1].startStep == chosen && record.sessions[1].source == "chosen checkpoint")
            let account = RunAccount(record)
            #expect(account.accounts.nanoseconds(.rolledBack) > 0 && record.commits.count - account.commits.count == last - chosen)
            let names = try FileManager.default.contentsOfDirectory(atPath: run.path + "/checkpoints").filter { $0.hasSuffix(".superseded") }
            #expect(names.count == steps.filter { $0 > chosen }.count)
            #expect(try run.headway("report", run.path).output.contains("to step \(chosen) in session 2, as asked"))
        }

        private func superseded(_ run: TestRun) -> Int {
            ((try? FileManager.default.contentsOfDirectory(atPath: run.path + "/checkpoints")) ?? []).count { $0.contains(".superseded") }
        }

        @Test func `a launcher that is killed while it goes back leaves a run that goes on from there`() throws {
            let (run, _, _) = try parent(), steps = run.checkpoints, chosen = steps[steps.count - 1]
            let command = try run.resume("--at", "\(chosen)")
            while superseded(run) == 0, kill(command.pid, 0) == 0 {}
            command.signal(SIGKILL)
            try #require(command.finish() == .signalled(9))
            #expect(try run.record.facts[RunFact.outcome] == "running" && run.record.position.step == chosen)
            let record = try run.expectFinished(run.resume(), Self.settings)
            #expect(record.sessions.map(\.startStep) == [0, chosen, chosen] && record.commits.count == 100 - chosen)
            #expect(superseded(run) == steps.count - 1)
        }

        /// Between what the ledger says and the first checkpoint that is set aside.
        @Test func `a run that is to go back, and whose newer checkpoints are all there yet, goes back`() throws {
            let (run, chosen, _) = try parent(), newer = run.checkpoints.filter { $0 > chosen }.count
            let ledger = try LedgerStore(writing: run.path + "/ledger.sqlite"), now = MonotonicClock.nanoseconds()
            try ledger.put(SessionRow(session: 2, startedNanoseconds: now, startedUnixSeconds: 0, startStep: chosen, source: "chosen checkpoint"))
            try ledger.setFact(RunFact.outcome, "running")
            let report = try run.headway("report", run.path)
            #expect(report.end == .exited(0) && !report.output.contains("the end of the ledger is lost"), "\(report.output)")
            let record = try run.expectFinished(run.resume(), Self.settings)
            #expect(record.sessions.map(\.startStep) == [0, chosen, chosen] && record.commits.count == 100 - chosen && superseded(run) == newer)
        }

        @Test func `going back gives up the state in shared memory, but not for a checkpoint that is damaged`() throws {
            let run = try TestRun(), settings = ["steps=120", "checkpoint.every=10", "checkpoint.keep=100", "evaluation.every=20"]
            let command = try run.train(workers: 2, settings, faults: ["crash launcher step=70 point=commit"], options: Self.pace)
            #expect(command.finish() == .signalled(9))
            let steps = run.checkpoints, chosen = try #require(steps.last)
            try #require(steps.count > 1)
            let path = String(format: "%@/checkpoints/step-%010d/weights.safetensors", run.path, steps[0])
            try #require(truncate(path, 1000) == 0)
            run.expectRefused(try run.headway("resume", run.path, "--at", "\(steps[0])"), .badInput, "step-\(steps[0]) is truncated")
            #expect(try FileManager.default.fileExists(atPath: #require(run.segment)))
            let record = try run.expectFinished(run.resume("--at", "\(chosen)"), settings, steps: 120)
            #expect(record.sessions[1].startStep == chosen)
        }

        @Test func `a checkpoint that the ledger contradicts is not gone back to, and all stays as it is`() throws {
            let run = try TestRun(), settings = ["steps=120", "checkpoint.every=10", "checkpoint.keep=100", "evaluation.every=20"]
            let command = try run.train(workers: 2, settings, faults: ["crash launcher step=70 point=commit"], options: Self.pace)
            #expect(command.finish() == .signalled(9))
            let steps = run.checkpoints, chosen = try #require(steps.last)
            let ledger = try DatabaseQueue(path: run.path + "/ledger.sqlite")
            func change(_ from: String, _ to: String) throws {
                try ledger.write { db in try db.execute(sql: "UPDATE commits SET stateHash = replace(stateHash, ?, ?) WHERE step = ?", arguments: [from, to, chosen]) }
            }
            let hash = try #require(run.record.stateHash(at: chosen)), other = String(hash.reversed())
            try change(hash, other)
            run.expectRefused(try run.headway("resume", run.path, "--at", "\(chosen)"), .badInput, "checkpoint step-\(chosen) of \(run.path) holds state \(hash.prefix(12)) and the ledger's commit of step \(chosen) made \(other.prefix(12))")
            #expect(try FileManager.default.fileExists(atPath: #require(run.segment)) && run.checkpoints == steps && run.record.sessions.count == 1)
            try change(other, hash)
            let record = try run.expectFinished(run.resume(), settings, steps: 120)
            #expect(record.sessions[1].source == "shared memory")
        }

        @Test func `a branch does not begin from a checkpoint of another run in its parent's folder`() throws {
            let run = try parent().run, other = try parent().run, name = "/checkpoints/step-0000000050"
            try FileManager.default.removeItem(atPath: run.path + name)
            try FileManager.default.copyItem(atPath: other.path + name, toPath: run.path + name)
            for from in ["run", "run@50"] {
                let refused = try branch(run, from, to: "other", "--set", "steps=80")
                run.expectRefused(refused, .badInput, "run: checkpoint step-50 was written by run ", "take it out of the folder")
                #expect(!FileManager.default.fileExists(atPath: run.folder + "/other"))
            }
        }

        @Test func `a run does not take up a checkpoint of another, nor with settings that were edited`() throws {
            let settings = ["steps=120", "checkpoint.every=10", "checkpoint.keep=100", "evaluation.every=10"]
            let run = try TestRun(), other = try parent().run
            try interrupted(run, settings: settings)
            let foreign = run.path + "/checkpoints/step-0000000110"
            try FileManager.default.copyItem(atPath: other.path + "/checkpoints/step-0000000050", toPath: foreign)
            let own = try String(contentsOfFile: foreign + "/manifest.json", encoding: .utf8)
            try reseal(run, step: 110, "\"step\":50", "\"step\":110")
            run.expectRefused(try run.headway("resume", run.path), .badInput, "checkpoint step-110 was written by run ", "take it out of the folder")
            #expect(own.contains("\"step\":50"))
            try FileManager.default.removeItem(atPath: foreign)

            let yaml = try String(contentsOfFile: run.path + "/config.yaml", encoding: .utf8)
            try yaml.replacing("steps: 120", with: "steps: 150").write(toFile: run.path + "/config.yaml", atomically: true, encoding: .utf8)
            run.expectRefused(try run.headway("resume", run.path), .badInput, "steps is 150 and was 120", "headway train --from \(run.path) --set steps=150")
            try yaml.write(toFile: run.path + "/config.yaml", atomically: true, encoding: .utf8)

            try FileManager.default.removeItem(atPath: run.path + "/data")
            try FileManager.default.copyItem(atPath: other.path + "/data", toPath: run.path + "/data")
            let shard = run.path + "/data/train.tokens", whole = try Data(contentsOf: URL(fileURLWithPath: shard))
            let another = try TestRun()
            try another.expectFinished(another.train(workers: 1, ["data.talesSeed=2"]), ["data.talesSeed=2"])
            try Data(contentsOf: URL(fileURLWithPath: another.path + "/data/train.tokens")).write(to: URL(fileURLWithPath: shard))
            run.expectRefused(try run.headway("resume", run.path), .badInput, "another training text or tokenizer; --allow corpus")
            try whole.write(to: URL(fileURLWithPath: shard))
            try run.expectFinished(run.resume(), settings, steps: 120)
        }

        @Test func `a second resume at the same time is refused`() throws {
            let run = try TestRun(), settings = ["steps=120", "checkpoint.every=10", "checkpoint.keep=100", "evaluation.every=10"]
            try interrupted(run, settings: settings)
            let first = try run.resume("--pace", "5")
            try first.wait(for: "the run begins")
            for arguments in [[], ["--at", "\(run.checkpoints[1])"]] {
                let second = try run.start(["resume", run.path] + arguments)
                second.finish()
                #expect(second.end == .exited(73) && second.errors.contains("is in use by process \(first.pid)"), "\(second.complaint)")
            }
            try run.expectFinished(first, settings, steps: 120)
        }

        // MARK: Keeping

        @Test func `checkpoints are listed with why they stay, pinned and pruned while the run trains`() throws {
            let run = try TestRun(), settings = ["steps=160", "checkpoint.every=10", "checkpoint.keep-every=40", "checkpoint.keep-best=1", "evaluation.every=20"]
            let command = try run.train(workers: 2, settings, options: Self.pace)
            try command.wait(for: "step 60: validation loss")
            let pinned = try #require(run.checkpoints.first)
            #expect(try run.headway("checkpoints", run.path, "--pin", "\(pinned)").end == .exited(0))
            let pruned = try run.headway("checkpoints", run.path, "--prune")
            #expect(pruned.end == .exited(0), "\(pruned.complaint)")
            try run.expectFinished(command, settings, steps: 160)
            let kept = run.checkpoints
            #expect(kept.contains(pinned) && kept.contains { $0 / 40 == 1 } && kept.first == 160)
            let list = try run.headway("checkpoints", run.path, "--verify")
            #expect(list.end == .exited(0), "\(list.complaint)")
            let lines = list.output.split(separator: "\n").map { String($0) }
            #expect(lines.count == kept.count + 1 && lines.dropFirst().allSatisfy { $0.hasSuffix("whole") })
            #expect(lines[1].contains("newest, multiple, best") && lines.contains { $0.contains("pinned") }, "\(list.output)")

            #expect(try run.headway("checkpoints", run.path, "--unpin", "\(pinned)", "--prune").end == .exited(0))
            #expect(run.checkpoints.contains(pinned) == (pinned / 40 == 1 && kept.filter { $0 / 40 == 1 }.min() == pinned))
        }

        @Test func `a damaged checkpoint is listed as such and ends --verify with status 1`() throws {
            let (run, step, from) = try parent()
            let path = run.path + "/checkpoints/" + String(format: "step-%010d/weights.safetensors", step)
            var data = try Data(contentsOf: URL(fileURLWithPath: path))
            data[data.count - 1000] ^= 0x10
            try data.write(to: URL(fileURLWithPath: path))
            #expect(try run.headway("checkpoints", run.path).end == .exited(0))
            let verify = try run.headway("checkpoints", run.path, "--verify")
            #expect(verify.end == .exited(1) && verify.errors.contains("1 of \(run.checkpoints.count) checkpoints of \(run.path) are damaged"), "\(verify.complaint)")
            #expect(verify.output.contains("DAMAGED: is damaged: MiB 1 of 1 of weights.safetensors"), "\(verify.output)")
            run.expectRefused(try branch(run, from, to: "other"), .badInput, "run: checkpoint step-\(step) is damaged")
            run.expectRefused(try run.headway("checkpoints", run.path, "--pin", "51"), .missing, "there are 50, ")
        }
    }
}
