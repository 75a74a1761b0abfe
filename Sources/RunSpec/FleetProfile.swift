// How published fleets fail. Figures are the sources' counts; what a cause becomes here is our reading:
//
//     hardware or software that stops a process       crash
//     a job that hangs, a watchdog's timeout          hang, until it is fenced
//     silent data corruption                          bitflip in a gradient
//     a loss or gradient that is not a number         nonfinite
//     maintenance of a host, a reclaimed instance     preempt, with notice
//     heat, a slower job                              slow: half speed for 5 s

package struct FleetProfile: Sendable {
    package struct Cause: Sendable {
        package let name: String
        package let count: Int
        package let kind: Fault.Kind

        fileprivate init(_ name: String, _ count: Int, _ kind: Fault.Kind) { (self.name, self.count, self.kind) = (name, count, kind) }
    }

    package let name: String
    /// What was observed, where it is published, and what of it is not here.
    package let source: String
    /// Of the job or cluster that was observed.
    package let accelerators: Int?
    /// nil when the source counts failures, but not hours.
    package let failuresPerAcceleratorHour: Double?
    /// nil when the source does not say.
    package let stepSeconds: Double?
    /// Of the Weibull law of the times between failures of the job; 1 is a Poisson process.
    package let shape: Double
    package let causes: [Cause]

    package var failures: Int { causes.reduce(0) { $0 + $1.count } }

    /// Of a job on so many accelerators.
    package func hoursBetweenFailures(accelerators: Int) -> Double? {
        failuresPerAcceleratorHour.map { 1 / ($0 * Double(accelerators)) }
    }

    var strikes: [FaultSchedule.Strike] {
        causes.map {
            FaultSchedule.Strike(kind: $0.kind, weight: Double($0.count), seconds: $0.kind == .slow ? 5 : nil)
        }
    }

    /// - Throws: `UserError` with the nearest name.
    package static func named(_ name: String, place: String) throws -> FleetProfile {
        if let found = all.first(where: { $0.name == name }) { return found }
        throw UserError(.usage, "\(place): there is no profile `\(name)`\(suggestion(for: name, among: all.map(\.name))); there are \(all.map(\.name).joined(separator: ", "))")
    }

    package static let all = [llama3, rsc1, rsc2, byteRobust, spot]

    /// 419 in 16,384 × 54 × 24 = 21.2 million hours: 1.97e-5 per hour, one in 3.1 hours. A step of 405e9 parameters and 16.8 M
    /// tokens takes 6.2 s at 400 TFLOP/s each. The column of shares in the paper does not add up; these are its counts.
    private static let llama3 = FleetProfile(
        name: "llama3-54-days",
        source: "419 unexpected interruptions of a job in 54 days, Llama 3 405B; arXiv 2407.21783, table 5. Not here: 47 planned ones.",
        accelerators: 16_384, failuresPerAcceleratorHour: 419 / (16_384 * 54 * 24), stepSeconds: 6.2, shape: 1,
        causes: [
            Cause("faulty GPU, with NVLink", 148, .crash), Cause("GPU HBM3 memory", 72, .crash), Cause("software bug", 54, .crash),
            Cause("network switch or cable", 35, .crash), Cause("host maintenance", 32, .preempt), Cause("GPU SRAM memory", 19, .crash),
            Cause("GPU system processor", 17, .crash), Cause("network card", 7, .crash), Cause("NCCL watchdog timeout", 7, .hang),
            Cause("silent data corruption", 6, .bitflip), Cause("GPU heat or sensor", 6, .slow), Cause("SSD", 3, .crash),
            Cause("power supply", 3, .crash), Cause("server chassis", 2, .crash), Cause("IO expansion board", 2, .crash),
            Cause("dependency", 2, .crash), Cause("CPU", 2, .crash), Cause("system memory", 2, .crash),
        ])

    private static let rsc1 = FleetProfile(
        name: "rsc-1",
        source: "6.50 failures per 1,000 days of a node with 8 A100, research cluster RSC-1, 11 months; arXiv 2410.21680. Causes are not separated.",
        accelerators: 16_384, failuresPerAcceleratorHour: 6.50 / (1000 * 24 * 8), stepSeconds: nil, shape: 1,
        causes: [Cause("node failure", 1, .crash)])

    private static let rsc2 = FleetProfile(
        name: "rsc-2",
        source: "2.34 failures per 1,000 days of a node with 8 A100, research cluster RSC-2, 11 months; arXiv 2410.21680. Causes are not separated.",
        accelerators: 8_192, failuresPerAcceleratorHour: 2.34 / (1000 * 24 * 8), stepSeconds: nil, shape: 1,
        causes: [Cause("node failure", 1, .crash)])

    private static let byteRobust = FleetProfile(
        name: "byterobust",
        source: "45,783 incidents of 778,135 jobs in 3 months; arXiv 2509.16293, table 1. Not here: 9,582 manual changes. No rate is published.",
        accelerators: nil, failuresPerAcceleratorHour: nil, stepSeconds: nil, shape: 1,
        causes: [
            Cause("CUDA error", 19_968, .crash), Cause("CPU overload", 6_095, .crash), Cause("out of CPU memory", 5_567, .crash),
            Cause("job hang", 5_506, .hang), Cause("out of disk space", 2_755, .crash), Cause("InfiniBand error", 1_599, .crash),
            Cause("file system mount", 1_176, .crash), Cause("HDFS error", 1_104, .crash), Cause("container error", 781, .crash),
            Cause("MFU decline", 442, .slow), Cause("kernel panic", 203, .crash), Cause("GPU memory error", 188, .crash),
            Cause("NaN", 148, .nonfinite), Cause("external service", 128, .crash), Cause("GPU unavailable", 76, .crash),
            Cause("disk error", 47, .crash),
        ])

    /// 0.61 per instance-hour. The shape gives the times between removals the spread that was recorded: a deviation of twice the
    /// mean, for many instances go at once.
    private static let spot = FleetProfile(
        name: "spot",
        source: "167 instances reclaimed in 273.1 instance-hours on up to 32 AWS p3 spot instances; traces of Bamboo (NSDI 2023).",
        accelerators: 32, failuresPerAcceleratorHour: 167 / 273.1, stepSeconds: nil, shape: 0.55,
        causes: [Cause("reclaimed", 167, .preempt)])
}
