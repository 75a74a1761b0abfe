import Collectives
import Foundation
import RunSpec
import Testing

extension HeadwayCommand {
    @Suite(.enabled(if: Messages.areAvailable, "built without Gloo")) struct BenchShardingTests {
        private static let tiny = ["bench", "sharding", "--preset", "tiny", "--workers", "2", "--steps", "6", "--warmup", "2", "--rounds", "1"]

        static let hasNetworks = geteuid() == 0 && ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"].contains { FileManager.default.isExecutableFile(atPath: $0) }
        private var networks: Set<String> {
            Set(((try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []).filter { $0.hasPrefix("headway-") })
        }

        private struct Row { var step = 0.0, spread = 0.0, sent = 0.0, predictedSent = 0.0 }
        private func rows(_ csv: String) throws -> [String: Row] {
            let lines = try String(contentsOfFile: csv, encoding: .utf8).components(separatedBy: "\r\n").filter { !$0.isEmpty }.map { $0.components(separatedBy: ",") }
            func value(_ line: [String], _ column: String) -> Double { lines[0].firstIndex(of: column).flatMap { Double(line[$0]) } ?? 0 }
            return Dictionary(uniqueKeysWithValues: lines.dropFirst().map { line in
                (line[0], Row(step: value(line, "step_s"), spread: value(line, "step_spread"), sent: value(line, "sent_bytes"), predictedSent: value(line, "predicted_sent_bytes")))
            })
        }

        @Test func `all choices run to the same bits and send what is predicted`() throws {
            let run = try TestRun()
            let bench = try run.start(Self.tiny + ["--fault", "crash worker=1 step=5", "--csv", "out.csv", "--json", "out.json", "--html", "out.html"])
            #expect(bench.finish() == .exited(0), "\(bench.output)\(bench.complaint)")
            #expect(bench.output.contains("[7/7] round 1 ") && bench.output.contains("Weights: all runs end with the same bits."), "\(bench.output)")
            // One round says nothing of it.
            #expect(!bench.output.contains("Noise:"), "\(bench.output)")
            let rows = try rows(run.folder + "/out.csv")
            #expect(Set(rows.keys) == ["1 worker", "shared memory", "ddp", "zero1", "zero1+shadow", "zero2", "zero3"] && rows.values.allSatisfy { $0.step > 0 })
            let document = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: run.folder + "/out.json"))) as? [String: Any])
            let choices = try #require(document["choices"] as? [[String: Any]])
            for choice in choices where choice["choice"] as? String != "1 worker" {
                let failures = choice["failures"] as? Int, goodput = try #require(choice["goodput"] as? Double)
                #expect(failures == 1 && goodput <= 1, "\(choice)")
            }
            let page = try String(contentsOfFile: run.folder + "/out.html", encoding: .utf8)
            #expect(page.contains("When a worker is lost") && page.contains("</html>") && !page.contains("<script"))
            run.expectNothingLeft()
        }

        /// Beside the floats each step has two words a chunk to each other, and each message a head: of a model this small some per cent.
        @Test func `the sockets send the bytes that are predicted`() throws {
            let run = try TestRun(), model = ["--set", "model.width=128", "--set", "model.hidden=512"]
            let bench = try run.start(Self.tiny + model + ["--rounds", "2", "--csv", "out.csv"])
            #expect(bench.finish() == .exited(0), "\(bench.output)\(bench.complaint)")
            let rows = try rows(run.folder + "/out.csv"), widest = try #require(rows.max { $0.value.spread < $1.value.spread })
            #expect(rows.values.allSatisfy { $0.spread > 0 }, "\(rows)")
            #expect(bench.output.contains("Noise: ") && bench.output.contains("% of a step apart (\(widest.key)), those of the single worker "), "\(bench.output)")
            for (choice, row) in rows where row.predictedSent > 0 {
                #expect(abs(row.sent / row.predictedSent - 1) < 0.02, "\(choice): \(row)")
            }
        }

        @Test(.enabled(if: hasNetworks, "network namespaces take root and iproute2"))
        func `a shaped link lets no more through, and is gone afterwards`() throws {
            let run = try TestRun(), before = networks
            let bench = try run.start(Self.tiny + ["--choice", "ddp", "--link-gbps", "0.02", "--link-us", "100", "--csv", "out.csv"])
            #expect(bench.finish() == .exited(0), "\(bench.output)\(bench.complaint)")
            #expect(bench.output.contains("2 network namespaces on a bridge; both ends of each link send at most 0.02 Gbit/s (tc tbf)"), "\(bench.output)")
            // All bytes but a bucket full, at 2.5 MB a second, over the steps they were sent in.
            let row = try #require(try rows(run.folder + "/out.csv")["ddp"])
            #expect(row.step > 0.5 * row.sent / 2.5e6, "\(row)")
            #expect(networks.subtracting(before).isEmpty)
        }

        @Test(.enabled(if: hasNetworks, "network namespaces take root and iproute2"))
        func `an interrupt takes networks and runs away, too`() throws {
            let run = try TestRun(), before = networks
            let bench = try run.start(Self.tiny + ["--rounds", "50", "--choice", "zero1", "--link-gbps", "1"])
            try bench.wait(for: "[2/150]")
            #expect(networks.subtracting(before).count == 3)
            bench.signal(SIGINT)
            #expect(bench.finish() == .exited(130) && bench.errors == "headway: interrupted; nothing is left of the benchmark\n", "\(bench.complaint)")
            #expect(networks.subtracting(before).isEmpty)
            run.expectNothingLeft()
        }

        @Test(.enabled(if: geteuid() != 0, "only root may make networks")) func `without the right to make networks it says so`() throws {
            let run = try TestRun()
            run.expectRefused(try run.start(Self.tiny + ["--link-gbps", "1"]), .system, "which takes root")
        }

        static let hosts: [(String, UserError.Status, String)] = [
            ("192.0.2.1\n127.0.0.1", .usage, "192.0.2.1 of worker 0 is no address of this machine"),
            ("127.0.0.1 # one\n\n127.0.0.1 /run/netns/headway-none", .missing, "/run/netns/headway-none cannot be opened"),
            ("127.0.0.1", .usage, "--hosts has 1 address for 2 workers"), ("127.0.0.1 a b", .badInput, "hosts:1: `127.0.0.1 a b` is not an address"),
            ("127.0.0.1\n127.0.0.1 /proc/self/stat", .badInput, "/proc/self/stat is no network namespace"),
        ]

        @Test(arguments: hosts)
        func `addresses that cannot be listened on are refused in a sentence`(text: String, status: UserError.Status, words: String) throws {
            let run = try TestRun(), file = try run.write("hosts", text.utf8)
            run.expectRefused(try run.train(workers: 2, options: ["--transport", "gloo", "--hosts", file]), status, words)
        }

        @Test func `workers meet on the addresses they are given, and late messages change no bit`() throws {
            let run = try TestRun(), file = try run.write("hosts", "127.0.0.2\n127.0.0.3\n".utf8)
            try run.expectFinished(run.train(workers: 2, options: ["--transport", "gloo", "--sharding", "zero2", "--hosts", file, "--link-us", "50"]))
        }
    }
}
