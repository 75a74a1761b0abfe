import Coordination

/// A run under one seed: the real machines, a launcher and workers around them, and a schedule of what befalls them.
/// The state is numbers that tell who computed what from what, so that whatever goes wrong shows as another number.
struct StepSimulation {
    /// More than members, as in the real memory: whoever is in has a vote in every step.
    static let chunkCount = 6
    /// Clock ticks: the longest sleep of workers and launcher; how long a worker waits without a launcher; how long it may
    /// stand still; how long it may take to leave.
    static let tenth = 100, grace = 1000, hangLimit = 300, leaveTime = 3000
    /// Once nothing more befalls the run, it ends within so many events.
    static let eventsMaximum = 15_000

    struct Shape {
        var steps: Int, leaves: Int, evaluations: Int, evaluateEvery: Int, checkpointEvery: Int
        var policy: LossPolicy, respawnDelay: Int

        /// Validation units to be done with the weights before `step`.
        func due(_ step: Int) -> Int { step % evaluateEvery == 0 || step == steps ? evaluations : 0 }
    }

    /// Deliberate faults in what surrounds the machines.
    enum Mutation: String, CaseIterable {
        /// A result counts for the step, whatever attempt it was computed in.
        case stampsWithoutAttempt
        /// What a lost worker had claimed stays claimed: by the launcher that finds it gone, by the one that adopts.
        case claimsKept, adoptionKeepsClaims
        case recordedTwice, announcedBeforeRecord
        case discardKeepsTheTurn
        /// Somebody taken for gone lives on: a worker that stood still, the workers of a launcher that crashed, the
        /// successor of one whose end is reported twice.
        case unfenced, orphansLeftAlive, heedsTheDead
        /// A generation is written over that a checkpoint is made of.
        case pinForgotten
        /// Stores in another order: the turn before what it promises.
        case turnBeforeGenerations, ownersAfterTheTurn
        /// Leaves of others are computed although an attempt may be thrown away.
        case helpsUnderEveryPolicy
        /// The checkpoint is read into memory in which updates of the step under way still count.
        case rewindKeepsTheTurn
        /// A worker whose start is delayed is started although it was dismissed, or everybody stops.
        case unbornForgotten
        /// A worker asks whether it is to take part, and then in what.
        case turnReadAfterAdmission
        /// A launcher that died between storing the current and the next generation left one and the same for both.
        case adoptionTrustsNext
        /// The record of a view comes after its number is announced, which a later launcher may give again.
        case viewRecordedAfterwards
    }

    /// What schedules contained.
    struct Counts {
        var events = 0, commits = 0, views = 0, checkpoints = 0
        var deaths = 0, deathsInUnits = 0, deathsOfAll = 0, hangs = 0, fenced = 0, lateNotices = 0
        var drains = 0, resizes = 0, rewinds = 0, discards = 0, stops = 0, givenUp = 0, unborn = 0
        var adoptions = 0, adoptionsOfUnannounced = 0, restores = 0
        var repeated = 0, lostRings = 0, leavesHelpedOut = 0

        private static let all: [any WritableKeyPath<Counts, Int> & Sendable] = [
            \.events, \.commits, \.views, \.checkpoints, \.deaths, \.deathsInUnits, \.deathsOfAll, \.hangs, \.fenced, \.lateNotices, \.drains,
            \.resizes, \.rewinds, \.discards, \.stops, \.givenUp, \.unborn, \.adoptions, \.adoptionsOfUnannounced, \.restores, \.repeated,
            \.lostRings, \.leavesHelpedOut,
        ]
        static func += (sum: inout Counts, more: Counts) {
            for count in all { sum[keyPath: count] += more[keyPath: count] }
        }
    }

    struct Ledger {
        /// Commits on the lineage; the last record, which a rewind leaves where it is.
        var step = 0, last = 0
        var isRewinding = false
        var evaluated: Set<Int> = [], checkpoints: Set<Int> = []
        var lastView = 0
    }

    let shape: Shape, mutation: Mutation?
    let chain: [[UInt64]]
    var random: SeededRandom
    var memory: SimulatedMemory
    var workers: [SimulatedWorker] = []
    var launcher: SimulatedLauncher
    var writer: SimulatedWriter?
    var ledger = Ledger()
    var now = 0
    var lastReplica = 0, lastView = 0, discards = 0
    /// Notices of deaths that come again.
    var echoes: [(slot: Int, replica: Int)] = []
    var signalled = (stop: false, checkpoint: false)
    var counts = Counts()
    /// What happens, line by line, for whoever looks into a seed; nil: not kept.
    var story: [String]?
    /// What does not hold, in words.
    private(set) var broken: String?
    var isFinished = false
    var resumeAt = 0
    var faultsLeft: Int, nextFault: Int, lastFault = 0
    private var garbageMade: UInt64 = 0

    init(seed: UInt64, policy: LossPolicy, mutation: Mutation? = nil) {
        random = SeededRandom(seed)
        let leaves = 4 << random.draw(3), isBare = random.isOne(in: 3)
        shape = Shape(steps: random.draw(2...6), leaves: leaves, evaluations: isBare ? 0 : random.draw(1...3), evaluateEvery: random.draw(1...3),
            checkpointEvery: random.draw(1...3), policy: policy, respawnDelay: random.isOne(in: 2) ? 0 : random.draw(1...600))
        self.mutation = mutation
        chain = Arithmetic.chain(steps: shape.steps, leaves: leaves, chunks: Self.chunkCount)
        faultsLeft = random.draw(10)
        nextFault = random.draw(200)
        memory = SimulatedMemory(shape, state: chain[0], stampMask: mutation == .stampsWithoutAttempt ? 0xFFFF_FFFF : ~0)
        launcher = Self.launcher(shape, &random, session: 1, step: 0, lastView: 0, now: 0)
        launcher.operations = [.open]
    }

    static func launcher(_ shape: Shape, _ random: inout SeededRandom, session: Int, step: Int, lastView: Int, now: Int) -> SimulatedLauncher {
        let workers = random.draw(1...min(5, shape.leaves)), spares = random.isOne(in: 2) ? 0 : random.draw(1...2)
        return SimulatedLauncher(session: session,
            views: ViewMachine(workers: workers, spares: spares, policy: shape.policy, leaves: shape.leaves, chunkBlocks: [0..<chunkCount],
                evaluationUnits: shape.evaluations, lastView: lastView),
            commits: CommitMachine(committed: step, lastStep: shape.steps), workers: workers, spares: spares, step: step, wake: now)
    }

    mutating func need(_ condition: Bool, _ what: @autoclosure () -> String) {
        if !condition && broken == nil { broken = "event \(counts.events): \(what())" }
    }

    mutating func garbage() -> UInt64 {
        garbageMade += 1
        return mix(garbageMade, 0xBAD)
    }

    mutating func run() {
        while !isFinished && broken == nil { next() }
    }

    // MARK: Time

    private mutating func next() {
        counts.events += 1
        if faultsLeft > 0 && counts.events >= nextFault { befall() }
        if faultsLeft == 0 { need(counts.events < lastFault + Self.eventsMaximum, "\(Self.eventsMaximum) events after the last fault the run is not over") }
        var earliest = launcher.isAlive ? launcher.wake : resumeAt, who = -1
        for index in workers.indices where workers[index].isAlive && workers[index].wake < earliest { (earliest, who) = (workers[index].wake, index) }
        if let writer, writer.wake < earliest { (earliest, who) = (writer.wake, workers.count) }
        now = max(now, earliest)
        switch who {
        case -1: if launcher.isAlive { tickLauncher() } else { resume() }
        case workers.count: tickWriter()
        default: tick(worker: who)
        }
    }

    /// Between two accesses to memory: short as a rule, sometimes as long as others take for a step.
    mutating func pause(_ slowness: Int) -> Int {
        let draw = random.draw(256)
        return draw > 4 ? (1 + draw % 4) * slowness : random.draw(1...(draw == 0 ? 3000 : 400))
    }

    /// Until the launcher can know of a death.
    mutating func lateness() -> Int {
        guard random.isOne(in: 3) else { return random.draw(8) }
        counts.lateNotices += 1
        return random.draw(20...400)
    }

    mutating func isLost() -> Bool {
        let isLost = random.isOne(in: 10)
        counts.lostRings += isLost ? 1 : 0
        return isLost
    }

    private mutating func tickWriter() {
        writer!.wake = now + random.draw(1...150)
        if writer!.copied.count < Self.chunkCount {
            writer!.copied.append(memory.generations[writer!.generation][writer!.copied.count])
        } else {
            let step = writer!.step
            need(writer!.copied == chain[step], "checkpoint step-\(step) holds another state")
            ledger.checkpoints.insert(step)
            counts.checkpoints += 1
            writer = nil
        }
    }

    /// - Parameter line: made only where somebody listens: see `story`.
    mutating func tell(_ line: String) { story?.append("\(counts.events) t\(now) \(line)") }
}
