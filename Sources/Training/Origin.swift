import Checkpointing
import Corpus
import Kernels
import Model
import RunSpec

/// Where a new run's first state comes from, when it is not drawn from the seed: a checkpoint of another run, a file.
package struct Origin {
    /// Committed updates in the state: the run's own first commit is that of `step` + 1.
    package var step: Int
    /// For people and for the ledger: `runs/demo-1@480`.
    package var description: String
    /// The last updates up to it: the new run's first ones are judged by them.
    package var pastUpdates = PastUpdates()
    /// Text as tokens that lies elsewhere; nil: the configuration's is prepared.
    package var corpus: PreparedCorpus?
    /// What the state's token ids stand for, where that is not for the new run's text to say.
    package var tokenizer: Tokenizer?
    /// Ids the model has, where they are more than the tokenizer's.
    package var vocabulary = 0
    /// Writes θ, m and v. What lies between the tensors is 0 and stays so.
    package var fill: (ParameterLayout, StatePointers) throws -> Void
    /// What the new run's own hash of the state must be; nil when nobody knows.
    package var stateHash: String?
    /// In what the state is not of a run with these traits, as far as that is allowed; throws when it is not. Comes before `fill`.
    package var accepts: (StateTraits) throws -> [String] = { _ in [] }

    package init(step: Int, description: String, fill: @escaping (ParameterLayout, StatePointers) throws -> Void) {
        (self.step, self.description, self.fill) = (step, description, fill)
    }
}
