import Kernels
import RunSpec

/// One block of GPT-2 (Radford et al. 2019), pre-norm:
///
///     mid  = x   + proj(attention(qkv(layerNorm1(x))))
///     next = mid + proj(gelu(fc(layerNorm2(mid))))
///
/// for one slice of the microbatch, with what its forward pass keeps for its backward pass. Shapes: R rows of the
/// slice, C width, F hidden width, A width of the attention's output, P packed width of queries, keys and values; A, F
/// and P are the rank's share. Where ranks share a block, what a product has in part is summed over them.
struct GPT2Block: Block {
    let layer: Int, slice: Slice, rows: Int, epsilon: Float
    /// C, F, P of this rank; how many ranks there are.
    let width: Int, hiddenWidth: Int, packedWidth: Int, degree: Int
    let at: Offsets
    let attention: Attention, residual: ResidualSum, scratch: Scratch

    /// (R, C): the residual stream before, between and after the two branches. `next` is the following block's `x`.
    let x, mid, next: UnsafeMutablePointer<Float>
    /// (R): means and inverse standard deviations of the rows of x and mid.
    let mean1, rstd1, mean2, rstd2: UnsafeMutablePointer<Float>
    /// (R, P): queries, keys and values. (R, A): the attention's output. (B, H, T) twice: see CausalSoftmax.
    let packed, attended, peak, norm: UnsafeMutablePointer<Float>
    /// (R, F): before the GELU.
    let hidden: UnsafeMutablePointer<Float>
    /// Nil where `backward` makes all gradients.
    let later: Later?

    /// Places of this block's parameters in the flat vector; those of biases only if the model has them.
    struct Offsets {
        let norm1, qkv, project1, norm2, expand, project2: Int
        let norm1Bias, qkvBias, project1Bias, norm2Bias, expandBias, project2Bias: Int?

        init(_ layout: ParameterLayout, layer: Int) {
            let prefix = "h.\(layer)"
            norm1 = layout["\(prefix).ln_1.weight"].offset
            norm1Bias = layout.slot(named: "\(prefix).ln_1.bias")?.offset
            qkv = layout["\(prefix).attn.c_attn.weight"].offset
            qkvBias = layout.slot(named: "\(prefix).attn.c_attn.bias")?.offset
            project1 = layout["\(prefix).attn.c_proj.weight"].offset
            project1Bias = layout.slot(named: "\(prefix).attn.c_proj.bias")?.offset
            norm2 = layout["\(prefix).ln_2.weight"].offset
            norm2Bias = layout.slot(named: "\(prefix).ln_2.bias")?.offset
            expand = layout["\(prefix).mlp.c_fc.weight"].offset
            expandBias = layout.slot(named: "\(prefix).mlp.c_fc.bias")?.offset
            project2 = layout["\(prefix).mlp.c_proj.weight"].offset
            project2Bias = layout.slot(named: "\(prefix).mlp.c_proj.bias")?.offset
        }
    }

    init(
        _ config: ModelConfig, _ layout: ParameterLayout, layer: Int, slice: Slice, x: UnsafeMutablePointer<Float>,
        next: UnsafeMutablePointer<Float>, attention: Attention, residual: ResidualSum, scratch: Scratch, putsOff: Bool,
        arena: Arena
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
        self.residual = residual
        self.scratch = scratch
        self.x = x
        self.next = next
        mid = arena.carve(rows * width)
        mean1 = arena.carve(rows)
        rstd1 = arena.carve(rows)
        mean2 = arena.carve(rows)
        rstd2 = arena.carve(rows)
        packed = arena.carve(rows * packedWidth)
        attended = arena.carve(rows * share.attendedWidth)
        peak = arena.carve(rows * share.heads)
        norm = arena.carve(rows * share.heads)
        hidden = arena.carve(rows * hiddenWidth)
        later = putsOff ? Later(share, rows: rows, arena: arena) : nil
    }

    func forward<P: Peers>(_ w: UnsafePointer<Float>, _ dropping: Dropping?, _ peers: P) throws(P.Failure) {
        let (R, C, F) = (rows, width, hiddenWidth), (normed, active) = (scratch.normed, scratch.active)
        if slice.isFirst { scratch.turn(qkv: w + at.qkv, output: w + at.project1, up: w + at.expand, down: w + at.project2) }
        // mid (R, C) = x + bias now; the product with project1 adds the rest
        LayerNorm.forward(
            out: normed, mean: mean1, rstd: rstd1, next: mid, nextBias: w.at(at.project1Bias),
            x: x, gain: w + at.norm1, bias: w.at(at.norm1Bias), rows: R, width: C, epsilon: epsilon)
        scratch.qkv.forward(packed, bias: w.at(at.qkvBias), normed, w + at.qkv, rows: R)
        attention.forward(out: attended, peak: peak, norm: norm, packed: packed)
        try residual.forward(next: mid, x: x, a: attended, scratch.output, w: w + at.project1, bias: w.at(at.project1Bias),
                         dropping, slice, .attention(layer: layer), peers)

        // next (R, C) = mid + bias now; the product with project2 adds the rest
        LayerNorm.forward(
            out: normed, mean: mean2, rstd: rstd2, next: next, nextBias: w.at(at.project2Bias),
            x: mid, gain: w + at.norm2, bias: w.at(at.norm2Bias), rows: R, width: C, epsilon: epsilon)
        scratch.up.forward(hidden, bias: w.at(at.expandBias), normed, w + at.expand, rows: R)
        GELU.forward(out: active, x: hidden, count: R * F)
        try residual.forward(next: next, x: mid, a: active, scratch.down, w: w + at.project2, bias: w.at(at.project2Bias),
                         dropping, slice, .feedForward(layer: layer), peers)
    }

    func backward<P: Peers>(
        _ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>, _ dropping: Dropping?, _ peers: P
    ) throws(P.Failure) {
        let (R, C, F) = (rows, width, hiddenWidth)
        let (dX, dRows, dPacked, normed) = (scratch.dX + slice.firstRow * C, scratch.dRows, scratch.dPacked, scratch.normed)
        let (dHidden, active) = later.map { ($0.wide, hidden) } ?? (scratch.dHidden, scratch.active), adds = !slice.isLast

        var dBranch = residual.branchGradient(dX, dropping, slice, .feedForward(layer: layer))
        scratch.down.inputGradient(dHidden, dBranch, w + at.project2, rows: R)
        GELU.backward(dOut: dHidden, out: active, dBias: dW.at(at.expandBias), x: hidden, rows: R, width: F)
        if let later {
            later.dFeedForward.update(from: dBranch, count: R * C)
        } else {
            scratch.down.weightGradient(dW + at.project2, adding: adds, dBranch, active, rows: R)
        }
        Rows.addColumnSums(dW.at(at.project2Bias), dBranch, rows: R, width: C)
        scratch.up.inputGradient(dRows, dHidden, w + at.expand, rows: R)
        if degree > 1 { try peers.sum(dRows, count: R * C) }
        LayerNorm.backward(
            dX: dX, dGain: dW + at.norm2, dBias: dW.at(at.norm2Bias), out: normed, dOut: dRows, x: mid, mean: mean2,
            rstd: rstd2, gain: w + at.norm2, bias: w.at(at.norm2Bias), rows: R, width: C)
        if later == nil { scratch.up.weightGradient(dW + at.expand, adding: adds, dHidden, normed, rows: R) }

        dBranch = residual.branchGradient(dX, dropping, slice, .attention(layer: layer))
        scratch.output.inputGradient(dRows, dBranch, w + at.project1, rows: R)
        if let later {
            later.dAttention.update(from: dBranch, count: R * C)
        } else {
            scratch.output.weightGradient(dW + at.project1, adding: adds, dBranch, attended, rows: R)
        }
        Rows.addColumnSums(dW.at(at.project1Bias), dBranch, rows: R, width: C)
        attention.backward(dPacked: dPacked, dOut: dRows, out: attended, peak: peak, norm: norm, packed: packed)
        Rows.addColumnSums(dW.at(at.qkvBias), dPacked, rows: R, width: packedWidth)
        scratch.qkv.inputGradient(dRows, dPacked, w + at.qkv, rows: R)
        if degree > 1 { try peers.sum(dRows, count: R * C) }
        LayerNorm.backward(
            dX: dX, dGain: dW + at.norm1, dBias: dW.at(at.norm1Bias), out: normed, dOut: dRows, x: x, mean: mean1,
            rstd: rstd1, gain: w + at.norm1, bias: w.at(at.norm1Bias), rows: R, width: C)
        if later == nil {
            scratch.qkv.weightGradient(dW + at.qkv, adding: adds, dPacked, normed, rows: R)
        } else {
            packed.update(from: dPacked, count: R * packedWidth)
        }
    }

    func weightGradients(_ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>) {
        guard let later else { preconditionFailure("nothing was put off") }
        let (R, C, normed, adds) = (rows, width, scratch.normed, !slice.isLast)
        scratch.down.weightGradient(dW + at.project2, adding: adds, later.dFeedForward, hidden, rows: R)
        LayerNorm.again(
            out: normed, x: mid, mean: mean2, rstd: rstd2, gain: w + at.norm2, bias: w.at(at.norm2Bias), rows: R, width: C)
        scratch.up.weightGradient(dW + at.expand, adding: adds, later.wide, normed, rows: R)
        scratch.output.weightGradient(dW + at.project1, adding: adds, later.dAttention, attended, rows: R)
        LayerNorm.again(
            out: normed, x: x, mean: mean1, rstd: rstd1, gain: w + at.norm1, bias: w.at(at.norm1Bias), rows: R, width: C)
        scratch.qkv.weightGradient(dW + at.qkv, adding: adds, packed, normed, rows: R)
    }
}
