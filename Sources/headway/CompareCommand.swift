import ArgumentParser
import Reports
import RunSpec
import Training

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put two or more runs side by side: settings, goodput, losses, states.",
        discussion: """
            Differences are from the first run. What cannot be compared, such as losses on
            another text, is left out, and it is said why.

            EXAMPLES
              headway compare runs/without runs/with-faults
              headway compare runs/sweep-* --json sweep.json      - is standard output
            """)

    @Argument(help: ArgumentHelp("The folders of the runs.", valueName: "run")) var folders: [String]

    @Option(help: ArgumentHelp("Write the comparison as a JSON document to this file instead.", valueName: "file"))
    var json: String?

    func validate() throws {
        if folders.count < 2 { throw ValidationError("name at least two runs.") }
    }

    func run() throws {
        let comparison = Comparison(try folders.map { ($0, try RunFolder($0).record()) })
        if let json { return try OutputFile("--json", json).save(ComparisonDocument.text(comparison)) }
        say(TextComparison(comparison).text, terminator: "")
    }
}
