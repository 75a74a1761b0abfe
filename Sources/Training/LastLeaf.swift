import Model

/// Nobody, while the last of a worker's microbatches goes back: the gradients of a step can go out as far as they are complete.
final class LastLeaf: Peers {
    typealias Failure = Never

    private let gradientIsThere: (Int) -> Void

    /// - Parameter gradientIsThere: called with each block, from the last to the first.
    init(_ gradientIsThere: @escaping (Int) -> Void) { self.gradientIsThere = gradientIsThere }

    func willRead(block: Int, in pass: Pass) {}
    func hasRead(block: Int, in pass: Pass) {}
    func gradientIsComplete(block: Int) { gradientIsThere(block) }
    var degree: Int { 1 }
    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) {}
    func max(_ values: UnsafeMutablePointer<Float>, count: Int) {}
}
