import Foundation
import RunSpec
import Testing

extension HeadwayCommand {
    @Suite struct LabCommands {
        private static let campaign = """
            preset: tiny
            workers: 2
            seeds: [1, 2]
            policy: [elastic, discard]
            set: { evaluation.every: 0, probe.budget: 0 }
            faults: { schedules: [poisson: { kind: crash, steps-per-failure: 15 }, every: { kind: crash, victim: launcher, interval: 30 }] }
            """

        @Test func `a sample of faults leaves no trace`() throws {
            let run = try TestRun(), lab = try run.headway("lab", "coverage", "--sample", "4", "--seed", "7", "--html", run.folder + "/matrix.html")
            #expect(lab.end == .exited(0), "\(lab.output)\(lab.complaint)")
            #expect(lab.output.contains("4 of 4 cells as promised\n"))
            #expect(try String(contentsOfFile: run.folder + "/matrix.html", encoding: .utf8).contains("4 of 4 cells as promised"))
            run.expectNothingLeft()
        }

        @Test func `a campaign runs through launchers that die, keeps its results and makes nothing twice`() throws {
            let run = try TestRun(), file = try run.write("mine.yaml", Self.campaign.utf8)
            let lab = try run.headway("lab", "run", file, "--html", "mine.html")
            #expect(lab.end == .exited(0), "\(lab.output)\(lab.complaint)")
            #expect(lab.output.contains("Same final weights: all 4 runs, by SHA-256."))
            let results = run.folder + "/lab/mine/results.csv", rows = try String(contentsOfFile: results, encoding: .utf8).split(separator: "\n")
            #expect(rows.count == 5 && rows[0].hasPrefix("policy,seed,outcome,resumes,wall_s,effective_goodput,"))
            // One launcher was killed in each run.
            #expect(rows.dropFirst().map { $0.split(separator: ",").prefix(4).joined(separator: " ") }
                == ["elastic 1 finished 1", "discard 1 finished 1", "elastic 2 finished 1", "discard 2 finished 1"])
            #expect(try String(contentsOfFile: run.folder + "/mine.html", encoding: .utf8).contains("</html>"))
            let again = try run.headway("lab", "run", file)
            #expect(again.end == .exited(0) && again.output.contains("4 runs, 4 of them done"))
            let gate = try run.headway("lab", "gate", results, results)
            #expect(gate.end == .exited(0) && gate.output.contains("held"), "\(gate.output)\(gate.complaint)")
            run.expectNothingLeft()
        }

        @Test func `an interrupted campaign leaves nothing of the run under way and goes on`() throws {
            let run = try TestRun(), file = try run.write("mine.yaml", Self.campaign.utf8)
            let lab = try run.start(["lab", "run", file, "--out", "out"])
            try lab.wait(for: "[1/4]")
            lab.signal(SIGINT)
            #expect(lab.finish() == .exited(130) && lab.errors.contains("runs to go; the same command goes on"), "\(lab.complaint)")
            run.expectNothingLeft()
            let again = try run.headway("lab", "run", file, "--out", "out")
            #expect(again.end == .exited(0) && !again.output.contains(", 0 of them done"), "\(again.output)\(again.complaint)")
        }

        @Test func `a campaign or results that cannot be are refused in one sentence`() throws {
            let run = try TestRun(), file = try run.write("mine.yaml", Self.campaign.replacing("workers", with: "workres").utf8)
            run.expectRefused(try run.headway("lab", "run", file), .usage, "there is no key `workres`; did you mean `workers`?")
            run.expectRefused(try run.headway("lab", "run", "gone.yaml"), .missing, "gone.yaml: there is no such campaign")
            run.expectRefused(try run.headway("lab", "gate", "gone.csv"), .missing, "gone.csv: there are no results")
            run.expectRefused(try run.headway("lab", "gate", file), .badInput, "has not the columns of a campaign's results")
            #expect(!FileManager.default.fileExists(atPath: run.folder + "/lab"))
        }
    }
}
