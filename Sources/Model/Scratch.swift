import Kernels
import RunSpec

/// Some whole sequences of a microbatch that go through a block together. A microbatch is one slice or several equal
/// ones; where a block's rows then stay in the second-level cache the passes between the matrix products cost half.
struct Slice {
    /// Its first row within the microbatch.
    let firstRow: Int
    let sequences: Int, rows: Int
    /// Whether it is the microbatch's last, with which the backward pass begins.
    let isLast: Bool

    /// The slices of a microbatch, in order: a function of the shapes alone, since sums over slices round.
    static func of(_ config: ModelConfig, sequences: Int) -> [Slice] {
        // Measured on a core with 2 MiB of second-level cache: narrow models gain a tenth from fitting in; for wide ones,
        // which cannot fit, many rows make the matrix products efficient, up to a thousand.
        let limit = config.hidden <= 768 ? 320 : 1024
        let fitting = (1...sequences).filter { sequences % $0 == 0 && ($0 == 1 || $0 * config.context <= limit) }
        let size = fitting.last ?? 1
        return stride(from: 0, to: sequences, by: size).map {
            Slice(firstRow: $0 * config.context, sequences: size, rows: size * config.context,
                  isLast: $0 + size == sequences)
        }
    }
}

/// Memory that all blocks share; but for `dX` only for the rows R of a slice, and garbage between blocks.
struct Scratch {
    /// (B·T, C): the gradient with respect to the residual stream, on its way down.
    let dX: UnsafeMutablePointer<Float>
    /// (R, C): a norm's output.
    let normed: UnsafeMutablePointer<Float>
    /// (R, C): the gradient with respect to a norm's output or to the attention's.
    let dRows: UnsafeMutablePointer<Float>
    /// (R, packedWidth): the gradient with respect to queries, keys and values.
    let dPacked: UnsafeMutablePointer<Float>
    /// (R, F): what the feed-forward part's last matrix multiplies.
    let active: UnsafeMutablePointer<Float>
    /// (R, F) for gpt2, (R, 2F) for llama: the gradient with respect to what the first matrix gave.
    let dHidden: UnsafeMutablePointer<Float>

    init(_ config: ModelConfig, rows: Int, sliceRows: Int, arena: Arena) {
        dX = arena.carve(rows * config.width)
        let rows = sliceRows
        normed = arena.carve(rows * config.width)
        dRows = arena.carve(rows * config.width)
        dPacked = arena.carve(rows * config.packedWidth)
        active = arena.carve(rows * config.hidden)
        dHidden = arena.carve(rows * config.hidden * (config.family == .llama ? 2 : 1))
    }
}

extension UnsafePointer<Float> {
    /// The parameter at `offset`, for those that a model may lack.
    func at(_ offset: Int?) -> UnsafePointer<Float>? { offset.map { self + $0 } }
}
extension UnsafeMutablePointer<Float> {
    func at(_ offset: Int?) -> UnsafeMutablePointer<Float>? { offset.map { self + $0 } }
}
