import Collectives
import CSystem
import Foundation
import Glibc
import Ledger
import RunSpec

/// Where members of a view meet before they exchange messages, and what they do when messages fail. A group belongs to one
/// view and is never met in twice: whoever gave it up waits for another view, or for the next turn.
final class MeetingPlace {
    /// How long members may take to connect, and how long a worker whose messages failed waits for a new view before it asks
    /// for one, again and again.
    private static let connectMilliseconds = 5_000
    private static let askNanoseconds: UInt64 = 300_000_000

    private let context: StepContext
    private var shared: SharedState { context.shared }
    private let device: MessageDevice
    private let watch: ViewWatch
    /// Bytes sent: over groups that are gone, and in all as last seen. Sockets that a peer has closed are not seen any more.
    private var sentBefore = 0
    private var sent = 0
    /// Of them those that went out while passes went on, so that nobody waited for them.
    private var hidden = 0
    private var seenGone = 0
    /// Of its own memory, the most that was seen in use.
    private var resident = 0

    /// A connection that a group is to have.
    typealias Link = (group: MessageGroup, peer: Int, slot: Int)

    init(_ context: StepContext, _ options: SessionOptions) throws {
        self.context = context
        let host = options.host(of: context.slot)
        try host.enter()
        device = try MessageDevice(host: host.address, delayMicroseconds: options.messageMicroseconds)
        watch = ViewWatch(context.shared)
    }

    func group(rank: Int, size: Int) throws -> MessageGroup {
        try MessageGroup(device: device, rank: rank, size: size, timeoutMilliseconds: Self.connectMilliseconds)
    }

    /// Whether members have another view to meet for in the turn under way; `view` is of the last group, nil: none.
    func isOver(_ view: Int?) -> Bool { shared.view != view && shared.viewHolds(in: context.turn) }

    /// A view that begins with the next turn is there a moment before it: nobody meets for it yet.
    func awaitTurn() throws {
        if shared.viewHolds(in: context.turn) { return }
        try context.wait { shared.stopRequested }
        throw TurnIsOver()
    }

    /// Has everybody else's groups connect with this worker's. Until `settled` they are given up with the turn, then with the
    /// view. When it throws they are closed.
    /// - Parameters:
    ///   - everybody: slots; the view's members, with those who leave when `handsOver`.
    /// - Throws: `Disturbed` when another view is announced meanwhile.
    func connect(_ links: [Link], _ groups: [MessageGroup], _ everybody: [Int], view: Int, handsOver: Bool = false) throws {
        for link in links { try link.group.address(for: link.peer, into: shared.address(of: context.slot, for: link.slot)) }
        let stamp = (context.turn >> 32) << 32 | view << 1 | (handsOver ? 0 : 1)
        shared.setAddressStamp(context.slot, stamp)
        shared.ring()
        do {
            try context.wait { shared.view != view || shared.stopRequested || everybody.allSatisfy { shared.addressStamp($0) == stamp } }
            if shared.turn != context.turn { throw TurnIsOver() }
            if shared.view != view || !everybody.allSatisfy({ shared.addressStamp($0) == stamp }) { throw Disturbed() }
            watch.watch(groups, view: view, turn: context.turn)
            for link in links { try link.group.connect(link.peer, shared.address(of: link.slot, for: context.slot)) }
            cs_tcp_watch()
        } catch {
            close(groups)
            // Whom it failed for is gone, and the view without him is there.
            if error is MessageFailure, shared.view != view { throw Disturbed() }
            throw error
        }
    }

    /// Everybody in the group has what he needs to begin.
    func settled(_ groups: [MessageGroup], view: Int) { watch.watch(groups, view: view, turn: nil) }

    /// Closing tells the peers.
    func close(_ groups: [MessageGroup]) {
        watch.watch([], view: 0, turn: nil)
        noteSent()
        sentBefore = sent
        for group in groups { group.close() }
    }

    /// Nobody is met any more.
    func leave(_ groups: [MessageGroup]) {
        watch.end()
        for group in groups { group.close() }
    }

    // MARK: What is measured

    private func noteSent() { sent = max(sent, sentBefore + Int(cs_tcp_bytes_sent(1))) }

    func noteMemory() { if context.instrumented { resident = max(resident, Int(cs_private_bytes())) } }

    /// Tells the launcher, after an update.
    func measure() {
        guard context.instrumented else { return }
        noteMemory()
        noteSent()
        shared.setMeasured(context.slot, sentBytes: sent, hiddenBytes: hidden, residentBytes: resident)
    }

    /// Bytes that have gone out since this was last asked, over the connections that there are.
    private func goneSince() -> Int {
        guard context.instrumented else { return 0 }
        let gone = Int(cs_tcp_bytes_sent(0))
        defer { seenGone = gone }
        return max(0, gone - seenGone)
    }

    /// In a pass the worker begins to wait for others, or goes on.
    func passWaits(_ waits: Bool) {
        context.interrupt(waits)
        let gone = goneSince()
        if waits { hidden += gone }
    }

    /// What goes out from now until `passesEnd`, and not while somebody waits, goes beside the computing.
    func passesBegin() { _ = goneSince() }
    func passesEnd() { hidden += goneSince() }

    // MARK: Failures

    /// Runs what exchanges messages. When they fail the groups are finished, and the launcher's next view, or a new one of the
    /// same members, has others.
    /// - Parameters:
    ///   - view: of the groups at the time of failure; nil: none are formed.
    ///   - drop: closes them.
    func exchanging(_ step: Int, view: () -> Int?, drop: () -> Void, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as MessageFailure {
            let failed = view() ?? shared.view
            drop()
            // Should it be the same again and again, the launcher gives up and shows this.
            if case .refused(let what) = failure { FileHandle.standardError.write(Data("headway: worker \(context.slot): messages were refused: \(what)\n".utf8)) }
            context.enter(.regroup, step)
            var asks = MonotonicClock.nanoseconds() + Self.askNanoseconds
            try context.wait {
                let now = MonotonicClock.nanoseconds()
                if now > asks {
                    asks = now + Self.askNanoseconds
                    shared.reportLostChannels(view: failed)
                    context.ringDoorbell()
                }
                return shared.view != failed || shared.stopRequested
            }
            throw Disturbed()
        }
    }
}

/// A thread that ends the waits for messages of groups when they are over: a peer that is gone is usually an error at once,
/// but not for every wait.
private final class ViewWatch: @unchecked Sendable {
    /// How often it looks.
    private static let pauseMicroseconds: UInt32 = 5_000

    private let shared: SharedState
    private let lock = NSLock()
    private var watched: (groups: [MessageGroup], view: Int, turn: Int?) = ([], 0, nil)
    private var isOver = false

    init(_ shared: SharedState) {
        self.shared = shared
        Thread { [self] in run() }.start()
    }

    /// From now on these groups, of this view and, unless it is nil, of this turn only.
    func watch(_ groups: [MessageGroup], view: Int, turn: Int?) { lock.withLock { watched = (groups, view, turn) } }

    func end() { lock.withLock { isOver = true } }

    private func run() {
        while !lock.withLock({ isOver }) {
            lock.withLock {
                guard !watched.groups.isEmpty, shared.view != watched.view || watched.turn.map({ $0 != shared.turn }) ?? false else { return }
                for group in watched.groups { group.abort() }
                watched.groups = []
            }
            usleep(Self.pauseMicroseconds)
        }
    }
}
