/// What the live line shows of a run under way.
package struct StatusLine: Equatable, Sendable {
    /// Committed steps, and how many are planned.
    package var step: Int
    package var steps: Int
    /// Nats per token of the last committed step.
    package var loss: Double?
    package var tokensPerSecond: Double
    /// Share of provisioned worker time spent in productive compute, 0 to 1, over the last minute and over the session so
    /// far; provisional, since fates are not settled.
    package var recentGoodput: Double?
    package var goodput: Double?
    package var workersAlive: Int
    package var workers: Int
    package var secondsLeft: Double?
    package var lastIncident: String?

    package init(
        step: Int, steps: Int, loss: Double?, tokensPerSecond: Double, recentGoodput: Double?, goodput: Double?, workersAlive: Int,
        workers: Int, secondsLeft: Double?, lastIncident: String?
    ) {
        (self.step, self.steps, self.loss, self.tokensPerSecond) = (step, steps, loss, tokensPerSecond)
        (self.recentGoodput, self.goodput) = (recentGoodput, goodput)
        (self.workersAlive, self.workers) = (workersAlive, workers)
        (self.secondsLeft, self.lastIncident) = (secondsLeft, lastIncident)
    }

    /// One line of at most `width` columns. What does not fit is left out from the right, the last incident is cut.
    /// Numbers keep their columns, so that the line does not tremble.
    package func text(width: Int, colour: Bool = false) -> String {
        let ink = Ink(colour: colour)
        let total = Quantity.grouped(steps)
        var parts = ["step " + Quantity.grouped(step).aligned(total.count) + "/" + total]
        if let loss { parts.append("loss " + Quantity.decimal(loss, 4)) }
        parts.append(Quantity.grouped(Int(tokensPerSecond.rounded())).aligned(7) + " tok/s")
        if let goodput = goodputText { parts.append(goodput) }
        parts.append("\(workersAlive)/\(workers) workers")
        if let secondsLeft { parts.append(Quantity.roughly(seconds: secondsLeft) + " left") }
        var line = ""
        for part in parts {
            let longer = line.isEmpty ? part : line + "  " + part
            guard longer.count <= width else { break }
            line = longer
        }
        if line.isEmpty { line = parts[0].padded(width) }
        guard let lastIncident, width - line.count >= 16 else { return line }
        let room = width - line.count - 2
        return line + "  " + ink.dim(lastIncident.count > room ? lastIncident.padded(room) : lastIncident)
    }

    /// `goodput 91.3 %, all 90.2 %`: of the last minute, and of the whole session.
    private var goodputText: String? {
        func share(_ value: Double) -> String { Quantity.decimal(100 * value, 1).aligned(4) + " %" }
        guard let recent = recentGoodput ?? goodput, let goodput else { return nil }
        return "goodput \(share(recent)), all \(share(goodput))"
    }
}
