import RunSpec
import Testing

@Suite struct FaultTests {
    @Test(arguments: FaultPoint.allCases)
    func `a fault at any point reads back from its description`(point: FaultPoint) throws {
        let fault = try Fault("crash worker=3 step=120 point=\(point.rawValue)")
        #expect(fault.kind == .crash && fault.worker == 3 && fault.step == 120 && fault.point == point)
        #expect(fault.description == "crash worker=3 step=120 point=\(point.rawValue)")
        #expect(try Fault(fault.description) == fault)
    }

    @Test func `without a point it strikes in the backward pass`() throws {
        #expect(try Fault("crash worker=0 step=0").point == .backward)
    }

    @Test func `keys come in any order, between any spaces`() throws {
        #expect(try Fault("  crash   point=reduce step=7  worker=1 ") == Fault("crash worker=1 step=7 point=reduce"))
    }

    @Test(arguments: [
        ("", "it begins with the kind of fault, one of crash, labels, as in 'crash worker=1 step=50 point=backward'"),
        ("worker=1 step=2", "it begins with the kind of fault, one of crash, labels, as in 'crash worker=1 step=50 point=backward'"),
        ("Crash worker=1 step=2", "it begins with the kind of fault, one of crash, labels, as in 'crash worker=1 step=50 point=backward'"),
        ("crash worker step=2", "`worker` is not key=value"),
        ("crash worker= step=2", "`worker=` is not key=value"),
        ("crash worker=-1 step=2", "`worker` must be a whole number from 0, not `-1`"),
        ("crash worker=one step=2", "`worker` must be a whole number from 0, not `one`"),
        ("crash worker=1 step=2.5", "`step` must be a whole number from 0, not `2.5`"),
        ("crash worker=1 step=99999999999999999999", "`step` must be a whole number from 0, not `99999999999999999999`"),
        ("crash worker=1 step=2 point=redcue", "there is no point `redcue`; did you mean `reduce`?; there are forward, backward, leafDone, publish, reduce, update, vote, commit, join"),
        ("crash worker=1 step=2 point=elsewhere", "there is no point `elsewhere`; there are forward, backward, leafDone, publish, reduce, update, vote, commit, join"),
        ("crash woker=1 step=2", "there is no key `woker`; did you mean `worker`?; there are worker, step and point"),
        ("crash worker=1 step=2 colour=red", "there is no key `colour`; there are worker, step and point"),
        ("crash step=2", "say which worker, as in worker=1"),
        ("crash worker=1", "say at which step, as in step=50"),
    ])
    func `a text that is no fault is refused in a sentence that says why`(text: String, reason: String) throws {
        let error = try #require(throws: UserError.self) { try Fault(text) }
        #expect(error.status == .usage)
        #expect(error.description == "--fault '\(text)': \(reason)")
    }
}
