import Reports
import RunSpec
import Testing

@Suite struct FaultPreviewTests {
    private func preview(_ yaml: String, workers: Int = 2, steps: Int = 60) throws -> FaultPreview {
        let plan = try FaultPlan(yaml: yaml, file: "plan.yaml", load: { _ in "" })
        return FaultPreview(try plan.resolution(workers: workers, steps: steps, seed: 7, limit: 16_384), name: "plan.yaml", workers: workers, steps: steps, seed: 7)
    }

    private static let small = """
        faults:
          - crash worker=1 step=5
          - hang worker=0 at=2s for=1s
          - crash writer step=20 point=rename
        schedules:
          - every: { kind: crash, interval: 5 steps, points: reduce, until: 21 }
        """

    @Test func `a short run has a column for each step, and everything else in figures`() throws {
        #expect(try preview(Self.small).text == """
            plan.yaml · 2 workers · 60 steps · seed 7

            worker 0    ·····c·········c············································
            worker 1    ·····c····c·········c·······································
            writer      ····················c·······································
                        0                   20                  40
                        c crash   2–9 + several   a column is 1 step

            by the clock
            worker 0    ·······················································································h
            worker 1    ························································································
                        0 ms                460 ms              920 ms              1.4 s               1.8 s
                        h hang   2–9 + several   a column is 23 ms

                                                                                            expected       drawn
            listed                                                                               3.0           3
            every 5 steps: crash, all workers in turn                                            4.0           4

                         backward  reduce  rename     all
            crash               1       4       1       6
            hang                1       0       0       1
            all                 2       4       1       7

            steps per failure: 10.00
            steps from one fault to the next: least 0, median 5, greatest 5

            faults
              crash worker=0 step=5 point=reduce
              crash worker=1 step=5 point=backward
              crash worker=1 step=10 point=reduce
              crash worker=0 step=15 point=reduce
              crash worker=1 step=20 point=reduce
              crash writer step=20 point=rename
              hang worker=0 at=2.0s point=backward for=1.0s
            """)
    }

    @Test func `CSV has a line for each fault that reads back`() throws {
        let lines = try preview(Self.small).csv.split(separator: "\n").map { String($0) }
        #expect(lines.count == 8 && lines[0] == "step,at_s,victim,kind,point,fault")
        #expect(lines[1] == "5,,worker 0,crash,reduce,crash worker=0 step=5 point=reduce")
        #expect(lines[7] == ",2.0,worker 0,hang,backward,hang worker=0 at=2.0s point=backward for=1.0s")
    }

    @Test func `no line is wider than 100 columns, and many faults of a column are counted`() throws {
        let yaml = "schedules: [poisson: { kind: crash, steps-per-failure: 2 }, profile: { name: byterobust, steps-per-failure: 3 }]"
        for (workers, steps) in [(1, 1), (2, 88), (64, 5_000), (3, 1_000)] {
            let text = try preview(yaml, workers: workers, steps: steps).text, lines = text.split(separator: "\n")
            #expect(lines.allSatisfy { $0.count <= 100 }, "\(lines.first { $0.count > 100 } ?? "")")
        }
        let crowded = try preview(yaml, workers: 1, steps: 5_000).text
        #expect(crowded.contains("+++") && crowded.contains("the first 20 of ") && crowded.contains("more fell on a worker in a step in which it is struck already"))
    }

    @Test func `a plan without faults says so`() throws {
        #expect(try preview("seed: 3").text.hasSuffix("no faults"))
        #expect(try preview("seed: 3").csv == "step,at_s,victim,kind,point,fault\n")
    }
}
