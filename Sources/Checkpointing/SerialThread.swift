import Dispatch
import Glibc
import Synchronization

/// A thread that does what it is given, in turn. It has the priority of the thread that makes it, which a dispatch queue's
/// threads give themselves anew: a writer that stands back does so with all it starts.
final class SerialThread: Sendable {
    typealias Work = @Sendable () -> Void

    private final class Queue: Sendable {
        /// nil: the end.
        private let waiting = Mutex<[Work?]>([]), given = DispatchSemaphore(value: 0)

        func add(_ work: Work?) {
            waiting.withLock { $0.append(work) }
            given.signal()
        }

        func run() {
            while true {
                given.wait()
                guard let work = waiting.withLock({ $0.removeFirst() }) else { return }
                work()
            }
        }
    }
    private let queue = Queue()
    private let thread: pthread_t

    init() {
        var thread = pthread_t()
        let code = pthread_create(&thread, nil, { queue in
            Unmanaged<Queue>.fromOpaque(queue!).takeRetainedValue().run()
            return nil
        }, Unmanaged.passRetained(queue).toOpaque())
        precondition(code == 0, "no thread: \(String(cString: strerror(code)))")
        self.thread = thread
    }

    /// Waits until everything is done.
    deinit {
        queue.add(nil)
        pthread_join(thread, nil)
    }

    func add(_ work: @escaping Work) { queue.add(work) }

    /// Returns when everything that was added is done.
    func wait() {
        let done = DispatchSemaphore(value: 0)
        queue.add { done.signal() }
        done.wait()
    }

    /// Does all of it at once: the first on this thread, each other on its own.
    static func concurrently(_ works: [Work]) {
        let others = works.dropFirst().map { work in
            let thread = SerialThread()
            thread.add(work)
            return thread
        }
        works.first?()
        for thread in others { thread.wait() }
    }
}
