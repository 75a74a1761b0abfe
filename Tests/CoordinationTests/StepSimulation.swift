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
        case stampsWithoutAttempt, claimsKept, recordedTwice, announcedBeforeRecord, discardKeepsTheTurn
        case unfenced, orphansLeftAlive, heedsTheDead, pinForgotten, turnBeforeGenerations, ownersAfterTheTurn, helpsUnderEveryPolicy
        case rewindKeepsTheTurn, unbornForgotten, turnReadAfterAdmission, adoptionTrustsNext, viewRecordedAfterwards, adoptionKeepsClaims
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
    private(set) var isFinished = false
    private var resumeAt = 0
    private var faultsLeft: Int, nextFault: Int, lastFault = 0
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
            views: ViewMachine(workers: workers, spares: spares, policy: shape.policy, leaves: shape.leaves, chunks: chunkCount,
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

    /// Whether the launcher dies before it carries out `operation`: rather where little time is spent and much can go wrong.
    mutating func diesBefore(_ operation: SimulatedLauncher.Operation) -> Bool {
        guard faultsLeft > 0 else { return false }
        let odds = switch operation {
        case .restore, .newTurn, .setCurrent, .setNext, .recorded: 60
        default: 600
        }
        guard random.isOne(in: odds) else { return false }
        faultsLeft -= 1
        lastFault = counts.events
        crashLauncher()
        return true
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

    // MARK: What befalls the run

    private mutating func befall() {
        faultsLeft -= 1
        lastFault = counts.events
        nextFault = counts.events + 1 + random.draw(random.isOne(in: 3) ? 16 : 400)
        let living = workers.indices.filter { workers[$0].isAlive }, before = counts
        let victim = living.isEmpty ? nil : living[random.draw(living.count)]
        switch random.draw(100) {
        case ..<35: if let victim { die(victim) }
        case ..<42:
            counts.deathsOfAll += living.isEmpty ? 0 : 1
            for index in living { die(index) }
        case ..<50: if let victim { hang(victim) }
        case ..<64: if let victim {
            counts.drains += 1
            workers[victim].isTerminated = true
        }
        case ..<76: memory.wantedWorkers = random.draw(1...min(5, shape.leaves))
        case ..<86: crashLauncher()
        case ..<90: signalled.stop = launcher.isAlive
        case ..<93: signalled.checkpoint = true
        case ..<96: writer = nil
        default: if let victim { workers[victim].slowness = random.draw(5...40) }
        }
        guard story != nil else { return }
        let gone = workers.filter { !$0.isAlive }.map { "\($0.replica)@\($0.slot)" }
        let what = ("befalls: deaths +\(counts.deaths - before.deaths), hangs +\(counts.hangs - before.hangs), drains +\(counts.drains - before.drains), launcher lives: \(launcher.isAlive), stop: \(signalled.stop), wanted: \(memory.wantedWorkers), gone: \(gone)")
        tell(what)
    }

    /// - Parameter line: made only where somebody listens: see `story`.
    mutating func tell(_ line: String) { story?.append("\(counts.events) t\(now) \(line)") }

    private mutating func die(_ index: Int) {
        counts.deaths += 1
        if workers[index].isInMiddleOfUnit { counts.deathsInUnits += 1 }
        kill(worker: index)
    }

    mutating func kill(worker index: Int) {
        guard workers[index].isAlive else { return }
        workers[index].place = .gone
        workers[index].isAsleep = false
        (workers[index].reading, workers[index].writing, workers[index].writingLeaf, workers[index].writingChunk) = (nil, nil, nil, nil)
        workers[index].noticeAt = now + lateness()
        if launcher.isAlive && launcher.isAsleep { launcher.wake = min(launcher.wake, workers[index].noticeAt) }
    }

    private mutating func hang(_ index: Int) {
        counts.hangs += 1
        workers[index].hungSince = now
        workers[index].isAsleep = false
        workers[index].wake = now + random.draw(100...3000)
    }

    // MARK: Sessions

    private mutating func crashLauncher() {
        guard launcher.isAlive else { return }
        launcher.isAlive = false
        resumeAt = now + random.draw(1500)
        writer = nil
        echoes.removeAll()
        signalled = (false, false)
        for index in workers.indices where !workers[index].isAdmitted { kill(worker: index) }
    }

    /// A new launcher: ends who is left of the old one's workers, and takes up the state in memory if it is the recorded
    /// one.
    private mutating func resume() {
        if mutation == .orphansLeftAlive { workers.removeAll { !$0.isAlive } } else { workers.removeAll() }
        let step = ledger.last
        let likely = memory.step == step ? memory.current : memory.next
        let generations = [likely] + (0..<SimulatedMemory.generationCount).filter { $0 != likely }
        let generation = generations.first { memory.generations[$0] == chain[step] }
        guard memory.step == step || memory.step == step - 1, let generation else {
            // What a rewind was about to give up may be gone.
            need(ledger.isRewinding, "step \(step) is recorded and nowhere in memory")
            return restore()
        }
        counts.adoptions += 1
        if memory.step != step { counts.adoptionsOfUnannounced += 1 }
        ledger.step = step
        begin(step: step)
        let follower = (generation + 1) % SimulatedMemory.generationCount
        var operations: [SimulatedLauncher.Operation] = []
        if generation != memory.current || memory.next == generation && mutation != .adoptionTrustsNext {
            operations = [.setCurrent(generation), .setNext(follower)]
        }
        operations.append(.setStop(false))
        if step != memory.step { operations.append(.newTurn(step: step)) }
        operations += mutation == .adoptionKeepsClaims ? [.open] : [.clearSlots, .open]
        launcher.operations = operations.reversed()
    }

    /// Memory is made anew from the newest checkpoint.
    private mutating func restore() {
        counts.restores += 1
        let step = ledger.checkpoints.max() ?? 0
        memory = SimulatedMemory(shape, state: chain[step], stampMask: mutation == .stampsWithoutAttempt ? 0xFFFF_FFFF : ~0)
        (ledger.step, ledger.isRewinding) = (step, true)
        begin(step: step)
        launcher.operations = [.open]
    }

    private mutating func begin(step: Int) {
        launcher = Self.launcher(shape, &random, session: launcher.session + 1, step: step, lastView: ledger.lastView, now: now)
        launcher.evaluated = ledger.evaluated.contains(step) ? step : nil
    }

    /// Everybody has left, or the launcher gives up: the closing checkpoint. A run that is not over is resumed from it.
    mutating func endSession() {
        let step = launcher.step, generation = memory.step == step ? memory.current : memory.next
        need(memory.generations[generation] == chain[step], "the run closes at step \(step) with another state")
        need(isComplete || launcher.stopWanted || launcher.views.slots.allSatisfy { $0 == .abandoned || $0 == .closed }, "the session is over before its end")
        ledger.checkpoints.insert(step)
        writer = nil
        workers.removeAll()
        echoes.removeAll()
        signalled = (false, false)
        if isComplete {
            need(ledger.step == shape.steps, "the run is over before its last step is recorded")
            isFinished = true
        } else {
            restore()
        }
    }
}
