import Lab
import RunSpec
import Testing

@Suite struct CampaignTests {
    static let text = """
        preset: tiny
        workers: 4
        pace: 10
        respawn-delay: 0.5
        seeds: [1, 2]
        policy: [elastic, restart]
        set:
          steps: 100
          checkpoint: { every: [10, 20] }
        faults:
          schedules:
            - poisson: { kind: crash, steps-per-failure: [20, 5.45], points: [forward, reduce] }
        """

    static func campaign(_ text: String = text) throws -> Campaign {
        try Campaign(yaml: text, file: "mine.yaml") { name in
            guard name == "spot.csv" else { throw UserError(.missing, "\(name): there is no such trace, or it is not text") }
            return "time_s,event,worker\n60,remove,a\n"
        }
    }

    @Test func `every list but a plan's own is an axis, in the order of the file`() throws {
        let campaign = try Self.campaign()
        #expect(campaign.name == "mine" && campaign.workers == 4 && campaign.mode == .paced(milliseconds: 10))
        #expect(campaign.axes.map(\.name) == ["policy", "checkpoint.every", "steps-per-failure"])
        #expect(campaign.axes.map(\.values) == [["elastic", "restart"], ["10", "20"], ["20", "5.45"]])
        #expect(campaign.settings == [.init("steps", "100")] && campaign.flags == [.init("respawn-delay", "0.5")])
    }

    @Test func `runs are interleaved: every variation of one seed, then of the next`() throws {
        let campaign = try Self.campaign(), cells = try campaign.cells()
        #expect(cells.map(\.seed) == Array(repeating: 1, count: 8) + Array(repeating: 2, count: 8))
        #expect(cells.prefix(8).map(\.variation) == campaign.variations && cells.suffix(8).map(\.variation) == campaign.variations)
        #expect(cells.prefix(3).map(\.variation.values) == [["elastic", "10", "20"], ["elastic", "10", "5.45"], ["elastic", "20", "20"]])
        #expect(Set(cells.map(\.name)).count == 16 && Set(cells.map(\.identity)).count == 16)
        #expect(cells[0].name == "policy-elastic_checkpoint.every-10_steps-per-failure-20_seed-1")
    }

    @Test func `a seed gives the same faults to all policies, and another seed gives others`() throws {
        let cells = try Self.campaign().cells(), rare = cells.filter { $0.variation.values[2] == "20" }
        #expect(Set(rare.filter { $0.seed == 1 }.map(\.faults)).count == 1 && Set(rare.map(\.faults)).count == 2)
        #expect(rare.allSatisfy { $0.faults.allSatisfy { [.forward, .reduce].contains($0.point) } } && !rare[0].faults.isEmpty)
    }

    @Test func `a run gets the settings and flags of its variation`() throws {
        let words = try Self.campaign().cells()[2].arguments.joined(separator: " ")
        #expect(words == "--preset tiny --workers 4 --pace 10 --set steps=100 --set checkpoint.every=20 --respawn-delay 0.5 --policy elastic")
    }

    @Test func `what decides the weights is told from what does not`() throws {
        #expect(Set(try Self.campaign().cells().map(\.weights)).count == 1)
        let trained = try Self.campaign("workers: 2\nset: { schedule.peak: [1e-3, 2e-3] }\n").cells()
        #expect(Set(trained.map(\.weights)).count == 2)
    }

    @Test func `other settings make another cell`() throws {
        let one = try Self.campaign().cells()[0].identity
        #expect(try Self.campaign(Self.text.replacing("pace: 10", with: "pace: 11")).cells()[0].identity != one)
        #expect(try Self.campaign(Self.text.replacing("[20, 5.45]", with: "[19, 5.45]")).cells()[0].identity != one)
        #expect(try Self.campaign(Self.text.replacing("[20, 5.45]", with: "[20]")).cells()[0].identity == one)
    }

    @Test func `traces are read beside the campaign`() throws {
        let cells = try Self.campaign("workers: 2\nfaults: { schedules: [trace: { file: spot.csv, steps-per-hour: [600, 1200] }] }\n").cells()
        #expect(cells.prefix(2).map { $0.faults.first?.step } == [10, 20])
    }

    @Test(arguments: [
        ("workers: 2\npolcy: elastic", "mine.yaml: there is no key `polcy`; did you mean `policy`?"),
        ("preset: tiny", "mine.yaml: `workers` is missing"),
        ("workers: 2.5", "mine.yaml: `workers` is missing or not a whole number"),
        ("workers: 2\nseeds: [1, 1]", "mine.yaml: `seeds` must be different whole numbers, as in 1,2,3, not `1,1`"),
        ("workers: 2\nseeds: 1", "mine.yaml: `seeds` must be a list, as in [1, 2, 3]"),
        ("workers: 2\npace: 1\npin: true", "mine.yaml: `pace` and `pin` exclude each other"),
        ("workers: 2\npin: perhaps", "mine.yaml: `pin` must be true or false, not `perhaps`"),
        ("workers: 2\npolicy: []", "mine.yaml: `policy` must be one value or a list of values"),
        ("workers: 2\npolicy: [elastic, elastic]", "mine.yaml: `policy` has the value `elastic` twice"),
        ("workers: 2\npolicy: [elastc]", "mine.yaml: there is no policy `elastc`; did you mean `elastic`?"),
        ("workers: 2\nspares: [0, some]", "mine.yaml: `spares` must be a whole number from 0 to 63, not `some`"),
        ("workers: 2\nset: { stps: 3 }", "mine.yaml: set: there is no setting `stps`; did you mean `steps`?"),
        ("workers: 2\nset: { steps: [3, many] }", "mine.yaml: set: `steps` is `many`, but must be a whole number from 1"),
        ("workers: 2\npreset: tinny", "mine.yaml: there is no preset `tinny`; did you mean `tiny`?"),
        ("workers: 2\nfaults: { schedules: [poisson: { knd: crash, mtbf: [10, 20] }] }", "mine.yaml: faults: schedules, entry 1 (poisson): there is no key `knd`; did you mean `kind`?"),
        ("workers: 2\nfaults: { schedules: [trace: { file: gone.csv, steps-per-hour: 1 }] }", "gone.csv: there is no such trace"),
        ("workers: 2\nfaults: { schedules: [every: { kind: [crash, hang], interval: 5 }, every: { kind: [crash, hang], interval: 9 }] }", "mine.yaml: faults: `kind` is a list twice"),
        ("- workers", "mine.yaml: a campaign is a mapping"),
        ("workers: [", "mine.yaml is not YAML"),
    ])
    func `what is wrong is said in one sentence with file, key and suggestion`(text: String, words: String) {
        #expect { try Self.campaign(text).cells() } throws: { error in
            let said = (error as? UserError)?.description ?? "\(error)"
            if !said.hasPrefix(words) { Issue.record("\(said)") }
            return !said.contains("\n")
        }
    }
}
