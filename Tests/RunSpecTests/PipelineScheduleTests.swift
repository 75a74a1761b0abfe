import RunSpec
import Testing

@Suite struct PipelineScheduleTests {
    @Test(arguments: [(1, 3), (2, 1), (2, 4), (3, 2), (4, 8), (6, 6)])
    func `every microbatch goes there and back once, and none is begun beyond the room there is`(stages: Int, microbatches: Int) {
        for stage in 0..<stages {
            let passes = PipelineSchedule.passes(stage: stage, of: stages, microbatches: microbatches), last: PipelineSchedule.Pass = stage > 0 ? .weights : .backward
            for pass in [PipelineSchedule.Pass.forward, .backward] + (stage > 0 ? [.weights] : []) {
                #expect(passes.filter { $0.pass == pass }.map(\.index) == Array(0..<microbatches))
            }
            #expect(stage > 0 || !passes.contains { $0.pass == .weights })
            var begun = 0, most = 0
            for (pass, index) in passes {
                if pass == .forward { begun += 1 }
                most = max(most, begun)
                if pass == last { begun -= 1 }
                // What a pass goes by was there before.
                let position = passes.firstIndex { $0 == (pass, index) }!
                if pass != .forward { #expect(passes[..<position].contains { $0 == (pass == .backward ? .forward : .backward, index) }) }
            }
            #expect(most == PipelineSchedule.inFlight(of: stages, microbatches: microbatches) && begun == 0)
        }
    }

    @Test func `the last of two stages goes back at once, and makes the gradients of matrices one microbatch later`() {
        let said = PipelineSchedule.passes(stage: 1, of: 2, microbatches: 3).map { "\($0.pass) \($0.index)" }
        #expect(said == ["forward 0", "backward 0", "forward 1", "backward 1", "weights 0", "forward 2", "backward 2", "weights 1", "weights 2"])
    }
}
