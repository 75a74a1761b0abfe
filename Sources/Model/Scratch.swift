import Kernels
import RunSpec

/// Memory that all blocks share; but for `dX` only for the rows R of a slice, and garbage between blocks.
struct Scratch {
    /// (B·T, C): the gradient with respect to the residual stream, on its way down.
    let dX: UnsafeMutablePointer<Float>
    /// (R, C): a norm's output.
    let normed: UnsafeMutablePointer<Float>
    /// (R, C): the gradient with respect to a norm's output or to the attention's.
    let dRows: UnsafeMutablePointer<Float>
    /// (R, P): the gradient with respect to queries, keys and values.
    let dPacked: UnsafeMutablePointer<Float>
    /// (R, F): what the feed-forward part's last matrix multiplies.
    let active: UnsafeMutablePointer<Float>
    /// (R, F) for gpt2, (R, 2F) for llama: the gradient with respect to what the first matrix gave.
    let dHidden: UnsafeMutablePointer<Float>
    /// A block's four matrix products: into and out of the attention, into and out of the feed-forward part (for llama
    /// `up` is gate and up together).
    let qkv, output, up, down: Linear

    init(_ share: Share, _ family: ModelConfig.Family, rows: Int, sliceRows: Int, arena: Arena) {
        dX = arena.carve(rows * share.width)
        let rows = sliceRows
        normed = arena.carve(rows * share.width)
        dRows = arena.carve(rows * share.width)
        dPacked = arena.carve(rows * share.packedWidth)
        active = arena.carve(rows * share.hidden)
        let upWidth = share.hidden * (family == .llama ? 2 : 1)
        dHidden = arena.carve(rows * upWidth)
        qkv = Linear(inputs: share.width, outputs: share.packedWidth, arena: arena)
        output = Linear(inputs: share.attendedWidth, outputs: share.width, arena: arena)
        up = Linear(inputs: share.width, outputs: upWidth, arena: arena)
        down = Linear(inputs: share.hidden, outputs: share.width, arena: arena)
    }
}

/// What a block keeps beside its activations where the gradients of its matrices are put off. R rows of the slice.
struct Later {
    /// (R, C): the gradients with respect to what the last matrix of each branch gave.
    let dAttention, dFeedForward: UnsafeMutablePointer<Float>
    /// (R, F): of `dHidden` and `active` the one that does not take the place of the block's `hidden`.
    let wide: UnsafeMutablePointer<Float>

    init(_ share: Share, rows: Int, arena: Arena) {
        dAttention = arena.carve(rows * share.width)
        dFeedForward = arena.carve(rows * share.width)
        wide = arena.carve(rows * share.hidden)
    }
}

extension Scratch {
    /// Prepares a layer's four products, before its first slice goes forward; holds until the next layer's.
    func turn(qkv: UnsafePointer<Float>, output: UnsafePointer<Float>, up: UnsafePointer<Float>, down: UnsafePointer<Float>) {
        self.qkv.turn(qkv)
        self.output.turn(output)
        self.up.turn(up)
        self.down.turn(down)
    }
}

extension UnsafePointer<Float> {
    /// The parameter at `offset`, for those that a model may lack.
    func at(_ offset: Int?) -> UnsafePointer<Float>? { offset.map { self + $0 } }
}
extension UnsafeMutablePointer<Float> {
    func at(_ offset: Int?) -> UnsafeMutablePointer<Float>? { offset.map { self + $0 } }
}
