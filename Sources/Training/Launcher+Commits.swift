import Collectives
import Coordination
import Corpus
import Glibc
import Ledger
import RunSpec

/// Steps and what is known of them: votes become records, records become announcements; held-out passes are noted.
extension Launcher {
    func lookAtVotes() throws {
        // Votes first: where they are complete, the passes that were due before them are too.
        try lookAtDeposit()
        guard case .computing(let step) = commits.state else { return try lookAtHeldOut() }
        let complete = shared.updates.allDone(turn: shared.turn)
        try lookAtHeldOut()
        for effect in commits.receive(.votes(step: step, complete: complete)) {
            guard case .record(let committed) = effect else { continue }
            strike(.vote)
            let judgement = try judge(step: step)
            if judgement == .again {
                _ = commits.receive(.refused(step: committed))
                return
            }
            try record(commit: committed, isVetoed: judgement == .leaveOut)
            strike(.commit)
            for effect in commits.receive(.recorded(step: committed)) {
                guard case .announce(let committed, let stop) = effect else { continue }
                try announce(committed: committed, stop: stop, isVetoed: judgement == .leaveOut)
            }
        }
    }

    /// Writes the record that makes step `committed`; from here on the step counts.
    private func record(commit committed: Int, isVetoed: Bool) throws {
        let loss = isVetoed ? LossSum(nats: 0, tokens: 0) : shared.stepLoss
        let norm = isFinite ? min(shared.gradientNorm, CommitRow.largestNorm) : nil
        if isVetoed { try noteVeto(committed) }
        let generation = isVetoed ? shared.currentGeneration : shared.nextGeneration
        let hash = Self.stateHash(step: committed, fingerprints: shared.fingerprints(generation: generation))
        let now = MonotonicClock.nanoseconds()
        // The two halves of a credit: what this step's leaves say of its own update, and of the one before.
        let credits = description.options.instrumented && !isVetoed && config.credits(update: committed - 1) && !sendsMessages
        let credited = description.options.instrumented && !isVetoed && config.credits(update: committed - 2) && shared.previousGeneration != nil && !sendsMessages
        try ledger.append(CommitRow(
            session: session, step: committed, view: views.view.number, nanoseconds: now, lossSum: loss.nats, tokens: loss.tokens,
            gradientNorm: norm ?? 0, learningRate: config.schedule.rate(step: committed - 1, of: config.steps), parentHash: stateHash,
            stateHash: hash, leafReplicas: (0..<config.batch.microbatches).map { shared.leafReplica($0) },
            leafForesight: credits ? shared.leafSums(.moving).map { -$0 } : [], leafHindsight: credited ? leafMeans(.moved, times: -1) : [], leafSquares: credited ? leafMeans(.square, times: 1 / tokensPerLeaf) : [], isVetoed: isVetoed))
        pastUpdates.note(PastUpdates.Update(step: committed, norm: norm, isVetoed: isVetoed))
        stateHash = hash
        recentStates[generation] = (committed, hash, pastUpdates)
        if !isVetoed { try recordContributions(committed - 1) }
        try noteFaults()
        if !isVetoed { lastLoss = loss.nats / Double(loss.tokens) }
        // Whoever gave wrong bits is being ended: what that means is decided when it is gone.
        for incident in openIncidents where incident.plannedNanoseconds == nil && incident.kind != .corruption {
            notify(.message("\(incident.description); it had not joined yet"))
        }
        openIncidents.removeAll { $0.plannedNanoseconds != nil || $0.kind != .corruption }
        recentCommits.append((now, committed))
        if recentCommits.count > 200 || now - recentCommits[0].nanoseconds > 10_000_000_000 && recentCommits.count > 4 {
            recentCommits.removeFirst()
        }
    }

    /// A step that cannot be: its update is left out, and the text of the next one is tried.
    private func noteVeto(_ committed: Int) throws {
        let usual = pastUpdates.usual(factor: config.optimizer.spike).map { ", \(decimal(shared.gradientNorm / $0, 1)) times the usual" } ?? ""
        let what = "loss \(shared.stepLoss.nats / Double(max(shared.stepLoss.tokens, 1))) and gradient norm \(shared.gradientNorm)\(usual)"
        guard isFinite || pastUpdates.nonFiniteInARow < PastUpdates.vetoesMaximum, let member = members.values.first else {
            throw UserError(.runFailed, "step \(committed) has \(what), and so had \(PastUpdates.vetoesMaximum) before it with no update made since; nothing of it is committed, \(committed - 1) steps are; lower schedule.peak or set optimizer.clip")
        }
        let now = MonotonicClock.nanoseconds()
        _ = try open(.veto, member, onset: now, isExact: false, fault: nil, detected: now,
            "step \(committed) has \(what), with the same bits wherever it is computed; its update is left out")
    }

    private var tokensPerLeaf: Double { Double(config.tokensPerStep / config.batch.microbatches) }

    /// Sums over each leaf, made means over its tokens.
    private func leafMeans(_ kind: LeafSum, times factor: Double) -> [Double] {
        shared.leafSums(kind).map { $0 * factor / tokensPerLeaf }
    }

    /// What the leaves of `step` did for the decision probe, if that was asked.
    private func recordContributions(_ step: Int) throws {
        guard shared.gradientStep == step else { return }
        // The probe's gradient is over one microbatch, as the leaves' are; each leaf has 1/M of the update.
        let factor = 1 / (tokensPerLeaf * Double(config.batch.microbatches))
        try ledger.append(ContributionRow(session: session, step: step, leaves: leafMeans(.probed, times: factor), sources: leafSources(step)))
    }

    /// For each leaf of `step`, what share of its tokens came from each source of the training text; empty with one source.
    private func leafSources(_ step: Int) -> [[Double]] {
        guard text.sources.count > 1 else { return [] }
        let order = SampleOrder(seed: config.seed, tokenCount: text.train.tokens, context: config.model.context)
        let b = config.sequencesPerMicrobatch, leaves = config.batch.microbatches
        return (0..<leaves).map { leaf in
            var shares = Array(repeating: 0.0, count: text.sources.count)
            for row in 0..<b {
                let start = order.start(ofSample: (step * leaves + leaf) * b + row)
                text.train.count(start..<start + config.model.context, into: &shares)
            }
            return shares.map { $0 / tokensPerLeaf }
        }
    }

    /// The launcher's own faults: what struck is in the ledger before it does.
    private func strike(_ point: FaultPoint) {
        let mine = faults.indices.filter { faults[$0].victim == .launcher && faults[$0].point == point && shared.faultFired($0) == nil }
        for index in mine where faults[index].isDue(at: step, since: shared.sessionStart) {
            shared.setFaultFired(index, at: MonotonicClock.nanoseconds())
            try? noteFaults()
            kill(getpid(), SIGKILL)
        }
    }

    /// Lets the workers go on from `committed`: the new generation becomes current, whoever is ready joins, a
    /// checkpoint that is due pins the generation before anyone can write over it.
    private func announce(committed: Int, stop: Bool, isVetoed: Bool) throws {
        (step, channelTries, mismatches) = (committed, 0, 0)
        let boundary = MonotonicClock.nanoseconds()
        noteStep(at: boundary)
        let current = isVetoed ? shared.currentGeneration : shared.nextGeneration
        if !stop { try apply(views.receive(.committed), ring: false) }
        if ownersMoved { write(views.view.plan) }
        ownersMoved = false
        let checkpoint = isCheckpointDue() && !stop && step < config.steps && writer == nil
        if checkpoint || stop || step == config.steps { askForDeposit() }
        let pinned = checkpoint ? current : writer?.generation
        // The state before this one stays whole as long as it can: should this one be damaged, the run goes back to it.
        let free = (0..<shared.layout.generations).filter { $0 != current && ($0 != pinned || sendsMessages) }
        let next = free.min { recentStates[$0]?.step ?? -1 < recentStates[$1]?.step ?? -1 } ?? current
        recentStates[next] = nil
        setProbe()
        shared.findNewcomers()
        shared.announce(step: step, current: current, next: next, previous: isVetoed ? nil : shared.currentGeneration, stop: stop)
        if checkpoint, !sendsMessages, let failure = try startWriter(generation: current) { notify(.message(failure)) }
        markStep(at: boundary)
        if isComplete && !stop { leaveIfWhole() }
    }

    /// Notes validation and probe passes when their last units are there; after the last step the workers are free to
    /// leave then.
    private func lookAtHeldOut() throws {
        let units = description.heldOut
        if units.validation > 0, config.evaluates(after: step), evaluated != step, shared.evaluations.allDone(turn: shared.turn, in: units.validationUnits) {
            try recordValidation()
        }
        if probes.next == step, shared.probeStep == step, shared.evaluations.allDone(turn: shared.turn, in: units.probeUnits) { try recordProbe() }
        if isComplete && !shared.stopRequested { leaveIfWhole() }
    }

    private func recordProbe() throws {
        let row = ProbeRow(session: session, step: step, nanoseconds: MonotonicClock.nanoseconds(),
            decision: probeSequences.decision.map { shared.probeLoss($0) }, audit: probeSequences.audit.map { shared.probeLoss($0) },
            decisionClusters: probeSequences.decision.map { probeSequences.clusters[$0] },
            auditClusters: probeSequences.audit.map { probeSequences.clusters[$0] },
            tokensPerSequence: config.model.context)
        try ledger.append(row)
        probes.took(row)
        probeRows.append(row)
    }

    private func recordValidation() throws {
        evaluated = step
        let loss = shared.evaluationLoss
        try ledger.append(EvaluationRow(session: session, step: step, nanoseconds: MonotonicClock.nanoseconds(), lossSum: loss.nats, tokens: loss.tokens))
        let floor = description.lossFloor.map { ", floor \(decimal($0, 4))" } ?? ""
        notify(.message("step \(step): validation loss \(decimal(loss.nats / Double(loss.tokens), 4)) over \(loss.tokens) tokens\(floor)"))
    }

    /// No update follows that would find a damaged state: it is looked at before everybody goes.
    private func leaveIfWhole() {
        // With messages owners look at their state before they update it, and the last one is here before anybody goes.
        if sendsMessages, shared.depositStep != step { return askForDeposit() }
        if sendsMessages || PreparedRun.fingerprintState(shared, config.model, generation: shared.currentGeneration, step: step) == stateHash {
            leave()
        } else {
            shared.reportDamage(chunk: 0, by: shared.updates.owner(of: 0), turn: shared.turn)
        }
    }

    /// Tells the workers to leave; nothing is under way.
    func leave() {
        _ = views.receive(.stopping)
        shared.announce(step: step, current: shared.currentGeneration, next: shared.nextGeneration, stop: true)
    }

    /// SHA-256 over the step and the fingerprints of all chunks: what the lineage is chained from.
    package static func stateHash(step: Int, fingerprints: [UInt64]) -> String {
        var bytes: [UInt8] = []
        for word in [UInt64(step)] + fingerprints { withUnsafeBytes(of: word.littleEndian) { bytes += $0 } }
        return sha256(bytes)
    }
}
