import Lab
import Testing

@Suite struct StatisticsTests {
    private func isClose(_ a: Double, _ b: Double, _ tolerance: Double = 1e-4) -> Bool { abs(a - b) <= tolerance * max(1, abs(b)) }

    /// Student's sleep data; R says t = −1.8608, df = 17.776, p = 0.07939 on two sides.
    @Test func `the test of Welch gives the known values of the sleep data`() throws {
        let drug1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], drug2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
        let fall = try #require(WelchTest(before: drug2, after: drug1)), rise = try #require(WelchTest(before: drug1, after: drug2))
        #expect(isClose(fall.t, -1.8608) && isClose(fall.degrees, 17.776) && isClose(fall.fallProbability, 0.07939 / 2))
        #expect(isClose(rise.t, 1.8608) && isClose(rise.fallProbability, 1 - 0.07939 / 2))
    }

    @Test func `runs that are all alike leave nothing to chance, and a single run leaves everything`() throws {
        #expect(try #require(WelchTest(before: [2, 2], after: [1, 1])).fallProbability == 0)
        #expect(try #require(WelchTest(before: [1, 1], after: [2, 2])).fallProbability == 1)
        #expect(try #require(WelchTest(before: [1, 1], after: [1, 1])).fallProbability == 0.5)
        #expect(WelchTest(before: [1], after: [1, 2]) == nil && WelchTest(before: [1, 2], after: [1]) == nil)
    }

    @Test func `the correction of Holm multiplies from the least probability on and never falls`() {
        let corrected = holm([0.01, 0.04, 0.03])
        #expect(zip(corrected, [0.03, 0.06, 0.06]).allSatisfy { isClose($0, $1, 1e-12) }, "\(corrected)")
        #expect(holm([0.9, 0.8]) == [1, 1] && holm([]) == [])
    }

    @Test func `the interval of a mean is Student's`() throws {
        let interval = MeanInterval([1, 2, 3])
        let reach = try #require(interval.reach)
        #expect(interval.mean == 2 && isClose(reach, 4.302653 / 3.0.squareRoot(), 1e-6))
        #expect(MeanInterval([5]).reach == nil)
    }
}
