import Foundation
import Lab
import Ledger
import RunSpec
import Testing

@Suite struct ResultsTests {
    @Test func `results are read as they were written`() throws {
        let rows = [
            Results.row("elastic", "5.45", seed: 18_446_744_073_709_551_615, goodput: 0.25),
            Results.row("restart", "a, \"b\"", seed: 2, .failed, reason: "worker 1 said \"no\", twice"), Results.row("discard", "1", seed: 3, .void),
        ]
        let results = try Results(rows)
        #expect(try ResultsFile(reading: results.path).rows == rows)
        #expect(try ResultsFile(of: ["policy", "rate"], at: results.path).rows == rows)
    }

    @Test func `of a cell the newest row counts`() throws {
        let results = try Results([Results.row("elastic", "1", seed: 1, .failed), Results.row("elastic", "1", seed: 1, goodput: 0.7)])
        #expect(results.file.newest().values.map(\.outcome) == [.finished])
    }

    @Test func `a row that a killed laboratory did not finish is left out`() throws {
        let results = try Results([Results.row("elastic", "1", seed: 1)])
        let file = FileHandle(forUpdatingAtPath: results.path)!
        file.seekToEndOfFile()
        file.write(Data("elastic,2,1,fini".utf8))
        #expect(try ResultsFile(reading: results.path).rows.count == 1)
    }

    @Test func `results of other axes and files of other kinds are refused`() throws {
        let results = try Results()
        #expect { try ResultsFile(of: ["policy"], at: results.path) } throws: { "\($0)".contains("has the axes policy, rate, this campaign has policy; choose another folder") }
        try Data("a,b\n".utf8).write(to: URL(fileURLWithPath: results.path))
        #expect { try ResultsFile(reading: results.path) } throws: { ($0 as? UserError)?.status == .badInput }
        #expect { try ResultsFile(reading: "/nowhere.csv") } throws: { ($0 as? UserError)?.status == .missing }
    }

    @Test func `a campaign makes what is not there, what failed and what was void, and nothing twice`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/headway-test-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let campaign = try CampaignTests.campaign(), cells = try campaign.cells()
        func row(_ cell: Campaign.Cell, _ outcome: CellResult.Outcome) -> CellResult {
            CellResult(
                cell: cell.identity, variation: cell.variation, seed: cell.seed, outcome: outcome,
                figures: Dictionary(uniqueKeysWithValues: Figure.all.map { ($0.name, 1.0) }), finalDigest: "aa", weights: "w")
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var file = try ResultsFile(of: campaign.axes.map(\.name), at: folder + "/results.csv")
        for (cell, outcome) in zip(cells, [CellResult.Outcome.finished, .void, .failed, .finished]) { try file.append(row(cell, outcome)) }
        let run = try CampaignRun(campaign, text: CampaignTests.text, folder: folder, program: "/bin/false")
        #expect(run.due == [cells[1], cells[2]] + cells.dropFirst(4))
        #expect { try CampaignRun(campaign, text: "", folder: folder, program: "/bin/false") } throws: { "\($0)".contains("is in use by another laboratory") }
    }

    @Test func `a run is void when it was late or met what nobody injected`() throws {
        let row = Results.row("elastic", "1", seed: 1), limit = 1.0
        func incident(fault: Int?) -> RunRecord {
            var record = RunRecord()
            record.incidents = [IncidentRow(
                incident: 1, session: 1, kind: .hang, replica: 3, slot: 2, step: 7, onsetNanoseconds: 1, onsetIsExact: true, detectedNanoseconds: 2,
                leavesReassigned: 1, fault: fault, description: "worker 2 stood still")]
            return record
        }
        #expect(CellRun.doubt(row, RunRecord(), limit) == nil && CellRun.doubt(row, incident(fault: 0), limit) == nil)
        #expect(CellRun.doubt(row, incident(fault: nil), limit) == "1 incidents that nobody injected; the first: worker 2 stood still")
        #expect(CellRun.doubt(row, RunRecord(), 0.05) == "100.0 % of the microbatches were late, the limit is 5.0 %")
    }

    @Test func `a new launcher injects what has not fired and can still come`() throws {
        let faults = try ["crash worker=0 step=3", "crash launcher step=5 point=vote", "crash worker=1 step=5", "crash launcher step=9 point=commit"].map { try Fault($0) }
        var record = RunRecord()
        record.commits = [CommitRow(
            session: 1, step: 5, view: 1, nanoseconds: 1, lossSum: 1, tokens: 1, gradientNorm: 1, learningRate: 1, parentHash: "", stateHash: "", leafReplicas: [])]
        #expect(CellRun.left(of: faults, in: record) == [faults[2], faults[3]])
        record.faults = [FaultRow(session: 1, fault: 2, text: faults[2].description, firedNanoseconds: 7)]
        #expect(CellRun.left(of: faults, in: record) == [faults[3]])
        // A run that went back meets those steps again.
        record.setbacks = [SetbackRow(session: 1, step: 5, nanoseconds: 8, kind: .rewind, toStep: 2, incident: nil)]
        record.faults = []
        #expect(CellRun.left(of: faults, in: record) == faults)
    }

    @Test func `runs that trained the same and ended otherwise are named`() throws {
        let campaign = try CampaignTests.campaign("workers: 2\nseeds: [1, 2]\npolicy: [elastic, restart]\n"), cells = try campaign.cells()
        let digests = ["aa", "aa", "bb", "aa"]
        let rows = zip(cells, digests).map { CellResult(cell: $0.identity, variation: $0.variation, seed: $0.seed, outcome: .finished, figures: ["wall_s": 1], finalDigest: $1, weights: "w") }
        let summary = CampaignSummary(campaign, rows: rows)
        #expect(summary.strays == ["policy=elastic seed=2"] && !summary.isSound && summary.compared == 4)
        #expect(CampaignTable.text(summary).contains("DIFFERENT final weights: policy=elastic seed=2"))
    }
}
