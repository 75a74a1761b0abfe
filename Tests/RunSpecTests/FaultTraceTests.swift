import RunSpec
import Testing

@Suite struct FaultTraceTests {
    /// A hundred instances that come in the first hour and are lost over a day, a third of them in pairs.
    private static let recorded: String = {
        let draws = Philox(key: 5)
        var lines = ["time_s,event,worker", "# drawn, not recorded"], time = 3_600.0
        for node in 0..<100 { lines.append("\(node * 36),add,node\(node)") }
        for node in 0..<100 {
            if node % 3 != 0 { time -= 800 * PortableMath.log(1 - draws.uniform(.faultSchedule, 0, 0, index: UInt32(node))) }
            lines.append("\(time),preempt,node\(node)")
        }
        return lines.joined(separator: "\r\n") + "\r\n"
    }()

    private func faults(_ keys: String, _ text: String, workers: Int = 4, steps: Int = 100_000) throws -> [String] {
        try FaultPlan("trace: { file: t, \(keys) }", files: ["t": text]).faults(workers: workers, steps: steps).map { fault in
            let place = fault.worker.map { "\($0)" } ?? "-"
            return if case .seconds(let seconds) = fault.moment { "\(fault.kind) \(place) \(seconds)s" } else { "\(fault.kind) \(place) \(fault.step!)" }
        }
    }

    @Test func `losses strike at the recorded times, by steps or by the clock`() throws {
        let trace = "time_s,event,worker,kind\n7200,fail,1\n\n  3600 , preempt , 2\n# a comment\n5400,add,9\n1800,remove,3,hang\n90000,slow,6\n"
        #expect(try faults("steps-per-hour: 120", trace) == ["hang 3 60", "preempt 2 120", "crash 1 240", "slow 2 3000"])
        #expect(try faults("steps-per-hour: 120", trace, steps: 240) == ["hang 3 60", "preempt 2 120"])
        #expect(try faults("compress: 60", trace) == ["hang 3 30.0s", "preempt 2 60.0s", "crash 1 120.0s", "slow 2 1500.0s"])
        #expect(try faults("workers: [3, 1]", trace) == ["hang 1 1800.0s", "preempt 3 3600.0s", "crash 1 7200.0s", "slow 3 90000.0s"])
        #expect(try faults("kind: segfault, steps-per-hour: 120, points: vote", trace) == ["segfault 3 60", "segfault 2 120", "segfault 1 240", "segfault 2 3000"])
    }

    @Test func `names count in the order of their appearance, and without them a worker is drawn`() throws {
        #expect(try faults("steps-per-hour: 3600", "time_ms,event,worker\n0,add,b\n5000,remove,a\n6000,remove,b\n7000,remove,c\n") == ["crash 1 5", "crash 0 6", "crash 2 7"])
        let drawn = try faults("steps-per-hour: 3600", "time_s,event\n" + (0..<200).map { "\($0),fail\n" }.joined())
        #expect(drawn.count == 200 && (0..<4).allSatisfy { worker in drawn.contains { $0.hasPrefix("crash \(worker) ") } })
    }

    @Test func `JSON says the same as CSV`() throws {
        let json = "[\n\t{\"time_s\": 1800, \"event\": \"remove\", \"worker\": \"3\", \"kind\": \"hang\"},\n\t{\"time_s\": 3600.5, \"event\": \"preempt\", \"worker\": 2}, {\"time_ms\": 1, \"event\": \"add\"}\n]\n"
        #expect(try faults("compress: 1", json) == ["hang 3 1800.0s", "preempt 2 3600.5s"])
    }

    @Test func `a day of a hundred instances is replayed whole`() throws {
        let plan = try FaultPlan("trace: { file: t, steps-per-hour: 100 }", files: ["t": Self.recorded])
        let resolution = try plan.resolution(workers: 4, steps: 100_000, seed: 1, limit: 1000), part = resolution.parts[0]
        #expect(part.actual == 100 && part.displaced == 0 && part.expected == 100)
        #expect(part.title == "trace t: 100 losses, 100 steps an hour")
        #expect(part.remark == "100 additions in the trace are ignored: a replacement comes by itself")
        #expect(resolution.faults.allSatisfy { $0.kind == .preempt && $0.seconds == 2 })
    }

    @Test(arguments: [
        ("", "t: the trace is empty"),
        ("time_s,evnt\n", "t: line 1: a trace has no `evnt`; did you mean `event`?; it has time_s, time_ms, event, worker, kind"),
        ("time_s,event\n1,fail,3\n", "t: line 2: 3 values under 2 columns"),
        ("time_s,event\n\n-1,fail\n", "t: line 3: the time must be a number from 0, not `-1`"),
        ("time_s,event\nsoon,fail\n", "t: line 2: the time must be a number from 0, not `soon`"),
        ("time_s,event\n1\n", "t: line 2: `event` is missing"),
        ("event\nfail\n", "t: line 2: `time_s` is missing"),
        ("time_s,event\n1,prempt\n", "t: line 2: there is no event `prempt`; did you mean `preempt`?; there are preempt, remove, fail, add, crash, segfault, hang, slow, nonfinite, bitflip, labels"),
        ("time_s,event,kind\n1,fail,torn\n", "t: line 2: there is no kind `torn`; there are crash, segfault, hang, slow, preempt, nonfinite, bitflip, labels"),
        ("time_s,event,kind\n1,fail,crush\n", "t: line 2: there is no kind `crush`; did you mean `crash`?; there are crash, segfault, hang, slow, preempt, nonfinite, bitflip, labels"),
        ("[1]", "t: entry 1 is not an object with the keys of a trace"),
        ("[{\"time\": 1}]", "t: entry 1: a trace has no `time`; did you mean `time_s`?; it has time_s, time_ms, event, worker, kind"),
        ("[{\"time_s\": [1]}]", "t: entry 1: `time_s` must be one value"),
        ("[{\"time_s\": 1, \"event\": \"fail\"}, {\"time_s\": 2}]", "t: entry 2: `event` is missing"),
    ])
    func `an error in a trace names the line`(text: String, reason: String) throws {
        let error = try #require(throws: UserError.self) { try FaultPlan("trace: { file: t }", files: ["t": text]) }
        #expect(error.description == reason && error.status == .badInput)
    }

    @Test func `a torn JSON trace is said to be none`() throws {
        let error = try #require(throws: UserError.self) { try FaultPlan("trace: { file: t }", files: ["t": "[{\"time_s\": 1,"]) }
        #expect(error.description.hasPrefix("t is not JSON: "))
    }
}
