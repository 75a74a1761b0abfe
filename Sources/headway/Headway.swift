import ArgumentParser
import CSystem
import Foundation
import RunSpec
import Training

@main
struct Headway: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "headway",
        abstract: "Train a small transformer with worker processes that may die, and know where every worker-second went.",
        discussion: """
            EXAMPLES
              headway demo                                  four workers, three crashes, one minute
              headway train --text book.txt --workers 2     train on your own text
              headway train --preset nanogpt-cpu --text input.txt --fault 'crash worker=1 step=50'
              headway train --workers 4 --faults plan.yaml  faults by chance; `headway faults` says how
              headway lab run Benchmarks/campaigns/policies.yaml   what a fault policy costs
              headway plan --model gpt2-small --workers 8   what a sharding choice would cost
              headway report runs/demo-1                    the goodput summary again
              headway compare runs/demo-1 runs/demo-2       two or more runs side by side
              headway watch runs/demo-1                     follow a run from another terminal
              headway verify runs/demo-1                    check that the ledger closes
              headway sample runs/demo-1 --prompt 'Once'    text from the trained model
              headway checkpoints runs/demo-1               what can be gone on with
              headway train --from runs/demo-1@500 --set steps=3000   another run from there
              headway export hf runs/demo-1 model           the model for Hugging Face Transformers

            EXIT STATUS
              0 success   1 the run or a check failed   64 usage   65 bad input
              66 missing file   71 memory, processes or processor   73 cannot write
              130 interrupted   (verify and watch: see their help)
            """,
        version: "headway \(RunDescription.version)",
        subcommands: [
            Demo.self, Train.self, Resume.self, Scale.self, Report.self, Compare.self, Watch.self, Verify.self, Sample.self, Checkpoints.self, ImportCommand.self, ExportCommand.self,
            DataCommand.self, FaultsCommand.self, LabCommand.self, PlanCommand.self, PresetsCommand.self, Bench.self, WorkerCommand.self, CheckpointWriterCommand.self, ExchangeRankCommand.self,
        ])

    static func main() {
        signal(SIGPIPE, SIG_IGN)
        // Inherited as ignored, it would hide the deaths of workers from waitpid.
        signal(SIGCHLD, SIG_DFL)
        do {
            var command = try parseAsRoot()
            if command is any MultipliesMatrices { try enterBLASEnvironment() }
            try command.run()
        } catch let error as UserError {
            printToStandardError("headway: \(error.description)")
            Foundation.exit(error.exitStatus)
        } catch {
            exit(withError: error)
        }
    }
}

/// A command that calls BLAS in this process, or starts processes that do.
protocol MultipliesMatrices {}

/// BLAS reads the environment when it is loaded, before `main`: where a variable is missing, set it and start over.
private func enterBLASEnvironment() throws {
    let environment = ProcessInfo.processInfo.environment
    let wanted = BLASEnvironment.variables(over: environment, preferredCore: cs_preferred_blas_core().map { String(cString: $0) })
    guard wanted.contains(where: { environment[$0.key] != $0.value }) else { return }
    for (name, value) in wanted { setenv(name, value, 1) }
    var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
    execv(executablePath(), &arguments)
    throw UserError(.system, "headway cannot start itself again: \(String(cString: strerror(errno)))")
}

/// This program's own file.
func executablePath() -> String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
}
