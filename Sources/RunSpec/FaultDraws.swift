/// The random numbers of one schedule. Each is a function of the seed, the schedule's place in its plan, a stream and an
/// index alone: neither more workers nor a longer run changes the others.
struct FaultDraws {
    /// A worker's own stream is its slot; these are the others.
    static let job = UInt32.max, launcher = UInt32.max - 1, writer = UInt32.max - 2

    private let philox: Philox
    private let schedule: UInt32

    init(seed: UInt64, schedule: Int) {
        philox = Philox(key: seed)
        self.schedule = UInt32(schedule)
    }

    /// In 0 ..< 1: the time to the next failure, or, of a worker, its rank among the victims of failure `index` of the job.
    func uniform(_ stream: UInt32, _ index: Int) -> Double {
        philox.uniform(.faultSchedule, schedule, stream, index: UInt32(index))
    }

    /// Two more numbers in 0 ..< 1 that go with the same failure.
    func choices(_ stream: UInt32, _ index: Int) -> (point: Double, strike: Double) {
        let words = philox.block(.faultSchedule, schedule, stream, index: UInt32(index))
        return (Double(words[2]) * 0x1p-32, Double(words[3]) * 0x1p-32)
    }
}

/// The law of the times from one failure to the next, in steps or seconds.
enum FailureGaps {
    /// Shape 1 has no memory: a Poisson process. Below 1 failures come in bursts, above 1 they keep apart.
    case weibull(mean: Double, shape: Double)
    /// One trial per step: whole numbers from 1.
    case trials(probability: Double)

    /// Of the shape. Below, most failures would come in the same instant; above, it is a clock.
    static let shapes = 0.4...10.0

    var mean: Double {
        switch self {
        case .weibull(let mean, _): mean
        case .trials(let probability): 1 / probability
        }
    }

    /// The gap for a uniform draw.
    func gap(_ uniform: Double) -> Double {
        let exponential = -PortableMath.log(1 - uniform)
        switch self {
        case .weibull(let mean, let shape):
            if shape == 1 || exponential == 0 { return mean * exponential }
            return mean / PortableMath.gamma(1 + 1 / shape) * PortableMath.pow(exponential, 1 / shape)
        case .trials(let probability):
            return 1 + (exponential / -PortableMath.log(1 - probability)).rounded(.down)
        }
    }

    /// Where to begin counting so that failures from `from` on come at their long-run rate: had everybody failed just
    /// then, bursts would follow. Long before, for gaps that remember; the step before, for trials.
    func origin(before from: Double) -> Double {
        switch self {
        case .weibull(let mean, _): from - 50 * mean
        case .trials: from - 1
        }
    }
}
