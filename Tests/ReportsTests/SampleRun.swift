import Ledger
import RunSpec

/// A run of two workers with steps of a tenth of a second; from step 4 on, worker 1 is killed in as many steps in a row
/// as asked.
struct SampleRun {
    static let millisecond: UInt64 = 1_000_000
    private(set) var record = RunRecord()
    private var now: UInt64 = 0
    private var replicas = [1, 2]

    init(steps: Int = 12, crashes: Int = 1) {
        var config = RunConfig()
        (config.seed, config.steps, config.model.context) = (7, steps, 128)
        (config.batch.sequences, config.batch.microbatches) = (8, 2)
        (config.schedule.kind, config.schedule.warmup) = (.constant, 0)
        record.facts = [
            RunFact.runIdentity: "harbour", RunFact.outcome: "finished", RunFact.steps: "\(steps)", RunFact.microbatches: "2",
            RunFact.tokensPerStep: "1024", RunFact.parameters: "1234567", RunFact.flopsPerToken: "7400000",
            RunFact.peakFlopsPerWorker: "1e11", RunFact.costPerWorkerHour: "0.05", RunFact.currency: "USD", RunFact.lossFloor: "1.2",
            RunFact.bytesPerToken: "1", RunFact.blasCore: "SkylakeX", RunFact.configuration: config.yaml, RunFact.configurationDigest: config.digest,
            RunFact.sequencesPerMicrobatch: "4",
            RunFact.cores: "2", RunFact.finalDigest: String(repeating: "c0ffee12", count: 8),
        ]
        record.sessions = [SessionRow(session: 1, startedNanoseconds: 0, endedNanoseconds: nil, startedUnixSeconds: 0, startStep: 0, source: "initial")]
        for slot in 0..<2 {
            record.replicas.append(ReplicaRow(replica: slot + 1, session: 1, slot: slot, pid: slot, spawnedNanoseconds: 0))
            event(slot, .initialise, step: 0)
        }
        now = 40 * Self.millisecond
        for step in 0..<steps { compute(step, crashing: step >= 4 && step < 4 + crashes) }
        close()
        evaluate(steps)
    }

    private mutating func event(_ slot: Int, _ phase: Phase, step: Int, unit: Int = 0, at milliseconds: UInt64 = 0) {
        record.flights[replicas[slot], default: []].append(FlightEvent(
            nanoseconds: now + milliseconds * Self.millisecond, runDelayNanoseconds: 0, step: UInt32(step), view: 1, unit: UInt32(unit), phase: phase))
    }

    private mutating func leaf(_ slot: Int, _ leaf: Int, step: Int, at milliseconds: UInt64) {
        event(slot, .input, step: step, unit: leaf, at: milliseconds)
        event(slot, .forward, step: step, unit: leaf, at: milliseconds + 1)
        event(slot, .backward, step: step, unit: leaf, at: milliseconds + 31)
    }

    private mutating func compute(_ step: Int, crashing: Bool) {
        leaf(0, 0, step: step, at: 0)
        leaf(1, 1, step: step, at: 0)
        if crashing { crash(step) } else {
            for slot in 0..<2 { event(slot, .reduce, step: step, at: 91) }
            event(0, .awaitCommit, step: step, at: 95)
            event(1, .awaitCommit, step: step, at: 98)
            now += 100 * Self.millisecond
        }
        let loss = 1.5 + 4 / Double(step + 1)
        record.commits.append(CommitRow(
            session: 1, step: step + 1, view: 1, nanoseconds: now, lossSum: 1024 * loss, tokens: 1024, gradientNorm: 1, learningRate: 1e-3,
            parentHash: "state-\(step)", stateHash: "state-\(step + 1)", leafReplicas: [replicas[0], crashing ? replicas[0] : replicas[1]]))
    }

    /// Worker 1 dies at 61 ms, is noticed a millisecond later, and worker 0 computes its leaf as well.
    private mutating func crash(_ step: Int) {
        event(1, .fault, step: step, at: 61)
        let detected = now + 62 * Self.millisecond, incident = record.incidents.count + 1
        record.incidents.append(IncidentRow(
            incident: incident, session: 1, kind: .crash, replica: replicas[1], slot: 1, step: step, onsetNanoseconds: detected - Self.millisecond,
            onsetIsExact: true, detectedNanoseconds: detected, plannedNanoseconds: detected, leavesReassigned: 1, fault: nil,
            description: "worker 1 killed by signal 9 at backward of step \(step)"))
        end(replicas[1], at: detected)
        replicas[1] = record.replicas.count + 1
        record.replicas.append(ReplicaRow(
            replica: replicas[1], session: 1, slot: 1, pid: 9, incident: incident, spawnedNanoseconds: detected))
        event(1, .initialise, step: step, at: 63)
        event(1, .rendezvous, step: step, at: 90)
        leaf(0, 1, step: step, at: 91)
        event(0, .reduce, step: step, at: 182)
        event(0, .awaitCommit, step: step, at: 190)
        now += 192 * Self.millisecond
    }

    private mutating func end(_ replica: Int, at time: UInt64) {
        record.replicas[replica - 1].endedNanoseconds = time
        record.replicas[replica - 1].reapedNanoseconds = time
    }

    private mutating func close() {
        for slot in 0..<2 { event(slot, .leave, step: 0) }
        now += 5 * Self.millisecond
        for replica in replicas { end(replica, at: now) }
        for slot in 0..<2 { record.slots.append(SlotRow(session: 1, slot: slot, openedNanoseconds: 0, closedNanoseconds: now)) }
        record.sessions[0].endedNanoseconds = now
    }

    private mutating func evaluate(_ steps: Int) {
        for step in stride(from: 0, through: steps, by: 4) {
            record.evaluations.append(EvaluationRow(
                session: 1, step: step, nanoseconds: 0, lossSum: 500 * (1.6 + 3.9 / Double(step + 1)), tokens: 500))
        }
        record.checkpoints = [
            CheckpointRow(session: 1, step: 8, requestedNanoseconds: 0, durableNanoseconds: 30_000_000, bytes: 14_814_804, status: "durable"),
            CheckpointRow(session: 1, step: 10, requestedNanoseconds: 0, durableNanoseconds: nil, bytes: 0, status: "no space left on device"),
            CheckpointRow(session: 1, step: steps, requestedNanoseconds: 0, durableNanoseconds: 25_000_000, bytes: 14_814_804, status: "durable"),
        ]
    }
}
