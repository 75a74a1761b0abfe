import Checkpointing
import Ledger
import RunSpec

/// The checkpoints of a run as its user sees them: whether they are whole, and why each stays.
package struct RunCheckpoints {
    package struct Entry {
        package let step: Int
        /// Nil when it cannot be read.
        package let manifest: Manifest?
        package let damage: CheckpointDamage?
        /// Empty for one that goes with the next pruning.
        package let keptFor: [KeepReason]
        /// The newest validation pass at or before it.
        package let pass: (step: Int, loss: Double)?
    }

    package let store: CheckpointStore
    private let rules: KeepRules

    package init(_ folder: RunFolder) throws {
        let (config, _) = try folder.read()
        store = CheckpointStore(folder: folder.checkpointsPath)
        rules = KeepRules(config, losses: try LedgerStore.validationLosses(folder.ledgerPath))
    }

    /// Newest first.
    package func entries(_ depth: CheckDepth) throws -> [Entry] {
        let listings: [CheckpointListing]
        do { listings = try store.list(depth) } catch { throw error.userError }
        let pinned = Set(listings.map(\.step).filter(store.isPinned))
        var reasons = rules.reasons(among: listings.filter { $0.damage == nil }.map(\.step), pinned: pinned)
        return listings.map { listing in
            if listing.damage != nil && pinned.contains(listing.step) { reasons[listing.step] = [.pinned] }
            return Entry(step: listing.step, manifest: listing.manifest, damage: listing.damage, keptFor: reasons[listing.step] ?? [],
                pass: rules.pass(at: listing.step).map { ($0, rules.losses[$0]!) })
        }
    }

    /// Removes what neither a rule nor a pin keeps, every byte of what stays having been read, and what was set aside and is
    /// not pinned.
    /// - Returns: the names of what is gone.
    package func prune() throws -> [String] {
        do throws(CheckpointError) {
            let steps = try store.prune(rules, checking: .hashes)
            return steps.map { "step-\($0)" } + (try store.removeAside())
        } catch {
            throw error.userError
        }
    }
}

extension KeepRules {
    init(_ config: RunConfig, losses: [Int: Double]) {
        self.init(last: config.checkpoint.keep, every: config.checkpoint.keepEvery, best: config.checkpoint.keepBest, losses: losses)
    }

    /// As of now. Only `checkpoint.keep-best` needs the ledger.
    init(_ config: RunConfig, _ folder: RunFolder) throws {
        self.init(config, losses: config.checkpoint.keepBest > 0 ? try LedgerStore.validationLosses(folder.ledgerPath) : [:])
    }
}

extension CheckpointStore {
    /// Of a checkpoint that somebody chose: with those that could be chosen.
    package func refusal(_ error: CheckpointError) -> UserError {
        guard case .missing(_?, _) = error, let steps = try? steps(), !steps.isEmpty else { return error.userError }
        return UserError(error.userError.status, "\(error); there \(steps.count == 1 ? "is" : "are") \(steps.map { String($0) }.joined(separator: ", "))")
    }
}
