import Ledger
import RunSpec

/// Every kind of fault at every point where it makes sense: what a run is to survive without a trace.
package struct Coverage: Sendable {
    /// A row of the matrix.
    package struct Strike: Hashable, Sendable {
        package let kind: Fault.Kind
        package let victim: Fault.Victim
        package let target: Fault.Target

        /// `crash worker`, `bitflip parameters`.
        package var name: String {
            if kind == .bitflip { return "\(kind) \(target)" }
            return switch victim {
            case .worker: "\(kind) worker"
            case .launcher: "\(kind) launcher"
            case .writer: "\(kind) writer"
            }
        }

        /// Bad data that no checksum finds: the only kind whose weights may differ.
        package var mayChangeWeights: Bool { kind == .labels }

        fileprivate var spoilsCheckpoint: Bool { kind == .torn || kind == .flipped }
    }

    package struct Cell: Hashable, Sendable {
        package let strike: Strike
        package let point: FaultPoint

        package var name: String { "\(strike.name) at \(point)" }

        /// At a point that only a replacement passes, after a crash that makes one be needed; what spoils a checkpoint, before
        /// one that makes it be read.
        package var faults: [Fault] {
            let seconds: Double? = strike.kind == .preempt ? Coverage.noticeSeconds : strike.kind == .slow ? Coverage.slowSeconds : nil
            let fault = Fault(strike.kind, strike.victim, .step(Coverage.step), point: point, seconds: seconds, target: strike.target)
            if strike.spoilsCheckpoint {
                return [Fault(strike.kind, .writer, .step(Coverage.spoiledStep), point: point), Fault(.crash, .worker(1), .step(Coverage.lossStep))]
            }
            let isReplacements = point == .join || point == .recovery
            return (isReplacements ? [Fault(.crash, strike.victim, .step(Coverage.step), point: .backward)] : []) + [fault]
        }

        /// A gradient with a wrong bit looks like any other: only an audit of every microbatch is sure to find it. And a
        /// damaged checkpoint like a sound one, until it is needed; its writer is to be done by then.
        package var arguments: [String] {
            if strike.kind == .bitflip && strike.target == .gradient { return ["--audit", "1"] }
            return strike.spoilsCheckpoint ? ["--policy", "restart", "--set", "checkpoint.every=20", "--pace", "30"] : []
        }

        /// What the run must have taken the fault for.
        package var verdict: FaultOutcome.Verdict? {
            switch strike.kind {
            case .diskfull, .torn, .flipped: .found
            default: nil
            }
        }
    }

    package static let workers = 3, steps = 60, step = 20
    /// The second checkpoint is spoiled, and needed before there is a third.
    private static let spoiledStep = 40, lossStep = 58
    private static let noticeSeconds = 0.5, slowSeconds = 0.2
    /// What all runs have in common. Microbatches take time enough for a replacement to come up before the run is over.
    package static let arguments = [
        "--preset", "tiny", "--workers", String(workers), "--pace", "4", "--set", "steps=\(steps)", "--set", "checkpoint.every=10",
        "--set", "evaluation.every=0", "--set", "probe.budget=0",
    ]

    /// In the order of the kinds, victims and targets.
    package static let strikes: [Strike] = Fault.Kind.allCases.flatMap { kind in
        [Fault.Victim.worker(1), .launcher, .writer].flatMap { victim in
            (kind == .bitflip ? Fault.Target.allCases : [.gradient]).map { Strike(kind: kind, victim: victim, target: $0) }
        }
    }.filter { !Fault.points($0.kind, $0.victim, $0.target).isEmpty }

    package static let points = FaultPoint.allCases.filter { point in all.contains { $0.point == point } }

    package static let all: [Cell] = strikes.flatMap { strike in
        Fault.points(strike.kind, strike.victim, strike.target).map { Cell(strike: strike, point: $0) }
    }

    /// `count` of all cells, drawn by a seed, in their order.
    package static func sample(_ count: Int, seed: UInt64) -> [Cell] {
        let random = Philox(key: seed)
        let drawn = all.indices.map { (draw: random.uniform(.faultSchedule, 0, 0, index: UInt32($0)), index: $0) }.sorted { $0 < $1 }.prefix(count)
        return drawn.map(\.index).sorted().map { all[$0] }
    }
}
