import RunSpec

/// What faults there are, and how published fleets fail: text for the terminal.
package enum FaultCatalogue {
    package static var kinds: String {
        var lines = Fault.Kind.allCases.map { $0.rawValue.padded(14) + $0.meaning }
        lines += ["", "Whom a kind can strike, and where:"]
        for kind in Fault.Kind.allCases {
            for (name, victim) in [("worker", Fault.Victim.worker(0)), ("launcher", .launcher), ("writer", .writer)] {
                let targets = kind == .bitflip ? Fault.Target.allCases : [.gradient]
                for target in targets {
                    let points = Fault.points(kind, victim, target)
                    if points.isEmpty { continue }
                    let place = TextReport.wrapped(points.map(\.rawValue).joined(separator: " "), width: 72)
                    lines.append((kind.rawValue.padded(11) + name.padded(9) + (kind == .bitflip ? "target=\(target)" : "")).padded(40) + place[0])
                    lines += place.dropFirst().map { "".padded(40) + $0 }
                }
            }
        }
        lines += ["", "Points:"] + FaultPoint.allCases.map { $0.rawValue.padded(14) + $0.meaning }
        return lines.joined(separator: "\n")
    }

    package static var profiles: String {
        FleetProfile.all.map(text).joined(separator: "\n\n")
    }

    private static func text(_ profile: FleetProfile) -> String {
        var lines = [profile.name] + TextReport.wrapped(profile.source, width: 94).map { "  " + $0 }
        lines.append("  " + rate(profile))
        lines.append("  times between failures: " + (profile.shape == 1 ? "without memory (Poisson)" : "in bursts (Weibull, shape \(profile.shape))"))
        for kind in Fault.Kind.allCases {
            let causes = profile.causes.filter { $0.kind == kind }
            if causes.isEmpty { continue }
            let count = causes.reduce(0) { $0 + $1.count }
            let names = causes.map { profile.causes.count > 1 ? "\($0.name) \(Quantity.grouped($0.count))" : $0.name }.joined(separator: ", ")
            let share = Quantity.decimal(100 * Double(count) / Double(profile.failures), 1) + " %"
            let cells = TextReport.wrapped(names, width: 74)
            lines.append("  " + kind.rawValue.padded(10) + share.aligned(8) + "    " + cells[0])
            lines += cells.dropFirst().map { "".padded(24) + $0 }
        }
        return lines.joined(separator: "\n")
    }

    private static func rate(_ profile: FleetProfile) -> String {
        guard let rate = profile.failuresPerAcceleratorHour, let accelerators = profile.accelerators else {
            return "only the mix of causes: say steps-per-failure"
        }
        let seconds = 3600 / (rate * Double(accelerators))
        let perMillion = rate < 1e-3 ? Quantity.decimal(rate * 1e6, 1) : Quantity.grouped(Int((rate * 1e6).rounded()))
        let steps = profile.stepSeconds.map { "or \(Quantity.grouped(Int((seconds / $0).rounded()))) steps of \(Quantity.decimal($0, 1)) s" }
        return "\(perMillion) failures per million accelerator-hours; of \(Quantity.grouped(accelerators)) one in "
            + "\(Quantity.duration(seconds: seconds)), \(steps ?? "say how long a step takes")"
    }
}

extension Fault.Kind {
    /// In a timeline.
    var letter: Character {
        switch self {
        case .crash: "c"
        case .segfault: "s"
        case .hang: "h"
        case .slow: "~"
        case .preempt: "p"
        case .nonfinite: "n"
        case .bitflip: "b"
        case .labels: "l"
        case .diskfull: "f"
        case .slowdisk: "d"
        case .torn: "t"
        case .flipped: "x"
        }
    }

    fileprivate var meaning: String {
        switch self {
        case .crash: "the process is killed at once (SIGKILL)"
        case .segfault: "the process writes to address 0 (SIGSEGV)"
        case .hang: "the process stops (SIGSTOP), for ever or `for` a time, then wakes"
        case .slow: "every microbatch takes 1/speed as long, for ever or `for` a time"
        case .preempt: "the process is asked to go (SIGTERM) and killed when the notice is over"
        case .nonfinite: "a gradient of a microbatch holds a NaN"
        case .bitflip: "one bit of a gradient, a parameter or a moment flips"
        case .labels: "the worker trains on permuted targets from there on; changes the weights"
        case .diskfull: "the disk fills up in the middle of a checkpoint's files (ENOSPC)"
        case .slowdisk: "the disk takes `rate` of a checkpoint and no more, as in rate=2MB/s"
        case .torn: "the second half of a file of a durable checkpoint is not there"
        case .flipped: "one bit of a file of a durable checkpoint is another"
        }
    }
}

extension FaultPoint {
    fileprivate var meaning: String {
        switch self {
        case .forward: "the forward pass of a microbatch begins"
        case .backward: "its backward pass begins"
        case .leafDone: "its gradient is complete and nobody knows"
        case .publish: "its gradient is published"
        case .reduce: "some gradients are added up and others not"
        case .update: "some parameters are updated and others not"
        case .vote: "the worker has voted; of the launcher: all votes are there, nothing is recorded"
        case .commit: "the commit is seen; of the launcher: it is recorded and not announced"
        case .join: "a worker starts and is not ready"
        case .recovery: "a replacement is ready and waits for its first step"
        case .snapshot: "the writer checks the state it is to write"
        case .persist: "the writer writes"
        case .manifest: "the writer is about to write the manifest"
        case .rename: "the writer is about to give the checkpoint its name"
        }
    }
}
