/// The other workers, as one pass over a model meets them. Where state is sharded, the calls say which block of the flat
/// vectors (see `ParameterLayout.blocks`) is needed until when: a block can be gathered just before its use and released
/// just after, and its gradient sent off while the pass goes on. With tensor parallelism they are asked for sums. All
/// calls come from the thread that runs the pass, in an order that the model alone decides; what one of them throws ends
/// the pass, and the next one starts with `forward`.
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

    /// How many ranks share every layer, this one included.
    var degree: Int { get }
    /// Replaces `values` (`count` floats) by the sums over all ranks, and does not return before they are there. All ranks
    /// get the same bits, which must not depend on who came first: they are added in the order of ranks. All ranks call
    /// the same functions in the same order with the same counts. A microbatch's slices make calls of their own.
    func sum(_ values: UnsafeMutablePointer<Float>, count: Int) throws(Failure)
    /// The same with the largest value in place of the sum.
    func max(_ values: UnsafeMutablePointer<Float>, count: Int) throws(Failure)
}

package enum Pass: Sendable { case forward, backward }

/// Nobody: all parameters are there all the time, and every sum has one summand.
package struct Alone: Peers {
    package typealias Failure = Never

    package init() {}
    package func willRead(block: Int, in pass: Pass) {}
    package func hasRead(block: Int, in pass: Pass) {}
    package func gradientIsComplete(block: Int) {}
    package var degree: Int { 1 }
    package func sum(_ values: UnsafeMutablePointer<Float>, count: Int) {}
    package func max(_ values: UnsafeMutablePointer<Float>, count: Int) {}
}
