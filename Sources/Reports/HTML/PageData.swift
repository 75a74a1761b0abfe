import Foundation
import Ledger

/// What the page's script reads: a run as plain values. Times are integer nanoseconds and exact, except in pictures
/// (`timeline`, `goodput`, `loss`), which are condensed to a size that a browser draws at once.
struct PageData: Encodable {
    struct Named: Encodable { var code: String, name: String, definition: String, group: String }
    struct Card: Encodable { var label: String, value: String, note: String, tone: String? = nil }
    struct Slot: Encodable { var slot: Int, bill: [String: Int] }
    struct Accounts: Encodable {
        var budget: Int, unaccounted: Int
        var byCategory: [String: Int]
        var bySlot: [Slot]
    }
    struct Incident: Encodable {
        var number: Int, what: String, kind: String, session: Int, slot: Int, step: Int
        /// On the axis of the timeline.
        var at: Int
        var detection: Int?
        var cost: Int, money: Double, lost: Int
        var delay: Int?
        var bill: [String: Int]
    }
    struct Definition: Encodable { var name: String, source: String, formula: String, value: Double?, difference: String }
    struct Effect: Encodable {
        var change: Double?, low: Double?, high: Double?, detectable: Double?
        var verdict: String
        var sequences: Int, clusters: Int
    }
    struct Window: Encodable { var start: Int, end: Int, audit: Effect, decision: Effect, credit: Double?, creditError: Double?, credited: Int }
    struct Worker: Encodable { var slot: Int, microbatches: Int, mean: Double, others: Double, z: Double, isSuspect: Bool }
    struct Source: Encodable { var name: String, share: Double, mean: Double, error: Double }
    struct Contribution: Encodable {
        var fates: [[String]]
        var executions: Int
        var credit: Double?, creditError: Double?, credits: Int, updates: Int
        var agreeing: Int, significant: Int
        var total: Effect?
        var windows: [Window]
        /// Step and noise scale in sequences.
        var noise: [[Double]]
        var batchSequences: Double?
        var workers: [Worker], sources: [Source]
    }
    struct Checkpoint: Encodable { var step: Int, bytes: Int, took: Int?, late: Int, status: String }

    var title: String, outcome: String
    var cards: [Card]
    var currency: String, pricePerWorkerSecond: Double
    var categories: [Named]
    var groups: [[String]]
    var accounts: Accounts
    /// Phrases on figures outside the sum.
    var beside: [String]
    var waterfall: LossWaterfall
    var timeline: PageTimeline
    var goodput: PageGoodput
    var loss: PageLoss
    var contribution: Contribution
    var incidents: [Incident]
    var definitions: [Definition]
    var computeGoodput: Double
    /// Sentences on E, when there is a reference.
    var reference: [String]
    var checkpoints: [Checkpoint]
    var checkpointNotes: [String]
    var facts: [[String]]
    var configuration: String

    init(_ account: RunAccount, reference: ReferenceRun?) {
        let record = account.record, axis = PageAxis(record)
        title = record.facts[RunFact.runIdentity].map { "Run \($0)" } ?? "Run"
        outcome = PageData.outcome(account)
        cards = PageData.cards(account)
        currency = account.headlines.currency
        pricePerWorkerSecond = account.headlines.pricePerWorkerSecond.shortened
        categories = Category.allCases.map { Named(code: $0.code, name: $0.name, definition: $0.definition, group: $0.group.rawValue) }
        groups = Category.Group.allCases.map { [$0.rawValue, $0.plainName] }
        let a = account.accounts
        accounts = Accounts(
            budget: a.budgetNanoseconds, unaccounted: a.unaccountedNanoseconds, byCategory: PageData.coded(a.byCategory),
            bySlot: a.bySlot.sorted { $0.key < $1.key }.map { Slot(slot: $0.key, bill: PageData.coded($0.value)) })
        beside = account.shadowFigures
        waterfall = LossWaterfall(account)
        timeline = PageTimeline(account, axis)
        goodput = PageGoodput(account, axis)
        loss = PageLoss(account)
        contribution = PageData.contribution(account)
        incidents = account.incidents.map { bill in
            let i = bill.incident
            return Incident(
                number: i.incident, what: i.description, kind: i.kind.rawValue, session: i.session, slot: i.slot, step: i.step,
                at: axis.position(i.session, i.onsetNanoseconds), detection: i.onsetIsExact ? bill.detectionNanoseconds : nil,
                cost: bill.workerNanoseconds, money: bill.cost.shortened, lost: bill.microbatchesLost, delay: bill.delayNanoseconds,
                bill: PageData.coded(bill.bill))
        }
        definitions = GoodputDefinition.all(account).map {
            Definition(name: $0.name, source: $0.source, formula: $0.formula, value: $0.value?.shortened, difference: $0.difference)
        }
        computeGoodput = account.headlines.computeGoodput.shortened
        self.reference = reference.map { [$0.sentence, $0.phase] } ?? []
        checkpoints = record.checkpoints.map { row in
            Checkpoint(step: row.step, bytes: row.bytes, took: row.durableNanoseconds.map { Int($0) - Int(row.requestedNanoseconds) }, late: Int(row.lateNanoseconds), status: row.status)
        } + record.restores.compactMap { row in row.damage.map { Checkpoint(step: row.step, bytes: 0, took: nil, late: 0, status: $0) } }
        checkpointNotes = account.checkpointNotes.map { ($0.label.isEmpty ? "" : $0.label + ": ") + $0.text }
        facts = record.facts.filter { ![RunFact.configuration, RunFact.updatesBefore].contains($0.key) }.sorted { $0.key < $1.key }.map { [$0.key, $0.value] }
        configuration = record.facts[RunFact.configuration] ?? ""
    }

    static func coded(_ bill: Bill) -> [String: Int] {
        bill.reduce(into: [:]) { if $1.value != 0 { $0[$1.key.code] = $1.value } }
    }

    private static func outcome(_ account: RunAccount) -> String {
        let record = account.record, h = account.headlines
        let planned = record.plannedCommits.map { " of \(Quantity.grouped($0))" } ?? ""
        let slots = Set(record.slots.map(\.slot)).count, sessions = Set(record.slots.map(\.session)).count
        var text = "\(record.facts[RunFact.outcome] ?? "outcome unknown") after \(Quantity.grouped(h.committedSteps))\(planned) steps and \(Quantity.duration(seconds: h.wallSeconds))"
        text += " on \(Quantity.plural(slots, "worker slot"))"
        if sessions > 1 { text += " in \(sessions) sessions" }
        if let parameters = record.facts[RunFact.parameters].flatMap({ Double($0) }) { text += " · \(Quantity.short(parameters)) parameters" }
        text += " · \(Quantity.short(Double(h.committedTokens))) tokens trained on"
        if let origin = record.facts[RunFact.origin] { text += " · began from \(origin)" }
        return ([text] + account.caveats.map { "CAUTION: " + $0 }).joined(separator: " · ")
    }

    private static func cards(_ account: RunAccount) -> [Card] {
        let h = account.headlines, e = h.effective
        func factor(_ value: Double) -> String { Quantity.decimal(value, 3) }
        var cards = [
            Card(label: "Compute goodput", value: Quantity.percent(h.computeGoodput), note: "productive compute ÷ provisioned worker time", tone: "main"),
            Card(label: "Effective goodput", value: Quantity.percent(e.product),
                note: "A \(factor(e.availability)) · R \(factor(e.runtime)) · C \(factor(e.commitment)) · S \(factor(e.speed)) · E \(factor(e.equivalence))"),
            Card(label: "Step goodput", value: Quantity.percent(h.stepGoodput), note: "with the waits and glue of productive steps"),
            Card(label: "Token goodput", value: Quantity.percent(h.tokenGoodput), note: "\(Quantity.short(Double(h.committedTokens))) of \(Quantity.short(Double(h.processedTokens))) tokens are in the weights"),
        ]
        if let last = account.validations.last {
            let floor = account.record.facts[RunFact.lossFloor].flatMap { Double($0) }
            cards.append(Card(label: "Validation loss", value: Quantity.decimal(last.lossSum / Double(last.tokens), 4),
                note: "nats per token at step \(Quantity.grouped(last.step))" + (floor.map { "; the floor is \(Quantity.decimal($0, 4))" } ?? "")))
        }
        if let total = account.contribution.total {
            let change = (total.change < 0 ? "−" : "+") + Quantity.decimal(abs(total.change), 4)
            let reach = total.high.isFinite ? "± \(Quantity.decimal(total.high - total.change, 4)) " : ""
            cards.append(Card(label: "Held-out effect", value: change, note: "\(reach)nats per token, measured at 95 %: \(total.verdict.rawValue)"))
        }
        let lost = account.incidents.reduce(0) { $0 + $1.workerNanoseconds }
        cards.append(Card(label: "Incidents", value: Quantity.grouped(account.incidents.count),
            note: account.incidents.isEmpty ? "nothing failed" : "cost \(Quantity.duration(seconds: Double(lost) / 1e9)) of worker time, \(Quantity.percent(Double(lost) / Double(max(1, account.accounts.budgetNanoseconds))))"))
        cards.append(Card(label: "Good tokens", value: "\(Quantity.grouped(Int(h.goodTokensPerSecond.rounded())))/s",
            note: h.modelFlopsUtilisation.map { "MFU \(Quantity.percent($0)) of the measured peak" } ?? "of the final weights, per second of wall time"))
        if h.cost > 0 {
            cards.append(Card(label: "Cost", value: Quantity.money(h.cost, h.currency), note: "\(Quantity.money(h.costPerMillionGoodTokens, h.currency)) per million good tokens"))
        }
        return cards
    }

    private static func effect(_ e: PairedEffect) -> Effect {
        Effect(change: e.change.finite, low: e.low.finite, high: e.high.finite, detectable: e.minimumDetectable.finite, verdict: e.verdict.rawValue, sequences: e.sequences, clusters: e.clusters)
    }

    private static func contribution(_ account: RunAccount) -> Contribution {
        let c = account.contribution, facts = account.record.facts
        let leaves = facts[RunFact.microbatches].flatMap { Double($0) }, sequences = facts[RunFact.sequencesPerMicrobatch].flatMap { Double($0) }
        let noise = PageLoss.stretches(c.noiseScale.count, limit: 400).map { c.noiseScale[$0.upperBound - 1] }
        return Contribution(
            fates: Fate.allCases.compactMap { fate in account.fates.counts[fate].map { [fate.plainName, String($0)] } },
            executions: account.fates.executions.count,
            credit: c.credit?.credit.shortened,
            creditError: c.credit?.standardError.finite, credits: c.credits.count, updates: c.credit?.updates ?? 0, agreeing: c.agreeing, significant: c.significant,
            total: c.total.map(effect),
            windows: c.windows.map {
                Window(start: $0.start, end: $0.end, audit: effect($0.audit), decision: effect($0.decision),
                    credit: $0.credit.credited > 0 ? $0.credit.credit.shortened : nil,
                    creditError: $0.credit.credited > 0 ? $0.credit.standardError.finite : nil, credited: $0.credit.credited)
            },
            noise: noise.map { [Double($0.step), $0.sequences.shortened] },
            batchSequences: leaves.flatMap { leaves in sequences.flatMap { (leaves * $0).finite } },
            workers: c.workers.map {
                Worker(slot: $0.slot, microbatches: $0.leaves, mean: $0.mean.shortened, others: $0.others.shortened, z: $0.z.shortened, isSuspect: $0.isSuspect)
            },
            sources: c.sources.sorted { $0.mean > $1.mean }.map {
                Source(name: $0.name, share: $0.share.shortened, mean: $0.mean.shortened, error: $0.standardError.shortened)
            })
    }
}

extension Double {
    /// Nine significant digits: enough for a page, half the bytes. 0 for what JSON cannot say.
    var shortened: Double { isFinite ? Double(String(format: "%.9g", self)) ?? 0 : 0 }
    /// The same, or nothing.
    var finite: Double? { isFinite ? shortened : nil }
}
