// documents.json, kept beside the token shards: which tokens belong together, and where they come from.
//
//     {"sources": ["a.txt", "b.txt"], "train": {"tokens": 900, "starts": [0, 400], "sources": [0, 1]}, "validation": …}
//
// `starts` are the first tokens of the documents, ascending from 0; `sources` has the place of each one's name.

import Foundation
import RunSpec

/// The documents of a corpus. A tale is one, and so is what lies between two `<|endoftext|>`, the mark that GPT-2's
/// corpora are divided by; a file without marks is one document.
package struct TextMap: Codable, Equatable, Sendable {
    package static let fileName = "documents.json"

    /// The documents of the training or of the validation text.
    package struct Part: Codable, Equatable, Sendable {
        package var tokens: Int
        package var starts: [Int]
        package var sources: [Int]

        package init(tokens: Int = 0, starts: [Int] = [], sources: [Int] = []) {
            (self.tokens, self.starts, self.sources) = (tokens, starts, sources)
        }

        /// The document that token `token` is in.
        package func document(at token: Int) -> Int {
            var low = 0, high = starts.count
            while high - low > 1 {
                let middle = (low + high) / 2
                if starts[middle] <= token { low = middle } else { high = middle }
            }
            return low
        }

        /// Adds to `shares`, by source, how many of the `range`'s tokens come from it.
        package func count(_ range: Range<Int>, into shares: inout [Double]) {
            var document = document(at: range.lowerBound), token = range.lowerBound
            while token < range.upperBound {
                let end = document + 1 < starts.count ? min(starts[document + 1], range.upperBound) : range.upperBound
                shares[sources[document]] += Double(end - token)
                (token, document) = (end, document + 1)
            }
        }
    }

    package var sources: [String]
    package var train = Part(), validation = Part()

    /// Reads what `Ingest` wrote.
    /// - Throws: `.missing` or `.badInput`.
    package init(reading folder: String) throws(UserError) {
        let path = "\(folder)/\(Self.fileName)"
        let bytes = try TextFile.bytes(of: path, called: "list of documents")
        guard let map = try? JSONDecoder().decode(TextMap.self, from: Data(bytes)), map.train.isSound(map), map.validation.isSound(map) else {
            throw UserError(.badInput, "\(path) is not a list of documents; prepare the corpus again")
        }
        self = map
    }

    init(sources: [String]) { self.sources = sources }

    func fileContent() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do { return try [UInt8](encoder.encode(self)) + [0x0A] } catch { preconditionFailure("\(error)") }
    }
}

extension TextMap.Part {
    fileprivate func isSound(_ map: TextMap) -> Bool {
        guard starts.count == sources.count, starts.isEmpty == (tokens == 0) else { return false }
        return (starts.first ?? 0) == 0 && zip(starts, starts.dropFirst()).allSatisfy(<) && (starts.last ?? -1) < max(tokens, 0)
            && sources.allSatisfy(map.sources.indices.contains)
    }
}

/// Which windows of the validation text the probes are, and which of them belong together: two that touch the same
/// document are one cluster, and no cluster is in both probes.
package struct ProbeSequences: Equatable, Sendable {
    /// Fewer clusters than this say less than sequences taken by themselves: one file without marks is one document.
    package static let leastClusters = 8

    /// For each sequence its full window, and its cluster.
    package let windows: [Int], clusters: [Int]
    /// The sequences of the probe that may steer a run, and of the one that is only reported.
    package let decision: [Int], audit: [Int]

    /// Spreads `count` sequences of `context` inputs evenly over the `fullWindows` windows of `text`.
    package init(count: Int, fullWindows: Int, context: Int, text: TextMap.Part) {
        windows = (0..<count).map { $0 * fullWindows / max(count, 1) }
        var found: [Int] = [], reach = -1
        for window in windows {
            let first = text.document(at: window * context), last = text.document(at: (window + 1) * context)
            found.append(found.isEmpty ? 0 : first > reach ? found.last! + 1 : found.last!)
            reach = max(reach, last)
        }
        let clusters = (found.last ?? -1) + 1 < Self.leastClusters ? Array(0..<count) : found
        var decision: [Int] = [], audit: [Int] = [], index = 0
        while index < count {
            let end = clusters[index...].firstIndex { $0 != clusters[index] } ?? count
            if decision.count <= audit.count { decision += index..<end } else { audit += index..<end }
            index = end
        }
        (self.clusters, self.decision, self.audit) = (clusters, decision, audit)
    }
}
