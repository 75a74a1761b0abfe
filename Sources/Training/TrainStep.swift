import Collectives
import Corpus
import CSystem
import Glibc
import Kernels
import Ledger
import Model
import RunSpec

/// A worker's part in every step, in the order it happens. Synchronous, on one thread; between two steps nothing is
/// kept here but buffers, so a worker may appear or vanish anywhere.
final class TrainStep {
    let context: StepContext
    private let exchange: any GradientExchange
    let shared: SharedState, config: RunConfig
    let slot: Int
    private let transformer: Transformer
    let data: WorkerData
    /// What a microbatch takes on the virtual device of paced mode; 0: as long as it takes.
    private let leafNanoseconds: UInt64
    private var allocations = 0
    /// Kinds of passes that this process has made, a bit each, and whether the step under way has the first of one.
    private var passes = 0, hasFirstPass = false

    init(_ context: StepContext, _ exchange: any GradientExchange, transformer: Transformer, data: WorkerData, leafNanoseconds: UInt64) {
        (self.context, self.exchange, shared, config, slot) = (context, exchange, context.shared, context.config, context.slot)
        (self.transformer, self.data, self.leafNanoseconds) = (transformer, data, leafNanoseconds)
    }

    var turn: Int { context.turn }

    /// Computes steps until the launcher says stop.
    func run() throws {
        var stepsHere = 0
        while true {
            // Read first: whoever is let go, or told to stop, with a commit sees that with its turn.
            context.turn = shared.turn
            let step = SharedState.step(of: turn)
            guard !shared.stopRequested, shared.admitted(slot) == context.replica else { return try exchange.leave(step) }
            let allocationsBefore = cs_allocation_count()
            hasFirstPass = false
            do {
                try exchange.begin(step)
                if step == config.steps {
                    try finalEvaluation(step)
                    continue
                }
                try compute(step)
                try exchange.reduce(step)
                try exchange.update(step)
                // The first step, and the first pass of a kind, touch every buffer and make every type for the first time; from
                // then on nothing may allocate, but for the messages, which are Gloo's.
                if stepsHere > 0, !hasFirstPass, exchange is SharedExchange { allocations += Int(cs_allocation_count() - allocationsBefore) }
                shared.setStepAllocations(slot, allocations)
                stepsHere += 1
                context.enter(.awaitCommit, step)
                try context.wait { shared.stopRequested || exchange.isDisturbed }
                if shared.committedStep > step { context.faults.strike(.commit, step: step) }
            } catch is TurnIsOver {
                // What was done of it counts for nothing, or others did it.
            } catch is Disturbed {
                // The turn goes on with others.
            }
        }
    }

    /// Own held-out units that are due with the weights before the step, and own leaves, until everybody's are there.
    /// Survivors of a loss find the lost units to be theirs and go on computing.
    private func compute(_ step: Int) throws {
        let due = shared.due(step, config)
        if let peers = exchange.rounds { return try exchange.exchanging(step) { try computeInRounds(step, due, peers) } }
        if let exchange = exchange as? GroupExchange {
            guard let work = exchange.work else { throw Disturbed() }
            noteDrain()
            return try exchange.exchanging(step) {
                switch work {
                case .pipeline(let pipeline, let peers): try computeInPipeline(step, due, exchange, pipeline, peers)
                case .ranks(let peers): try computeTogether(step, due, exchange, peers)
                }
            }
        }
        while true {
            let view = shared.view
            if shared.turn != turn { throw TurnIsOver() }
            noteDrain()
            try exchange.begin(step)
            if let unit = shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) {
                evaluate(unit, step, Alone())
            } else if let leaf = shared.claimLeaf(for: slot, turn: turn, helping: shared.helps) {
                if let peers = exchange.lastLeaf(leaf) { compute(leaf: leaf, step, peers) } else { compute(leaf: leaf, step, Alone()) }
            } else if allComputed(step, due) {
                // Whoever finishes last wakes the others before it goes on to its own chunks.
                shared.ring()
                return
            } else {
                shared.ring()
                context.enter(.awaitLeaves, step)
                try context.wait { allComputed(step, due) || hasWork(due) || shared.view != view }
            }
        }
    }

    private func allComputed(_ step: Int, _ due: Range<Int>) -> Bool {
        shared.leaves.allDone(turn: turn) && shared.evaluations.allDone(turn: turn, in: due)
    }

    private func hasWork(_ due: Range<Int>) -> Bool {
        shared.hasLeaf(for: slot, turn: turn, helping: shared.helps)
            || shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) != nil
    }

    /// Says once that somebody wants this worker gone.
    private func noteDrain() {
        guard cs_noted_interrupt() == SIGTERM, shared.slotState(slot).state == .ready else { return }
        shared.setSlot(slot, replica: context.replica, state: .draining)
        context.ringDoorbell()
    }

    /// All members together: each has a unit or a leaf of every round, or attends.
    private func computeInRounds(_ step: Int, _ due: Range<Int>, _ peers: RoundPeers) throws {
        noteDrain()
        try evaluateInRounds(step, due, peers)
        let (rank, size) = peers.place, leaves = shared.layout.leaves
        for first in stride(from: 0, to: leaves, by: size) {
            try peers.begin(.training, active: min(size, leaves - first), firstLeaf: first)
            if first + rank < leaves { try compute(leaf: first + rank, step, peers) } else { try peers.attend(.training) }
            try peers.end()
            if shared.turn != turn { throw TurnIsOver() }
        }
    }

    private func evaluateInRounds(_ step: Int, _ due: Range<Int>, _ peers: RoundPeers) throws {
        let (rank, size) = peers.place
        for first in stride(from: due.lowerBound, to: due.upperBound, by: size) {
            try peers.begin(.evaluation, active: min(size, due.upperBound - first))
            if first + rank < due.upperBound { try evaluate(first + rank, step, peers) } else { try peers.attend(.evaluation) }
            try peers.end()
            if shared.turn != turn { throw TurnIsOver() }
        }
    }

    /// The group's leaves one after the other, each by all its ranks in lockstep.
    private func computeTogether(_ step: Int, _ due: Range<Int>, _ exchange: GroupExchange, _ peers: TensorPeers) throws {
        try evaluateTogether(step, due, exchange, peers)
        for leaf in exchange.leaves {
            try compute(leaf: leaf, step, peers)
            if shared.turn != turn { throw TurnIsOver() }
        }
    }

    private func evaluateTogether(_ step: Int, _ due: Range<Int>, _ exchange: GroupExchange, _ peers: TensorPeers) throws {
        for unit in exchange.units(due) {
            try evaluate(unit, step, peers)
            if shared.turn != turn { throw TurnIsOver() }
        }
    }

    private func compute<P: Peers>(leaf: Int, _ step: Int, _ peers: P) throws(P.Failure) {
        notePass(0)
        context.enter(.input, step, leaf)
        data.fill(step: step, leaf: leaf)
        let began = MonotonicClock.nanoseconds()
        context.enter(.forward, step, leaf)
        context.faults.strike(.forward, step: step)
        if context.faults.permutesTargets { data.permuteTargets() }
        let parameters = exchange.parameters, gradient = exchange.gradient(leaf)
        let dropout = config.model.dropout > 0
            ? DropoutKey(seed: config.seed, step: UInt32(truncatingIfNeeded: step), leaf: UInt32(leaf)) : nil
        try transformer.forward(parameters: parameters, inputs: data.inputs, dropout: dropout, peers: peers)
        context.enter(.backward, step, leaf)
        context.faults.strike(.backward, step: step)
        let loss = try transformer.backward(parameters: parameters, targets: data.targets, gradient: gradient, peers: peers)
        context.faults.strike(.leafDone, step: step, gradient: gradient, count: shared.layout.shardFloats)
        pace(since: began)
        shared.noteLeaf(slot, nanoseconds: MonotonicClock.nanoseconds() - began)
        if exchange.tellsResults { shared.setLeafResult(leaf, LossSum(nats: loss, tokens: data.targetCount), replica: context.replica) }
        exchange.publish(leaf)
        if exchange.tellsResults { shared.leaves.markDone(leaf, turn: turn) }
        context.enter(.glue, step)
        context.faults.strike(.publish, step: step)
    }

    private func notePass(_ kind: Int) {
        if passes >> kind & 1 == 0 { hasFirstPass = true }
        passes |= 1 << kind
    }

    /// A device slower than this one: a fault's, or the virtual one of paced mode.
    private func pace(since began: UInt64) {
        var target = context.faults.slowed(MonotonicClock.nanoseconds() - began)
        if leafNanoseconds > 0 {
            let late = MonotonicClock.nanoseconds() - began > leafNanoseconds
            shared.countLeaf(slot, late: late)
            target = max(target, context.faults.slowed(leafNanoseconds))
        }
        MonotonicClock.sleep(until: began + target)
    }

    private func evaluate<P: Peers>(_ unit: Int, _ step: Int, _ peers: P) throws(P.Failure) {
        let units = shared.layout.heldOut
        let parameters = exchange.parameters
        notePass(unit < units.validation ? 1 : unit < units.gradientUnit ? 2 : 3)
        context.enter(unit < units.validation ? .evaluate : .probe, step, unit)
        if unit < units.validation {
            let loss = try data.evaluate(unit, transformer, parameters: parameters, peers: peers)
            if exchange.tellsResults { shared.setEvaluationResult(unit, loss) }
        } else if unit < units.gradientUnit {
            try data.probe(unit - units.validation, transformer, parameters: parameters, peers: peers) { if exchange.tellsResults { shared.setProbeLoss($0, $1) } }
        } else {
            data.probeGradient(transformer, parameters: parameters, into: shared.probeGradient)
        }
        guard exchange.tellsResults else { return }
        shared.evaluations.markDone(unit, turn: turn)
        if shared.evaluations.allDone(turn: turn, in: shared.due(step, config)) {
            shared.ring()
            context.ringDoorbell()
        }
    }

    private func awaitEvaluation(_ step: Int) throws {
        context.enter(.awaitEvaluation, step)
        try context.wait { shared.stopRequested || exchange.isDisturbed || exchange.isAsked }
    }

    /// After the last step: the validation and probe passes that close the run.
    private func finalEvaluation(_ step: Int) throws {
        let due = shared.due(step, config)
        func next() -> Int? { shared.evaluations.nextOwned(by: slot, turn: turn, from: due.lowerBound, below: due.upperBound) }
        if let peers = exchange.rounds {
            if !shared.evaluations.allDone(turn: turn, in: due) { try exchange.exchanging(step) { try evaluateInRounds(step, due, peers) } }
            return try awaitEvaluation(step)
        }
        if let exchange = exchange as? GroupExchange {
            guard let work = exchange.work else { throw Disturbed() }
            if !shared.evaluations.allDone(turn: turn, in: due) {
                try exchange.exchanging(step) {
                    switch work {
                    case .pipeline(let pipeline, let peers): try evaluateInPipeline(step, due, exchange, pipeline, peers)
                    case .ranks(let peers): try evaluateTogether(step, due, exchange, peers)
                    }
                }
            }
            return try awaitEvaluation(step)
        }
        while !shared.stopRequested {
            let view = shared.view
            if shared.turn != turn { throw TurnIsOver() }
            noteDrain()
            try exchange.begin(step)
            if let unit = next() {
                evaluate(unit, step, Alone())
            } else {
                context.enter(.awaitEvaluation, step)
                try context.wait { shared.stopRequested || next() != nil || shared.view != view || exchange.isAsked }
            }
        }
    }
}

extension SharedState {
    /// The held-out units to be done with the weights before `step`.
    func due(_ step: Int, _ config: RunConfig) -> Range<Int> {
        layout.heldOut.due(validates: config.evaluates(after: step), probes: probeStep == step, takesGradient: gradientStep == step)
    }

    func pointers(generation: Int) -> StatePointers {
        StatePointers(parameters: state(generation: generation, part: 0), firstMoment: state(generation: generation, part: 1),
            secondMoment: state(generation: generation, part: 2))
    }
}
