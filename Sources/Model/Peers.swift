/// The other workers, as one pass over a model meets them. Where state is sharded, the calls say which block of the flat
/// vectors (see `ParameterLayout.blocks`) is needed until when: a block can be gathered just before its use and released
/// just after, and its gradient sent off while the pass goes on. All calls come from the thread that runs the pass, in an
/// order that the model alone decides; what one of them throws ends the pass, and the next one starts with `forward`.
package protocol Peers {
    associatedtype Failure: Error

    /// From now on the pass reads the parameters of `block`.
    func willRead(block: Int, in pass: Pass) throws(Failure)
    /// The pass no longer reads the parameters of `block`, unless another `willRead` says so: where the head is tied the
    /// backward pass begins with the block of the embedding tables too.
    func hasRead(block: Int, in pass: Pass) throws(Failure)
    /// The gradient of `block` is in its final place and value, and the pass touches it no more. Of the block of the
    /// embedding tables a last stage that is not the first reports the token table, its tied head's share. What the range
    /// held before `backward` does not matter, but for that share (see there); until this call nobody else may write there.
    func gradientIsComplete(block: Int) throws(Failure)
}

package enum Pass: Sendable { case forward, backward }

extension Peers {
    package func willRead(block: Int, in pass: Pass) {}
    package func hasRead(block: Int, in pass: Pass) {}
    package func gradientIsComplete(block: Int) {}
}

/// Nobody: all parameters are there all the time.
package struct Alone: Peers {
    package typealias Failure = Never

    package init() {}
}
