/// What makes the faults of a run: some listed one by one, others drawn. A pure function of the seed, the workers and the
/// steps turns it into faults, the same on any machine.
package struct FaultPlan: Sendable {
    /// A fault that the plan names, and where in the plan.
    package struct Listed: Sendable {
        package let place: String
        package let fault: Fault
    }

    /// nil: the run's.
    package var seed: UInt64?
    package var listed: [Listed]
    package var schedules: [FaultSchedule]

    /// What one schedule, or the list, came to.
    package struct Part: Sendable {
        package let title: String
        package let remark: String?
        /// In the long run of seeds.
        package let expected: Double
        package let actual: Int
        /// Drawn for a step in which everybody they could strike had been struck already, and left out.
        package let displaced: Int
    }

    package struct Resolution: Sendable {
        /// In the order in which they strike: first those at steps, then those by the clock.
        package let faults: [Fault]
        package let parts: [Part]
    }

    /// The faults in the order in which they strike.
    /// - Parameter limit: the most that a run can keep track of.
    /// - Throws: `UserError` when a fault does not fit the run, or there are too many.
    package func resolve(workers: Int, steps: Int, seed: UInt64, limit: Int) throws -> [Fault] {
        try resolution(workers: workers, steps: steps, seed: seed, limit: limit).faults
    }

    /// The same with what each part of the plan contributed.
    package func resolution(workers: Int, steps: Int, seed: UInt64, limit: Int) throws -> Resolution {
        var faults: [Fault] = [], parts: [Part] = [], struck = StruckSteps()
        for entry in listed {
            try check(entry, workers, steps)
            _ = struck.take([entry.fault.victim], at: entry.fault.moment)
            faults.append(entry.fault)
        }
        if !listed.isEmpty {
            parts.append(Part(title: "listed", remark: nil, expected: Double(listed.count), actual: listed.count, displaced: 0))
        }
        for (index, schedule) in schedules.enumerated() {
            let draws = FaultDraws(seed: seed, schedule: index)
            let (drawn, displaced) = try schedule.faults(workers: workers, steps: steps, draws: draws, struck: &struck, limit: limit)
            faults += drawn
            let expected = try schedule.expectedFaults(workers: workers, steps: steps)
            parts.append(Part(title: schedule.title, remark: schedule.remark, expected: expected, actual: drawn.count, displaced: displaced))
        }
        guard faults.count <= limit else { throw UserError(.usage, "the plan has \(faults.count) faults, and a run takes at most \(limit)") }
        return Resolution(faults: Self.inOrder(faults), parts: parts)
    }

    private func check(_ entry: Listed, _ workers: Int, _ steps: Int) throws {
        if let worker = entry.fault.worker, worker >= workers {
            throw UserError(.usage, "\(entry.place): there is no worker \(worker), the \(workers) workers are 0 to \(workers - 1)")
        }
        if let step = entry.fault.step, step >= steps {
            throw UserError(.usage, "\(entry.place): there is no step \(step), the run has steps 0 to \(steps - 1)")
        }
    }

    /// By moment, victim and point; equal ones as they came.
    private static func inOrder(_ faults: [Fault]) -> [Fault] {
        let points = Dictionary(uniqueKeysWithValues: FaultPoint.allCases.enumerated().map { ($1, $0) })
        let keyed = faults.enumerated().map { (offset, fault) in
            let victim = switch fault.victim {
            case .worker(let slot): slot
            case .launcher: Int.max - 1
            case .writer: Int.max
            }
            let moment = switch fault.moment {
            case .step(let step): (0, Double(step))
            case .seconds(let seconds): (1, seconds)
            }
            return (key: (moment.0, moment.1, victim, points[fault.point]!, offset), fault: fault)
        }
        return keyed.sorted { $0.key < $1.key }.map(\.fault)
    }
}
