import ArgumentParser
import Foundation
import Lab
import RunSpec

struct LabCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab",
        abstract: "Compare policies, settings and rates of failure on real runs.",
        discussion: """
            A campaign is a YAML file: what all runs have in common, what varies, and the faults.
            A list in place of a value is an axis; every combination is run once per seed.

              preset: tiny
              workers: 8
              pace: 20                          # ms of a microbatch; or pin: true; or neither
              seeds: [1, 2, 3]                  # of the faults
              late: 5                           # % of late microbatches that void a paced run
              policy: [elastic, discard, restart]
              spares: 0
              respawn-delay: 0.25
              set:
                steps: 150
                checkpoint.every: 20
              faults:                           # as `headway faults --help` says
                schedules:
                  - poisson: { kind: crash, steps-per-failure: [100, 30, 10] }

            The same seed gives the same faults to all variations, and all runs that train the
            same end with the same weights: that is checked. A run that the machine disturbed, with
            late microbatches or with incidents that nobody injected, is void and does not count.

            EXAMPLES
              headway lab run Benchmarks/campaigns/policies.yaml --html policies.html
              headway lab coverage
              headway lab gate baseline/results.csv
            """,
        subcommands: [LabRun.self, LabCoverage.self, LabGate.self])
}

struct LabRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Carry out a campaign: one run after the other, a row of results for each.",
        discussion: """
            Results go to results.csv in the folder as they come, runs to cells/. The same command
            goes on where it was interrupted; runs that finished are not made again, those that
            failed or were void are. After a change of the program choose another folder.

            EXAMPLES
              headway lab run Benchmarks/campaigns/policies.yaml
              headway lab run my.yaml --out lab/mine --seeds 1,2,3,4,5 --html mine.html

            EXIT STATUS
              0 all runs finished with the weights they must have
              1 a run failed, or ended with other weights
              130 interrupted
            """)

    @Argument(help: ArgumentHelp("The campaign.", valueName: "campaign.yaml")) var campaign: String
    @Option(help: ArgumentHelp("Folder of the results (default: lab/ and the campaign's name).", valueName: "folder")) var out: String?
    @Option(help: ArgumentHelp("Write the results as a page, too.", valueName: "file")) var html: String?
    @Option(help: ArgumentHelp("Seeds of the faults in place of the campaign's.", valueName: "1,2,3")) var seeds: String?

    func run() throws {
        let summary = try carryOut(campaign, out: out, seeds: seeds)
        say("\n" + CampaignTable.text(summary))
        if let html { try OutputFile("--html", html).save(CampaignPage.page(summary)) }
        if !summary.isSound {
            let names = (summary.failures.map(\.name) + summary.strays).joined(separator: "; ")
            throw UserError(.runFailed, "\(summary.failures.count) runs failed and \(summary.strays.count) ended with other weights: \(names)")
        }
    }
}

/// - Parameters:
///   - path: of the campaign.
///   - out: folder of the results, else its usual one.
///   - seeds: `1,2,3`.
private func carryOut(_ path: String, out: String?, seeds: String?) throws -> CampaignSummary {
    func text(_ path: String, _ what: String) throws -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw UserError(.missing, "\(path): there is no such \(what), or it is not text") }
        return text
    }
    let yaml = try text(path, "campaign"), beside = (path as NSString).deletingLastPathComponent
    var campaign = try Campaign(yaml: yaml, file: path) { name in
        try text(name.hasPrefix("/") || beside.isEmpty ? name : beside + "/" + name, "trace")
    }
    if let seeds { campaign.seeds = try Campaign.seeds(seeds.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }, place: "--seeds") }
    var run = try CampaignRun(campaign, text: yaml, folder: out ?? "lab/\(campaign.name)", program: executablePath())
    try run.run { say($0) }
    return run.summary
}

struct LabCoverage: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coverage",
        abstract: "Inject every kind of fault at every point where it can strike, and see that it leaves no trace.",
        discussion: """
            Each cell of the matrix is a run of the tiny preset. Promised is that the fault fires, the
            final weights are those of an undisturbed run, the ledger passes `headway verify`, and no
            process or memory is left. Launchers that are killed are followed by `headway resume`.
            A checkpoint that is torn or flipped is met by a crash under --policy restart.
            Only labels may change the weights. All cells take two to three minutes.

            EXAMPLES
              headway lab coverage --html coverage.html
              headway lab coverage --sample 10 --seed 7

            EXIT STATUS
              0 all cells as promised   1 some are not   130 interrupted
            """)

    @Option(help: "Run only so many cells, drawn.") var sample: Int?
    @Option(help: "Of the draw.") var seed: UInt64 = 1
    @Option(help: ArgumentHelp("Write the matrix as a page, too.", valueName: "file")) var html: String?

    func validate() throws {
        if let sample, sample < 1 { throw ValidationError("--sample must be at least 1.") }
    }

    func run() throws {
        let cells = sample.map { Coverage.sample($0, seed: seed) } ?? Coverage.all
        let folder = FileManager.default.temporaryDirectory.path + "/headway-coverage-\(getpid())"
        do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) } catch {
            throw UserError(.unwritable, "\(folder) cannot be made: \(error.localizedDescription)")
        }
        var keeps = false
        defer { if !keeps { try? FileManager.default.removeItem(atPath: folder) } }
        let runs = try CoverageRun(folder: folder, program: executablePath())
        var results: [CoverageResult] = []
        for cell in cells {
            let result = try runs.run(cell)
            results.append(result)
            say("[\(results.count)/\(cells.count)] \(cell.name): \(result.holds ? "as promised" : "FAILED, " + result.failures.joined(separator: "; "))")
        }
        let matrix = CoverageMatrix(results)
        say("\n" + matrix.text + "\n\n" + matrix.count)
        if let html { try OutputFile("--html", html).save(matrix.page) }
        if !matrix.failures.isEmpty {
            keeps = true
            throw UserError(.runFailed, "\(matrix.failures.count) of \(results.count) cells are not as promised; their runs are in \(folder)")
        }
    }
}

struct LabGate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gate",
        abstract: "Say whether goodput has fallen since a campaign's results were stored.",
        discussion: """
            Compares each variation of the stored results with the same one of new results, which are
            another file of results or come from carrying out a campaign now: without a second
            argument, the one that lies beside the stored results as campaign.yaml.

            A fall counts when a one-sided Welch test says that it is not chance (level 0.05,
            corrected by Holm for the number of variations) and when it is large enough to matter.

            EXAMPLES
              headway lab run mine.yaml --out baseline --seeds 1,2,3,4,5
              headway lab gate baseline/results.csv
              headway lab gate baseline/results.csv lab/mine/results.csv --figure compute_goodput
              headway lab gate baseline/results.csv mine.yaml --least-drop 2

            EXIT STATUS
              0 nothing has fallen
              1 something has, or a variation has no results any more
              65 the results are of another campaign   66 missing file   130 interrupted
            """)

    @Argument(help: ArgumentHelp("Stored results.", valueName: "baseline.csv")) var baseline: String
    @Argument(help: ArgumentHelp("New results, or a campaign to carry out.", valueName: "results.csv|campaign.yaml")) var results: String?
    @Option(help: ArgumentHelp("The column to compare, of which more is better.", valueName: "column")) var figure = "effective_goodput"
    @Option(help: ArgumentHelp("Falls below this do not matter; of shares in points of a hundred.", valueName: "points")) var leastDrop = 1.0
    @Option(help: ArgumentHelp("Folder for the campaign's results (default: the next free lab/gate-N).", valueName: "folder")) var out: String?

    func run() throws {
        guard let figure = Figure.named(figure) else {
            throw UserError(.usage, "--figure: there is no column `\(figure)`\(suggestion(for: figure, among: Figure.all.map(\.name))); there are \(Figure.all.map(\.name).joined(separator: ", "))")
        }
        let before = try ResultsFile(reading: baseline), given = results ?? (baseline as NSString).deletingLastPathComponent + "/campaign.yaml"
        let after = try given.hasSuffix(".csv") ? ResultsFile(reading: given) : measured(given)
        guard before.axes == after.axes else {
            throw UserError(.badInput, "\(baseline) has the axes \(before.axes.joined(separator: ", ")), \(after.path) has \(after.axes.joined(separator: ", ")): they are of different campaigns")
        }
        let gate = Gate(before: before, after: after, figure: figure, leastDrop: leastDrop)
        say(gate.text)
        let blocked = gate.lines.filter { $0.verdict.blocks }
        if !gate.passed {
            throw UserError(.runFailed, "\(figure.name) has fallen or is missing in \(blocked.count) of \(gate.lines.count) variations: \(blocked.map { $0.variation.values.joined(separator: " ") }.joined(separator: "; "))")
        }
    }

    /// In a folder of its own: what an earlier build did is not to be taken for what this one does.
    private func measured(_ campaign: String) throws -> ResultsFile {
        var number = 1
        while FileManager.default.fileExists(atPath: "lab/gate-\(number)") { number += 1 }
        let folder = out ?? "lab/gate-\(number)"
        _ = try carryOut(campaign, out: folder, seeds: nil)
        return try ResultsFile(reading: folder + "/results.csv")
    }
}
