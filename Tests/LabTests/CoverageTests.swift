import Lab
import Ledger
import RunSpec
import Testing

@Suite struct CoverageTests {
    @Test func `the matrix holds every kind, victim and point that can be, once`() {
        let wanted = Fault.Kind.allCases.flatMap { kind in
            [Fault.Victim.worker(0), .launcher, .writer].flatMap { victim in
                (kind == .bitflip ? Fault.Target.allCases : [.gradient]).flatMap { Fault.points(kind, victim, $0) }
            }
        }
        #expect(Coverage.all.count == wanted.count && Set(Coverage.all).count == wanted.count)
        #expect(Set(Coverage.all.map(\.point)) == Set(FaultPoint.allCases))
    }

    @Test func `every cell's faults can be planned`() throws {
        for cell in Coverage.all {
            for fault in cell.faults { #expect(try Fault(fault.description) == fault, "\(cell.name)") }
        }
    }

    @Test func `a sample is drawn by its seed, without repetition, and never more than there is`() {
        let one = Coverage.sample(5, seed: 1)
        #expect(one == Coverage.sample(5, seed: 1) && one != Coverage.sample(5, seed: 2) && Set(one).count == 5)
        #expect(Coverage.sample(1000, seed: 1) == Coverage.all)
    }
}
