import Coordination
import RunSpec
import Testing

@Suite struct CommitMachineTests {
    @Test func `a step is recorded when its every chunk is voted for, and announced when the record is written`() {
        var machine = CommitMachine(committed: 4, lastStep: 9)
        #expect(machine.receive(.votes(step: 4, complete: false)) == [])
        #expect(machine.receive(.votes(step: 4, complete: true)) == [.record(step: 5)])
        #expect(machine.state == .recording(step: 4))
        #expect(machine.receive(.recorded(step: 5)) == [.announce(step: 5, stop: false)])
        #expect(machine.state == .computing(step: 5))
    }

    @Test func `a vote that comes again or late records nothing`() {
        var machine = CommitMachine(committed: 0, lastStep: 9)
        _ = machine.receive(.votes(step: 0, complete: true))
        #expect(machine.receive(.votes(step: 0, complete: true)) == [])
        _ = machine.receive(.recorded(step: 1))
        #expect(machine.receive(.votes(step: 0, complete: true)) == [])
        #expect(machine.receive(.recorded(step: 1)) == [])
        #expect(machine.state == .computing(step: 1))
    }

    @Test func `a vote or record for a step to come changes nothing`() {
        var machine = CommitMachine(committed: 3, lastStep: 9)
        let before = machine
        #expect(machine.receive(.votes(step: 4, complete: true)) == [] && machine.receive(.recorded(step: 4)) == [])
        #expect(machine == before)
        _ = machine.receive(.votes(step: 3, complete: true))
        #expect(machine.receive(.recorded(step: 5)) == [] && machine.state == .recording(step: 3))
    }

    @Test func `the last step is announced without telling anyone to leave, for the weights are still to be evaluated`() {
        var machine = CommitMachine(committed: 8, lastStep: 9)
        #expect(machine.receive(.votes(step: 8, complete: true)) == [.record(step: 9)])
        #expect(machine.receive(.recorded(step: 9)) == [.announce(step: 9, stop: false)])
        #expect(machine.state == .finished(step: 9))
        #expect(machine.receive(.votes(step: 9, complete: true)) == [])
    }

    @Test func `a machine that begins at the last step records nothing`() {
        var machine = CommitMachine(committed: 9, lastStep: 9)
        #expect(machine.receive(.votes(step: 9, complete: true)) == [])
    }

    @Test(arguments: [false, true])
    func `a stop takes effect with the next commit`(whileRecording: Bool) {
        var machine = CommitMachine(committed: 2, lastStep: 9)
        if whileRecording { _ = machine.receive(.votes(step: 2, complete: true)) }
        #expect(machine.receive(.stopRequested) == [])
        if !whileRecording { #expect(machine.receive(.votes(step: 2, complete: true)) == [.record(step: 3)]) }
        #expect(machine.receive(.recorded(step: 3)) == [.announce(step: 3, stop: true)])
        #expect(machine.state == .finished(step: 3))
        #expect(machine.receive(.votes(step: 3, complete: true)) == [])
    }

    @Test func `in any order of events each step is recorded once and announced after its record`() {
        for seed in 0..<500 as Range<UInt64> {
            let random = Philox(key: seed), last = 12
            var machine = CommitMachine(committed: 0, lastStep: last)
            var records: [Int] = [], announced: [Int] = [], stops = 0
            for index in 0..<400 as Range<UInt32> {
                let step = Int(random.uniform(.sampling, 0, 0, index: index) * 14)
                let event: CommitMachine.Event
                switch random.uniform(.sampling, 1, 0, index: index) {
                case ..<0.45: event = .votes(step: step, complete: random.uniform(.sampling, 2, 0, index: index) < 0.7)
                case ..<0.99: event = .recorded(step: step)
                default: event = .stopRequested
                }
                for effect in machine.receive(event) {
                    switch effect {
                    case .record(let step):
                        #expect(step == (records.last ?? 0) + 1 && announced.count == records.count, "seed \(seed)")
                        records.append(step)
                    case .announce(let step, let stop):
                        #expect(stops == 0 && records.last == step && announced.last ?? 0 == step - 1, "seed \(seed)")
                        announced.append(step)
                        if stop { stops += 1 }
                    }
                }
            }
            #expect((records.last ?? 0) <= last && announced.count >= records.count - 1, "seed \(seed)")
        }
    }
}
