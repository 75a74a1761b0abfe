// Which commits made the final weights: the hash chain back from the last one.

/// The chain of commit records from the final state back to what the run began from. Bits are determined, so a step that was
/// computed again after a rewind has the same hash as its first run; the later row is the one in the chain (R4).
package struct Lineage: Sendable {
    /// Indices into `RunRecord.commits` by step: `rows[k]` is the commit with step `first + k`.
    package let rows: [Int]
    /// For each commit of the record: whether it is in the chain.
    package let contains: [Bool]
    /// For a commit that was rewound: the incident that made it necessary, if one did.
    package let rewindIncident: [Int: Int]
    /// Commits whose update was left out, and the incidents that say so.
    let vetoed: Set<Int>
    let vetoIncident: [Int: Int]
    /// The row whose parent is not in the record, with a sentence; nil when the chain reaches the run's first.
    package let broken: String?
    private let sessions: [Int: [Row]]

    /// A moment at which the number of committed steps changed.
    private struct Row: Sendable {
        /// Of the commit; nil when the run went back.
        var index: Int?
        var step: Int, nanoseconds: UInt64
    }

    /// Where a moment of work on a step belongs.
    enum Attempt: Equatable {
        /// The commit (an index) that ended it; of a later session, when that one took over what was published.
        case commit(Int)
        /// The run went back before the step was committed.
        case rewound
        /// No later commit.
        case undecided
    }

    package init(_ record: RunRecord) {
        let commits = record.commits
        var byHash: [String: [Int]] = [:]
        for (index, commit) in commits.enumerated() { byHash[commit.stateHash, default: []].append(index) }
        var chain: [Int] = [], broken: String?
        var current = Lineage.tip(record)
        while let index = current {
            chain.append(index)
            let commit = commits[index]
            current = nil
            guard commit.step > record.startStep + 1 else { break }
            current = byHash[commit.parentHash]?.last { $0 < index && commits[$0].step == commit.step - 1 }
            if current == nil {
                broken = "step \(commit.step) says its parent is \(commit.parentHash.prefix(12)), but no earlier commit of step \(commit.step - 1) has that hash"
            }
        }
        var contains = [Bool](repeating: false, count: commits.count)
        for index in chain { contains[index] = true }
        vetoed = Set(commits.indices.filter { commits[$0].isVetoed })
        vetoIncident = vetoed.reduce(into: [:]) { result, index in
            result[index] = record.incidents.last { $0.kind == .veto && $0.session == commits[index].session && $0.step == commits[index].step - 1 }?.incident
        }
        self.rows = chain.reversed()
        self.contains = contains
        self.broken = broken
        self.rewindIncident = Lineage.rewindIncidents(record, contains)
        var sessions: [Int: [Row]] = [:]
        for (index, commit) in commits.enumerated() {
            sessions[commit.session, default: []].append(Row(index: index, step: commit.step, nanoseconds: commit.nanoseconds))
        }
        for rewind in record.setbacks where rewind.kind == .rewind {
            var rows = sessions[rewind.session] ?? []
            let place = rows.lastIndex { $0.nanoseconds <= rewind.nanoseconds }.map { $0 + 1 } ?? 0
            rows.insert(Row(index: nil, step: rewind.toStep, nanoseconds: rewind.nanoseconds), at: place)
            sessions[rewind.session] = rows
        }
        self.sessions = sessions
    }

    /// The commit that made the final state.
    private static func tip(_ record: RunRecord) -> Int? {
        let step = record.position.step
        return record.commits.lastIndex { $0.step == step }
    }

    /// For each rewound commit, what it was rewound for: by its own launcher, or what ended its session and made a later
    /// one begin from an older state.
    private static func rewindIncidents(_ record: RunRecord, _ contains: [Bool]) -> [Int: Int] {
        var result: [Int: Int] = [:], endings: [Int: Int?] = [:]
        let rewinds = record.setbacks.filter { $0.kind == .rewind }
        func ending(_ session: Int) -> Int? {
            if let known = endings[session] { return known }
            let last = record.commits.last { $0.session == session }?.nanoseconds ?? 0
            let incident = record.incidents.first { $0.session == session && $0.onsetNanoseconds >= last }?.incident
            endings[session] = incident
            return incident
        }
        for (index, commit) in record.commits.enumerated() where !contains[index] {
            let own = rewinds.first { $0.session == commit.session && $0.nanoseconds >= commit.nanoseconds && $0.toStep < commit.step }
            result[index] = own.map(\.incident) ?? ending(commit.session)
        }
        return result
    }

    /// The attempt that work on `step` (committed steps before it) belonged to when it began at `time`.
    func attempt(session: Int, step: Int, at time: UInt64) -> Attempt {
        let rows = sessions[session] ?? []
        var low = Self.first(in: rows, from: time)
        // At the very nanosecond of another step's commit, this step begins.
        while low < rows.count, rows[low].nanoseconds == time, rows[low].step != step + 1 { low += 1 }
        if low < rows.count, rows[low].step == step + 1, let index = rows[low].index { return .commit(index) }
        if low < rows.count, rows[low].step <= step { return .rewound }
        // Committed already: a worker that had not noticed yet.
        var earlier = low
        while earlier > 0 {
            earlier -= 1
            if rows[earlier].step == step + 1, let index = rows[earlier].index { return .commit(index) }
            if rows[earlier].step <= step { break }
        }
        if low < rows.count { return .rewound }
        // A launcher that resumes from shared memory commits the step with the leaves published before.
        guard let next = sessions.filter({ $0.key > session }).min(by: { $0.key < $1.key })?.value.first else { return .undecided }
        guard next.step == step + 1, let index = next.index else { return .rewound }
        return .commit(index)
    }

    /// When the number of committed steps changed next after `time`, by a commit or by going back; nil if it did not. What was
    /// under way at `time` was decided on by then.
    func nextChange(session: Int, after time: UInt64) -> UInt64? {
        let rows = sessions[session] ?? []
        let index = Self.first(in: rows, from: time + 1)
        return index < rows.count ? rows[index].nanoseconds : nil
    }

    /// The first row at `time` or later.
    private static func first(in rows: [Row], from time: UInt64) -> Int {
        var low = 0, high = rows.count
        while low < high {
            let middle = (low + high) / 2
            if rows[middle].nanoseconds < time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The verdict over a commit's whole attempt.
    func verdict(_ index: Int) -> AttemptVerdict {
        if contains[index], vetoed.contains(index) { return AttemptVerdict(.vetoed, incident: vetoIncident[index]) }
        return contains[index] ? AttemptVerdict(.committed) : AttemptVerdict(.superseded, incident: rewindIncident[index])
    }
}
