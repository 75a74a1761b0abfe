import ArgumentParser
import Foundation
import HuggingFace
import Model
import RunSpec
import Training

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a run's model for other programs.", subcommands: [ExportHuggingFace.self])
}

struct ExportHuggingFace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hf", abstract: "Write a run's model as Hugging Face Transformers loads it.",
        discussion: """
            Writes config.json, model.safetensors (float32), a tokenizer, and headway-tokenizer.json, from which
            `headway import hf` knows what the ids mean.

            EXAMPLES
              headway export hf runs/demo-1 model
              headway export hf runs/demo-1 model-800 --step 800
            and in Python
              model = AutoModelForCausalLM.from_pretrained("model")
              tokenizer = AutoTokenizer.from_pretrained("model")
            """)

    @Argument(help: ArgumentHelp("The folder of the run.", valueName: "run")) var source: String
    @Argument(help: ArgumentHelp("The folder to make; may be there if it is empty.", valueName: "folder")) var folder: String
    @Option(help: "The step of the checkpoint (default: the newest whole one).") var step: Int?

    func run() throws {
        let weights = try RunWeights(RunFolder(source), step: step), model = weights.config.model
        for remark in weights.remarks { printToStandardError(remark) }
        let provenance = ["run": source, "step": String(weights.step), "state": weights.stateHash]
        try HuggingFaceExport(model, weights.tokenizer, parameters: weights.parameters.base, provenance: provenance).write(to: folder)
        say("\(folder): \(model.family.rawValue), \(ParameterLayout(model).parameterCount) parameters, \(weights.tokenizer.kind.rawValue) tokenizer, after step \(weights.step) of \(source)")
    }
}

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Train a new run from another program's weights.", subcommands: [ImportHuggingFace.self])
}

struct ImportHuggingFace: ParsableCommand, MultipliesMatrices {
    static let configuration = CommandConfiguration(
        commandName: "hf", abstract: "Train a new run that begins from weights in Hugging Face's format.",
        discussion: """
            The model is that of config.json (gpt2 or llama); what it is trained with comes from preset, file and settings,
            as for `headway train`. model.context may be less than the model's positions, model.dropout anything. Text
            becomes the ids of headway-tokenizer.json if that lies in the folder, else bytes.

            EXAMPLES
              headway import hf model --text input.txt --set steps=500 --set schedule.peak=1e-4
              headway import hf gpt2 --text input.txt --set model.context=128 --workers 2
            """)

    @Argument(help: ArgumentHelp("The folder with config.json and model.safetensors.", valueName: "folder")) var folder: String

    @OptionGroup var settings: RunSettings

    @OptionGroup var new: NewRun

    func run() throws {
        let source = try HuggingFaceFolder(folder)
        var (config, name) = try settings.resolve(over: source.shape)
        try new.session.setDegree(&config)
        try source.check(config)
        var origin = Origin(step: 0, description: "the weights in \(folder)") { layout, state in try source.fill(layout, state.parameters) }
        (origin.tokenizer, origin.vocabulary) = (source.tokenizer, source.model.vocabulary)
        try new.train(config, name: name, from: origin, remarks: source.remarks)
    }
}
