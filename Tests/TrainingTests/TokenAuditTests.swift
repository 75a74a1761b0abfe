import Corpus
import Ledger
import RunSpec
import Testing
import Training

@Suite struct TokenAuditTests {
    private let order = SampleOrder(seed: 5, tokenCount: 8 * 21 + 3, context: 8)
    private var config: RunConfig {
        var config = RunConfig()
        (config.batch.sequences, config.batch.microbatches) = (8, 4)
        return config
    }

    private func commit(_ step: Int, leaves: Int = 4) -> CommitRow {
        CommitRow(session: 1, step: step, view: 1, nanoseconds: 0, lossSum: 0, tokens: 0, gradientNorm: 0, learningRate: 0, parentHash: "",
            stateHash: "", leafReplicas: Array(repeating: 1, count: leaves))
    }

    @Test func `steps in a row feed every window once an epoch`() {
        let audit = TokenAudit((1...10).map { commit($0) }, config, order: order)
        #expect(order.samplesPerEpoch == 20 && audit.samples == 80 && audit.epochs == 4)
        #expect(audit.gaps.isEmpty && audit.duplicates.isEmpty)
    }

    @Test func `a step that counts twice is a duplicate of its eight samples`() {
        let audit = TokenAudit([1, 2, 2, 3].map { commit($0) }, config, order: order)
        #expect(audit.duplicates.count == 8 && Set(audit.duplicates.map(\.window)).count == 8)
    }

    @Test func `a step that is missing leaves its samples out`() {
        let audit = TokenAudit([1, 3, 4, 5, 6].map { commit($0) }, config, order: order)
        #expect(audit.gaps.count == 8 && audit.duplicates.isEmpty && audit.gaps.allSatisfy { $0.epoch == 0 })
    }

    @Test func `what a run's origin was fed is not missing, and feeding it again is a duplicate`() {
        let audit = TokenAudit((2...6).map { commit($0) }, config, order: order, from: 1)
        #expect(audit.samples == 40 && audit.gaps.isEmpty && audit.duplicates.isEmpty)
        #expect(TokenAudit((1...6).map { commit($0) }, config, order: order, from: 1).duplicates.count == 8)
        #expect(TokenAudit((3...6).map { commit($0) }, config, order: order, from: 1).gaps.count == 8)
    }

    @Test func `a leaf that is missing leaves its samples out`() {
        let audit = TokenAudit([commit(1, leaves: 3)] + (2...6).map { commit($0) }, config, order: order)
        #expect(audit.gaps.count == 2)
    }
}
