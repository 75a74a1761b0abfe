import Testing
import Ledger

@Suite struct VerificationTests {
    private func run(steps: Int = 3) -> RunScript {
        var run = RunScript()
        run.begin(slots: 1, initialise: 10)
        run.wholeSteps(steps, duration: 100)
        run.close()
        return run
    }

    private func failures(_ record: RunRecord) -> [String] { Verification(RunAccount(record)).failures.map(\.name) }

    @Test func healthyRunPasses() {
        #expect(failures(run().record) == [])
    }

    @Test func brokenChainIsNamed() {
        var record = run().record
        record.commits[1].stateHash = "flipped"
        let broken = Verification(RunAccount(record)).failures.first { $0.name == "the lineage is unbroken" }
        #expect(broken?.detail == "step 3 says its parent is state-2, but no earlier commit of step 2 has that hash")
    }

    @Test func theExitStatusSaysWhichTopicsFailed() {
        var record = run().record
        #expect(Verification(RunAccount(record)).exitStatus == 0)
        record.commits[1].stateHash = "flipped"
        #expect(Verification(RunAccount(record)).exitStatus & Check.Topic.lineage.rawValue != 0)
        var other = run().record
        other.commits[2].stateHash = "elsewhere"
        #expect(Verification(RunAccount(run().record), against: RunAccount(other), named: "other").exitStatus == Check.Topic.states.rawValue)
        #expect(Check.Topic.allCases.reduce(0) { $0 | $1.rawValue } == 63)
    }

    @Test func runThatBeganFromAnotherStateFails() {
        var record = run().record
        record.facts[RunFact.initialHash] = "state-0"
        #expect(failures(record) == [])
        record.facts[RunFact.initialHash] = "something else"
        #expect(failures(record) == ["one initial state"])
    }

    @Test func leafCreditedToAWorkerThatDidNotComputeItFails() {
        var record = run().record
        record.commits[1].leafReplicas = [7]
        #expect(failures(record) == ["every leaf of every step was computed", "no row is missing"])
    }

    @Test func faultAtAReachedStepMustFire() {
        var record = run().record
        record.faults = [FaultRow(session: 1, fault: 0, text: "crash worker=0 step=3 point=backward", firedNanoseconds: nil)]
        #expect(failures(record) == [])
        record.faults.append(FaultRow(session: 1, fault: 1, text: "crash worker=0 step=2 point=backward", firedNanoseconds: nil))
        #expect(failures(record) == ["injected faults fired"])
        record.faults[1].firedNanoseconds = 250
        #expect(failures(record) == [])
    }

    /// The first session ended before the step; the second planned other faults.
    @Test func faultAtAStepThatOnlyALaterSessionReachedNeedNotFire() {
        var record = run().record
        record.faults = [FaultRow(session: 1, fault: 0, text: "crash worker=0 step=3"), FaultRow(session: 2, fault: 0, text: "crash launcher step=4")]
        var later = record.commits[2]
        for step in 4...5 {
            (later.session, later.step, later.parentHash, later.stateHash) = (2, step, later.stateHash, "state-\(step)")
            record.commits.append(later)
        }
        let check = Verification(RunAccount(record)).checks.first { $0.name == "injected faults fired" }
        #expect(check?.verdict == .failed && check?.detail == "0 fired, 1 at steps that were not reached, 0 found nobody there, 1 did not fire; the first is `crash launcher step=4`")
    }

    @Test func differingStatesAreFoundAtTheFirstStep() {
        let a = RunAccount(run(steps: 4).record)
        var other = run(steps: 4).record
        #expect(Verification(a, against: RunAccount(other), named: "twin").failures == [])
        other.commits[2].stateHash = "other"
        other.commits[3].parentHash = "other"
        let check = Verification(a, against: RunAccount(other), named: "twin").checks.last
        #expect(check?.verdict == .failed)
        #expect(check?.detail == "the states differ from step 3 on: state-3 here, other there")
        let shorter = Verification(a, against: RunAccount(run(steps: 2).record), named: "twin").checks.last
        #expect(shorter?.verdict == .failed)
    }

    @Test func overlappingAndOutlyingIntervalsAreCounted() {
        let place = Place(session: 1, slot: 0)
        let slot = SlotRow(session: 1, slot: 0, openedNanoseconds: 0, closedNanoseconds: 100)
        let accounts = Accounts(slots: [slot], intervals: [
            Interval(place: place, start: 0, end: 60, category: .launch), Interval(place: place, start: 50, end: 110, category: .shutdown),
        ])
        #expect(accounts.overlaps == 2)
        #expect(accounts.unaccountedNanoseconds == -20)
        #expect(accounts.closure == 0.2)
    }

    @Test func everyCategoryHasItsOwnCodeNameAndDefinition() {
        #expect(Category.allCases.count == 42)
        #expect(Set(Category.allCases.map(\.name)).count == 42)
        #expect(Set(Category.allCases.map(\.definition)).count == 42)
        #expect(Category.allCases.sorted() == Category.allCases)
    }
}
