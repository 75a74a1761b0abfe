import Kernels
import RunSpec

/// The norm between the last layer and the head.
struct FinalNorm {
    let family: ModelConfig.Family, rows: Int, width: Int, epsilon: Float
    let gain: Int, bias: Int?
    /// (R, C): the last layer's output, normalised. (R): the statistics of its rows.
    let out, mean, rstd: UnsafeMutablePointer<Float>

    init(_ config: ModelConfig, _ layout: ParameterLayout, rows: Int, arena: Arena) {
        family = config.family
        self.rows = rows
        width = config.width
        epsilon = Float(config.normEpsilon)
        gain = layout[family == .gpt2 ? "ln_f.weight" : "model.norm.weight"].offset
        bias = layout.slot(named: "ln_f.bias")?.offset
        out = arena.carve(rows * width)
        mean = arena.carve(family == .gpt2 ? rows : 0)
        rstd = arena.carve(rows)
    }

    /// Normalises `x` (R, C). `w` is the flat parameter vector.
    func forward(_ w: UnsafePointer<Float>, x: UnsafePointer<Float>) {
        switch family {
        case .gpt2:
            LayerNorm.forward(
                out: out, mean: mean, rstd: rstd, next: nil, nextBias: nil, x: x, gain: w + gain, bias: w.at(bias),
                rows: rows, width: width, epsilon: epsilon)
        case .llama:
            RMSNorm.forward(
                out: out, rstd: rstd, next: nil, x: x, gain: w + gain, rows: rows, width: width, epsilon: epsilon)
        }
    }

    /// Overwrites `dX` (R, C), given `dOut` (R, C) and the `x` that went forward; adds to the flat gradient `dW`.
    func backward(
        _ w: UnsafePointer<Float>, _ dW: UnsafeMutablePointer<Float>, dX: UnsafeMutablePointer<Float>,
        dOut: UnsafePointer<Float>, x: UnsafePointer<Float>
    ) {
        dX.update(repeating: 0, count: rows * width)
        switch family {
        case .gpt2:
            LayerNorm.backward(
                dX: dX, dGain: dW + gain, dBias: dW.at(bias), out: out, dOut: dOut, x: x, mean: mean, rstd: rstd,
                gain: w + gain, bias: w.at(bias), rows: rows, width: width)
        case .llama:
            RMSNorm.backward(
                dX: dX, dGain: dW + gain, out: out, dOut: dOut, x: x, rstd: rstd, gain: w + gain, rows: rows,
                width: width)
        }
    }
}
