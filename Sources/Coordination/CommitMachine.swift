/// Decides commits: one record per step, written before it is announced, whatever repeated or late votes arrive.
package struct CommitMachine: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// `step` updates are committed; the next one is being computed.
        case computing(step: Int)
        /// Every chunk is voted for; the record of `step` + 1 is being written.
        case recording(step: Int)
        /// The last step is committed, or the run is told to stop at this boundary.
        case finished(step: Int)
    }

    package enum Event: Equatable, Sendable {
        /// Votes were looked at: whether every chunk of the update after `step` commits has one.
        case votes(step: Int, complete: Bool)
        /// The record of the commit that makes step `step` is in the ledger.
        case recorded(step: Int)
        /// What was voted for must not be committed: it is computed again.
        case refused(step: Int)
        case stopRequested
    }

    package enum Effect: Equatable, Sendable {
        /// Write the record that makes step `step`.
        case record(step: Int)
        /// Tell the workers that `step` is committed; `stop`: and that they shall leave.
        case announce(step: Int, stop: Bool)
    }

    package private(set) var state: State
    package let lastStep: Int
    private var stopRequested = false

    package init(committed step: Int, lastStep: Int) {
        self.lastStep = lastStep
        state = .computing(step: step)
    }

    package mutating func receive(_ event: Event) -> [Effect] {
        switch (state, event) {
        case (.computing(let step), .votes(let voted, complete: true)) where voted == step && step < lastStep:
            state = .recording(step: step)
            return [.record(step: step + 1)]
        case (.recording(let step), .recorded(let recorded)) where recorded == step + 1:
            state = stopRequested || step + 1 == lastStep ? .finished(step: step + 1) : .computing(step: step + 1)
            return [.announce(step: step + 1, stop: stopRequested)]
        case (.recording(let step), .refused(let refused)) where refused == step + 1:
            state = .computing(step: step)
            return []
        case (_, .stopRequested):
            stopRequested = true
            return []
        // A vote that came twice, or for a step that is decided, changes nothing.
        case (_, .votes), (_, .recorded), (_, .refused):
            return []
        }
    }
}
