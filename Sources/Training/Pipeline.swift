import Collectives
import Glibc
import Model

/// A stage among the stages of its data-parallel group, for one group of messages: activations go up, their gradients come
/// down, and the share of a tied head in the token table's gradient goes from the last stage to the first. What arrives is
/// expected as early as there is room for it, so that it comes while the stage computes.
final class Pipeline {
    let stage: Int, stages: Int
    /// Microbatches in flight, each in an instance of its own.
    private let transformers: [Transformer]
    private let group: MessageGroup
    /// The token table, if a tied head is on another stage than it.
    private let table: Range<Int>?
    /// Called when this worker waits for others, and when it goes on.
    private let waiting: (Bool) -> Void

    // (microbatch mod 2): (R, C), the inputs; the gradients with respect to the output and to the input.
    private let inputs: PrivateMemory, above: PrivateMemory, below: PrivateMemory
    private let arriving: [MessageRegion], falling: [MessageRegion], passing: [MessageRegion]
    // (instance): its output.
    private let leaving: [MessageRegion]
    // (microbatch mod stages), on the last stage: the shares under way.
    private let shares: PrivateMemory, sharing: [MessageRegion]
    private var count = 0

    /// - Parameter transformers: of the stage's part; they share scratch.
    init(_ group: MessageGroup, _ transformers: [Transformer], table: Range<Int>?, waiting: @escaping (Bool) -> Void) throws {
        (self.group, self.transformers, self.table, self.waiting) = (group, transformers, table, waiting)
        (stage, stages) = (group.rank, group.size)
        let size = transformers[0].rows * transformers[0].config.width
        (inputs, above, below) = (PrivateMemory(floats: 2 * size), PrivateMemory(floats: 2 * size), PrivateMemory(floats: 2 * size))
        shares = PrivateMemory(floats: stage == stages - 1 ? stages * (table?.count ?? 0) : 0)
        arriving = try (0..<2).map { [inputs] in try group.region(inputs.base + $0 * size, bytes: size * 4) }
        leaving = try transformers.map { try group.region(UnsafeMutableRawPointer(mutating: $0.output), bytes: size * 4) }
        falling = try (0..<2).map { [above] in try group.region(above.base + $0 * size, bytes: size * 4) }
        passing = try (0..<2).map { [below] in try group.region(below.base + $0 * size, bytes: size * 4) }
        let tableFloats = table?.count ?? 0
        sharing = stage == stages - 1 && tableFloats > 0 ? try (0..<group.size).map { [shares] in try group.region(shares.base + $0 * tableFloats, bytes: tableFloats * 4) } : []
    }

    var isFirst: Bool { stage == 0 }
    var isLast: Bool { stage == stages - 1 }
    private var floats: Int { transformers[0].rows * transformers[0].config.width }
    /// The instance that has microbatch `index` of those begun with.
    func transformer(_ index: Int) -> Transformer { transformers[index % transformers.count] }

    // MARK: Forward

    /// Expects the first of `count` microbatches.
    /// - Parameter isTraining: whether they come back.
    func begin(_ count: Int, isTraining: Bool) {
        self.count = count
        for index in 0..<min(2, count) {
            expectInput(index)
            if isTraining { expectGradient(index) }
        }
    }

    private func expectInput(_ index: Int) {
        guard !isFirst, index < count else { return }
        arriving[index % 2].receive(from: stage - 1, tag: MessageKind.activation.tag(index), offset: 0, bytes: floats * 4)
    }

    /// Waits until microbatch `index` is there, and the output that its instance had before is gone.
    func awaitInput(_ index: Int) throws {
        try finish([arriving[index % 2]], [leaving[index % leaving.count]])
        guard !isFirst else { return }
        transformer(index).input.update(from: inputs.base + index % 2 * floats, count: floats)
        expectInput(index + 2)
    }

    func sendOutput(_ index: Int) {
        guard !isLast else { return }
        leaving[index % leaving.count].send(to: stage + 1, tag: MessageKind.activation.tag(index), offset: 0, bytes: floats * 4)
    }

    // MARK: Backward

    private func expectGradient(_ index: Int) {
        guard !isLast, index < count else { return }
        falling[index % 2].receive(from: stage + 1, tag: MessageKind.activationGradient.tag(index), offset: 0, bytes: floats * 4)
    }

    /// Waits for what the backward pass of microbatch `index` goes by.
    /// - Parameter gradient: of the microbatch; on the first stage a tied head's share is put there.
    func awaitGradient(_ index: Int, _ gradient: PrivateMemory) throws {
        if let table, isFirst {
            let region = try group.region(gradient.base, bytes: gradient.count * 4)
            region.receive(from: stages - 1, tag: MessageKind.tableGradient.tag(index), offset: table.lowerBound * 4, bytes: table.count * 4)
            try finish([region], [])
        }
        guard !isLast else { return }
        try finish([falling[index % 2]], [])
        transformers[0].residualGradient.update(from: above.base + index % 2 * floats, count: floats)
        expectGradient(index + 2)
    }

    func sendGradient(_ index: Int, _ gradient: PrivateMemory) throws {
        if let table, isLast {
            let place = index % stages
            try finish([], [sharing[place]])
            (shares.base + place * table.count).update(from: gradient.base + table.lowerBound, count: table.count)
            sharing[place].send(to: 0, tag: MessageKind.tableGradient.tag(index), offset: 0, bytes: table.count * 4)
        }
        guard !isFirst else { return }
        try finish([], [passing[index % 2]])
        (below.base + index % 2 * floats).update(from: transformers[0].residualGradient, count: floats)
        passing[index % 2].send(to: stage - 1, tag: MessageKind.activationGradient.tag(index), offset: 0, bytes: floats * 4)
    }

    /// Waits for what is still under way.
    func end() throws { try finish([], leaving + passing + sharing) }

    private func finish(_ arriving: [MessageRegion], _ leaving: [MessageRegion]) throws {
        guard arriving.contains(where: \.isReceiving) || leaving.contains(where: \.isSending) else { return }
        waiting(true)
        for region in arriving { try region.finishReceives() }
        for region in leaving { try region.finishSends() }
        waiting(false)
    }
}
