import Checkpointing
import Collectives
import Glibc
import Ledger
import RunSpec

/// Strikes the process it lives in, at the point the plan names, by the real mechanism: a signal, a bad write, a sleep.
/// When it did is noted in shared memory just before, to the nanosecond; that word also keeps a fault from firing twice.
struct FaultInjector {
    private let mine: [(index: Int, fault: Fault)]
    private let shared: SharedState
    /// nil in a process that keeps none.
    private let recorder: FlightRing?
    /// Of the writer.
    private let disk: FaultyDisk?
    /// Whether a `labels` fault has struck.
    private(set) var permutesTargets = false
    /// The float of a part of the committed state that is struck, if that is not in shared memory.
    var state: ((Int) -> UnsafeMutablePointer<Float>)?
    private var slowness: (speed: Double, until: UInt64)?

    init(_ faults: [Fault], victim: Fault.Victim, shared: SharedState, recorder: FlightRing? = nil, disk: FaultyDisk? = nil) {
        mine = faults.enumerated().filter { $0.element.victim == victim }.map { (index: $0.offset, fault: $0.element) }
        self.shared = shared
        (self.recorder, self.disk) = (recorder, disk)
    }

    /// - Parameters:
    ///   - step: committed steps before what is being done.
    ///   - gradient: of the microbatch that was just computed, at `leafDone`; `count` floats.
    ///   - disk: whether the disk is struck, else the process.
    @inline(__always)
    mutating func strike(_ point: FaultPoint, step: Int, gradient: UnsafeMutablePointer<Float>? = nil, count: Int = 0, disk: Bool = false) {
        for entry in mine where entry.fault.point == point && entry.fault.kind.isOfDisk == disk && entry.fault.isDue(at: step, since: shared.sessionStart) {
            fire(entry.index, entry.fault, step, gradient, count)
        }
    }

    private mutating func fire(_ index: Int, _ fault: Fault, _ step: Int, _ gradient: UnsafeMutablePointer<Float>?, _ count: Int) {
        guard shared.faultFired(index) == nil else { return }
        let now = MonotonicClock.nanoseconds()
        if fault.kind.isOfDisk {
            if let mechanism = spoil(fault) { shared.setFaultFired(index, at: now, by: mechanism) }
            return
        }
        shared.setFaultFired(index, at: now)
        switch fault.kind {
        case .crash:
            recorder?.record(.fault, step: step, view: shared.view, unit: index)
            kill(getpid(), SIGKILL)
        case .segfault:
            recorder?.record(.fault, step: step, view: shared.view, unit: index)
            signal(SIGSEGV, SIG_DFL)
            UnsafeMutablePointer<UInt8>(bitPattern: 8)?.pointee = 1
        case .hang:
            let interrupted = recorder?.last
            kill(getpid(), SIGSTOP)
            // Somebody has continued it before it was found out.
            if let interrupted { recorder?.recordStall(from: now, in: interrupted) }
        case .slow:
            slowness = (fault.speed, fault.seconds.map { now + UInt64($0 * 1e9) } ?? .max)
        case .preempt:
            kill(getpid(), SIGTERM)
            killLater(after: fault.seconds ?? 0)
        case .nonfinite: gradient?[count / 2] = .nan
        case .bitflip: flip(fault.target, bit: fault.bit, shared, gradient, count)
        case .labels: permutesTargets = true
        case .diskfull, .slowdisk, .torn, .flipped: break   // not the process
        }
    }

    /// By what the fault was brought about; nil when nothing could be done to the disk.
    private func spoil(_ fault: Fault) -> Fault.Mechanism? {
        switch fault.kind {
        case .diskfull: disk?.fill()
        case .slowdisk: disk?.slow(to: fault.rate * 1e6)
        case .torn: disk?.tear()
        case .flipped: disk?.flip()
        default: nil
        }
    }

    /// How long what took `nanoseconds` takes on this worker as it is now.
    func slowed(_ nanoseconds: UInt64) -> UInt64 {
        guard let slowness, MonotonicClock.nanoseconds() < slowness.until else { return nanoseconds }
        return UInt64(Double(nanoseconds) / slowness.speed)
    }

    /// The end of the notice, by the kernel's timer: nothing the worker does can delay it.
    private func killLater(after seconds: Double) {
        signal(SIGALRM) { _ in kill(getpid(), SIGKILL) }
        var timer = itimerval()
        timer.it_value = timeval(tv_sec: Int(seconds), tv_usec: max(1, Int(seconds.truncatingRemainder(dividingBy: 1) * 1e6)))
        setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &timer, nil)
    }

    /// Turns over one bit, usually a high one of the mantissa: a number that is wrong and looks like any other.
    private func flip(_ target: Fault.Target, bit: Int, _ shared: SharedState, _ gradient: UnsafeMutablePointer<Float>?, _ count: Int) {
        func state(_ part: Int) -> UnsafeMutablePointer<Float> {
            self.state?(part) ?? shared.state(generation: shared.currentGeneration, part: part) + shared.layout.shardFloats / 2
        }
        let float = switch target {
        case .gradient: gradient.map { $0 + count / 2 } ?? state(0)
        case .parameters: state(0)
        case .firstMoment: state(1)
        case .secondMoment: state(2)
        }
        float.pointee = Float(bitPattern: float.pointee.bitPattern ^ 1 << UInt32(bit))
    }
}

extension Fault {
    /// - Parameter start: of the session, CLOCK_MONOTONIC in nanoseconds.
    func isDue(at step: Int, since start: UInt64) -> Bool {
        switch moment {
        // A writer's checkpoint may come after the step that was planned.
        case .step(let planned): victim == .writer ? step >= planned : step == planned
        case .seconds(let seconds): MonotonicClock.nanoseconds() >= start + UInt64(seconds * 1e9)
        }
    }
}
