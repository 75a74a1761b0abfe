// A run as its scheduler would see it: one job that starts, makes steps, stops and starts again, whatever its workers do.
// Published definitions of goodput are made for this view.

struct JobHistory {
    struct Session {
        var number: Int
        /// First spawn, and the last thing known.
        var start: UInt64, end: UInt64
        /// The first step began, the last was committed; nil if the session made none.
        var firstStep: UInt64?, lastCommit: UInt64?
        /// From the end of the session before, by the calendar; 0 if that is not known.
        var gapNanoseconds: Int
        /// Its first step had been begun before: what observers of step numbers call a disruption.
        var isRepetition: Bool
    }
    let sessions: [Session]
    /// Every session from start to end; what lies between is `gapNanoseconds`.
    let wall: JobTime
    let gapNanoseconds: Int
    /// From the first step of each session to its last commit.
    let stepping: JobTime
    /// Work that was gone back on: from the state that was taken up again until it was, or the session's end.
    let rewound: JobTime
    /// Within `stepping`: no worker is in a step.
    let outages: JobTime
    /// Every slot holds a worker that lives.
    let complete: JobTime
    /// Attempts that a worker began again without a commit between: from the first beginning to the last.
    let repeatedInPlace: JobTime

    /// All of the job's time, sessions and what lies between.
    var totalNanoseconds: Int { wall.nanoseconds + gapNanoseconds }
    /// In steps that were kept, with a worker at work.
    var kept: JobTime { stepping.subtracting(rewound).subtracting(outages) }

    init(_ account: RunAccount) {
        let record = account.record
        var sessions = JobHistory.sessions(record, account.fates)
        wall = JobTime(sessions.map { JobTime.Stretch(session: $0.number, start: $0.start, end: $0.end) })
        gapNanoseconds = sessions.reduce(0) { $0 + $1.gapNanoseconds }
        stepping = JobTime(sessions.compactMap { s in
            guard let first = s.firstStep, let last = s.lastCommit else { return nil }
            return JobTime.Stretch(session: s.number, start: first, end: last)
        })
        rewound = JobTime(JobHistory.rewinds(record, account.fates, &sessions))
        outages = stepping.subtracting(JobTime(JobHistory.inSteps(account.attribution.intervals)))
        complete = JobHistory.complete(record, sessions, wall)
        repeatedInPlace = JobTime(JobHistory.repetitions(account.fates))
        self.sessions = sessions
    }

    private static func sessions(_ record: RunRecord, _ fates: Fates) -> [Session] {
        let firstSteps = fates.executions.reduce(into: [Int: UInt64]()) { $0[$1.place.session] = min($0[$1.place.session] ?? .max, $1.start) }
        let lastCommits = record.commits.reduce(into: [Int: UInt64]()) { $0[$1.session] = $1.nanoseconds }
        var result: [Session] = [], endedUnixSeconds: Double?
        for (number, start, end) in record.sessionSpans {
            let row = record.sessions.first { $0.session == number }
            let gap = endedUnixSeconds.map { max(0, (row?.startedUnixSeconds ?? 0) - $0) } ?? 0
            endedUnixSeconds = row.map { $0.startedUnixSeconds + Double(max(end, $0.startedNanoseconds) - $0.startedNanoseconds) / 1e9 }
            result.append(Session(
                number: number, start: start, end: end, firstStep: firstSteps[number].map { max($0, start) },
                lastCommit: lastCommits[number], gapNanoseconds: Int((gap * 1e9).rounded()), isRepetition: false))
        }
        return result
    }

    private static func rewinds(_ record: RunRecord, _ fates: Fates, _ sessions: inout [Session]) -> [JobTime.Stretch] {
        var result: [JobTime.Stretch] = []
        // Within a session: a commit of a step that had been committed before.
        for (a, b) in zip(record.commits, record.commits.dropFirst()) where a.session == b.session && b.step <= a.step {
            let again = fates.executions.lazy.filter {
                $0.place.session == b.session && $0.step == b.step - 1 && $0.start >= a.nanoseconds && $0.start < b.nanoseconds
            }.map(\.start).min()
            let state = record.commits.last { $0.session == a.session && $0.step == b.step - 1 && $0.nanoseconds <= a.nanoseconds }
            let from = state?.nanoseconds ?? sessions.first { $0.number == a.session }?.firstStep ?? a.nanoseconds
            result.append(JobTime.Stretch(session: a.session, start: from, end: again ?? a.nanoseconds))
        }
        // A session that takes up a state: what came after that state is lost, back to the session that made it.
        for index in sessions.indices.dropFirst() {
            let step = record.sessions.first { $0.session == sessions[index].number }?.startStep ?? 0
            for earlier in sessions[..<index].reversed() {
                let state = record.commits.last { $0.session == earlier.number && $0.step == step }
                let from = state?.nanoseconds ?? earlier.firstStep ?? earlier.end
                if fates.executions.contains(where: { $0.place.session == earlier.number && $0.start >= from }) {
                    sessions[index].isRepetition = true
                    result.append(JobTime.Stretch(session: earlier.number, start: from, end: earlier.end))
                }
                if state != nil || (record.sessions.first { $0.session == earlier.number }?.startStep ?? 0) <= step { break }
            }
        }
        return result
    }

    /// The union over workers of what they do in steps: everything but being started, restored, dead, spare or done.
    private static func inSteps(_ intervals: [Interval]) -> [JobTime.Stretch] {
        var result: [JobTime.Stretch] = [], place: Place?, isInStep = false
        for interval in intervals {
            if interval.place != place { (place, isInStep) = (interval.place, false) }
            switch interval.category {
            // A pause by the host belongs to what it interrupts.
            case .hostContention: break
            case .undetectedBlocking, .survivorStall, .serveState: isInStep = true
            default: isInStep = [.productive, .step, .waste, .checkpoint, .evaluation].contains(interval.category.group)
            }
            guard isInStep else { continue }
            if let last = result.last, last.session == interval.place.session, last.end == interval.start {
                result[result.count - 1].end = interval.end
            } else {
                result.append(JobTime.Stretch(session: interval.place.session, start: interval.start, end: interval.end))
            }
        }
        return result
    }

    private static func complete(_ record: RunRecord, _ sessions: [Session], _ wall: JobTime) -> JobTime {
        let onsets = Dictionary(record.incidents.filter(\.kind.isLoss).map { ($0.replica, $0.onsetNanoseconds) }, uniquingKeysWith: { min($0, $1) })
        let ends = Dictionary(sessions.map { ($0.number, $0.end) }, uniquingKeysWith: { $1 })
        var all = wall
        for slot in Set(record.slots.map(\.slot)) {
            let lives = record.replicas.filter { $0.slot == slot }.map { row in
                let end = onsets[row.replica] ?? row.endedNanoseconds ?? row.reapedNanoseconds ?? ends[row.session] ?? row.spawnedNanoseconds
                return JobTime.Stretch(session: row.session, start: row.spawnedNanoseconds, end: end)
            }
            // A session without this slot is complete without it.
            let without = sessions.filter { s in !record.slots.contains { $0.session == s.number && $0.slot == slot } }
            all = all.intersection(JobTime(lives + without.map { JobTime.Stretch(session: $0.number, start: $0.start, end: $0.end) }))
        }
        return all
    }

    private static func repetitions(_ fates: Fates) -> [JobTime.Stretch] {
        struct Part: Hashable { var session: Int, step: Int, leaf: Int, replica: Int }
        var last: [Part: Execution] = [:], result: [JobTime.Stretch] = []
        for e in fates.executions {
            let part = Part(session: e.place.session, step: e.step, leaf: e.leaf, replica: e.replica)
            if let before = last[part], before.commit == e.commit, before.fate == .aborted {
                result.append(JobTime.Stretch(session: part.session, start: before.start, end: e.start))
            }
            last[part] = e
        }
        return result
    }
}
