import Corpus
import Ledger
import RunSpec

/// Whether every sample of the training text fed the final lineage exactly once per epoch: the sample order is worked
/// out again for each microbatch that a commit of the lineage credits to a worker, and the windows of text are counted.
package struct TokenAudit {
    package private(set) var samples = 0, epochs = 0
    /// Windows that were fed more than once in an epoch, and windows of a finished epoch that never were.
    package private(set) var duplicates: [Sample] = [], gaps: [Sample] = []

    package struct Sample: Equatable, Sendable { package let epoch: Int, window: Int }

    /// - Parameters:
    ///   - commits: the lineage, by step.
    ///   - start: committed steps in the state that the run began from: what they were fed of the epoch is not this run's part.
    package init(_ commits: [CommitRow], _ config: RunConfig, order: SampleOrder, from start: Int = 0) {
        let perEpoch = order.samplesPerEpoch, b = config.sequencesPerMicrobatch
        let (firstEpoch, before) = (start * config.batch.sequences).quotientAndRemainder(dividingBy: perEpoch)
        var fed: [Int: [Bool]] = [firstEpoch: Array(repeating: false, count: perEpoch)]
        for place in 0..<before { fed[firstEpoch]![order.window(at: place, ofEpoch: firstEpoch)] = true }
        for commit in commits {
            for leaf in commit.leafReplicas.indices {
                for row in 0..<b {
                    let sample = ((commit.step - 1) * config.batch.microbatches + leaf) * b + row
                    let (epoch, place) = sample.quotientAndRemainder(dividingBy: perEpoch)
                    let window = order.window(at: place, ofEpoch: epoch)
                    fed[epoch, default: Array(repeating: false, count: perEpoch)].withUnsafeMutableBufferPointer {
                        if $0[window] { duplicates.append(Sample(epoch: epoch, window: window)) }
                        $0[window] = true
                    }
                    samples += 1
                }
            }
        }
        epochs = fed.count
        // All epochs but the last must be whole; the last is as far as the run came.
        for (epoch, windows) in fed where epoch < (fed.keys.max() ?? 0) {
            for (window, isFed) in windows.enumerated() where !isFed { gaps.append(Sample(epoch: epoch, window: window)) }
        }
        gaps.sort { ($0.epoch, $0.window) < ($1.epoch, $1.window) }
    }

    /// The audit of a run in its folder: reads every token of the training shard, compares it with its digest, and counts.
    package static func check(_ account: RunAccount, _ folder: RunFolder) -> Check {
        let name = "each sample fed the weights once an epoch"
        guard !account.commits.isEmpty else { return Check(.data, name, .skipped, "no commits") }
        do {
            let (config, _) = try folder.read()
            let shard = try TokenShard(folder.dataPath + "/train.tokens")
            let order = SampleOrder(seed: config.seed, tokenCount: shard.count, context: config.model.context)
            return TokenAudit(account.commits, config, order: order, from: account.record.startStep).check(name, order)
        } catch {
            return Check(.data, name, .failed, "\(error)")
        }
    }

    func check(_ name: String, _ order: SampleOrder) -> Check {
        func list(_ samples: [Sample], _ what: String) -> String {
            guard let first = samples.first else { return "" }
            return "; \(samples.count) \(what), the first is window \(first.window) of epoch \(first.epoch)"
        }
        let whole = samples / order.samplesPerEpoch
        return Check(.data, name, gaps.isEmpty && duplicates.isEmpty,
            "\(samples) samples of \(order.samplesPerEpoch) an epoch: \(whole) whole epochs\(list(duplicates, "fed twice"))\(list(gaps, "never fed"))")
    }
}
