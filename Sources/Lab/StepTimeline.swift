import RunSpec

/// What connects workers: each has one link, both ways at once.
package struct Link: Hashable, Sendable {
    /// Nominal.
    package var gigabitsPerSecond: Double
    /// Of each message, on the link of its sender.
    package var microseconds: Double

    package init(gigabitsPerSecond: Double, microseconds: Double) { (self.gigabitsPerSecond, self.microseconds) = (gigabitsPerSecond, microseconds) }
}

/// What a benchmark fits: the constants between what a step does and how long it takes.
package struct Calibration: Hashable, Sendable {
    /// Of the measured SGEMM peak, what whole microbatches get: README, 0.69 for narrow models to 0.83.
    package var peakShare = 0.75
    /// Of that speed, what is left where twice as many ranks share a layer.
    package var halvedShare = 1.0
    /// Of a link's nominal rate, what is left to payload: TCP over Ethernet frames of 1,500 bytes.
    package var linkShare = 0.94
    /// A worker's memory, for passes over vectors.
    package var memoryBytesPerSecond = 10e9
    /// AdamW reads θ, g, m, v and writes θ, m, v; an addition of two nodes reads two and writes one; the norm reads g.
    package var updateBytes = 28.0, additionBytes = 12.0, normBytes = 4.0
    /// Of a microbatch and of a step, whatever they compute: data, loss; votes, the commit.
    package var leafSeconds = 0.0, stepSeconds = 0.0
    /// Of the transfers beside which a worker computes, the part of their time in which it does not: 0 where the network has
    /// processors of its own, towards 1 where it takes the worker's.
    package var stolenShare = 0.0
    /// Whether ddp and zero1 send blocks while the last microbatch's backward pass goes on, or all nodes after it, as
    /// `headway train` does where several workers compute a microbatch together.
    package var overlapsLastLeaf = true
    /// Seconds that a byte of memory takes to be had anew from the system: of gradients, which zero2 and zero3 give back block by
    /// block, and of what zero3 gathers.
    package var gradientPageSeconds = 0.0, gatheredPageSeconds = 0.0
    /// Bytes of a worker's own memory besides what a choice keeps: the program, BLAS, buffers of the network.
    package var processBytes = 0

    package init() {}
}

/// A worker's compute thread and its link, which takes transfers one after the other in the order in which they are asked for.
struct StepTimeline {
    /// One block, forward or backward, in seconds.
    struct Pass {
        var compute = 0.0
        /// Of what must be there first; asked for when the pass before begins, for there is room for two blocks.
        var gather = 0.0
        /// Of sums in the middle of it, which go before what waits for the link, and which it waits for.
        var blocking = 0.0
        /// Of what it makes; asked for at its end.
        var send = 0.0
        /// Whether the next one begins when all has been sent: the end of a round.
        var drains = false
    }

    /// When all is computed, and when the link is free.
    private(set) var now = 0.0, linkFree = 0.0
    /// Seconds of each.
    private(set) var computing = 0.0, transferring = 0.0
    /// When all has been computed and sent.
    var end: Double { max(now, linkFree) }

    /// - Parameter buffers: passes whose results may wait for the link, nil for all.
    init(_ passes: [Pass], buffers: Int? = nil) {
        var sentAt: [Double] = [], gathered = transfer(passes.first?.gather ?? 0, from: 0)
        for (index, pass) in passes.enumerated() {
            var start = max(now, gathered)
            if let buffers, pass.send > 0, sentAt.count >= buffers { start = max(start, sentAt[sentAt.count - buffers]) }
            _ = transfer(pass.blocking, from: start)
            gathered = index + 1 < passes.count ? transfer(passes[index + 1].gather, from: start) : 0
            now = start + pass.compute + pass.blocking
            computing += pass.compute
            if pass.send > 0 { sentAt.append(transfer(pass.send, from: now)) }
            if pass.drains { now = end }
        }
    }

    /// - Returns: when it ends; 0 for nothing.
    private mutating func transfer(_ seconds: Double, from time: Double) -> Double {
        guard seconds > 0 else { return 0 }
        linkFree = max(linkFree, time) + seconds
        transferring += seconds
        return linkFree
    }
}

/// The stages' passes, as `PipelineSchedule` has them.
struct PipelineTimeline {
    /// When each stage has ended its last pass.
    private(set) var ends: [Double]
    /// Seconds that the links were busy, the busiest stage's.
    private(set) var transferring: Double

    /// - Parameters:
    ///   - forward, backward: seconds of each stage, its own sums over ranks included; `weights`: the part of backward that
    ///     makes the gradients of matrices.
    ///   - boundary: seconds of the transfer of an activation, or of its gradient.
    ///   - table: of the last stage's share of a tied table's gradient.
    init(leaves: Int, forward: [Double], backward: [Double], weights: [Double], boundary: Double, table: Double) {
        let stages = forward.count
        var arrived = [[Double]](repeating: [], count: stages), returned = arrived      // at a stage, by leaf
        var tables: [Double] = []
        var now = [Double](repeating: 0, count: stages), link = now, busy = now
        var left = (0..<stages).map { ArraySlice(PipelineSchedule.passes(stage: $0, of: stages, microbatches: leaves)) }
        func send(_ stage: Int, _ seconds: Double) -> Double {
            link[stage] = max(link[stage], now[stage]) + seconds
            busy[stage] += seconds
            return link[stage]
        }
        // A stage goes on as far as what it needs has come; later stages first, so that all find their way in any order.
        var progress = true
        while progress {
            progress = false
            for stage in (0..<stages).reversed() {
                let isFirst = stage == 0, isLast = stage == stages - 1
                passes: while let (pass, leaf) = left[stage].first {
                    switch pass {
                    case .forward:
                        guard isFirst || arrived[stage].count > leaf else { break passes }
                        now[stage] = max(now[stage], isFirst ? 0 : arrived[stage][leaf]) + forward[stage]
                        if !isLast { arrived[stage + 1].append(send(stage, boundary)) }
                    case .backward:
                        guard isLast || returned[stage].count > leaf else { break passes }
                        let waits = max(isLast ? 0 : returned[stage][leaf], isFirst && table > 0 ? tables[leaf] : 0)
                        now[stage] = max(now[stage], waits) + backward[stage] - (PipelineSchedule.putsOffWeights(stage: stage) ? weights[stage] : 0)
                        if !isFirst { returned[stage - 1].append(send(stage, boundary)) }
                        if isLast, !isFirst, table > 0 { tables.append(send(stage, table)) }
                    case .weights:
                        now[stage] += weights[stage]
                    }
                    left[stage].removeFirst()
                    progress = true
                }
            }
        }
        precondition(left.allSatisfy(\.isEmpty), "a pipeline that stands still before \(left.map(\.first))")
        (ends, transferring) = (now, busy.max() ?? 0)
    }
}
