import Glibc

/// Which checkpoints of a run stay beside those that are pinned.
package struct KeepRules: Sendable {
    /// The newest, at least two.
    package var last: Int
    /// The first at or after each multiple of so many steps; 0: none.
    package var every = 0
    /// So many with the least validation loss.
    package var best = 0
    /// Validation loss by the step of the pass.
    package var losses: [Int: Double] = [:]

    package init(last: Int, every: Int = 0, best: Int = 0, losses: [Int: Double] = [:]) {
        (self.last, self.every, self.best, self.losses) = (last, every, best, losses)
    }

    /// The newest validation pass at or before `step`.
    package func pass(at step: Int) -> Int? { losses.keys.filter { $0 <= step }.max() }

    /// Why each of `steps` stays, as far as it does.
    package func reasons(among steps: [Int], pinned: Set<Int>) -> [Int: [KeepReason]] {
        let newest = Set(steps.sorted(by: >).prefix(max(last, CheckpointStore.leastKept))), best = best(among: steps)
        let multiples = multiples(among: steps)
        return steps.reduce(into: [:]) { reasons, step in
            var mine: [KeepReason] = []
            if newest.contains(step) { mine.append(.newest) }
            if multiples.contains(step) { mine.append(.multiple) }
            if best.contains(step) { mine.append(.best) }
            if pinned.contains(step) { mine.append(.pinned) }
            if !mine.isEmpty { reasons[step] = mine }
        }
    }

    /// A checkpoint that fell due while another was written came a little later.
    private func multiples(among steps: [Int]) -> Set<Int> {
        guard every > 0 else { return [] }
        let firsts = steps.filter { $0 >= every }.reduce(into: [Int: Int]()) { $0[$1 / every] = min($0[$1 / every] ?? .max, $1) }
        return Set(firsts.values)
    }

    /// The checkpoints nearest after the best passes.
    private func best(among steps: [Int]) -> Set<Int> {
        var nearest: [Int: Int] = [:]
        for step in steps.sorted(by: >) { if let pass = pass(at: step) { nearest[pass] = step } }
        let ranked = nearest.filter { losses[$0.key]!.isFinite }.sorted { (losses[$0.key]!, $0.key) < (losses[$1.key]!, $1.key) }
        return Set(ranked.prefix(best).map(\.value))
    }
}

package enum KeepReason: String, Sendable { case newest, multiple, best, pinned }

extension CheckpointStore {
    /// Keeps what the rules name of the complete checkpoints, what is pinned, and whatever is newer than the oldest of
    /// the newest; removes the rest. Any process may prune while another saves. The steps removed.
    /// - Parameters:
    ///   - depth: of the check that tells complete ones.
    ///   - saved: the checkpoint that was just saved. Newer ones are those that a restore could not read: they may look whole
    ///     and do not count.
    @discardableResult
    package func prune(_ rules: KeepRules, checking depth: CheckDepth = .sizes, upTo saved: Int = .max) throws(CheckpointError) -> [Int] {
        let steps = try steps(), complete = steps.filter { $0 <= saved && (try? inspect($0, depth)) != nil }
        let newest = max(rules.last, Self.leastKept)
        guard complete.count >= newest else { return [] }
        let kept = rules.reasons(among: complete, pinned: [])
        let surplus = steps.filter { $0 < complete[newest - 1] && kept[$0] == nil && !isPinned($0) }
        if surplus.isEmpty { return [] }
        var removed: [Int] = []
        do throws(StorageError) {
            // Those kept count once their names are durable; another process may have given one and not yet synced it.
            try storage.syncDirectory(folder)
            // First out of sight, durably, so that a crash half way leaves no damaged checkpoint in view.
            for step in surplus where try displace(step) { removed.append(step) }
            // Also when all came back: else one could be out of sight after a power cut.
            try storage.syncDirectory(folder)
            for step in removed { try storage.remove(displacedPath(of: step)) }
        } catch {
            throw .storage(error)
        }
        return removed
    }

    /// Whether the checkpoint is out of sight: not when somebody pinned it in this moment, or removed it before.
    private func displace(_ step: Int) throws(StorageError) -> Bool {
        try storage.remove(displacedPath(of: step))
        do throws(StorageError) {
            try storage.rename(path(of: step), to: displacedPath(of: step))
        } catch {
            if error.isAbsence { return false }
            throw error
        }
        guard isPinned(step) else { return true }
        try storage.rename(displacedPath(of: step), to: path(of: step))
        return false
    }

    // MARK: Pins

    private func pinPath(_ step: Int) -> String { path(of: step) + ".pin" }
    package func isPinned(_ step: Int) -> Bool { access(pinPath(step), F_OK) == 0 }

    /// Keeps the checkpoint of `step` until it is unpinned.
    package func pin(_ step: Int) throws(CheckpointError) {
        _ = try inspect(step, .sizes)
        do throws(StorageError) {
            try FileWriter.write([], to: pinPath(step), storage: storage)
            try storage.syncDirectory(folder)
            // Whoever prunes looks for the pin after the checkpoint is out of sight: it is here, or it stays.
            if access(path(of: step), F_OK) != 0 { try storage.remove(pinPath(step)) }
        } catch {
            throw .storage(error)
        }
        _ = try inspect(step, .sizes)
    }

    package func unpin(_ step: Int) throws(CheckpointError) {
        do throws(StorageError) {
            try storage.remove(pinPath(step))
            try storage.syncDirectory(folder)
        } catch {
            throw .storage(error)
        }
    }

    // MARK: Set aside

    /// Why a checkpoint no longer counts, though nobody has removed it.
    package enum Aside: String, CaseIterable, Sendable {
        /// Refused by a restore. Under its own name it could count as one of those to keep, for not every check reads its
        /// bytes and none knows its state; and its step could not be saved again.
        case damaged
        /// The run went back behind it.
        case superseded
    }

    /// Renames a checkpoint so that it no longer counts. One of its step that was set aside before stays beside it.
    /// - Returns: its name from now on.
    @discardableResult
    package func setAside(_ step: Int, as why: Aside) throws(CheckpointError) -> String {
        let names = Set(try folderNames()), plain = "\(Self.name(of: step)).\(why.rawValue)"
        var aside = plain, number = 1
        while names.contains(aside) {
            number += 1
            aside = "\(plain)-\(number)"
        }
        do throws(StorageError) {
            try storage.rename(path(of: step), to: "\(folder)/\(aside)")
            try storage.syncDirectory(folder)
        } catch {
            throw .storage(error)
        }
        return aside
    }

    /// Those that are set aside, by name. A pin of their step holds for them, too.
    package func aside() throws(CheckpointError) -> [(name: String, step: Int)] {
        try folderNames().sorted().compactMap { name in
            let parts = name.split(separator: ".", maxSplits: 1).map { String($0) }
            guard parts.count == 2, let step = Self.step(of: parts[0]) else { return nil }
            let words = parts[1].split(separator: "-", maxSplits: 1).map { String($0) }
            guard let why = words.first, Aside(rawValue: why) != nil, words.count == 1 || Int(words[1]) ?? 0 > 1 else { return nil }
            return (name, step)
        }
    }

    /// Removes those that are set aside and not pinned; their names.
    package func removeAside() throws(CheckpointError) -> [String] {
        let removed = try aside().filter { !isPinned($0.step) }.map { $0.name }
        for name in removed {
            do throws(StorageError) { try storage.remove("\(folder)/\(name)") } catch { throw .storage(error) }
        }
        return removed
    }
}
