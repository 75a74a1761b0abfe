import Kernels
import Model

// How a parameter lies in a file of Hugging Face's. Rotary positions turn the same lanes there, so that queries and keys
// need no permutation; only GPT-2's linear layers are transposed.
extension ParameterSlot {
    /// Under the class with a language-model head. The published GPT-2 was saved without, and leaves `transformer.` out.
    var exportName: String { name.hasPrefix("model.") || name == "lm_head.weight" ? name : "transformer." + name }

    var exportShape: [Int] { transposedInHuggingFace ? shape.reversed() : shape }

    /// `out` = the values in `x` with rows and columns swapped. `count` floats each.
    /// - Parameter rows: of `x`.
    func transpose(_ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, rows: Int) {
        Panel.transpose(out, lead: rows, x, lead: count / rows, rows: rows, width: count / rows)
    }
}
