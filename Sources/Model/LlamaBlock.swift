import Kernels
import RunSpec

/// One block of Llama (Touvron et al. 2023), pre-norm, no biases:
///
///     mid  = x   + o(attention(rotate(qkv(rmsNorm1(x)))))
///     next = mid + down(silu(gate(rmsNorm2(mid))) · up(rmsNorm2(mid)))
///
/// for one slice of the microbatch, with what its forward pass keeps for its backward pass. Shapes: R rows of the
/// slice, C width, F hidden width, A width of the attention's output, P packed width of queries, keys and values; A, F
/// and P are the rank's share. Where ranks share a block, what a product has in part is summed over them. Query, key and
/// value matrices are adjacent, gate and up matrices too: one product each.
struct LlamaBlock: Block {
    let layer: Int, slice: Slice, rows: Int, epsilon: Float
    /// C, F, P of this rank; how many ranks there are.
    let width: Int, hiddenWidth: Int, packedWidth: Int, degree: Int
    let at: Offsets
    let attention: Attention, rotary: Rotary, residual: ResidualSum, scratch: Scratch

    /// (R, C): the residual stream before, between and after the two branches. `next` is the following block's `x`.
    let x, mid, next: UnsafeMutablePointer<Float>
    /// (R): inverse root mean squares of the rows of x and mid.
    let rstd1, rstd2: UnsafeMutablePointer<Float>
    /// (R, P): queries and keys, rotated, and values. (R, A): the attention's output. (B, H, T) twice: see
    /// CausalSoftmax.
    let packed, attended, peak, norm: UnsafeMutablePointer<Float>
    /// (R, 2F): gate and up.
    let hidden: UnsafeMutablePointer<Float>
    /// Nil where `backward` makes all gradients.
    let later: Later?

    /// Places of this block's parameters in the flat vector.
    struct Offsets {
        let norm1, qkv, output, norm2, gateUp, down: Int

        init(_ layout: ParameterLayout, layer: Int) {
            let prefix = "model.layers.\(layer)"
            norm1 = layout["\(prefix).input_layernorm.weight"].offset
            qkv = layout["\(prefix).self_attn.q_proj.weight"].offset
            output = layout["\(prefix).self_attn.o_proj.weight"].offset
            norm2 = layout["\(prefix).post_attention_layernorm.weight"].offset
            gateUp = layout["\(prefix).mlp.gate_proj.weight"].offset
            down = layout["\(prefix).mlp.down_proj.weight"].offset
        }
    }

    /// The angles of all positions, shared by all blocks.
    struct Rotary {
        /// (T, D/2)
        let cosines, sines: UnsafeMutablePointer<Float>
        let context: Int, heads: Int, headWidth: Int

        init(_ share: Share, context: Int, arena: Arena) {
            self.context = context
            heads = share.heads + share.keyValueHeads
            headWidth = share.headWidth
            cosines = arena.carve(context * headWidth / 2)
            sines = arena.carve(context * headWidth / 2)
        }

        /// To be called once, before the first use.
        func fill(base: Double) {
            RotaryEmbedding.table(
                cosines: cosines, sines: sines, context: context, headWidth: headWidth, base: base)
        }

        /// Turns queries and keys of `packed` (R, P), in place.
        func rotate(_ packed: UnsafeMutablePointer<Float>, rows: Int, packedWidth: Int, inverse: Bool) {
            RotaryEmbedding.rotate(
                packed, lead: packedWidth, cosines: cosines, sines: sines, rows: rows, context: context, heads: heads,
                headWidth: headWidth, inverse: inverse)
        }
    }

    init(
        _ config: ModelConfig, _ layout: ParameterLayout, layer: Int, slice: Slice, x: UnsafeMutablePointer<Float>,
        next: UnsafeMutablePointer<Float>, attention: Attention, rotary: Rotary, residual: ResidualSum,
        scratch: Scratch, putsOff: Bool, arena: Arena
    ) {
        let share = layout.share
        self.layer = layer
        self.slice = slice
        rows = slice.rows
        degree = share.degree
        width = share.width
        hiddenWidth = share.hidden
        packedWidth = share.packedWidth
        epsilon = Float(config.normEpsilon)
        at = Offsets(layout, layer: layer)
        self.attention = attention
        self.rotary = rotary
        self.residual = residual
        self.scratch = scratch
        self.x = x
        self.next = next
        mid = arena.carve(rows * width)
        rstd1 = arena.carve(rows)
        rstd2 = arena.carve(rows)
        packed = arena.carve(rows * packedWidth)
        attended = arena.carve(rows * share.attendedWidth)
        peak = arena.carve(rows * share.heads)
        norm = arena.carve(rows * share.heads)
        hidden = arena.carve(rows * 2 * hiddenWidth)
        later = putsOff ? Later(share, rows: rows, arena: arena) : nil
    }

    func forward<P: Peers>(_ w: UnsafePointer<Float>, _ dropping: Dropping?, _ peers: P) throws(P.Failure) {
        let (R, C, F, P) = (rows, width, hiddenWidth, packedWidth), (normed, active) = (scratch.normed, scratch.active)
        if slice.isFirst { scratch.turn(qkv: w + at.qkv, output: w + at.output, up: w + at.gateUp, down: w + at.down) }
        // mid (R, C) = x now; the product with output adds the rest
        RMSNorm.forward(
            out: normed, rstd: rstd1, next: mid, x: x, gain: w + at.norm1, rows: R, width: C, epsilon: epsilon)
        scratch.qkv.forward(packed, adding: false, normed, w + at.qkv, rows: R)
        rotary.rotate(packed, rows: R, packedWidth: P, inverse: false)
        attention.forward(out: attended, peak: peak, norm: norm, packed: packed)
        try residual.forward(next: mid, x: x, a: attended, scratch.output, w: w + at.output, bias: nil,
                         dropping, slice, .attention(layer: layer), peers)

        // next (R, C) = mid now; the product with down adds the rest
        RMSNorm.forward(
            out: normed, rstd: rstd2, next: next, x: mid, gain: w + at.norm2, rows: R, width: C, epsilon: epsilon)
        scratch.up.forward(hidden, adding: false, normed, w + at.gateUp, rows: R)
        SwiGLU.forward(out: active, gateUp: hidden, rows: R, width: F)
        try residual.forward(next: next, x: mid, a: active, scratch.down, w: w + at.down, bias: nil,
                         dropping, slice, .feedForward(layer: layer), peers)
    }

    func backward<P: Peers>(
        _ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>, _ dropping: Dropping?, _ peers: P
    ) throws(P.Failure) {
        let (R, C, F, P) = (rows, width, hiddenWidth, packedWidth)
        let (dX, dRows, dPacked, normed) = (scratch.dX + slice.firstRow * C, scratch.dRows, scratch.dPacked, scratch.normed)
        let (dHidden, active) = later.map { (hidden, $0.wide) } ?? (scratch.dHidden, scratch.active), adds = !slice.isLast

        var dBranch = residual.branchGradient(dX, dropping, slice, .feedForward(layer: layer))
        scratch.down.inputGradient(active, dBranch, w + at.down, rows: R)
        SwiGLU.backward(dGateUp: dHidden, dOutThenOut: active, gateUp: hidden, rows: R, width: F)
        if let later {
            later.dFeedForward.update(from: dBranch, count: R * C)
        } else {
            scratch.down.weightGradient(dW + at.down, adding: adds, dBranch, active, rows: R)
        }
        scratch.up.inputGradient(dRows, dHidden, w + at.gateUp, rows: R)
        if degree > 1 { try peers.sum(dRows, count: R * C) }
        RMSNorm.backward(
            dX: dX, dGain: dW + at.norm2, out: normed, dOut: dRows, x: mid, rstd: rstd2, gain: w + at.norm2, rows: R,
            width: C)
        if later == nil { scratch.up.weightGradient(dW + at.gateUp, adding: adds, dHidden, normed, rows: R) }

        dBranch = residual.branchGradient(dX, dropping, slice, .attention(layer: layer))
        scratch.output.inputGradient(dRows, dBranch, w + at.output, rows: R)
        if let later {
            later.dAttention.update(from: dBranch, count: R * C)
        } else {
            scratch.output.weightGradient(dW + at.output, adding: adds, dBranch, attended, rows: R)
        }
        attention.backward(dPacked: dPacked, dOut: dRows, out: attended, peak: peak, norm: norm, packed: packed)
        rotary.rotate(dPacked, rows: R, packedWidth: P, inverse: true)
        scratch.qkv.inputGradient(dRows, dPacked, w + at.qkv, rows: R)
        if degree > 1 { try peers.sum(dRows, count: R * C) }
        RMSNorm.backward(
            dX: dX, dGain: dW + at.norm1, out: normed, dOut: dRows, x: x, rstd: rstd1, gain: w + at.norm1, rows: R,
            width: C)
        if later == nil {
            scratch.qkv.weightGradient(dW + at.qkv, adding: adds, dPacked, normed, rows: R)
        } else {
            packed.update(from: dPacked, count: R * P)
        }
    }

    func weightGradients(_ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>) {
        guard let later else { preconditionFailure("nothing was put off") }
        let (R, C, normed, adds) = (rows, width, scratch.normed, !slice.isLast)
        scratch.down.weightGradient(dW + at.down, adding: adds, later.dFeedForward, later.wide, rows: R)
        RMSNorm.again(out: normed, x: mid, rstd: rstd2, gain: w + at.norm2, rows: R, width: C)
        scratch.up.weightGradient(dW + at.gateUp, adding: adds, hidden, normed, rows: R)
        scratch.output.weightGradient(dW + at.output, adding: adds, later.dAttention, attended, rows: R)
        RMSNorm.again(out: normed, x: x, rstd: rstd1, gain: w + at.norm1, rows: R, width: C)
        scratch.qkv.weightGradient(dW + at.qkv, adding: adds, packed, normed, rows: R)
    }
}
