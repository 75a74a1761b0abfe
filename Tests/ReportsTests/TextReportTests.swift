import Testing
import Ledger
import Reports

@Suite struct TextReportTests {
    @Test func show() {
        print(TextReport.summary(SampleRun().record))
        print(TextReport.summary(SampleRun(steps: 300, crashes: 200).record))
        print(TextReport.checks(Verification(RunAccount(SampleRun().record))))
        print(StatusLine(step: 412, steps: 6000, loss: 1.23456, tokensPerSecond: 30512, goodput: 0.913, workersAlive: 1, workers: 2, secondsLeft: 192, lastIncident: "worker 1 killed by signal 9 at backward of step 400").text(width: 120))
    }
}
