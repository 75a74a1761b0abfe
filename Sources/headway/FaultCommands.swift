import ArgumentParser
import Collectives
import Foundation
import Reports
import RunSpec

struct FaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "What faults can be injected, and what a plan of them will do.",
        discussion: """
            One fault is a line of text, for --fault: its kind, whom it strikes, when, where.

              crash worker=1 step=50 point=backward
              hang worker=0 at=2.5s for=1s
              slow worker=2 step=9 speed=0.5 for=4s
              crash launcher step=50 point=vote
              crash writer step=20 point=rename
              bitflip worker=1 step=7 target=parameters

            What strikes the disk under a checkpoint strikes the writer. A disk that is full is
            so by the kernel, on a small tmpfs in mounts of the writer's own; where that is
            refused, by the storage protocol; the report says which. torn and flipped are found
            when a restore reads the checkpoint, which then goes back to the one before.

              diskfull writer step=50
              slowdisk writer step=50 rate=2MB/s
              torn writer step=50
              flipped writer step=50

            A plan is a YAML file of many, for --faults: listed, drawn by chance, recorded,
            or as a published fleet fails.

              seed: 7               # without it, the run's
              faults:
                - crash worker=1 step=50 point=backward
                - { kind: hang, worker: 2, step: 80, for: 1s }
              schedules:
                # of each worker, on its own
                - poisson: { kind: crash, mtbf: 100 steps }
                # of the job; the worker is drawn
                - poisson: { kind: crash, steps-per-failure: 5.45 }
                - weibull: { kind: hang, mtbf: 20 s, until: 10 min, shape: 0.7, for: 1 s }
                # per worker and step
                - probability: { kind: crash, p: 0.01, points: [forward, reduce] }
                # one worker after the other
                - every: { kind: crash, interval: 25 steps, from: 100 }
                # or compress: 60, by the clock
                - trace: { file: spot.csv, steps-per-hour: 120 }
                # or steps-per-failure: 30
                - profile: { name: llama3-54-days, compress: 50 }

            Steps have no unit, times have one: ms, s, min, h. Schedules take workers: [0, 1]
            or victim: writer, points, from and until, and what goes with their kind: for,
            speed, rate, notice, target, bit. Without points, any point within a step is drawn. At most
            one drawn fault strikes a worker in a step.

            A trace is CSV with the header time_s,event[,worker][,kind], or a JSON list of
            objects with these keys. Events: preempt, remove and fail (crashes), any kind of
            fault, and add, which is ignored. time_ms is understood, too. Workers are slots,
            or names that count in the order of their appearance.

            The same seed gives the same faults on any machine; more workers or steps do not
            change the others' faults.

            EXAMPLES
              headway faults preview plan.yaml --workers 4 --steps 2000
              headway faults preview plan.yaml --csv > faults.csv
              headway faults kinds
              headway faults profiles
              headway train --workers 4 --faults plan.yaml
            """,
        subcommands: [FaultsPreview.self, FaultsKinds.self, FaultsProfiles.self])
}

struct FaultsPreview: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preview",
        abstract: "Show what a plan will do: when it strikes whom, how often, where.",
        discussion: """
            Nothing is run. `headway train` with the same workers, steps and seed injects
            exactly these faults.

            EXAMPLES
              headway faults preview plan.yaml
              headway faults preview plan.yaml --workers 8 --steps 5000 --seed 3
              headway faults preview plan.yaml --csv
            """)

    @Argument(help: ArgumentHelp("The plan.", valueName: "plan.yaml")) var plan: String
    @Option(help: "Workers of the run.") var workers = 4
    @Option(help: "Steps of the run.") var steps = 1000
    @Option(help: "Of the draws (default: the plan's, else 1, as the setting `seed`).") var seed: UInt64?
    @Flag(help: "All faults as CSV.") var csv = false

    func validate() throws {
        if workers < 1 || workers > SharedLayout.slotsMaximum { throw ValidationError("--workers must be from 1 to \(SharedLayout.slotsMaximum).") }
        if steps < 1 || steps > 100_000_000 { throw ValidationError("--steps must be from 1 to 100000000.") }
    }

    func run() throws {
        let read = try FaultPlan(reading: plan), seed = seed ?? read.seed ?? RunConfig().seed
        let resolution = try read.resolution(workers: workers, steps: steps, seed: seed, limit: SharedLayout.faultsMaximum)
        let preview = FaultPreview(resolution, name: plan, workers: workers, steps: steps, seed: seed)
        say(csv ? preview.csv : preview.text, terminator: csv ? "" : "\n")
    }
}

struct FaultsKinds: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kinds", abstract: "List the kinds of faults, whom they can strike and where.",
        discussion: "EXAMPLE\n  headway faults kinds")

    func run() { say(FaultCatalogue.kinds) }
}

struct FaultsProfiles: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profiles", abstract: "List the fleets whose published failures can be replayed.",
        discussion: """
            A profile keeps the steps per failure of the whole job, however many workers run
            here: a failure every 1,796 steps of 16,384 accelerators is one every 1,796 steps
            of four workers. `compress: 50` makes it one every 36.

            EXAMPLES, in a plan
              - profile: { name: llama3-54-days, compress: 50 }
              - profile: { name: rsc-1, accelerators: 4096, step-seconds: 5 }
              - profile: { name: byterobust, steps-per-failure: 30 }
            """)

    func run() { say(FaultCatalogue.profiles) }
}

extension FaultPlan {
    /// Reads a plan and the traces that it names, which lie beside it unless their names begin with `/`.
    /// - Throws: `UserError` for what is missing or wrong.
    init(reading path: String) throws {
        func text(_ path: String, _ what: String) throws -> String {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw UserError(.missing, "\(path): there is no such \(what), or it is not text")
            }
            return text
        }
        let folder = (path as NSString).deletingLastPathComponent
        try self.init(yaml: text(path, "plan"), file: path) { name in
            try text(name.hasPrefix("/") || folder.isEmpty ? name : folder + "/" + name, "trace")
        }
    }
}
