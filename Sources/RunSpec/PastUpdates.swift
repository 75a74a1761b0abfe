import Foundation

/// The last updates of a lineage, as far as it depends on them whether the next one is made. A function of reduced values
/// alone: the same for any number of workers, and after any restore, for a checkpoint has it beside its state.
package struct PastUpdates: Codable, Hashable, Sendable {
    package struct Update: Codable, Hashable, Sendable {
        /// Committed steps after it.
        package let step: Int
        /// Global norm of its gradient before clipping; nil: that, or the loss, was no number.
        package let norm: Double?
        /// It was left out.
        package let isVetoed: Bool

        package init(step: Int, norm: Double?, isVetoed: Bool) { (self.step, self.norm, self.isVetoed) = (step, norm, isVetoed) }
    }

    package static let remembered = 32
    /// So many updates may be left out for the same reason with none made since. After that the run has to stop if there is no
    /// number still, for it goes nowhere; and a norm that is far from the usual is the new usual.
    package static let vetoesMaximum = 3
    /// How many norms there must be to judge by.
    private static let usualLeast = 16

    /// By step, the newest last.
    package private(set) var updates: [Update] = []

    package init(_ updates: [Update] = []) { self.updates = updates.suffix(Self.remembered) }

    package mutating func note(_ update: Update) {
        precondition(updates.last.map { $0.step < update.step } ?? true, "step \(update.step) after \(updates.last?.step ?? 0)")
        if updates.count == Self.remembered { updates.removeFirst() }
        updates.append(update)
    }

    /// Updates left out since the last one that was made, for a norm far from the usual.
    package var spikesInARow: Int { updates.reversed().prefix(while: \.isVetoed).count { $0.norm != nil } }
    /// And those that were no number.
    package var nonFiniteInARow: Int { updates.reversed().prefix(while: \.isVetoed).count { $0.norm == nil } }

    /// Whether an update with this norm is to be left out.
    /// - Parameter factor: of the usual norm, from which on one is far from it; 0: none is.
    package func isSpike(_ norm: Double, factor: Double) -> Bool {
        guard factor > 0, spikesInARow < Self.vetoesMaximum, let usual = usual(factor: factor) else { return false }
        return norm > factor * usual
    }

    /// The median norm of the updates that were made, since the level of norms last changed for good: of those that were left
    /// out at the change, too. Nil while there are too few.
    package func usual(factor: Double) -> Double? {
        guard factor > 0 else { return nil }
        let numbers = updates.filter { $0.norm != nil }
        let level = newLevel(numbers, factor)
        let norms = numbers.indices.filter { index in
            guard let level else { return !numbers[index].isVetoed }
            return index >= level && (!numbers[index].isVetoed || index < level + Self.vetoesMaximum)
        }.map { numbers[$0].norm! }.sorted()
        return level == nil && norms.count < Self.usualLeast ? nil : norms[norms.count / 2]
    }

    /// Where the newest level begins: with as many spikes in a row as may be left out, after which an update was made whose norm
    /// is nearer to the least of them, by ratio, than to what was usual before.
    private func newLevel(_ numbers: [Update], _ factor: Double) -> Int? {
        numbers.indices.dropFirst(Self.vetoesMaximum).last { index in
            let row = numbers[index - Self.vetoesMaximum..<index]
            return !numbers[index].isVetoed && row.allSatisfy(\.isVetoed) && numbers[index].norm! * factor.squareRoot() > row.map { $0.norm! }.min()!
        }.map { $0 - Self.vetoesMaximum }
    }
}

extension PastUpdates {
    /// As a ledger keeps it, and as a command line hands it on. Every number comes back with its bits.
    package var json: String {
        guard let data = try? JSONEncoder().encode(self) else { preconditionFailure("no JSON for \(self)") }
        return String(decoding: data, as: UTF8.self)
    }

    package init?(json: String) {
        guard let past = try? JSONDecoder().decode(PastUpdates.self, from: Data(json.utf8)), past.updates.count <= Self.remembered,
            zip(past.updates, past.updates.dropFirst()).allSatisfy({ $0.step < $1.step }) else { return nil }
        self = past
    }
}
