import Collectives
import Foundation
import RunSpec
import Synchronization

/// Names for segments of this process, and their removal with the test that made them.
final class Segment {
    private static let number = Atomic<Int>(0)
    let name = "/headway-test-\(getpid())-\(Segment.number.add(1, ordering: .relaxed).newValue)"

    deinit { SharedState.unlink(name) }

    var path: String { "/dev/shm" + name }
    var exists: Bool { FileManager.default.fileExists(atPath: path) }

    func create(floats: Int = 4096, leaves: Int = 4, evaluationUnits: Int = 3, identity: UInt64 = 7) throws -> SharedState {
        Self.kept(try SharedState(creating: name, layout: Self.layout(floats, leaves, evaluationUnits), identity: identity))
    }

    func open(floats: Int = 4096, leaves: Int = 4, evaluationUnits: Int = 3, identity: UInt64 = 7) throws -> SharedState {
        Self.kept(try SharedState(opening: name, layout: Self.layout(floats, leaves, evaluationUnits), identity: identity))
    }

    /// Mappings stay until the process ends, so that a pointer into one is good for the whole of a test.
    private static func kept(_ shared: SharedState) -> SharedState { Unmanaged.passRetained(shared).takeUnretainedValue() }

    static func layout(_ floats: Int = 4096, _ leaves: Int = 4, _ evaluationUnits: Int = 3) -> SharedLayout {
        SharedLayout(parameterFloats: floats, leaves: leaves, heldOut: HeldOutUnits(validation: evaluationUnits), sequences: 2)
    }
}
