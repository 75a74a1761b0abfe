import Kernels
import RunSpec

/// Causal self-attention on packed rows [q heads | k heads | v heads], one head at a time.
///
/// Queries go in blocks of rows: a block that ends at position `end` multiplies with the keys before `end` only, so the
/// masked half is skipped but for the corners on the diagonal. Scores live in scratch of one block and are computed
/// again in the backward pass; only two floats per row and head are kept.
struct Attention {
    let sequences: Int, context: Int, heads: Int, keyValueHeads: Int, headWidth: Int
    /// Rows of a query block.
    let block: Int
    /// Floats from one row of scores, and of transposed keys, to the next. The extra cache line keeps rows apart in the
    /// cache when T is a power of two.
    let wide: Int
    /// (block, wide) each.
    private let scores, dScores: UnsafeMutablePointer<Float>
    /// (T, D) each: one head's keys and values, and their gradients.
    private let k, v, dK, dV: UnsafeMutablePointer<Float>
    /// (D, wide) each: the same keys and values, transposed.
    private let kT, vT: UnsafeMutablePointer<Float>

    init(_ share: Share, context: Int, sequences: Int, arena: Arena) {
        self.sequences = sequences
        self.context = context
        heads = share.heads
        keyValueHeads = share.keyValueHeads
        headWidth = share.headWidth
        block = Self.rowsPerBlock(context: context, headWidth: headWidth)
        wide = Arena.wholeLines(context) + 16
        scores = arena.carve(block * wide)
        dScores = arena.carve(block * wide)
        k = arena.carve(context * headWidth)
        v = arena.carve(context * headWidth)
        dK = arena.carve(context * headWidth)
        dV = arena.carve(context * headWidth)
        kT = arena.carve(headWidth * wide)
        vT = arena.carve(headWidth * wide)
    }

    /// Small blocks waste less on the diagonal. While m · n · k is at most a million OpenBLAS multiplies without
    /// packing, which pays here; longer contexts do better with blocks large enough to pay for packing.
    private static func rowsPerBlock(context: Int, headWidth: Int) -> Int {
        let limit = 1_000_000, key = context * headWidth
        return min(context, 32 * key <= limit ? 32 : 15 * key <= limit ? 16 : 128)
    }

    /// Of the output rows: all heads.
    private var width: Int { heads * headWidth }
    private var packedWidth: Int { (heads + 2 * keyValueHeads) * headWidth }
    private var scale: Float { 1 / Float(headWidth).squareRoot() }

    /// `out` (R, width), R = B·T, from `packed` (R, packedWidth); keeps `peak` and `norm` (B, H, T).
    func forward(
        out: UnsafeMutablePointer<Float>, peak: UnsafeMutablePointer<Float>, norm: UnsafeMutablePointer<Float>,
        packed: UnsafePointer<Float>
    ) {
        let (T, D, lead, group) = (context, headWidth, packedWidth, heads / keyValueHeads)
        for b in 0..<sequences {
            for shared in 0..<keyValueHeads {
                let rows = packed + b * T * lead                                   // (T, packedWidth)
                Panel.transpose(kT, lead: wide, rows + (heads + shared) * D, lead: lead, rows: T, width: D)
                Panel.copy(v, lead: D, rows + (heads + keyValueHeads + shared) * D, lead: lead, rows: T, width: D)
                for h in shared * group..<(shared + 1) * group {
                    let q = rows + h * D                                           // (T, D), lead
                    let o = out + b * T * width + h * D                            // (T, D), width
                    let kept = (b * heads + h) * T
                    for first in stride(from: 0, to: T, by: block) {
                        let end = min(first + block, T), m = end - first
                        // scores (m, end) = q kᵀ, then probabilities; o (m, D) = p v
                        sgemm(m: m, n: end, k: D, q + first * lead, lead, kT, wide, beta: 0, scores, wide)
                        CausalSoftmax.forward(
                            scores: scores, peak: peak + kept + first, norm: norm + kept + first,
                            first: first, rows: m, stride: wide, scale: scale)
                        sgemm(m: m, n: D, k: end, scores, wide, v, D, beta: 0, o + first * width, width)
                    }
                }
            }
        }
    }

    /// Overwrites `dPacked` (R, packedWidth), given `dOut` (R, width) and what `forward` saw and left.
    func backward(
        dPacked: UnsafeMutablePointer<Float>, dOut: UnsafePointer<Float>, out: UnsafePointer<Float>,
        peak: UnsafePointer<Float>, norm: UnsafePointer<Float>, packed: UnsafePointer<Float>
    ) {
        let (T, D, lead, group) = (context, headWidth, packedWidth, heads / keyValueHeads)
        for b in 0..<sequences {
            for shared in 0..<keyValueHeads {
                let rows = packed + b * T * lead, dRows = dPacked + b * T * lead   // (T, packedWidth)
                let kAt = (heads + shared) * D, vAt = (heads + keyValueHeads + shared) * D
                Panel.copy(k, lead: D, rows + kAt, lead: lead, rows: T, width: D)
                Panel.transpose(kT, lead: wide, rows + kAt, lead: lead, rows: T, width: D)
                Panel.transpose(vT, lead: wide, rows + vAt, lead: lead, rows: T, width: D)
                for h in shared * group..<(shared + 1) * group {
                    backward(
                        dQ: dRows + h * D, q: rows + h * D, dO: dOut + b * T * width + h * D,
                        o: out + b * T * width + h * D, peak: peak + (b * heads + h) * T,
                        norm: norm + (b * heads + h) * T, firstOfGroup: h % group == 0)
                }
                Panel.copy(dRows + kAt, lead: lead, dK, lead: D, rows: T, width: D)
                Panel.copy(dRows + vAt, lead: lead, dV, lead: D, rows: T, width: D)
            }
        }
    }

    /// One head: `dQ`, `q` (T, D) with packedWidth floats from row to row, `dO`, `o` (T, D) with width; `peak`, `norm` (T).
    /// Adds to `dK` and `dV`, unless it is the first of the heads that share them.
    private func backward(
        dQ: UnsafeMutablePointer<Float>, q: UnsafePointer<Float>, dO: UnsafePointer<Float>, o: UnsafePointer<Float>,
        peak: UnsafePointer<Float>, norm: UnsafePointer<Float>, firstOfGroup: Bool
    ) {
        let (T, D, lead) = (context, headWidth, packedWidth)
        // From the last block, which sees all keys, to the first: so the first write to dK and dV covers them whole and
        // needs no zeroing.
        let last = (T - 1) / block * block
        for first in stride(from: last, through: 0, by: -block) {
            let end = min(first + block, T), m = end - first
            let (q, dO, o, dQ) = (q + first * lead, dO + first * width, o + first * width, dQ + first * lead)
            let keep: Float = firstOfGroup && first == last ? 0 : 1
            // scores (m, end) = q kᵀ, dScores (m, end) = dO vᵀ: the gradient with respect to the probabilities
            sgemm(m: m, n: end, k: D, q, lead, kT, wide, beta: 0, scores, wide)
            sgemm(m: m, n: end, k: D, dO, width, vT, wide, beta: 0, dScores, wide)
            // scores becomes p, dScores the gradient with respect to the scores
            CausalSoftmax.backward(
                scores: scores, dP: dScores, peak: peak + first, norm: norm + first, out: o, dOut: dO, lead: width,
                headWidth: D, first: first, rows: m, stride: wide, scale: scale)
            // dV (end, D) += pᵀ dO, dK (end, D) += dSᵀ q, dQ (m, D) = dS k
            sgemm(transposeA: true, m: end, n: D, k: m, scores, wide, dO, width, beta: keep, dV, D)
            sgemm(transposeA: true, m: end, n: D, k: m, dScores, wide, q, lead, beta: keep, dK, D)
            sgemm(m: m, n: D, k: end, dScores, wide, k, D, beta: 0, dQ, lead)
        }
    }
}
