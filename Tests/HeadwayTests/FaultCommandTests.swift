import Foundation
import RunSpec
import Testing

extension HeadwayCommand {
    @Suite struct FaultCommands {
        /// No worker is struck twice within 40 steps: its replacement needs some to be there.
        private static let plan = """
            seed: 3
            faults:
              - crash worker=1 step=20
            schedules:
              - every: { kind: crash, interval: 60 steps, points: [forward, reduce] }
              - trace: { file: spot.csv, steps-per-hour: 10 }
            """

        private func prepared() throws -> (run: TestRun, plan: String) {
            let run = try TestRun()
            _ = try run.write("spot.csv", "time_s,event,worker,kind\n0,add,a,\n36000,remove,a,\n".utf8)
            return (run, try run.write("plan.yaml", Self.plan.utf8))
        }

        @Test func `a run injects what the preview of its plan says, and then what the command line adds`() throws {
            let (run, plan) = try prepared()
            let csv = try run.headway("faults", "preview", plan, "--workers", "2", "--steps", "240", "--csv").output.split(separator: "\n")
            #expect(csv.first == "step,at_s,victim,kind,point,fault" && csv.count == 6)
            let previewed = csv.dropFirst().compactMap { $0.split(separator: ",").last.map { String($0) } }
            let settings = Interrupts.settings.flatMap { ["--set", $0] }, injected = ["--faults", plan, "--fault", "crash worker=1 step=220"]
            let command = try run.start(["train", "--preset", "tiny", "--out", run.path, "--workers", "2"] + settings + injected)
            let record = try run.expectFinished(command, Interrupts.settings, steps: 240)
            #expect(record.faults.map(\.text) == previewed + ["crash worker=1 step=220 point=backward"])
            #expect(record.faults.allSatisfy { $0.firedNanoseconds != nil })
        }

        @Test func `a resumed run goes on with what its plan has left`() throws {
            let run = try TestRun(), plan = try run.write("plan.yaml", "schedules: [every: { kind: crash, interval: 60 }]\n".utf8)
            let command = try run.train(workers: 2, Interrupts.settings)
            try command.wait(for: "step 80: validation loss")
            command.signal(SIGINT)
            let stopped = try run.expectInterrupted(command).commits.count
            let record = try run.expectFinished(run.resume("--faults", plan), Interrupts.settings, steps: 240)
            #expect(try record.faults.map { try Fault($0.text).step } == [60, 120, 180].filter { $0 >= stopped })
        }

        @Test func `a preview is the same each time, and another with another seed`() throws {
            let run = try TestRun()
            let plan = try run.write("chance.yaml", "schedules: [poisson: { kind: crash, mtbf: 50 }]\n".utf8)
            let first = try run.headway("faults", "preview", plan).output
            #expect(first.contains("4 workers · 1,000 steps · seed 1\n") && first.split(separator: "\n").allSatisfy { $0.count <= 100 || $0.contains("·") })
            #expect(try run.headway("faults", "preview", plan).output == first)
            #expect(try run.headway("faults", "preview", plan, "--seed", "2").output != first)
        }

        @Test func `kinds and profiles are listed`() throws {
            let run = try TestRun(), kinds = try run.headway("faults", "kinds").output, profiles = try run.headway("faults", "profiles").output
            for kind in Fault.Kind.allCases { #expect(kinds.contains(kind.rawValue)) }
            for point in FaultPoint.allCases { #expect(kinds.contains(point.rawValue)) }
            for profile in FleetProfile.all { #expect(profiles.contains("\(profile.name)\n")) }
            #expect((kinds + profiles).split(separator: "\n").allSatisfy { $0.count <= 110 })
        }

        @Test func `what is missing or does not fit is refused before anything is made`() throws {
            let (run, plan) = try prepared()
            run.expectRefused(try run.headway("faults", "preview", "no.yaml"), .missing, "no.yaml: there is no such plan, or it is not text")
            run.expectRefused(try run.headway("faults", "preview", plan, "--steps", "3"), .usage, "faults, entry 1: there is no step 20, the run has steps 0 to 2")
            run.expectRefused(try run.headway("train", "--preset", "tiny", "--out", run.path, "--workers", "1", "--faults", plan), .usage, "there is no worker 1, the 1 workers are 0 to 0")
            run.expectRefused(try run.headway("train", "--preset", "tiny", "--out", run.path, "--workers", "0", "--faults", plan), .usage, "at least one worker is needed")
            let lost = try run.write("lost.yaml", "schedules: [trace: { file: gone.csv }]\n".utf8)
            run.expectRefused(try run.headway("faults", "preview", lost), .missing, "gone.csv: there is no such trace, or it is not text")
        }
    }
}
