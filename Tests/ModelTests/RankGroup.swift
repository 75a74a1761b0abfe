import Foundation
import Model

/// Ranks as threads of this process: every value is added up, or compared, in the order of ranks.
final class RankGroup: @unchecked Sendable {
    let degree: Int
    private let condition = NSCondition()
    private var arrived = 0, round = 0
    private var deposits: [[Float]]

    init(degree: Int) {
        self.degree = degree
        deposits = Array(repeating: [], count: degree)
    }

    struct Member: Peers {
        typealias Failure = Never
        let group: RankGroup, rank: Int
        var degree: Int { group.degree }

        func willRead(block: Int, in pass: Pass) {}
        func hasRead(block: Int, in pass: Pass) {}
        func gradientIsComplete(block: Int) {}
        func sum(_ values: UnsafeMutablePointer<Float>, count: Int) {
            group.combine(values, count, rank) { $0 + $1 }
        }
        func max(_ values: UnsafeMutablePointer<Float>, count: Int) {
            group.combine(values, count, rank) { $1 > $0 ? $1 : $0 }
        }
    }

    /// What `body` gives for every rank, each on a thread of its own.
    func run<Result: Sendable>(_ body: @escaping @Sendable (Member) -> Result) -> [Result] {
        let results = Results<Result>(degree), done = DispatchSemaphore(value: 0)
        for rank in 0..<degree {
            Thread {
                results.set(rank, body(Member(group: self, rank: rank)))
                done.signal()
            }.start()
        }
        for _ in 0..<degree { done.wait() }
        return results.all
    }

    private func combine(
        _ values: UnsafeMutablePointer<Float>, _ count: Int, _ rank: Int, _ operation: (Float, Float) -> Float
    ) {
        deposits[rank] = Array(UnsafeBufferPointer(start: values, count: count))
        barrier()
        precondition(deposits.allSatisfy { $0.count == count }, "ranks disagree: \(deposits.map(\.count))")
        for i in 0..<count { values[i] = deposits.dropFirst().reduce(deposits[0][i]) { operation($0, $1[i]) } }
        barrier()
    }

    private func barrier() {
        condition.lock()
        defer { condition.unlock() }
        let mine = round
        arrived += 1
        if arrived == degree {
            (arrived, round) = (0, round + 1)
            condition.broadcast()
        } else {
            while round == mine { condition.wait() }
        }
    }

    private final class Results<Result>: @unchecked Sendable {
        private let lock = NSLock()
        private var values: [Result?]

        init(_ count: Int) { values = Array(repeating: nil, count: count) }
        func set(_ rank: Int, _ value: Result) { lock.withLock { values[rank] = value } }
        var all: [Result] { lock.withLock { values.map { $0! } } }
    }
}
