import Foundation
import Ledger
import RunSpec

/// What a run of the sharding benchmark has measured, from its ledger.
package struct ShardingRun: Sendable {
    package enum Choice: Hashable, Sendable, CustomStringConvertible {
        /// One worker in shared memory: what the bits must be, and how fast an update is.
        case single
        /// All workers in shared memory, where nothing is sent: how fast they compute side by side.
        case shared
        case messages(Sharding)

        package var description: String {
            switch self {
            case .single: "1 worker"
            case .shared: "shared memory"
            // Where all workers are data-parallel their number goes without saying.
            case .messages(let sharding): sharding.mesh.workers > sharding.mesh.data ? "\(sharding)" : sharding.state.name(sharding.redundancy)
            }
        }

        /// How many workers share every layer, which decides the bits.
        var tensorDegree: Int { if case .messages(let sharding) = self { sharding.mesh.tensor } else { 1 } }
    }

    package let choice: Choice
    /// Median over steps after the warm-up.
    package let stepSeconds: Double
    /// Medians on the processor: a microbatch, forward and backward, and a worker's update.
    package let leafSeconds: Double, updateSeconds: Double
    /// Of a worker and step, on the mean: waiting for messages.
    package let exposedSeconds: Double
    /// Of a worker and step, on the mean; of the fullest worker at its end. Nil in shared memory.
    package let sentBytes: Double?, residentBytes: Int?
    /// Share of the bytes that went out beside computing.
    package let hiddenShare: Double?
    package let failures: Int
    /// From the first commit to the last, beyond as many median steps.
    package let secondsLost: Double
    package let leavesLost: Int
    package let finalDigest: String

    package init(_ choice: Choice, _ record: RunRecord, warmup: Int) {
        let account = RunAccount(record), workers = Set(record.slots.map(\.slot)).count, commits = record.commits
        self.choice = choice
        let steps = zip(commits, commits.dropFirst()).filter { $0.1.step == $0.0.step + 1 && $0.0.step >= warmup }.map { Double($0.1.nanoseconds - $0.0.nanoseconds) * 1e-9 }
        stepSeconds = Self.median(steps)
        leafSeconds = Double(account.headlines.medianLeafNanoseconds) * 1e-9
        var updates: [Double] = [], exposed = 0.0
        for events in record.flights.values {
            for (event, next) in zip(events, events.dropFirst()) where Int(event.step) >= warmup {
                let seconds = Double(next.nanoseconds - min(next.nanoseconds, event.nanoseconds)) * 1e-9
                if event.phase == .update { updates.append(seconds) }
                if event.phase == .transfer { exposed += seconds }
            }
        }
        updateSeconds = Self.median(updates)
        let counted = commits.count { $0.step > warmup }
        exposedSeconds = exposed / Double(max(1, counted * workers))
        // Who came late has sent less: what all have sent, over the steps that were made.
        let sent = record.replicas.compactMap(\.sentBytes)
        sentBytes = sent.isEmpty ? nil : Double(sent.reduce(0, +)) / Double(max(1, commits.count * workers))
        hiddenShare = sent.isEmpty ? nil : Double(record.replicas.reduce(0) { $0 + ($1.hiddenBytes ?? 0) }) / Double(max(1, sent.reduce(0, +)))
        residentBytes = record.replicas.compactMap(\.residentBytes).max()
        failures = record.incidents.count
        let final = account.commits
        let span = Double((final.last?.nanoseconds ?? 0) - (final.first?.nanoseconds ?? 0)) * 1e-9
        secondsLost = failures == 0 ? 0 : span - Double(max(0, final.count - 1)) * stepSeconds
        leavesLost = account.incidents.reduce(0) { $0 + $1.microbatchesLost }
        finalDigest = record.facts[RunFact.finalDigest] ?? ""
    }

    package static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }
}
