import Foundation
import Testing
import Ledger
import Reports

@Suite struct HTMLReportTests {
    private static let records: [(String, RunRecord)] = [
        ("one crash", SampleRun().record), ("with losses", SampleRun(steps: 40, crashes: 3).record.withLossRecords()),
        ("undisturbed", SampleRun(crashes: 0).record), ("nothing", RunRecord()),
    ]

    private func page(_ record: RunRecord) -> String { HTMLReport.page(RunAccount(record)) }

    private func data(_ page: String) throws -> [String: Any] {
        let script = try #require(MarkupChecker(page).scripts.first)
        return try #require(JSONSerialization.jsonObject(with: Data(script.utf8)) as? [String: Any])
    }

    @Test(arguments: records.indices) func pageIsWellFormedAndLoadsNothing(index: Int) throws {
        let (name, record) = Self.records[index], page = page(record), checker = MarkupChecker(page)
        #expect(checker.complaints == [], "\(name)")
        #expect(checker.references.allSatisfy { $0.hasPrefix("#") && checker.ids.contains(String($0.dropFirst())) }, "\(name): \(checker.references)")
        for forbidden in ["http:", "https:", "//cdn", "@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "eval("] {
            #expect(!page.contains(forbidden), "\(name) contains \(forbidden)")
        }
        #expect(page.contains("default-src 'none'") && page.contains("<noscript>"))
        #expect(try data(page)["categories"] is [Any])
    }

    @Test func scriptRefersOnlyToPlacesThatExist() {
        let checker = MarkupChecker(page(SampleRun().record)), script = checker.scripts[1]
        // Tables that the script makes itself.
        let made: Set<String> = ["timeline-status", "window-table", "checkpoint-table", "noise-chart"]
        for part in script.components(separatedBy: "$('").dropFirst() {
            let id = String(part.prefix { $0 != "'" })
            #expect(checker.ids.contains(id) || made.contains(id), "\(id)")
        }
    }

    @Test func totalsOfThePageAreTheAccounts() throws {
        let account = RunAccount(SampleRun(steps: 40, crashes: 3).record.withLossRecords())
        let data = try data(HTMLReport.page(account))
        let accounts = try #require(data["accounts"] as? [String: Any]), byCategory = try #require(accounts["byCategory"] as? [String: Int])
        let expected = account.accounts.byCategory.filter { $0.value != 0 }
        #expect(byCategory == Dictionary(uniqueKeysWithValues: expected.map { ($0.key.code, $0.value) }))
        #expect(accounts["budget"] as? Int == account.accounts.budgetNanoseconds && accounts["unaccounted"] as? Int == 0)
        let incidents = try #require(data["incidents"] as? [[String: Any]])
        #expect(incidents.map { $0["cost"] as? Int } == account.incidents.map(\.workerNanoseconds))
        for incident in incidents {
            let bill = try #require(incident["bill"] as? [String: Int])
            #expect(bill.values.reduce(0, +) == incident["cost"] as? Int)
        }
        let goodput = try #require(data["goodput"] as? [String: Any]), groups = try #require(goodput["groups"] as? [String: [Int]])
        for group in Category.Group.allCases {
            #expect((groups[group.rawValue] ?? []).reduce(0, +) == account.accounts.nanoseconds(group), "\(group)")
        }
        let provisioned = try #require(goodput["provisioned"] as? [Int])
        #expect(provisioned.reduce(0, +) == account.accounts.budgetNanoseconds)
        let fall = LossWaterfall(account), shown = try #require(data["waterfall"] as? [String: Int])
        #expect(shown["kept"] == fall.kept && shown["contributed"] == fall.contributed)
        let parts = [fall.contributed, fall.indeterminate, fall.harmful, fall.unmeasured]
        #expect(parts.reduce(0, +) == fall.kept)
        #expect(fall.contributed > 0 && fall.unmeasured == 0)
        #expect((data["definitions"] as? [Any])?.count == 10)
    }

    /// Seconds by category, from the text of the timeline's rows.
    private func pictured(_ data: [String: Any]) throws -> (seconds: [String: Double], pieces: Int, resolution: Int) {
        let timeline = try #require(data["timeline"] as? [String: Any]), rows = try #require(timeline["rows"] as? [[String: Any]])
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), codes = Category.allCases.map(\.code)
        var result: [String: Double] = [:], pieces = 0
        for row in rows {
            var length = 0, end = 0
            for character in try #require(row["pieces"] as? String) {
                if let digit = character.wholeNumberValue { length = 10 * length + digit; continue }
                if character == "~" { continue }
                if let index = letters.firstIndex(of: character) { result[codes[index], default: 0] += Double(length) / 1e6 }
                (pieces, end, length) = (pieces + 1, end + length, 0)
            }
            #expect(abs(end - (timeline["total"] as? Int ?? 0) / 1000) <= 1)
        }
        return (result, pieces, timeline["resolution"] as? Int ?? -1)
    }

    @Test func timelineOfAShortRunIsExact() throws {
        let account = RunAccount(SampleRun().record)
        let (seconds, _, resolution) = try pictured(data(HTMLReport.page(account)))
        #expect(resolution == 0)
        for (category, nanoseconds) in account.accounts.byCategory where nanoseconds > 0 {
            #expect(abs((seconds[category.code] ?? 0) - Double(nanoseconds) / 1e9) < 1e-4, "\(category)")
        }
    }

    @Test func aThousandIncidentsStayUnderTheSizeLimit() throws {
        let account = RunAccount(SampleRun(steps: 30_000, crashes: 1000).record.withLossRecords(every: 50))
        let page = HTMLReport.page(account)
        #expect(page.utf8.count < 3_000_000, "\(page.utf8.count) bytes")
        let (seconds, pieces, resolution) = try pictured(data(page))
        #expect(pieces <= 100_000 && resolution > 0)
        // Condensed, the largest categories still have about their share.
        let productive = Double(account.accounts.nanoseconds(.productiveCompute)) / 1e9
        #expect(abs((seconds["P1"] ?? 0) / productive - 1) < 0.05)
        #expect((try data(page)["incidents"] as? [Any])?.count == 1000)
    }

    @Test func sameRecordSameBytes() {
        let record = SampleRun(steps: 40, crashes: 3).record.withLossRecords()
        #expect(page(record) == page(record))
    }

    @Test func hostileWordsOfARecordStayWords() throws {
        let hostile = "</script><b onload=\"x\">&amp;\u{2028}\u{2029}<!--\u{0}'\\"
        var record = SampleRun().record
        for fact in [RunFact.runIdentity, RunFact.outcome, RunFact.currency, RunFact.configuration, RunFact.blasCore] { record.facts[fact] = hostile }
        record.facts[RunFact.lossFloor] = "nan"
        record.facts[RunFact.costPerWorkerHour] = "inf"
        record.incidents[0].description = hostile
        record.checkpoints[1].status = hostile
        let page = page(record), checker = MarkupChecker(page)
        #expect(checker.complaints == [] && checker.scripts.count == 2)
        #expect(!page.contains("<b ") && !checker.scripts.joined().contains { $0 == "\u{2028}" || $0 == "\u{2029}" })
        let data = try data(page)
        #expect((data["incidents"] as? [[String: Any]])?[0]["what"] as? String == hostile)
        #expect(data["configuration"] as? String == hostile)
    }

    @Test func referenceIsNamedOnThePage() throws {
        let run = RunAccount(SampleRun().record), calm = RunAccount(SampleRun(crashes: 0).record)
        let equivalence = try #require(Equivalence(run, reference: calm))
        let page = HTMLReport.page(run, reference: ReferenceRun(name: "runs/calm", equivalence))
        #expect(try data(page)["reference"] as? [String] == ["E 1.0000: the same bits as runs/calm at step 12", "same learning rate at every common step"])
    }

    /// For looking at: HEADWAY_PAGES names a folder.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["HEADWAY_PAGES"] != nil)) func writesPagesToLookAt() throws {
        let folder = try #require(ProcessInfo.processInfo.environment["HEADWAY_PAGES"])
        let records = Self.records + [
            ("thousand", SampleRun(steps: 30_000, crashes: 1000).record.withLossRecords(every: 50)),
            ("poisoned", SampleRun(steps: 200, crashes: 0).record.withLossRecords(every: 20, poisonedSlot: 1)),
        ]
        for (name, record) in records { try page(record).write(toFile: "\(folder)/\(name).html", atomically: true, encoding: .utf8) }
    }
}
