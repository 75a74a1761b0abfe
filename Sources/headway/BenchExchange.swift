import ArgumentParser
import Collectives
import Coordination
import CSystem
import Foundation
import Kernels
import Reports
import RunSpec

struct BenchExchange: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exchange", abstract: "Measure the exchange of gradients alone: in messages, and in shared memory.",
        discussion: """
            Processes with a gradient each, on the loopback interface: the slowest one's time until it has the whole sum, reduced
            in the order of the tree and gathered as in a step of --sharding ddp. In turn with it the same sum in shared memory,
            where owners read in place. Both must have the same bits.

            EXAMPLES
              headway bench exchange --workers 2                           gradients of 4, 40 and 160 MB
              headway bench exchange --workers 4 --megabytes 40 --rounds 21
            """)

    @Option(help: "Processes.") var workers = 2
    @Option(help: ArgumentHelp("Sizes of the gradient, in millions of bytes.", valueName: "list")) var megabytes = "4,40,160"
    @Option(help: "Rounds of each size.") var rounds = 11
    @Flag(help: "Print one line of JSON per size, for other programs.") var json = false

    func validate() throws {
        guard !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 && $0 <= 4_000 }) else { throw ValidationError("--megabytes takes numbers such as 4,40.") }
        guard 1...SharedLayout.slotsMaximum ~= workers, rounds >= 1 else { throw ValidationError("1 to \(SharedLayout.slotsMaximum) workers and at least 1 round.") }
    }

    private var sizes: [Double] { megabytes.split(separator: ",").map { Double($0) ?? 0 } }

    func run() throws {
        guard Messages.areAvailable else { throw UserError(.usage, "bench exchange: this headway was built without Gloo") }
        cs_note_interrupts()
        for size in sizes {
            // Whole vectors; and so many that each worker has something to add up.
            let bench = try ExchangeBench(floats: max(SharedLayout.chunkCount, Int(size * 1e6) / 64) * 16, workers: workers)
            defer { bench.remove() }
            let times = try bench.measure(rounds: rounds), messages = times.map(\.messages), memory = times.map(\.memory)
            let ratio = Self.median(zip(messages, memory).map { $0 / $1 })
            guard !json else {
                say(String(format: "{\"workers\": %d, \"bytes\": %d, \"rounds\": %d, \"milliseconds\": %.4f, \"best_milliseconds\": %.4f, \"memory_milliseconds\": %.4f, \"best_memory_milliseconds\": %.4f, \"ratio\": %.3f}",
                    workers, bench.floats * 4, rounds, Self.median(messages), messages.min()!, Self.median(memory), memory.min()!, ratio))
                continue
            }
            say("\(Quantity.decimal(size, 0)) MB, \(workers) worker\(workers == 1 ? "" : "s"), median (least) of \(rounds) rounds: messages \(Quantity.decimal(Self.median(messages), 2)) (\(Quantity.decimal(messages.min()!, 2))) ms, shared memory \(Quantity.decimal(Self.median(memory), 2)) (\(Quantity.decimal(memory.min()!, 2))) ms: \(Quantity.decimal(ratio, 1)) times as long")
        }
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// Processes that exchange a gradient. They meet in a small segment of shared memory, as workers do; a second one has the
/// gradients of all leaves, for the sum in place.
struct ExchangeBench {
    let floats: Int, workers: Int
    private let folder: String, name: String
    private let meeting: SharedState

    init(floats: Int, workers: Int) throws {
        (self.floats, self.workers) = (floats, workers)
        name = "/headway-exchange-\(getpid())"
        folder = FileManager.default.temporaryDirectory.path + name
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        do {
            meeting = try SharedState(creating: name, layout: .meeting, identity: UInt64(floats))
            try ExchangeMemory(name: name + "-leaves", floats: floats, workers: workers, creating: true).unmap()
        } catch {
            Self.remove(name, folder)
            throw error
        }
    }

    func remove() { Self.remove(name, folder) }

    private static func remove(_ name: String, _ folder: String) {
        unlinkSegments(name)
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func unlinkSegments(_ name: String) {
        SharedState.unlink(name)
        SharedState.unlink(name + "-leaves")
    }

    /// Milliseconds of each round: of the slowest process.
    func measure(rounds: Int) throws -> [(messages: Double, memory: Double)] {
        let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        var running: [Int: WorkerProcess] = [:]
        defer {
            for process in running.values {
                process.kill()
                _ = process.reap(wait: true)
                process.closeDescriptor()
            }
        }
        for rank in 0..<workers {
            running[rank] = try WorkerProcess(
                executable: executablePath(), arguments: ["exchange-rank", name, "--rank", "\(rank)", "--workers", "\(workers)", "--floats", "\(floats)", "--rounds", "\(rounds)", "--launcher", "\(getpid())"],
                environment: environment, log: log(rank))
        }
        while !running.isEmpty {
            var descriptors = running.values.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            _ = poll(&descriptors, nfds_t(descriptors.count), 20)
            if cs_noted_interrupt() != 0 { throw UserError(.interrupted, "interrupted") }
            // Everybody has it open: whatever comes, nothing stays behind.
            if (0..<workers).allSatisfy({ meeting.addressStamp($0) > 0 }) { Self.unlinkSegments(name) }
            for (rank, process) in running {
                guard let end = process.reap(wait: false) else { continue }
                process.closeDescriptor()
                running[rank] = nil
                guard end.exit == .exited(status: 0) else { throw UserError(.runFailed, "process \(rank) ended early: \(lines(rank).last ?? "without a word")") }
            }
        }
        let times = (0..<workers).map { rank in lines(rank).map { $0.split(separator: " ").compactMap { Double($0).map { $0 * 1e-6 } } } }
        guard times.allSatisfy({ $0.count == rounds && $0.allSatisfy { $0.count == 2 } }) else { throw UserError(.runFailed, "a process said something else than its times: \(times)") }
        return (0..<rounds).map { round in (times.map { $0[round][0] }.max()!, times.map { $0[round][1] }.max()!) }
    }

    private func log(_ rank: Int) -> String { "\(folder)/\(rank)" }
    private func lines(_ rank: Int) -> [Substring] { ((try? String(contentsOfFile: log(rank), encoding: .utf8)) ?? "").split(separator: "\n") }
}

extension SharedLayout {
    /// Where processes meet that have all floats elsewhere.
    fileprivate static let meeting = SharedLayout(parameterFloats: 16, leaves: 1, heldOut: HeldOutUnits(validation: 0), sequences: 1, transport: .gloo)
}

/// The gradients of all leaves, and their sum, in memory that processes share.
private struct ExchangeMemory {
    let layout: SharedLayout
    let gradients: UnsafeMutablePointer<Float>
    var sum: UnsafeMutablePointer<Float> { gradients + layout.leaves * layout.parameterFloats }
    private let workers: Int

    init(name: String, floats: Int, workers: Int, creating: Bool) throws {
        var leaves = 1
        while leaves < workers { leaves *= 2 }
        layout = SharedLayout(parameterFloats: floats, leaves: leaves, heldOut: HeldOutUnits(validation: 0), sequences: 1)
        var bytes = (leaves + 1) * floats * 4
        let free = SharedState.freeBytes()
        if creating, bytes > free { throw UserError(.system, "a gradient of \(floats * 4) bytes for each of \(workers) workers needs \(bytes) bytes of shared memory; \(free) are free") }
        guard let base = cs_shared_map(name, creating, &bytes) else {
            throw UserError(.system, "shared memory \(name) cannot be had: \(String(cString: strerror(errno)))")
        }
        (gradients, self.workers) = (base.assumingMemoryBound(to: Float.self), workers)
    }

    func unmap() { munmap(gradients, (layout.leaves + 1) * layout.parameterFloats * 4) }

    func holder(of leaf: Int) -> Int { leaf * workers / layout.leaves }
    /// By chunk.
    var owners: [Int] { (0..<SharedLayout.chunkCount).map { $0 * workers / SharedLayout.chunkCount } }
}

/// One of the benchmark's processes: prints a line per round, the nanoseconds of both exchanges.
struct ExchangeRankCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "exchange-rank", abstract: "A process of `bench exchange`.", shouldDisplay: false)
    @Argument var name: String
    @Option var rank: Int
    @Option var workers: Int
    @Option var floats: Int
    @Option var rounds: Int
    @Option var launcher: Int32

    private static let warmup = 2, scale: Float = 1 / 3

    func run() throws {
        _ = cs_signal_at_parent_death(SIGKILL)
        guard getppid() == launcher else { return }
        let memory = try ExchangeMemory(name: name + "-leaves", floats: floats, workers: workers, creating: false), layout = memory.layout
        let meeting = try SharedState(opening: name, layout: .meeting, identity: UInt64(floats))
        let group = try MessageGroup(device: MessageDevice(host: "127.0.0.1"), rank: rank, size: workers, timeoutMilliseconds: 10_000)
        for peer in 0..<workers where peer != rank { try group.address(for: peer, into: meeting.address(of: rank, for: peer)) }
        var meetings = 0
        func meet() {
            meetings += 1
            meeting.setAddressStamp(rank, meetings)
            meeting.ring()
            _ = meeting.wait(alive: { true }, until: { (0..<workers).allSatisfy { meeting.addressStamp($0) >= meetings } })
        }
        meet()
        for peer in 0..<workers where peer != rank { try group.connect(peer, meeting.address(of: peer, for: rank)) }

        let store = NodeStore(floats: floats), random = Philox(key: UInt64(rank))
        for leaf in 0..<layout.leaves where memory.holder(of: leaf) == rank {
            let gradient = store.take(), shared = memory.gradients + leaf * floats
            for index in 0..<floats { shared[index] = Float(random.uniform(.tales, UInt32(leaf), 0, index: UInt32(index))) - 0.5 }
            gradient.base.update(from: shared, count: floats)
            store.push(leaf: leaf, gradient)
        }
        let held = (0..<workers).map { rank in TreeNode.covering(leaves: layout.leaves) { memory.holder(of: $0) == rank } }
        let mine = held[rank].map { store.nodes[$0]! }, segments = Segment.cut(layout, owners: memory.owners), reduced = PrivateMemory(floats: floats)

        func exchangeMessages() throws {
            let spreading = try Spreading(group, segments, reduced, kind: .mean) { _, _ in true }
            try Reduction(group, segments, held: held, mine: mine).finish(
                layout: layout, scale: Self.scale, into: reduced.base, activity: { _ in }, squares: { _, _ in }, done: { spreading.send($0) })
            try spreading.finish()
        }
        func exchangeMemory() {
            for (chunk, owner) in memory.owners.enumerated() where owner == rank {
                _ = reduceTree(memory.gradients, stride: floats, leaves: layout.leaves, range: layout.chunk(chunk), scale: Self.scale, into: memory.sum)
            }
            meet()
        }
        func nanoseconds(_ body: () throws -> Void) rethrows -> UInt64 {
            meet()
            let began = MonotonicClock.nanoseconds()
            try body()
            return MonotonicClock.nanoseconds() - began
        }
        for round in 0..<Self.warmup + rounds {
            let messages = try nanoseconds(exchangeMessages), shared = nanoseconds(exchangeMemory)
            if round >= Self.warmup { say("\(messages) \(shared)") }
        }
        guard memcmp(reduced.base, memory.sum, floats * 4) == 0 else { throw UserError(.runFailed, "messages and shared memory gave different sums: this is a mistake in headway; please report it") }
        meet()
        group.close()
    }
}
