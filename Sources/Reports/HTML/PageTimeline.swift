import Ledger

/// The time axis of pictures: sessions one after the other, from the opening of their slots, without what lies between.
struct PageAxis {
    struct Session: Encodable { var number: Int, start: Int, end: Int }
    let sessions: [Session]
    private let origins: [Int: Int]

    var total: Int { sessions.last?.end ?? 0 }

    init(_ record: RunRecord) {
        var sessions: [Session] = [], origins: [Int: Int] = [:], cursor = 0
        for number in Set(record.slots.map(\.session)).sorted() {
            let slots = record.slots.filter { $0.session == number }
            let opened = Int(slots.map(\.openedNanoseconds).min() ?? 0), closed = Int(slots.map(\.closedNanoseconds).max() ?? 0)
            origins[number] = cursor - opened
            sessions.append(Session(number: number, start: cursor, end: cursor + closed - opened))
            cursor += closed - opened
        }
        (self.sessions, self.origins) = (sessions, origins)
    }

    func position(_ session: Int, _ nanoseconds: UInt64) -> Int { Int(nanoseconds) + (origins[session] ?? 0) }
}

/// Per slot, what it was doing when. Neighbouring short intervals are merged until a browser can hold them: such a piece
/// shows the category with the largest share of it.
struct PageTimeline: Encodable {
    struct Row: Encodable {
        var slot: Int
        /// Lengths in microseconds, each followed by the letter of its category (A is the first in the list of
        /// categories, then B … Z, a … z) or `_` where nothing is known; `~` before the letter: a merged piece. Gapless from
        /// the start of the axis.
        var pieces: String
    }
    /// Pieces on the whole page.
    static let limit = 100_000

    var total: Int
    var sessions: [PageAxis.Session]
    /// Shortest length that is always shown as it was; 0 if nothing was merged.
    var resolution: Int
    var rows: [Row]

    private struct Piece { var start: Int, end: Int, category: Int?, isMerged = false }

    init(_ account: RunAccount, _ axis: PageAxis) {
        (total, sessions) = (axis.total, axis.sessions)
        var exact: [Int: [Piece]] = [:]
        for interval in account.attribution.intervals {
            let start = axis.position(interval.place.session, interval.start), end = axis.position(interval.place.session, interval.end)
            PageTimeline.append(Piece(start: start, end: end, category: interval.category.order), to: &exact[interval.place.slot, default: []])
        }
        for row in account.record.slots where exact[row.slot] == nil { exact[row.slot] = [] }
        let slots = exact.keys.sorted()
        var pieces = slots.map { PageTimeline.filled(exact[$0] ?? [], until: axis.total) }
        var length = 0
        if pieces.reduce(0, { $0 + $1.count }) > Self.limit {
            length = max(1_000, axis.total * slots.count / Self.limit / 2)
            var merged = pieces.map { PageTimeline.merged($0, below: length) }
            while merged.reduce(0, { $0 + $1.count }) > Self.limit {
                length = length * 5 / 4
                merged = pieces.map { PageTimeline.merged($0, below: length) }
            }
            pieces = merged
        }
        resolution = length
        rows = zip(slots, pieces).map { Row(slot: $0, pieces: PageTimeline.text($1)) }
    }

    private static func append(_ piece: Piece, to pieces: inout [Piece]) {
        if let last = pieces.last, last.end == piece.start, last.category == piece.category, last.isMerged == piece.isMerged {
            pieces[pieces.count - 1].end = piece.end
        } else {
            pieces.append(piece)
        }
    }

    /// With pieces of no category where there was nothing.
    private static func filled(_ pieces: [Piece], until end: Int) -> [Piece] {
        var result: [Piece] = [], cursor = 0
        result.reserveCapacity(pieces.count)
        for piece in pieces {
            if piece.start > cursor { result.append(Piece(start: cursor, end: piece.start, category: nil)) }
            result.append(piece)
            cursor = piece.end
        }
        if cursor < end { result.append(Piece(start: cursor, end: end, category: nil)) }
        return result
    }

    private static func merged(_ pieces: [Piece], below length: Int) -> [Piece] {
        var result: [Piece] = [], shares = [Int](repeating: 0, count: Category.allCases.count + 1), start = 0, end = 0
        func flush() {
            guard start < end else { return }
            let dominant = shares.indices.max { shares[$0] < shares[$1] || (shares[$0] == shares[$1] && $0 > $1) } ?? 0
            let isMerged = shares.count { $0 > 0 } > 1
            append(Piece(start: start, end: end, category: dominant == shares.count - 1 ? nil : dominant, isMerged: isMerged), to: &result)
            for index in shares.indices { shares[index] = 0 }
            start = end
        }
        for piece in pieces {
            if piece.end - piece.start >= length {
                flush()
                append(piece, to: &result)
                (start, end) = (piece.end, piece.end)
            } else {
                shares[piece.category ?? shares.count - 1] += piece.end - piece.start
                end = piece.end
                if end - start >= length { flush() }
            }
        }
        flush()
        return result
    }

    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

    private static func text(_ pieces: [Piece]) -> String {
        var text = "", cursor = 0
        for piece in pieces {
            // Ends are rounded, not lengths: the error never grows.
            let end = (piece.end + 500) / 1000
            guard end > cursor else { continue }
            text += String(end - cursor) + (piece.isMerged ? "~" : "")
            text.append(piece.category.map { letters[$0] } ?? "_")
            cursor = end
        }
        return text
    }
}
