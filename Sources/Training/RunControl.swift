import Collectives
import Model
import RunSpec

/// What another process may ask of a run that is going on.
package struct RunControl {
    private let folder: RunFolder

    package init(_ folder: RunFolder) { self.folder = folder }

    /// - Throws: `UserError` when nobody trains there, or so many workers cannot be.
    package func scale(to workers: Int) throws {
        let (config, description) = try folder.read()
        guard folder.launcher() != nil else { throw UserError(.usage, "\(folder.path) is not being trained now; `headway resume \(folder.path) --workers \(workers)` goes on with so many workers") }
        var options = description.options
        if let place = options.groupPlace {
            throw UserError(.usage, "\(folder.path) is trained with \(place), where the number of workers stays until the run is interrupted and resumed with another")
        }
        (options.workers, options.faults) = (workers, [])
        try options.validate(for: config)
        let layout = SharedLayout(run: config, description, ParameterLayout(config.model))
        do {
            try SharedState(opening: description.segmentName, layout: layout, identity: description.identityWord(config)).wantWorkers(workers)
        } catch {
            throw UserError(.system, "the memory of \(folder.path) cannot be reached: \(error)")
        }
    }
}
