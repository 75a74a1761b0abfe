import RunSpec
import Testing

@Suite struct FaultTests {
    @Test(arguments: Fault.Kind.allCases)
    func `a fault of any kind at any of its points reads back from its description`(kind: Fault.Kind) throws {
        var seen = 0
        for victim in [Fault.Victim.worker(3), .launcher, .writer] {
            for target in Fault.Target.allCases {
                for point in Fault.points(kind, victim, target) {
                    for moment in [Fault.Moment.step(120), .seconds(2.625)] {
                        let fault = Fault(kind, victim, moment, point: point, seconds: [.hang, .slow].contains(kind) ? 1.5 : nil, target: kind == .bitflip ? target : .gradient)
                        #expect(try Fault(fault.description) == fault)
                        seen += 1
                    }
                }
            }
        }
        #expect(seen > 0)
    }

    @Test func `without a point it strikes where its kind usually does`() throws {
        for (text, point) in [
            ("crash worker=0 step=0", FaultPoint.backward), ("hang worker=0 step=0", .backward), ("nonfinite worker=0 step=0", .leafDone),
            ("bitflip worker=0 step=0", .leafDone), ("bitflip worker=0 step=0 target=parameters", .commit), ("labels worker=0 step=0", .forward),
            ("slow worker=0 step=0", .forward), ("crash launcher step=0", .vote), ("crash writer step=0", .persist),
            ("diskfull writer step=0", .persist), ("slowdisk writer step=0", .persist), ("torn writer step=0", .rename), ("flipped writer step=0", .rename),
        ] {
            #expect(try Fault(text).point == point, "\(text)")
        }
    }

    @Test func `a slow disk has its rate, or the usual one`() throws {
        #expect(try Fault("slowdisk writer step=5 rate=0.5MB/s").description == "slowdisk writer step=5 point=persist rate=0.5MB/s")
        #expect(try Fault("slowdisk writer step=5").rate == 2)
    }

    @Test func `keys come in any order, between any spaces`() throws {
        #expect(try Fault("  crash   point=reduce step=7  worker=1 ") == Fault("crash worker=1 step=7 point=reduce"))
    }

    private static let kinds = "it begins with the kind of fault, one of crash, segfault, hang, slow, preempt, nonfinite, bitflip, labels, diskfull, slowdisk, torn, flipped, as in 'crash worker=1 step=50 point=backward'"
    private static let points = "there are forward, backward, leafDone, publish, reduce, update, vote, commit, join, recovery, snapshot, persist, manifest, rename"
    private static let keys = "there are worker, step, at, point, for, notice, speed, rate, target, bit"

    @Test(arguments: [
        ("", kinds),
        ("worker=1 step=2", kinds),
        ("Crash worker=1 step=2", kinds),
        ("crash worker step=2", "`worker` is not key=value"),
        ("crash worker= step=2", "`worker=` is not key=value"),
        ("crash worker=-1 step=2", "`worker` must be a whole number from 0, not `-1`"),
        ("crash worker=one step=2", "`worker` must be a whole number from 0, not `one`"),
        ("crash worker=1 step=2.5", "`step` must be a whole number from 0, not `2.5`"),
        ("crash worker=1 step=99999999999999999999", "`step` must be a whole number from 0, not `99999999999999999999`"),
        ("crash worker=1 step=2 point=redcue", "there is no point `redcue`; did you mean `reduce`?; \(points)"),
        ("crash worker=1 step=2 point=elsewhere", "there is no point `elsewhere`; \(points)"),
        ("crash worker=1 step=2 point=rename", "crash cannot strike at rename; there are forward, backward, leafDone, publish, reduce, update, vote, commit, join, recovery"),
        ("bitflip worker=1 step=2 target=weights", "there is no target `weights`; there are gradient, parameters, firstMoment, secondMoment"),
        ("crash woker=1 step=2", "there is no key `woker`; did you mean `worker`?; \(keys)"),
        ("crash worker=1 step=2 colour=red", "there is no key `colour`; \(keys)"),
        ("crash step=2", "say whom it strikes: worker=1, launcher or writer"),
        ("crash worker=1", "say when, as in step=50 or at=2.5s"),
        ("crash worker=1 at=2.5", "`at` must be a time in seconds, as in at=2.5s, not `2.5`"),
        ("crash worker=1 step=2 for=1s", "`for` says nothing of crash; `for` goes with hang and slow, `speed` with slow, `rate` with slowdisk, `notice` with preempt, `target` and `bit` with bitflip"),
        ("crash worker=1 step=2 target=parameters", "`target` says nothing of crash; `for` goes with hang and slow, `speed` with slow, `rate` with slowdisk, `notice` with preempt, `target` and `bit` with bitflip"),
        ("crash launcher worker=1 step=2", "`worker=1` says again, or otherwise, what another word says; say it once"),
        ("crash worker=1 step=2 at=3s", "`at=3s` says again, or otherwise, what another word says; say it once"),
        ("hang worker=1 step=2 notice=1s", "`notice` says nothing of hang; `for` goes with hang and slow, `speed` with slow, `rate` with slowdisk, `notice` with preempt, `target` and `bit` with bitflip"),
        ("slow worker=1 step=2 speed=0", "`speed` must be above 0 and at most 1, not `0`"),
        ("labels launcher step=2", "labels can strike a worker only"),
        ("torn worker=2 step=2", "torn can strike the writer only"),
        ("diskfull launcher step=2", "diskfull can strike the writer only"),
        ("diskfull writer step=2 point=rename", "diskfull cannot strike at rename; there are persist"),
        ("slowdisk writer step=2 rate=2", "`rate` must be from 0.001 to 1000000 MB/s, as in rate=2MB/s, not `2`"),
        ("slowdisk writer step=2 rate=0MB/s", "`rate` must be from 0.001 to 1000000 MB/s, as in rate=2MB/s, not `0MB/s`"),
    ])
    func `a text that is no fault is refused in a sentence that says why`(text: String, reason: String) throws {
        let error = try #require(throws: UserError.self) { try Fault(text) }
        #expect(error.status == .usage)
        #expect(error.description == "--fault '\(text)': \(reason)")
    }
}
