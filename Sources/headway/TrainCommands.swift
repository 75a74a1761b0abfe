import ArgumentParser
import Checkpointing
import Collectives
import Coordination
import Foundation
import Ledger
import Reports
import RunSpec
import Training

/// Options that a session takes, new or resumed.
struct SessionFlags: ParsableArguments {
    @Option(help: ArgumentHelp("A fault to inject: 'crash worker=1 step=50 point=backward', or 'labels worker=1 step=50' to train on permuted targets from there on. May be given several times.", valueName: "fault"))
    var fault: [String] = []

    @Option(help: ArgumentHelp("A plan of faults to inject; see `headway faults --help`, and `headway faults preview` for what it will do.", valueName: "plan.yaml"))
    var faults: String?

    @Option(help: ArgumentHelp("What happens when a worker is lost: elastic keeps what is published, discard throws the attempt away, restart goes back to the newest checkpoint.", valueName: "elastic|discard|restart"))
    var policy: LossPolicy?

    @Option(help: "Workers that stand ready to take the place of a lost one.")
    var spares: Int?

    @Option(help: ArgumentHelp("Time from the loss of a worker to the start of its replacement.", valueName: "seconds"))
    var respawnDelay: Double?

    @Option(help: ArgumentHelp("A worker that has something to do and stands still for so many median steps, at least 60 ms, is taken for hung (default: 2).", valueName: "steps"))
    var hangSteps: Double?

    @Option(help: ArgumentHelp("Paced mode: each microbatch takes this long on a virtual device of the worker; for more workers than processors.", valueName: "milliseconds"))
    var pace: Double?

    @Option(help: ArgumentHelp("Share of the microbatches that another worker computes once more, to see whether the bits agree.", valueName: "share"))
    var audit: Double?

    @Option(help: ArgumentHelp("How workers exchange gradients: shared memory, or messages over Gloo between workers with memory of their own.", valueName: "shared|gloo"))
    var transport: Transport?

    @Option(help: ArgumentHelp("With --transport gloo: how workers share the state: ddp, zero1, zero2, zero3; +shadow keeps a second copy with a partner, +parity the XOR of all with each other; pp=2 divides the layers among two stages, tp=2 every layer among two ranks, which decides the bits.", valueName: "sharding"))
    var sharding: String?

    @Option(help: ArgumentHelp("With --transport gloo: where workers listen, a line for each slot: an address and, if it is in a network namespace, that one's path (default: 127.0.0.1 for all).", valueName: "file"))
    var hosts: String?

    @Option(help: ArgumentHelp("With --transport gloo: messages that a worker waits for count as arrived so much later.", valueName: "microseconds"))
    var linkUs: Int?

    @Flag(inversion: .prefixedNo, help: "Bind each worker to a processor of its own, or leave them to the system.")
    var pin: Bool?

    /// Those of the plan, then those of the command line.
    /// - Parameters:
    ///   - seed: of the plan's draws, unless it has its own.
    ///   - committed: the plan is that of the whole run; what it has for earlier steps is past.
    ///   - fired: and so is what has struck in an earlier session.
    func faults(workers: Int, steps: Int, seed: UInt64, committed: Int = 0, fired: Set<String> = []) throws -> [Fault] {
        var planned: [Fault] = []
        // Other numbers of workers are refused when the run is prepared.
        if let faults, 1...SharedLayout.slotsMaximum ~= workers {
            let plan = try FaultPlan(reading: faults)
            planned = try plan.resolve(workers: workers, steps: steps, seed: plan.seed ?? seed, limit: SharedLayout.faultsMaximum)
        }
        return planned.filter { ($0.step ?? committed) >= committed && !fired.contains($0.description) } + (try fault.map { try Fault($0) })
    }

    /// Gives a new run the degree of tensor parallelism that is asked for.
    func setDegree(_ config: inout RunConfig) throws {
        if let sharding { config.batch.tensor = try Sharding(sharding, workers: 1, place: "--sharding").mesh.tensor }
    }

    /// What is not said stays as it was.
    func options(_ before: SessionOptions, workers: Int?, _ config: RunConfig, committed: Int = 0, fired: Set<String> = []) throws -> SessionOptions {
        var options = before
        (options.workers, options.pinned) = (workers ?? before.workers, pin ?? before.pinned)
        options.policy = policy ?? before.policy
        options.spares = spares ?? before.spares
        options.respawnSeconds = respawnDelay ?? before.respawnSeconds
        options.hangSteps = hangSteps ?? before.hangSteps
        options.leafMilliseconds = pace ?? before.leafMilliseconds
        options.auditShare = audit ?? before.auditShare
        options.transport = transport ?? before.transport
        if let sharding {
            let asked = try Sharding(sharding, workers: options.workers, place: "--sharding")
            let groupSize = asked.mesh.tensor * asked.mesh.pipeline
            guard asked.mesh.tensor == config.batch.tensor else {
                throw UserError(.usage, "--sharding \(sharding): the run has tp=\(config.batch.tensor), which decides its bits, and this is tp=\(asked.mesh.tensor); keep it, or begin another run from its checkpoint with `headway train --from RUN --allow tensor`")
            }
            let fitting = options.workers % groupSize == 0 ? "" : "; --workers \(asked.mesh.workers) would do"
            guard asked.mesh.workers == options.workers else {
                throw UserError(.usage, "--sharding \(sharding): \(asked.mesh) has \(asked.mesh.workers) worker\(asked.mesh.workers == 1 ? "" : "s"), not \(options.workers)\(fitting)")
            }
            if asked.redundancy != .none, let obstacle = asked.stateObstacle() { throw UserError(.usage, "--sharding \(sharding): \(obstacle)") }
            (options.sharding, options.redundancy, options.stages) = (asked.state, asked.redundancy, asked.mesh.pipeline)
        }
        if let hosts { options.hosts = try WorkerHost.read(hosts) }
        options.linkMicroseconds = linkUs ?? before.linkMicroseconds
        if options.transport != .gloo, hosts != nil || linkUs != nil {
            throw UserError(.usage, "\(hosts != nil ? "--hosts" : "--link-us"): in shared memory nothing is sent; add --transport gloo")
        }
        options.faults = try faults(workers: options.workers, steps: config.steps, seed: config.seed, committed: committed, fired: fired)
        return options
    }
}

/// What a new run is beside its settings: how many train it, where it lies, what happens to it.
struct NewRun: ParsableArguments {
    @Option(help: "Worker processes (default: the number of processors, at most the microbatches of a step).")
    var workers: Int?

    @Option(help: ArgumentHelp("Folder of the run (default: the next free runs/<preset>-N).", valueName: "folder"))
    var out: String?

    @OptionGroup var session: SessionFlags

    /// Prepares the run and trains it to its end.
    func train(_ config: RunConfig, name: String, usualWorkers: Int? = nil, from origin: Origin? = nil, remarks: [String] = []) throws {
        let workers = workers ?? usualWorkers ?? min(Machine.cores, config.batch.microbatches)
        let options = try session.options(SessionOptions(workers: workers), workers: workers, config, committed: origin?.step ?? 0)
        var prepared = try PreparedRun.new(config, options, folder: out.map { RunFolder($0) } ?? RunFolder.next(name: name), origin: origin)
        prepared.remarks += remarks
        try TerminalSession(prepared).run()
    }
}

/// What may be another where a state is taken up.
struct AllowFlag: ParsableArguments {
    @Option(help: ArgumentHelp("Go on though these differ from what the state was made with: seed, corpus, core, version, tensor.", valueName: "names"))
    var allow: String?

    func allowed() throws -> Set<Allowance> {
        Set(try (allow ?? "").split(separator: ",").map { name in
            if let allowance = Allowance(rawValue: String(name)) { return allowance }
            let names = Allowance.allCases.map(\.rawValue)
            throw UserError(.usage, "--allow \(name): that cannot be allowed\(suggestion(for: String(name), among: names)); there are \(names.joined(separator: ", "))")
        })
    }
}

/// What a new run is: a preset, a file of settings over it, settings over that, and the text.
struct RunSettings: ParsableArguments {
    @Option(help: "Where to start from: demo, nanogpt-cpu, char-10m, llama-mini, tiny.")
    var preset: String?

    @Option(help: ArgumentHelp("A YAML file of settings; may name a preset itself.", valueName: "file"))
    var config: String?

    @Option(name: .long, help: ArgumentHelp("Set one setting; wins over preset and file. May be given several times.", valueName: "key=value"))
    var set: [String] = []

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Text files to train on, joined; - is standard input.", valueName: "file"))
    var text: [String] = []

    /// The configuration, and the name of the preset it starts from.
    /// - Parameters:
    ///   - parent: in place of a preset: another run's configuration, and its folder.
    ///   - change: made before the file and the settings go over it.
    func resolve(from parent: (config: RunConfig, folder: String)? = nil, over change: (inout RunConfig) -> Void = { _ in }) throws -> (RunConfig, String) {
        var yaml: String?, name = preset ?? "demo"
        if let file = config {
            guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
                throw UserError(.missing, "--config \(file): there is no such file, or it is not text")
            }
            yaml = text
            if preset == nil, let named = try RunConfig.presetName(in: text, file: file) { name = named }
        }
        var config: RunConfig
        if let parent {
            if let preset { throw UserError(.usage, "--preset \(preset) with --from: the settings are those of \(parent.folder); change them with --set or --config") }
            (config, name) = (parent.config, URL(fileURLWithPath: parent.folder).lastPathComponent + "-branch")
        } else {
            config = try Preset.named(name).config
        }
        change(&config)
        if let yaml, let file = self.config { try config.apply(yaml: yaml, file: file) }
        for assignment in set { try config.set(assignment: assignment) }
        if !text.isEmpty {
            config.data.corpus = .text
            config.data.files = text
        }
        return (config, name)
    }
}

struct Train: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        abstract: "Train a new run.",
        discussion: """
            A run is a preset, a YAML file over it, and settings over that. `headway presets` lists presets and settings.

            EXAMPLES
              headway train                                            the demo model on the generated corpus
              headway train --preset nanogpt-cpu --text input.txt      nanoGPT's CPU configuration on a file
              cat *.txt | headway train --text - --workers 2           any text, from standard input
              headway train --config my.yaml --set steps=5000 --set schedule.kind=wsd
              headway train --workers 4 --fault 'crash worker=1 step=50 point=backward' --fault 'crash worker=2 step=90'
              headway train --workers 4 --faults plan.yaml             faults by chance, recorded, or as a fleet fails
              headway train --from runs/demo-1 --set steps=3000        on from another run's newest checkpoint, for longer
              headway train --from runs/demo-1@400 --set schedule.peak=1e-3 --workers 3
              headway train --workers 4 --transport gloo --sharding dp=2,tp=2   two groups whose two workers share every layer

            A run from another's checkpoint has that run's settings and workers but for what is changed here. Another seed
            (other samples), other text, another BLAS core, version of headway or degree of tensor parallelism must be allowed by
            name; another model cannot be.
            """)

    @OptionGroup var settings: RunSettings

    @Option(help: ArgumentHelp("Begin with the state of another run: its newest whole checkpoint, or that of a step.", valueName: "run[@step]"))
    var from: String?

    @OptionGroup var allow: AllowFlag

    @OptionGroup var new: NewRun

    func run() throws {
        let branch = try from.map { try Branch($0) }
        var (config, name) = try settings.resolve(from: branch.map { ($0.config, $0.parent.path) })
        try new.session.setDegree(&config)
        let allowed = try allow.allowed()
        guard let branch else {
            if !allowed.isEmpty { throw UserError(.usage, "--allow goes with --from: a new run begins with nothing that could differ") }
            return try new.train(config, name: name)
        }
        let origin = try branch.origin(for: config, isTextGiven: !settings.text.isEmpty, allowing: allowed)
        try new.train(config, name: name, usualWorkers: branch.workers, from: origin,
            remarks: branch.remarks + ["begins with the state of \(branch.parent.path) after step \(branch.step)"])
    }
}

struct Demo: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        abstract: "Four workers train on generated stories, three of them are killed, nothing is lost.",
        discussion: "About a minute on two processors. Ends with the goodput summary and a sample of what was learned.")

    @Option(help: ArgumentHelp("Folder of the run (default: the next free runs/demo-N).", valueName: "folder"))
    var out: String?

    func run() throws {
        let config = try Preset.named("demo").config
        let faults = ["crash worker=1 step=350 point=backward", "crash worker=3 step=850 point=reduce", "crash worker=0 step=1250 point=leafDone"]
        let folder = out.map { RunFolder($0) } ?? RunFolder.next(name: "demo")
        let prepared = try PreparedRun.new(config, SessionOptions(workers: 4, faults: faults.map { try Fault($0) }), folder: folder)
        try TerminalSession(prepared).run()
        say("\nWhat it has learned to write:\n")
        try Sampler(folder).write(prompt: "Once upon a time", count: 600, temperature: 0.5, topK: 0, seed: 1)
        say("\nNext: headway report \(folder.path) · headway verify \(folder.path) · headway sample \(folder.path) --prompt 'The fox'")
    }
}

struct Resume: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        abstract: "Go on with a run that was interrupted or whose launcher died.",
        discussion: """
            Takes the state from shared memory if it is still there and its hashes hold, else the newest whole checkpoint.

            EXAMPLES
              headway resume runs/demo-1
              headway resume runs/demo-1 --workers 3         with another number of workers; the result is the same
              headway resume runs/demo-1 --at 400            back to an older checkpoint; newer ones are set aside
            """)

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String

    @Option(help: "Worker processes (default: as before).")
    var workers: Int?

    @Option(help: ArgumentHelp("Go back to this checkpoint, whatever has been committed since.", valueName: "step"))
    var at: Int?

    @OptionGroup var allow: AllowFlag

    @OptionGroup var session: SessionFlags

    func run() throws {
        let run = RunFolder(folder)
        let prepared = try PreparedRun.resume(run, at: at, allowing: allow.allowed()) { before, config in
            guard session.faults != nil else { return try session.options(before, workers: workers, config) }
            let record = try LedgerStore.read(run.ledgerPath), committed = at ?? record.position.step
            let fired = Set(record.faults.filter { $0.firedNanoseconds != nil }.map(\.text))
            return try session.options(before, workers: workers, config, committed: committed, fired: fired)
        }
        try TerminalSession(prepared).run()
    }
}

extension LossPolicy: ExpressibleByArgument {}
extension Transport: ExpressibleByArgument {}

struct Scale: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Change the number of workers of a run that is going on.",
        discussion: "The others come or go at the next step boundary; the weights do not notice.\n\nEXAMPLE\n  headway scale runs/demo-1 --workers 3")

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var folder: String
    @Option(help: "How many workers shall compute.") var workers: Int

    func run() throws {
        try RunControl(RunFolder(folder)).scale(to: workers)
        say("\(folder): \(workers) worker\(workers == 1 ? "" : "s") from the next step boundary on")
    }
}

/// One session on the terminal: what is to be run, how it goes, what came of it.
struct TerminalSession {
    private static let faultsShown = 10
    private let prepared: PreparedRun

    init(_ prepared: PreparedRun) { self.prepared = prepared }

    func run() throws {
        printHeading()
        let screen = Screen()
        let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        let launcher = try Launcher(prepared, executable: executablePath(), environment: environment, notify: screen.show)
        defer { if !launcher.keepsSegment { prepared.removeSegment() } }
        let result = Result { try launcher.run() }
        screen.finish()
        let outcome = try result.get()
        say("")
        say(TextReport.summary(try LedgerStore.read(prepared.folder.ledgerPath)))
        if outcome == .interrupted {
            throw UserError(.interrupted, "interrupted; `headway resume \(prepared.folder.path)` goes on")
        }
    }

    private func printHeading() {
        let d = prepared.description
        say("headway \(RunDescription.version) · \(prepared.folder.path) · \(d.options.workers) worker\(d.options.workers == 1 ? "" : "s")\(d.options.spares > 0 ? " and \(d.options.spares) in reserve" : "") · BLAS core \(d.blasCore) · Swift \(Machine.swiftVersion)")
        say("\(prepared.parameters.parameterCount) parameters, vocabulary \(d.vocabulary), \(prepared.config.tokensPerStep) tokens a step in \(prepared.config.batch.microbatches) microbatches")
        say(prepared.config.compactLines.joined(separator: "\n"))
        for fault in d.options.faults.prefix(Self.faultsShown) { say("fault       \(fault)") }
        if d.options.faults.count > Self.faultsShown { say("            and \(d.options.faults.count - Self.faultsShown) more faults, all in the ledger") }
        for remark in prepared.remarks { say(remark) }
        say("")
    }
}
