import Foundation
import Ledger
import RunSpec
import Testing

extension HeadwayCommand {
    /// `headway report` with a page or a reference.
    @Suite struct ReportCommand {
        @Test func `a page is written whole, replaces the one before, and can go to standard output`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 2, faults: ["crash worker=1 step=10"]))
            let path = run.folder + "/page.html"
            for _ in 0..<2 {
                let command = try run.headway("report", run.path, "--html", path)
                #expect(command.end == .exited(0) && command.output.hasPrefix("\(path): "), "\(command.complaint)")
            }
            let page = try String(contentsOfFile: path, encoding: .utf8)
            #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>\n"))
            let printed = try run.headway("report", run.path, "--html", "-")
            #expect(printed.end == .exited(0) && printed.output == page)
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.folder).allSatisfy { !$0.hasSuffix(".partial") })
        }

        @Test func `a page that cannot be written is refused in one sentence`() throws {
            let run = try TestRun()
            try run.expectFinished(run.train(workers: 1))
            run.expectRefused(try run.headway("report", run.path, "--html", run.folder), .unwritable, "it is a directory")
            run.expectRefused(try run.headway("report", run.path, "--html", run.folder + "/none/page.html"), .unwritable, "page.html cannot be written: No such file")
        }

        @Test func `a run with faults is worth as many steps as the reference with the same bits`() throws {
            let run = try TestRun(), calm = try TestRun(), other = try TestRun()
            try run.expectFinished(run.train(workers: 3, faults: ["crash worker=1 step=10"]))
            try calm.expectFinished(calm.train(workers: 1))
            try other.expectFinished(other.train(workers: 1, ["seed=2"]), ["seed=2"])
            let command = try run.headway("report", run.path, "--reference", calm.path)
            #expect(command.end == .exited(0) && command.output.contains("E 1.0000: the same bits as"), "\(command.output)")
            let loose = try run.headway("report", run.path, "--reference", other.path)
            #expect(loose.end == .exited(0) && loose.output.contains("  reference    E "), "\(loose.output)")
            run.expectRefused(try run.headway("report", run.path, "--reference", run.folder + "/none"), .missing)
        }
    }
}
