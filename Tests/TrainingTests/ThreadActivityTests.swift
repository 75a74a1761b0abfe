import Foundation
import Testing
import Training

@Suite struct ThreadActivityTests {
    /// It computes for a while by its own clock, and stays until the figures are taken.
    @Test func `what another thread than the first one computes counts, and one that runs is seen`() throws {
        let milliseconds = 20, computed = DispatchSemaphore(value: 0), seen = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            var used = timespec()
            repeat { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) } while used.tv_sec == 0 && used.tv_nsec < milliseconds * 1_000_000
            computed.signal()
            seen.wait()
        }
        computed.wait()
        let first = try #require(KernelTime(of: getpid())), all = try #require(ThreadActivity(of: getpid()))
        seen.signal()
        #expect(all.kernel.running >= first.running + UInt64(milliseconds) * 1_000_000)
        // Whoever asks does so on a processor.
        #expect(all.states.contains("R"))
    }

    @Test func `a process that is gone does nothing`() { #expect(ThreadActivity(of: .max) == nil) }
}
