import Foundation
import Ledger
import RunSpec
import Testing

@Suite struct PairedEffectTests {
    @Test(arguments: [(1.0, 12.7062), (2, 4.30265), (4, 2.77645), (9, 2.26216), (30, 2.04227), (100, 1.98397)])
    func `the 97.5 % quantiles of Student's t are the tabulated ones`(degrees: Double, expected: Double) {
        #expect(abs(StudentT.quantile(0.975, degrees: degrees) / expected - 1) < 1e-5)
        #expect(abs(StudentT.cumulative(expected, degrees: degrees) - 0.975) < 1e-6)
    }

    @Test func `change, standard error and interval of four sequences are those computed by hand`() {
        // Differences −0.1, −0.2, −0.3, −0.2 per token: mean −0.2, deviations 0.1, 0, −0.1, 0.
        let effect = PairedEffect(before: [10, 20, 30, 40], after: [9, 18, 27, 38], tokensPerSequence: 10)
        #expect(abs(effect.change + 0.2) < 1e-12)
        #expect(abs(effect.standardError - (4.0 / 3 * 2 * 0.025 * 0.025).squareRoot()) < 1e-12)
        #expect(abs(effect.low - (-0.2 - 3.182446 * effect.standardError)) < 1e-6)
        #expect(effect.verdict == .contributed && abs(effect.minimumDetectable - 2.8 * effect.standardError) < 1e-15)
    }

    @Test func `the same change turned round is harmful`() {
        let before = [10.0, 20, 30, 40], after = [9.0, 18, 27, 38]
        let there = PairedEffect(before: before, after: after, tokensPerSequence: 10)
        let back = PairedEffect(before: after, after: before, tokensPerSequence: 10)
        #expect(back.verdict == .harmful && abs(back.change + there.change) < 1e-15 && back.standardError == there.standardError)
    }

    @Test func `no change at all is exactly zero and indeterminate`() {
        let losses = [3.25, 7.5, 1.125]
        let effect = PairedEffect(before: losses, after: losses, tokensPerSequence: 7)
        #expect(effect.change == 0 && effect.standardError == 0 && effect.low == 0 && effect.high == 0)
        #expect(effect.verdict == .indeterminate)
    }

    @Test func `sequences of one document count once`() {
        let before = [10.0, 10, 10, 10, 10, 10], after = [9.0, 9, 9, 8, 8, 8]
        let apart = PairedEffect(before: before, after: after, tokensPerSequence: 1)
        let together = PairedEffect(before: before, after: after, clusters: [0, 0, 0, 1, 1, 1], tokensPerSequence: 1)
        #expect(together.change == apart.change && together.clusters == 2)
        // Two clusters whose sums of deviations are ±3 · 0.5 / 6: sqrt(2 · 2 · 0.25²).
        #expect(abs(together.standardError - 0.5) < 1e-12 && together.standardError > apart.standardError)
        #expect(together.verdict == .indeterminate)
    }

    @Test func `a single sequence has an endless interval`() {
        let effect = PairedEffect(before: [2], after: [1], tokensPerSequence: 1)
        #expect(effect.verdict == .indeterminate && effect.standardError == .infinity)
    }
}

@Suite struct ContributionTests {
    private func commit(_ step: Int, foresight: [Double] = [], hindsight: [Double] = [], squares: [Double] = [], norm: Double = 1, hash: String? = nil, owners: [Int] = [1, 1]) -> CommitRow {
        CommitRow(session: 1, step: step, view: 1, nanoseconds: UInt64(step) * 1_000, lossSum: 1, tokens: 1, gradientNorm: norm,
            learningRate: 0.1, parentHash: "h\(step - 1)", stateHash: hash ?? "h\(step)", leafReplicas: owners, leafForesight: foresight, leafHindsight: hindsight,
            leafSquares: squares)
    }

    private func probe(_ step: Int, _ audit: [Double], decision: [Double]? = nil) -> ProbeRow {
        ProbeRow(session: 1, step: step, nanoseconds: 0, decision: decision ?? audit, audit: audit, tokensPerSequence: 4)
    }

    private func record(_ commits: [CommitRow], _ probes: [ProbeRow] = []) -> RunRecord {
        var record = RunRecord()
        (record.commits, record.probes) = (commits, probes)
        return record
    }

    @Test func `a credit is half foresight, half hindsight, with the errors of both means over leaves`() throws {
        let contribution = Contribution(RunRecord(), [
            commit(1, foresight: [0.5, 0.7, 0.6, 0.6]), commit(2, foresight: [0.4], hindsight: [0.1, 0.3, 0.2, 0.2]), commit(3, hindsight: [0.2]), commit(4, hindsight: [9]),
        ])
        #expect(contribution.credits.map(\.step) == [1, 2])
        #expect(abs(contribution.credits[0].credit - 0.4) < 1e-15 && abs(contribution.credits[1].credit - 0.3) < 1e-15)
        #expect(abs(try #require(contribution.credits[0].standardError) - (0.02 / 12 / 2).squareRoot()) < 1e-15)
        #expect(contribution.credits[1].standardError == nil && contribution.credits[1].z == nil)
    }

    @Test func `windows sum to the change from end to end`() throws {
        let random = Philox(key: 7)
        var index: UInt32 = 0
        func draw() -> Double { index += 1; return random.uniform(.tales, 1, 0, index: index) }
        let probes = (0..<40).map { n in probe(25 * n, (0..<12).map { _ in 100 * draw() }) }
        let windows = Contribution(record([], probes), [commit(975)]).windows
        let total = try #require(Contribution(record([], probes), [commit(975)]).total)
        #expect(windows.count == 39 && abs(windows.reduce(0) { $0 + $1.audit.change } - total.change) < 1e-12)
    }

    @Test func `a window's credits are those of its steps, scaled up where steps have none`() {
        let commits = (1...9).map { commit($0, foresight: $0 % 2 == 1 ? [0.15, 0.15] : [], hindsight: $0 % 2 == 0 ? [0.05, 0.05] : []) }
        let windows = Contribution(record(commits, [probe(0, [8, 8]), probe(4, [4, 4.4]), probe(8, [4, 4])]), commits).windows
        #expect(windows.map(\.start) == [0, 4] && windows.map(\.end) == [4, 8])
        // Credits of updates 1 and 3, then 5 and 7.
        #expect(windows.map(\.credit.credited) == [2, 2] && windows.allSatisfy { abs($0.credit.credit - 0.4) < 1e-12 })
    }

    @Test func `probes beyond the lineage and passes that were repeated count once`() {
        let commits = (1...10).map { commit($0) }
        let windows = Contribution(record(commits, [probe(0, [8, 8]), probe(10, [1, 1]), probe(20, [0, 0]), probe(10, [4, 4])]), commits).windows
        #expect(windows.count == 1 && windows[0].audit.change == -1)
    }

    @Test func `the noise scale of synthetic gradients is the true one within 5 %`() throws {
        // G of norm 2 in 4,000 dimensions, noise of standard deviation 0.5 per coordinate and sequence: tr Σ = 1,000, 250 sequences.
        let dimensions = 4_000, leaves = 16, sequences = 8.0
        let random = Philox(key: 3), signal = 2 / Double(dimensions).squareRoot()
        var scale = NoiseScale(), index: UInt32 = 0
        func normal() -> Double {
            index += 1
            let radius = (-2 * log(1 - random.uniform(.tales, 2, 0, index: index))).squareRoot()
            index += 1
            return radius * cos(2 * .pi * random.uniform(.tales, 2, 0, index: index))
        }
        for _ in 0..<120 {
            var mean = [Double](repeating: 0, count: dimensions), squares: [Double] = []
            for _ in 0..<leaves {
                var square = 0.0
                for i in 0..<dimensions {
                    let g = signal + 0.5 / sequences.squareRoot() * normal()
                    mean[i] += g / Double(leaves)
                    square += g * g
                }
                squares.append(square)
            }
            scale.add(squares: squares, meanSquare: mean.reduce(0) { $0 + $1 * $1 }, sequences: sequences)
        }
        let found = try #require(scale.sequences)
        #expect(abs(found / 250 - 1) < 0.05, "\(found) sequences")
    }

    @Test func `one worker of eight whose leaves do the opposite is found, the others are not suspected`() {
        let random = Philox(key: 11)
        var record = RunRecord(), commits: [CommitRow] = []
        for slot in 0..<8 { record.replicas.append(ReplicaRow(replica: slot + 1, session: 1, slot: slot, pid: 1, spawnedNanoseconds: 0)) }
        for step in 0..<12 {
            commits.append(commit(step + 1, owners: Array(1...8)))
            let scale = Double(step + 1)
            record.contributions.append(ContributionRow(session: 1, step: step, leaves: (0..<8).map { leaf in
                scale * (random.uniform(.tales, UInt32(step), 0, index: UInt32(leaf)) + (leaf == 5 ? -1 : 1))
            }))
        }
        record.commits = commits
        let workers = Contribution(record, commits).workers
        #expect(workers.filter(\.isSuspect).map(\.slot) == [5] && workers.count == 8)
        #expect(workers.allSatisfy { $0.leaves == 12 })
    }
}

@Suite struct SourceContributionTests {
    /// 40 steps of four leaves whose contributions are the mixtures of three sources', plus noise.
    private func sources(_ means: [Double], noise: Double, shares: (Int, Int) -> [Double]) -> [SourceContribution] {
        let random = Philox(key: 5)
        var record = RunRecord(), commits: [CommitRow] = []
        record.facts[RunFact.sources] = "a.txt\nb.txt\nc.txt"
        for step in 0..<40 {
            commits.append(CommitRow(session: 1, step: step + 1, view: 1, nanoseconds: 1, lossSum: 1, tokens: 1, gradientNorm: 1,
                learningRate: 0.1, parentHash: "\(step)", stateHash: "\(step + 1)", leafReplicas: [1, 1, 1, 1]))
            let mixtures = (0..<4).map { shares(step, $0) }
            record.contributions.append(ContributionRow(session: 1, step: step, leaves: mixtures.enumerated().map { leaf, shares in
                zip(shares, means).reduce(0) { $0 + $1.0 * $1.1 } + noise * (random.uniform(.tales, UInt32(step), 0, index: UInt32(leaf)) - 0.5)
            }, sources: mixtures))
        }
        record.commits = commits
        return Contribution(record, commits).sources
    }

    private func mixture(_ step: Int, _ leaf: Int) -> [Double] {
        let random = Philox(key: 6), a = random.uniform(.tales, UInt32(step), 1, index: UInt32(leaf))
        return [a, (1 - a) / 2, (1 - a) / 2].shuffledBy(step + leaf)
    }

    @Test func `what each source does is found in microbatches that mix them`() throws {
        let exact = sources([3, -1, 0.5], noise: 0, shares: mixture)
        #expect(exact.map(\.name) == ["a.txt", "b.txt", "c.txt"])
        #expect(zip(exact, [3, -1, 0.5]).allSatisfy { abs($0.mean - $1) < 1e-9 && $0.standardError < 1e-9 })
        let noisy = sources([3, -1, 0.5], noise: 2, shares: mixture)
        #expect(zip(noisy, [3, -1, 0.5]).allSatisfy { abs($0.mean - $1) < 4 * $0.standardError && $0.standardError < 0.5 })
        #expect(abs(noisy.reduce(0) { $0 + $1.share } - 1) < 1e-12)
    }

    @Test func `where the mixture never changes nothing is said`() {
        #expect(sources([3, -1, 0.5], noise: 0) { _, _ in [0.5, 0.25, 0.25] }.isEmpty)
    }
}

extension Array {
    fileprivate func shuffledBy(_ places: Int) -> [Element] { Array(self[(places % count)...] + self[..<(places % count)]) }
}

@Suite struct EquivalenceTests {
    private func account(_ losses: [(Int, Double)], hash: String = "", spread: Double = 0) -> RunAccount {
        var record = RunRecord()
        let last = losses.last!.0
        for step in 1...last {
            record.commits.append(CommitRow(session: 1, step: step, view: 1, nanoseconds: UInt64(step), lossSum: 1, tokens: 1, gradientNorm: 1,
                learningRate: 0.1, parentHash: "\(hash)\(step - 1)", stateHash: "\(hash)\(step)", leafReplicas: [1]))
        }
        record.probes = losses.map { step, loss in
            let losses = [-1.0, 0, 1, 0].map { loss + spread * $0 }
            return ProbeRow(session: 1, step: step, nanoseconds: 0, decision: losses, audit: losses, tokensPerSequence: 1)
        }
        return RunAccount(record)
    }

    @Test func `a run with the reference's bits is worth exactly its steps`() throws {
        let run = account([(0, 5), (100, 4)], hash: "a"), e = try #require(Equivalence(run, reference: account([(0, 5), (100, 4), (200, 3)], hash: "a")))
        #expect(e.value == 1 && e.basis == .equalBits && e.standardError == 0 && e.samePhase)
        #expect(RunAccount(run.record, equivalence: e.value).headlines.effective.equivalence == 1)
    }

    @Test func `a slower run is worth the steps at which the reference had its loss`() throws {
        let reference = account([(0, 5), (100, 4), (200, 3)])
        let e = try #require(Equivalence(account([(0, 5), (200, 3.5)], hash: "b"), reference: reference))
        #expect(abs(e.referenceSteps - 150) < 1e-9 && abs(e.value - 0.75) < 1e-12 && !e.isBound && e.basis == .probes)
    }

    @Test func `a reference that wavers is smoothed before it is inverted`() throws {
        // 4 and 4.2 in the wrong order count as 4.1 twice.
        let reference = account([(0, 5), (100, 4), (200, 4.2), (300, 3)])
        let e = try #require(Equivalence(account([(0, 5), (100, 4.55)], hash: "b"), reference: reference))
        #expect(abs(e.referenceSteps - 50) < 1e-9)
    }

    @Test func `a run below the reference's last loss is worth at least its last step`() throws {
        let e = try #require(Equivalence(account([(0, 5), (50, 2)], hash: "b"), reference: account([(0, 5), (100, 4)])))
        #expect(e.isBound && e.referenceSteps == 100)
    }

    @Test func `the error of E is that of the paired losses over the slope`() throws {
        let reference = account([(0, 5), (100, 4), (200, 3)])
        let e = try #require(Equivalence(account([(0, 5), (200, 3.5)], hash: "b", spread: 0.1), reference: reference))
        // Sums of four sequences fall by 4 per 100 steps; differences −0.1, 0, 0.1, 0 around their mean.
        let error = 4 * (4.0 / 3 * 2 * 0.025 * 0.025).squareRoot() / 0.04
        #expect(abs(try #require(e.standardError) - error) < 1e-9)
    }
}

@Suite struct ProbeScheduleTests {
    private func row(_ step: Int, _ loss: Double, noise: Double) -> ProbeRow {
        ProbeRow(session: 1, step: step, nanoseconds: 0, decision: [loss - noise, loss + noise, loss], audit: [], tokensPerSequence: 1)
    }

    @Test func `windows double while nothing shows, return when something does, and end with the run`() {
        var schedule = ProbeSchedule([], units: HeldOutUnits(validation: 0, probe: 4, probeWindow: 50), from: 0, to: 330)
        #expect(schedule.next == 0 && !schedule.takesGradient)
        schedule.took(row(0, 5, noise: 0))
        #expect(schedule.next == 50 && schedule.takesGradient)
        schedule.took(row(50, 5, noise: 1))
        #expect(schedule.next == 150)
        schedule.took(row(150, 5, noise: 0))
        #expect(schedule.next == 330 && !schedule.takesGradient)
        schedule.took(row(330, 4, noise: 0))
        #expect(schedule.next == nil)
    }

    @Test func `a later session goes on where the passes up to its first step left off`() {
        let units = HeldOutUnits(validation: 0, probe: 4, probeWindow: 50)
        let history = [row(0, 5, noise: 0), row(50, 4, noise: 0), row(100, 3, noise: 0)]
        #expect(ProbeSchedule(history, units: units, from: 120, to: 1_000).next == 150)
        #expect(ProbeSchedule(history, units: units, from: 60, to: 1_000).next == 100)
        // A pass that nobody recorded is made up for at once.
        #expect(ProbeSchedule(history, units: units, from: 400, to: 1_000).next == 400)
    }

    @Test func `without probes there is never a pass`() {
        let schedule = ProbeSchedule([], units: HeldOutUnits(validation: 3), from: 0, to: 10)
        #expect(schedule.next == nil && !schedule.takesGradient)
    }

    @Test(arguments: [0.001, 0.01, 0.05], [8, 64])
    func `probes keep within their budget and are two equal sets`(budget: Double, sequences: Int) {
        var config = RunConfig()
        (config.probe.budget, config.batch.sequences, config.steps) = (budget, sequences, 100_000)
        let units = HeldOutUnits(config, validation: 3, windows: 10_000), b = config.sequencesPerMicrobatch
        let gradient = 3 * Double(b) / Double(HeldOutUnits.gradientEvery)
        let cost = (Double(units.probe * b) + gradient) / 3 / Double(sequences * units.probeWindow)
        #expect(units.probe * b % 2 == 0 && units.probe * b >= 16 && units.probeWindow >= config.probe.window)
        // The least number of sequences is rounded up to whole units.
        #expect(cost <= budget * 1.2, "\(cost)")
    }
}
