import Testing
import Ledger
import Reports
import RunSpec

@Suite struct TextReportTests {
    @Test func lateCheckpointsAndAChosenIntervalAreExplained() {
        var record = SampleRun().record
        (record.checkpoints[1].lateNanoseconds, record.checkpoints[1].merged) = (1_300_000_000, 2)
        #expect(TextReport.summary(record).contains("""
              late         1 of 3 checkpoints was late, by a median of 1.3 s: the disk is slower than the
                           interval; 2 more fell due meanwhile and became one with them
            """))
        let choice = CheckpointChoice(
            plannedSteps: 400, stepSeconds: 0.1, blocking: 0.004, persist: 0.25, restart: 2,
            rate: FailureRate(failures: 2, exposureSeconds: 60, priorSeconds: 40), workers: 2)
        record.intervals = [IntervalRow(session: 1, step: 8, nanoseconds: 0, cause: .checkpoint, choice: choice)]
        #expect(TextReport.summary(record).contains("""
              late         1 of 3 checkpoints was late, by a median of 1.3 s; 2 more fell due meanwhile and
                           became one with them
              interval     auto, 1 choice, the last one 5 steps of 100 ms; bounds 3 (writing) and 50
                           expected loss 12.46 %; Young 400 ms 12.42 %, Daly 397 ms 12.42 % (in the bounds)
              from         a checkpoint delays training by 4.0 ms, writing takes 250 ms, a restart 2.0 s
              failures     2 in 60.0 worker-seconds: one in 20.0 s of training (95 %: 7.8 s to 2 min 0 s)
            """), "\(TextReport.summary(record))")
    }

    @Test func reportOfARunWithOneCrash() {
        #expect(TextReport.summary(SampleRun().record) == Self.oneCrash)
    }

    @Test func sampleRunIsSound() {
        #expect(Verification(RunAccount(SampleRun().record)).failures == [])
        #expect(Accounts(SampleRun(steps: 300, crashes: 200).record).unaccountedNanoseconds == 0)
    }

    @Test func noLineIsWiderThanAHundredColumnsAndNoneEndsInSpaces() {
        let records = [
            SampleRun().record, SampleRun(steps: 300, crashes: 200).record, SampleRun(steps: 1, crashes: 0).record, RunRecord(),
            SampleRun(steps: 200, crashes: 1).record.withLossRecords(every: 3, poisonedSlot: 1),
        ]
        for record in records {
            for line in TextReport.summary(record).split(separator: "\n") {
                #expect(line.count <= TextReport.width, "\(line)")
                #expect(line.last != " ")
            }
        }
    }

    @Test func hundredsOfIncidentsAreTheFirstTheLastAndATotal() {
        let lines = TextReport.summary(SampleRun(steps: 300, crashes: 200).record).split(separator: "\n").map { String($0) }
        let start = lines.firstIndex { $0.hasPrefix("Incidents") }!
        #expect(lines[start + 2].contains("at backward of step 4 "))
        #expect(lines[start + 14] == "  … 188 more")
        #expect(lines[start + 25].contains("at backward of step 203 "))
        #expect(lines[start + 27] == "        200 incidents, 0.000531 USD                               ⌀ 1.0    38200.0   200")
    }

    @Test func colourChangesNothingButColour() {
        let record = SampleRun().record
        let plain = TextReport.summary(record), coloured = TextReport.summary(record, colour: true)
        #expect(!plain.contains("\u{1B}"))
        #expect(coloured.contains("\u{1B}[1mRun harbour\u{1B}[0m"))
        var stripped = coloured
        for code in ["0", "1", "2", "31", "32"] { stripped = stripped.split(separator: "\u{1B}[\(code)m", omittingEmptySubsequences: false).joined() }
        #expect(stripped == plain)
    }

    @Test func effectOfTheComputeOnTheLossIsThreeAnswers() {
        let text = TextReport.summary(SampleRun(steps: 200, crashes: 0).record.withLossRecords(every: 10, poisonedSlot: 1))
        let lines = text.split(separator: "\n").map { String($0) }, start = lines.firstIndex { $0.hasPrefix("Did it reduce the loss?") }!
        #expect(lines[start + 1] == "  fate         400 of 400 microbatch executions are in the final weights")
        #expect(lines[start + 3].hasPrefix("  credit       +") && lines[start + 3].contains(" ± ") && lines[start + 3].hasSuffix("by 200 updates, judged by 199 of them"))
        #expect(lines[start + 4].contains("an estimate, exact to second order"))
        #expect(lines[start + 6].hasPrefix("  effect       -3.9") && lines[start + 6].hasSuffix(": contributed"))
        #expect(lines[start + 7].contains("measured on 16 sequences of the audit probe, steps 0 to 200"))
        let table = lines[(start + 8)...].prefix { !$0.contains("noise scale") }
        #expect(table.count == 15 && table.contains { $0.hasPrefix("  … 8 more: ") })
        #expect(text.contains("a low signal share is not waste"))
        let slots = lines.filter { $0.contains("             slot ") }
        #expect(slots.count == 2 && !slots[0].hasSuffix("SUSPECT") && slots[1].hasSuffix("SUSPECT"), "\(slots)")
    }

    @Test func referenceIsNamedWithItsBasis() throws {
        let calm = RunAccount(SampleRun(steps: 40, crashes: 0).record.withLossRecords())
        var record = SampleRun(steps: 20, crashes: 0).record.withLossRecords()
        for index in record.commits.indices {
            record.commits[index].stateHash += "'"
            record.commits[index].parentHash += "'"
        }
        let run = RunAccount(record), equivalence = try #require(Equivalence(run, reference: calm))
        let text = TextReport(RunAccount(record, equivalence: equivalence.value), reference: ReferenceRun(name: "runs/calm", equivalence)).summary
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("  reference ") })
        #expect(line.contains("± ") && line.contains("step 20 is worth "), "\(line)")
        #expect(text.contains("by audit probe") && text.contains("same learning rate at every common step"))
    }

    @Test func runWithoutAnythingIsStillAReport() {
        #expect(TextReport.summary(RunRecord()).contains("outcome unknown after 0 steps"))
    }

    @Test func checksNameWhatFailed() {
        var record = SampleRun().record
        record.commits[3].leafReplicas[0] = 2
        let text = TextReport.checks(Verification(RunAccount(record)))
        #expect(text.contains("  FAILED  every leaf of every step was computed\n          1 of 24 leaves have no recorded execution;"))
        #expect(text.hasSuffix("1 check failed\n"))
    }

    private static let oneCrash = """
        Run harbour ────────────────────────────────────────────────────────────────────────────────────────
          outcome      finished after 12 of 12 steps, 1.3 s
          model        1.2 M parameters, 1,024 tokens a step in 2 microbatches, 12.3 k tokens trained on
          workers      2 slots, 3 processes, 2 cores
          setting      seed 7, BLAS core SkylakeX
          final state  SHA-256 c0ffee12c0ffee12c0ffee12c0ffee12…

        Loss ───────────────────────────────────────────────────────────────────────────────────────────────
          training     5.5000 → 1.8333 nats per token, steps 1 to 12
          validation   1.9000 nats per token at step 12
                       2.7411 bits per byte
          floor        1.2000, 0.7000 nats below the last validation

               5.5000  █
                       █
                       █▃
                       ██▃
               1.8333  ████▆▄▃▂▂▁▁▁
                       step 1    12
           validation  █▂▁▁  5.5000 → 1.9000

        Did it reduce the loss? ────────────────────────────────────────────────────────────────────────────
          fate         24 of 25 microbatch executions are in the final weights; 1 lost with their worker
                       exact: read off the chain of commits
          credit       not recorded in this run
          effect       not measured: fewer than two passes over the probes

        Throughput ─────────────────────────────────────────────────────────────────────────────────────────
          processed    9,574 tokens/s
          good         9,191 tokens/s of the final weights
          median       100.0 ms from commit to commit, 90.0 ms on CPU a microbatch
          MFU          34.01 % of 100.0 GFLOP/s a worker, the SGEMM peak measured at start-up
          cost         0.0000371 USD, 0.00302 USD per million good tokens

        Goodput ────────────────────────────────────────────────────────────────────────────────────────────
          compute       85.60 %   productive compute ÷ provisioned worker time
          step          89.49 %   with the waits and glue of productive steps
          token         96.00 %   12,288 committed ÷ 12,800 processed tokens
          effective     85.60 %   A · R · C · S · E
                       A 0.9996  R 0.8788  C 0.9745  S 1.0000  E 1.0000
                       alive     computing kept      speed     worth a reference step

        Goodput by ten published definitions ───────────────────────────────────────────────────────────────
          this ledger            85.60 %  productive compute ÷ provisioned worker time
          ML productivity        33.98 %  scheduling × runtime × program goodput
              Google Cloud, ML Productivity Goodput, 2024: 0.9993 × 0.9656 × 0.3522: the program's part is
              its MFU within kept steps, so that the whole is every slot multiplying at the measured peak
          ml-goodput             96.56 %  Σ gaps between the starts of steps not rewound ÷ job time
              Google ml-goodput-measurement 0.2.3: counts as good, in worker-seconds: 0.1020 of waits in
              steps, 0.1020 of slots kept waiting, 0.0600 of wasted work, 0.0290 of others
          saved steps            89.75 %  (last saved − first loaded step) × reference step time ÷ job time
              Google AI-Hypercomputer/resiliency, 2025: steps 0 to 12, the newest durable checkpoint;
              charges each step the median 100.0 ms; 95.4 % of that, on 2 slots, is productive compute
          cluster readiness     100.00 %  (time − resume − lost − reschedule − save) ÷ (time − reschedule)
              NVIDIA cluster-readiness-engine, 2026: counts as good, in worker-seconds: 0.1040 of waits in
              steps, 0.1020 of slots kept waiting, 0.0800 of start-up, 0.0990 of others
          ETTR                   96.56 %  productive run time of the job ÷ its available time
              Meta, research clusters RSC-1 and RSC-2, 2024: counts as good, in worker-seconds: 0.1020 of
              waits in steps, 0.1020 of slots kept waiting, 0.0600 of wasted work, 0.0290 of others
          effective time rate    89.75 %  iterations × iteration time ÷ job time
              ByteDance MegaScale, NSDI 2024: charges each step the median 100.0 ms; 95.4 % of that, on 2
              slots, is productive compute
          sliding ETTR           96.56 %  productive ÷ wall time, in the worst hour of the run
              ByteDance ByteRobust, SOSP 2025: the run is shorter than an hour, so that it is one window;
              counts as good, in worker-seconds: 0.1020 of waits in steps, 0.1020 of slots kept waiting,
              0.0600 of wasted work, 0.0290 of others
          commit rate            92.27 %  committed ÷ attempted steps × participating share
              torchft, demonstration on 300 GPUs, 2025: 1 of 13 attempts lost a worker or its work and
              counts for nothing, whatever the survivors kept of them; × 0.9996 alive; no other time enters
          token rate             89.75 %  tokens ÷ (reference tokens/s × time since creation)
              marin, issue 8623: reference: the fastest tenth of steps, 10.2 k tokens/s; 95.4 % of such a
              step, on 2 slots, is productive compute
          saved wall time       100.00 %  allocated time whose work was saved ÷ allocated time
              HTCondor, condor_userlog: counts as good, in worker-seconds: 0.1040 of waits in steps, 0.1020
              of slots kept waiting, 0.0800 of start-up, 0.0990 of others

        Where 2.674 worker-seconds went ────────────────────────────────────────────────────────────────────
                                           seconds      share          USD
          P1   productive compute           2.2890    85.60 %  0.000031792  █████████████████████████▋
          S1   exposed communication        0.0790     2.95 %  0.000001097  ▉
          S3   input wait                   0.0250     0.93 %  0.000000347  ▎
          W1   aborted work                 0.0600     2.24 %  0.000000833  ▋
          I2   initialisation               0.0800     2.99 %  0.000001111  ▉
          F1   undetected failure           0.0010     0.04 %  0.000000014  ▏
          F5   respawn                      0.0280     1.05 %  0.000000389  ▍
          D4   awaiting admission           0.1020     3.81 %  0.000001417  █▏
          Q2   shutdown                     0.0100     0.37 %  0.000000139  ▏
          ────────────────────────────────────────────────────────────────
               sum                          2.6740   100.00 %  0.000037139
               unaccounted                  0.0000     0.00 %  0.000000000

        Incidents ──────────────────────────────────────────────────────────────────────────────────────────
                what happened                                          detected       cost  lost      delay
             1  worker 1 killed by signal 9 at backward of step 4           1.0      191.0     1      +92.0
                0.00000265 USD: W1 60.0 · F1 1.0 · F5 28.0 · D4 102.0
          detected: ms after the fault, ~ when its instant is not known · cost: worker-ms, below by category
          lost: microbatches computed in vain · delay: ms by which the next commit came late

        Checkpoints ────────────────────────────────────────────────────────────────────────────────────────
          written      2 durable, 1 failed; the last one step-12, 14.8 MB in 25 ms
          beside       55 ms of the writer's time, outside the sum above
                       step-10: no space left on device

        """
}
