// One fault: what strikes whom, when and where. Text form, on command lines, in plans and in ledgers:
//
//     crash worker=1 step=50 point=backward       hang worker=0 at=2.5s for=1s       slow worker=2 step=9 speed=0.5 for=4s
//     crash launcher step=50 point=vote           preempt worker=3 step=20 notice=2s bitflip worker=1 step=7 target=gradient
//     diskfull writer step=50                     slowdisk writer step=50 rate=2MB/s torn writer step=50

/// Where in a step a fault can strike. The names are those of the command line.
package enum FaultPoint: String, CaseIterable, Sendable {
    /// A leaf's forward pass begins; its backward pass begins; its gradient is complete but not published; it is
    /// published.
    case forward, backward, leafDone, publish
    /// The first of the owned chunks is done and others are not: adding gradients, updating parameters.
    case reduce, update
    /// Of a worker: the owned chunks are voted for; the commit is seen. Of the launcher: every vote is there and nothing
    /// recorded; the record is written and not announced.
    case vote, commit
    /// Before a worker reports ready: at the start for step 0, else in the replacement started during that step.
    case join
    /// A replacement is ready and waits for its first step.
    case recovery
    /// Of the writer of a checkpoint: it checks the generation; writes; is about to write the manifest; to rename.
    case snapshot, persist, manifest, rename
}

/// One fault to inject.
package struct Fault: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// SIGKILL; a write to address 0.
        case crash, segfault
        /// SIGSTOP; `for` that long, then SIGCONT: the zombie wakes.
        case hang
        /// From there on, `for` that long, every microbatch takes 1/`speed` as long.
        case slow
        /// SIGTERM, and SIGKILL when the `notice` is over.
        case preempt
        /// A NaN in the gradient of a microbatch; a flipped bit in that gradient, or in a parameter or moment of the
        /// committed state.
        case nonfinite, bitflip
        /// From that step on the worker trains on permuted targets, until it ends: bad data that no checksum finds. The
        /// only kind that changes the weights.
        case labels
        /// The disk under a checkpoint fills up in the middle of its files; takes so many bytes a second and no more.
        case diskfull, slowdisk
        /// A checkpoint is announced durable, and the second half of one of its files is not there; one bit of it is another.
        case torn, flipped

        /// Whether it strikes what a writer writes, and the writer itself only through it.
        package var isOfDisk: Bool { self == .diskfull || self == .slowdisk || self == .torn || self == .flipped }
    }
    /// By what a fault of the disk was brought about.
    package enum Mechanism: String, CaseIterable, Sendable {
        /// The kernel's own answer, on a small file system that is mounted for the writer alone.
        case tmpfs
        /// The storage protocol: the kernel is not asked.
        case storage
        /// The file on the disk is changed.
        case file
    }
    package enum Victim: Hashable, Sendable {
        /// By its slot, from 0.
        case worker(Int)
        case launcher
        /// Of the first checkpoint at or after the step.
        case writer
    }
    package enum Moment: Hashable, Sendable {
        /// The step during which it strikes: the one that is computed after `step` commits.
        case step(Int)
        /// At the next such point after so many seconds of the session.
        case seconds(Double)
    }
    package enum Target: String, CaseIterable, Sendable { case gradient, parameters, firstMoment, secondMoment }

    package var kind: Kind
    package var victim: Victim
    package var moment: Moment
    package var point: FaultPoint
    /// How long a hang or a slowdown lasts, or the notice of a preemption; nil: a hang or slowdown for ever.
    package var seconds: Double?
    /// Of a slow worker, as a share of its own.
    package var speed: Double
    /// Of a slow disk, in MB/s.
    package var rate: Double
    /// Of a flipped bit: what it is in, and which one of the 32, 22 the highest of the mantissa.
    package var target: Target
    package var bit: Int

    private static let usualBit = 22, usualRate = 2.0
    static let bits = 0...31

    /// - Parameter point: nil for the kind's own, see `defaultPoint`.
    package init(
        _ kind: Kind, _ victim: Victim, _ moment: Moment, point: FaultPoint? = nil, seconds: Double? = nil, speed: Double = 0.5,
        rate: Double? = nil, target: Target = .gradient, bit: Int? = nil
    ) {
        (self.kind, self.victim, self.moment) = (kind, victim, moment)
        self.point = point ?? Self.defaultPoint(kind, victim, target)
        (self.seconds, self.speed, self.target) = (kind == .preempt ? seconds ?? Self.usualNotice : seconds, speed, target)
        (self.rate, self.bit) = (rate ?? Self.usualRate, bit ?? Self.usualBit)
    }

    private static let usualNotice = 2.0

    package var worker: Int? { if case .worker(let slot) = victim { slot } else { nil } }
    /// nil when it strikes by the clock.
    package var step: Int? { if case .step(let step) = moment { step } else { nil } }

    private static func defaultPoint(_ kind: Kind, _ victim: Victim, _ target: Target) -> FaultPoint {
        switch (victim, kind) {
        case (.launcher, _): .vote
        case (.writer, .torn), (.writer, .flipped): .rename
        case (.writer, _): .persist
        case (_, .nonfinite): .leafDone
        case (_, .bitflip): target == .gradient ? .leafDone : .commit
        case (_, .labels), (_, .slow): .forward
        case (_, .crash), (_, .segfault), (_, .hang), (_, .preempt), (_, .diskfull), (_, .slowdisk), (_, .torn), (_, .flipped): .backward
        }
    }

    /// The points at which a kind of fault makes sense for a victim; empty if it never does.
    package static func points(_ kind: Kind, _ victim: Victim, _ target: Target = .gradient) -> [FaultPoint] {
        switch (victim, kind) {
        case (.worker, .crash), (.worker, .segfault), (.worker, .hang):
            [.forward, .backward, .leafDone, .publish, .reduce, .update, .vote, .commit, .join, .recovery]
        case (.worker, .preempt): [.forward, .backward, .leafDone, .publish, .reduce, .update, .vote, .commit]
        case (.worker, .slow), (.worker, .labels): [.forward]
        case (.worker, .nonfinite): [.leafDone]
        case (.worker, .bitflip): target == .gradient ? [.leafDone] : [.commit]
        case (.launcher, .crash): [.vote, .commit]
        case (.writer, .crash), (.writer, .hang): [.snapshot, .persist, .manifest, .rename]
        case (.writer, .diskfull), (.writer, .slowdisk): [.persist]
        case (.writer, .torn), (.writer, .flipped): [.rename]
        case (.launcher, _), (.writer, _), (.worker, _): []
        }
    }
}

// MARK: Text

extension Fault: Codable {
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
    package init(from decoder: any Decoder) throws { try self.init(decoder.singleValueContainer().decode(String.self)) }
}

extension Fault: CustomStringConvertible {
    package var description: String {
        var words = [kind.rawValue]
        switch victim {
        case .worker(let slot): words.append("worker=\(slot)")
        case .launcher: words.append("launcher")
        case .writer: words.append("writer")
        }
        switch moment {
        case .step(let step): words.append("step=\(step)")
        case .seconds(let seconds): words.append("at=\(seconds)s")
        }
        if kind == .bitflip { words.append("target=\(target.rawValue)") }
        if kind == .bitflip, bit != Self.usualBit { words.append("bit=\(bit)") }
        words.append("point=\(point.rawValue)")
        if kind == .slow { words.append("speed=\(speed)") }
        if kind == .slowdisk { words.append("rate=\(rate)MB/s") }
        if let seconds { words.append("\(kind == .preempt ? "notice" : "for")=\(seconds)s") }
        return words.joined(separator: " ")
    }

    private static let keys = ["worker", "step", "at", "point", "for", "notice", "speed", "rate", "target", "bit"]

    /// `2MB/s` as MB/s; nil for what is none, or no disk's.
    static func rate(_ text: String) -> Double? {
        guard text.hasSuffix("MB/s"), let rate = Double(text.dropLast(4).filter { $0 != " " }), 0.001...1e6 ~= rate else { return nil }
        return rate
    }

    /// Of a kind that cannot strike whom it is to strike.
    static func wrongVictim(_ kind: Kind) -> String { "\(kind) can strike \(kind.isOfDisk ? "the writer" : "a worker") only" }

    /// Reads the form above; `point` may be left out.
    /// - Throws: `UserError` saying which word is wrong and what it may be.
    package init(_ text: String) throws {
        func bad(_ why: String) -> UserError { UserError(.usage, "--fault '\(text)': \(why)") }
        let words = text.split(separator: " ").map { String($0) }
        guard let first = words.first, let kind = Kind(rawValue: first) else {
            throw bad("it begins with the kind of fault, one of \(Kind.allCases.map(\.rawValue).joined(separator: ", ")), as in 'crash worker=1 step=50 point=backward'")
        }
        var victim: Victim?, moment: Moment?, point: FaultPoint?, seconds: Double?, speed = 0.5, rate: Double?, target = Target.gradient, bit: Int?
        func named<T: RawRepresentable & CaseIterable>(_ pair: [String]) throws -> T where T.RawValue == String {
            let names = T.allCases.map(\.rawValue)
            guard let value = T(rawValue: pair[1]) else {
                throw bad("there is no \(pair[0]) `\(pair[1])`\(suggestion(for: pair[1], among: names)); there are \(names.joined(separator: ", "))")
            }
            return value
        }
        var said: Set<String> = []
        for word in words.dropFirst() {
            let key = word.split(separator: "=", maxSplits: 1).first.map { String($0) } ?? word
            // Three ways to say whom, two to say when.
            let topic = ["worker": "victim", "launcher": "victim", "writer": "victim", "step": "moment", "at": "moment"][key] ?? key
            guard said.insert(topic).inserted else { throw bad("`\(word)` says again, or otherwise, what another word says; say it once") }
            let pair = word.split(separator: "=", maxSplits: 1).map { String($0) }
            if word == "launcher" || word == "writer" {
                victim = word == "launcher" ? .launcher : .writer
                continue
            }
            guard pair.count == 2 else { throw bad("`\(word)` is not key=value") }
            switch pair[0] {
            case "worker", "step":
                guard let value = Int(pair[1]), value >= 0 else { throw bad("`\(pair[0])` must be a whole number from 0, not `\(pair[1])`") }
                if pair[0] == "worker" { victim = .worker(value) } else { moment = .step(value) }
            case "at", "for", "notice":
                guard pair[1].hasSuffix("s"), let value = Double(pair[1].dropLast()), value >= 0, value.isFinite else {
                    throw bad("`\(pair[0])` must be a time in seconds, as in \(pair[0])=2.5s, not `\(pair[1])`")
                }
                if pair[0] == "at" { moment = .seconds(value) } else { seconds = value }
            case "speed":
                guard let value = Double(pair[1]), value > 0, value <= 1 else { throw bad("`speed` must be above 0 and at most 1, not `\(pair[1])`") }
                speed = value
            case "rate":
                guard let value = Self.rate(pair[1]) else { throw bad("`rate` must be from 0.001 to 1000000 MB/s, as in rate=2MB/s, not `\(pair[1])`") }
                rate = value
            case "bit":
                guard let value = Int(pair[1]), Self.bits ~= value else { throw bad("`bit` must be from \(Self.bits.lowerBound) to \(Self.bits.upperBound), not `\(pair[1])`") }
                bit = value
            case "point": point = try named(pair)
            case "target": target = try named(pair)
            default:
                throw bad("there is no key `\(pair[0])`\(suggestion(for: pair[0], among: Self.keys)); there are \(Self.keys.joined(separator: ", "))")
            }
        }
        guard let victim else { throw bad("say whom it strikes: worker=1, launcher or writer") }
        guard let moment else { throw bad("say when, as in step=50 or at=2.5s") }
        let allowed: [String: Set<Kind>] = ["for": [.hang, .slow], "notice": [.preempt], "speed": [.slow], "rate": [.slowdisk], "target": [.bitflip], "bit": [.bitflip]]
        if let odd = said.sorted().first(where: { !(allowed[$0]?.contains(kind) ?? true) }) {
            throw bad("`\(odd)` says nothing of \(kind.rawValue); `for` goes with hang and slow, `speed` with slow, `rate` with slowdisk, `notice` with preempt, `target` and `bit` with bitflip")
        }
        self.init(kind, victim, moment, point: point, seconds: seconds, speed: speed, rate: rate, target: target, bit: bit)
        let points = Self.points(kind, victim, target)
        guard !points.isEmpty else { throw bad(Self.wrongVictim(kind)) }
        guard points.contains(self.point) else {
            throw bad("\(kind.rawValue) cannot strike at \(self.point.rawValue); there are \(points.map(\.rawValue).joined(separator: ", "))")
        }
    }
}
