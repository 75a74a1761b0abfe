import RunSpec
import Testing

@Suite struct FleetProfileTests {
    private func profile(_ name: String) throws -> FleetProfile { try FleetProfile.named(name, place: "test") }

    private func counts(_ name: String) throws -> [Fault.Kind: Int] {
        Dictionary(try profile(name).causes.map { ($0.kind, $0.count) }, uniquingKeysWith: +)
    }

    @Test func `the causes add up to the published counts`() throws {
        #expect(try profile("llama3-54-days").failures == 419)
        #expect(try counts("llama3-54-days") == [.crash: 368, .preempt: 32, .hang: 7, .bitflip: 6, .slow: 6])
        // Explicit 39,687 and implicit 6,096 incidents.
        #expect(try profile("byterobust").failures == 39_687 + 6_096)
        #expect(try counts("byterobust") == [.crash: 39_687, .hang: 5_506, .slow: 442, .nonfinite: 148])
        #expect(try profile("spot").failures == 167)
    }

    @Test(arguments: [("llama3-54-days", 16_384, 3.09), ("rsc-1", 16_384, 1.80), ("rsc-2", 8_192, 10.0), ("rsc-1", 131_072, 0.23)])
    func `the times between failures are the published ones`(name: String, accelerators: Int, hours: Double) throws {
        // The sources give two or three digits.
        let ours = try #require(try profile(name).hoursBetweenFailures(accelerators: accelerators))
        #expect(abs(ours / hours - 1) < 0.025)
    }

    @Test(arguments: [4, 64])
    func `steps per failure and the mix of causes are kept, whatever the workers`(workers: Int) throws {
        let part = try FaultPlan("profile: { name: llama3-54-days }").resolution(workers: workers, steps: 18_000_000, seed: 9, limit: 1_000_000)
        // 3.093 hours of steps of 6.2 s; 10,000 failures, deviation 1 %.
        #expect(abs(18_000_000 / Double(part.faults.count) / 1_796 - 1) < 0.05)
        #expect(part.parts[0].remark == "16384 accelerators, 6.2 s a step, a failure every 3.093 h; steps per failure are kept: a step here stands for 6.2 s there")
        let preempted = Double(part.faults.count { $0.kind == .preempt }) / Double(part.faults.count)
        #expect(abs(preempted - 32.0 / 419) < 5 * (32.0 / 419 / Double(part.faults.count)).squareRoot())
        #expect(part.faults.filter { $0.kind == .slow }.allSatisfy { $0.seconds == 5 && $0.speed == 0.5 })
    }

    @Test func `half the accelerators fail half as often, and time may be compressed`() throws {
        func expected(_ keys: String) throws -> Double {
            try FaultPlan("profile: { name: llama3-54-days, \(keys) }").resolution(workers: 2, steps: 100_000, seed: 1, limit: 100_000).parts[0].expected
        }
        let whole = try expected("compress: 1")
        #expect(abs(try expected("accelerators: 8192") / whole - 0.5) < 1e-12)
        #expect(abs(try expected("compress: 50") / whole - 50) < 1e-9)
        #expect(abs(try expected("step-seconds: 12.4") / whole - 2) < 1e-12)
        #expect(try expected("steps-per-failure: 5.45") == 100_000 / 5.45)
    }
}
