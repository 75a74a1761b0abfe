import Ledger

extension RunAccount {
    /// Figures beside the sum of categories (R1), one phrase each: time of others than the workers' own threads, and how far
    /// the clocks disagree.
    var shadowFigures: [String] {
        func duration(_ nanoseconds: Int) -> String { Quantity.duration(seconds: Double(nanoseconds) / 1e9) }
        var figures: [String] = []
        let writers = record.checkpoints.reduce(0) { $0 + Int($1.cpuNanoseconds) }
        if writers > 0 { figures.append("checkpoint writers were on a processor for \(duration(writers))") }
        if reconciliation.cpuNanoseconds > 0 {
            figures.append("the kernel counted \(duration(reconciliation.cpuNanoseconds)) of workers on a processor, \(duration(reconciliation.recordedNanoseconds)) of it recorded as work")
        }
        if reconciliation.lostEvents > 0 { figures.append("\(Quantity.plural(reconciliation.lostEvents, "flight event")) lost") }
        if accounts.excessRunDelayNanoseconds > 0 {
            figures.append("\(duration(accounts.excessRunDelayNanoseconds)) of run delay beyond the spans it was measured over")
        }
        return figures
    }
}
