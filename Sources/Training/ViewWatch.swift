import Collectives
import Foundation
import Glibc

/// A thread that ends the waits for messages of a group when another view is announced: a peer that is gone is usually an
/// error at once, but not for every wait.
final class ViewWatch: @unchecked Sendable {
    /// How often it looks.
    private static let pauseMicroseconds: UInt32 = 5_000

    private let shared: SharedState
    private let lock = NSLock()
    private var watched: (group: MessageGroup, view: Int)?
    private var isOver = false

    init(_ shared: SharedState) {
        self.shared = shared
        Thread { [self] in run() }.start()
    }

    /// From now on this group, of this view; nil: none.
    func watch(_ group: MessageGroup?, view: Int = 0) { lock.withLock { watched = group.map { ($0, view) } } }

    func end() { lock.withLock { isOver = true } }

    private func run() {
        while !lock.withLock({ isOver }) {
            lock.withLock {
                guard let (group, view) = watched, shared.view != view else { return }
                group.abort()
                watched = nil
            }
            usleep(Self.pauseMicroseconds)
        }
    }
}
