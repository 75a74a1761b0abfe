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
            same end with the same weights: that is checked.

            EXAMPLES
              headway lab run Benchmarks/campaigns/policies.yaml --html policies.html
            """,
        subcommands: [LabRun.self])
}

struct LabRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Carry out a campaign: one run after the other, a row of results for each.",
        discussion: """
            Results go to results.csv in the folder as they come, runs to cells/. The same command
            goes on where it was interrupted; runs that finished are not made again, those that
            failed or were void are.

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
        if let html { try replaceFile(html, with: Data(CampaignPage.page(summary).utf8)) }
        if !summary.isSound {
            throw UserError(.runFailed, "\(summary.failures.count) runs failed and \(summary.strays.count) ended with other weights: \((summary.failures.map(\.name) + summary.strays).joined(separator: "; "))")
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
