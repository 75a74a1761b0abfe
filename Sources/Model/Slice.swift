import RunSpec

/// Some whole sequences of a microbatch that go through a block together. A microbatch is one slice or several equal
/// ones: where a slice's rows stay in the second-level cache the passes between the matrix products cost less, and
/// scratch is that of one slice.
struct Slice {
    /// Its first row within the microbatch.
    let firstRow: Int
    let sequences: Int, rows: Int
    /// Whether it is the microbatch's last, with which the backward pass begins.
    let isLast: Bool
    var isFirst: Bool { firstRow == 0 }

    /// The slices of a microbatch, in order: a function of the shapes alone, since sums over slices round.
    static func of(_ config: ModelConfig, sequences: Int) -> [Slice] {
        // Measured on a core with 2 MiB of second-level cache: the feed-forward part of a narrow model gains a tenth
        // from fitting in; wide ones cannot fit, and there a thousand rows make the matrix products efficient.
        let limit = config.hidden <= 768 ? 320 : 1024
        let fitting = (1...sequences).filter { sequences % $0 == 0 && ($0 == 1 || $0 * config.context <= limit) }
        let size = fitting.last ?? 1
        return stride(from: 0, to: sequences, by: size).map {
            Slice(firstRow: $0 * config.context, sequences: size, rows: size * config.context,
                  isLast: $0 + size == sequences)
        }
    }
}

/// One slice's way through one layer.
protocol Block {
    var layer: Int { get }
    var slice: Slice { get }
    /// Reads its rows of the layer's input and writes those of its output; keeps what `backward` needs.
    func forward<P: Peers>(_ w: UnsafePointer<Float>, _ dropping: Dropping?, _ peers: P) throws(P.Failure)
    /// Turns this slice's rows of `Scratch.dX` from the gradient with respect to the output into that with respect to the
    /// input. Adds to the layer's part of the flat gradient `dW`; but the last slice, which comes first, overwrites
    /// matrices. Where matrices' gradients are put off it leaves those out, and keeps what they are made of in the place of
    /// what it has read.
    func backward<P: Peers>(
        _ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>, _ dropping: Dropping?, _ peers: P
    ) throws(P.Failure)
    /// Those, after `backward`: overwritten or added to as there.
    func weightGradients(_ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>)
}
