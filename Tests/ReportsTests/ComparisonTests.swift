import Foundation
import Testing
import Ledger
import Reports

@Suite struct ComparisonTests {
    private func comparison(_ runs: [(String, RunRecord)]) -> Comparison { Comparison(runs.map { (name: $0.0, record: $0.1) }) }

    private func run(steps: Int = 40, crashes: Int = 0, text: String = "text") -> RunRecord {
        var record = SampleRun(steps: steps, crashes: crashes).record.withLossRecords()
        record.facts[RunFact.validationText] = text
        return record
    }

    @Test func twoRunsOfTheSameBits() {
        let text = TextComparison(comparison([("runs/calm", run()), ("runs/faulty", run(crashes: 3))])).text
        #expect(text.contains("the same weights as A after each of 40 common steps"))
        #expect(text.contains("  A   runs/calm: finished after 40 of 40 steps") && text.contains("Settings"))
        let incidents = text.split(separator: "\n").first { $0.hasPrefix("  incidents ") }.map { $0.split(separator: " ").map { String($0) } }
        #expect(incidents == ["incidents", "0", "3", "+3"])
        #expect(text.contains("  last validation") && !text.contains("CAUTION"))
    }

    @Test func noLineIsWiderThanAHundredColumns() {
        let names = ["runs/calm", "runs/with-a-name-that-is-rather-long-for-a-column", "c", "d", "e", "f"]
        for count in 2...6 {
            let runs = names.prefix(count).enumerated().map { ($1, run(steps: 40 + $0, crashes: $0)) }
            for line in TextComparison(comparison(runs)).text.split(separator: "\n") {
                #expect(line.count <= TextReport.width && line.last != " ", "\(line)")
            }
        }
    }

    @Test func whatCannotBeComparedIsLeftOutAndSaid() {
        var unfinished = run(steps: 40), other = run(text: "other")
        unfinished.facts[RunFact.outcome] = "interrupted"
        unfinished.commits[3].learningRate = 0.5
        for index in other.commits.indices {
            other.commits[index].stateHash += "'"
            other.commits[index].parentHash += "'"
        }
        let text = TextComparison(comparison([("a", run()), ("b", unfinished), ("c", other)])).text
        #expect(text.contains("interrupted after 40 of 40 steps: its figures are of that part"))
        #expect(text.contains("another validation text than a: its losses and effects are not compared"))
        #expect(text.contains("other weights than A from step 1 on"))
        let validation = text.split(separator: "\n").first { $0.hasPrefix("  last validation ") }
        #expect(validation?.hasSuffix("–") == true, "\(validation ?? "")")
        #expect(text.contains("a check of its record fails"))
    }

    @Test func documentHasDifferencesFromTheFirst() throws {
        let text = ComparisonDocument.text(comparison([("a", run()), ("b", run(crashes: 3)), ("c", run(text: "other"))]))
        let document = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let runs = try #require(document["runs"] as? [[String: Any]]), figures = try #require(document["figures"] as? [[String: Any]])
        #expect(runs.map { $0["states"] as? String } == ["first", "equal", "equal"] && runs[1]["equal_steps"] as? Int == 40)
        let incidents = try #require(figures.first { $0["key"] as? String == "incidents" })
        #expect(incidents["values"] as? [Double] == [0, 3, 0] && incidents["differences"] as? [Double] == [0, 3, 0])
        let validation = try #require(figures.first { $0["key"] as? String == "last_validation_nats_per_token" }?["values"] as? [Any])
        #expect(validation[0] is Double && validation[2] is NSNull)
    }
}
