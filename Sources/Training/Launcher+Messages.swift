import Collectives
import Coordination
import Ledger
import RunSpec

/// What is different when the state is the workers' own and travels in messages: checkpoints are written from a deposit that
/// they make, a part of the state can be lost with whoever had it, and channels can fail.
extension Launcher {
    var sendsMessages: Bool { description.options.transport == .gloo }
    /// How often in a row channels are made anew without a commit.
    private static let channelTriesMaximum = 5
    private static let mismatchesMaximum = 2

    /// What is probed at the step announced next. The probe's gradient is compared with every leaf's, and with messages nobody
    /// has all of them.
    func setProbe() { shared.setProbe(step: probes.next, gradient: probes.takesGradient && !sendsMessages ? probes.next : nil) }

    /// Has the workers copy the state after the committed step. While a writer still reads the deposit before, they wait.
    /// To be called before the step is announced, and when a writer is done.
    func askForDeposit() {
        guard sendsMessages, writer == nil, shared.depositStep != step, shared.depositWanted != step else { return }
        shared.wantDeposit(of: step)
        shared.ring()
    }

    /// The state after the committed step is copied whole: a checkpoint of it can be written.
    func lookAtDeposit() throws {
        guard sendsMessages, shared.depositWanted == step, shared.deposits.allDone(turn: shared.turn) else { return }
        shared.setDeposit(step: step)
        // The last one is written when everybody has left.
        if step < config.steps, !shared.stopRequested, writer == nil, let failure = try startWriter(generation: 0) { notify(.message(failure)) }
    }

    /// What workers say of their messages.
    func lookAtMessages() throws {
        guard sendsMessages, !shared.stopRequested else { return }
        if shared.takeLostState() {
            notify(.message("nobody has all of the state after step \(step) any more"))
            try apply(views.receive(.stateLost), ring: true)
        }
        if let chunk = shared.takeMismatch(), let member = members[shared.updates.owner(of: chunk)] ?? members.values.first {
            mismatches += 1
            guard mismatches <= Self.mismatchesMaximum else {
                throw UserError(.runFailed, "the two keepers of chunk \(chunk) made different things of it \(mismatches) times in step \(step); this machine cannot be trusted, \(step) steps are committed")
            }
            let now = MonotonicClock.nanoseconds()
            lossUnderWay = try open(.memory, member, onset: now, isExact: false, fault: nil, detected: now,
                "the two keepers of chunk \(chunk) made different things of it in step \(step)")
            // Channels anew: what was sent in this attempt must not be taken for the next one's.
            try apply([.discard] + views.receive(.channelsLost), ring: true)
            openIncidents.removeAll { $0.incident == lossUnderWay }
        }
        if let view = shared.takeLostChannels(), view == views.view.number, !views.view.members.isEmpty {
            channelTries += 1
            guard channelTries <= Self.channelTriesMaximum else {
                throw UserError(.runFailed, "the workers' messages failed \(channelTries) times in a row in step \(step) though all workers live; see \(folder.file("logs"))" + lastWords())
            }
            try apply(views.receive(.channelsLost), ring: true)
        }
    }
}
