import Kernels
import RunSpec

/// What a model or a part of one costs, known before anything is allocated.
extension Transformer {
    /// Floating-point operations of forward and backward per token, a multiplication and an addition counted as two:
    /// 6 · N + 6 · L · C · (T + 1).
    ///
    /// N counts the entries of all matrices that multiply a row: those of the blocks and the head (tied or not), not
    /// the embedding tables, which are looked up. Attention: a query sees (T + 1) / 2 keys on average, each costs 2 · C
    /// for the score and 2 · C for the sum of values, and the backward pass costs twice the forward pass:
    /// 3 · 4 · C · (T + 1) / 2 per layer. What the program computes twice or masks does not count.
    package static func flopsPerToken(_ config: ModelConfig) -> Double {
        Double(config.layers) * layerFlopsPerToken(config) + headFlopsPerToken(config)
    }

    /// One layer's share. Of `degree` ranks each does 1 / `degree` of it.
    package static func layerFlopsPerToken(_ config: ModelConfig) -> Double {
        6 * Double(layerMatrices(config)) + 6 * Double(config.width * (config.context + 1))
    }

    /// The part of it that makes the gradients of the layer's matrices.
    package static func layerWeightFlopsPerToken(_ config: ModelConfig) -> Double { 2 * Double(layerMatrices(config)) }

    private static func layerMatrices(_ config: ModelConfig) -> Int {
        let (C, F, P) = (config.width, config.hidden, config.packedWidth)
        return C * P + C * C + (config.family == .llama ? 3 : 2) * C * F
    }

    /// The head's share; the embedding has none. Of several ranks each does it for its own tokens.
    package static func headFlopsPerToken(_ config: ModelConfig) -> Double {
        6 * Double(config.vocabulary * config.width)
    }

    /// Floats that instances allocate. Tokens and losses come on top, 12 bytes a row.
    package struct ActivationFloats: Hashable, Sendable {
        /// Of each instance: what one microbatch in flight takes.
        package let kept: Int
        /// Once for all instances that share it.
        package let scratch: Int
    }

    /// What an instance for microbatches of `sequences` will allocate.
    package static func activationFloats(
        _ config: ModelConfig, sequences: Int, part: ModelPart, putsOffWeightGradients: Bool = false
    ) -> ActivationFloats {
        let layout = ParameterLayout(config, rank: part.rank, degree: part.degree)
        var kept = 0
        let scratch = Arena.measuring { arena in
            let workspace = Workspace(config, layout.share, part, sequences: sequences, arena: arena)
            kept = Arena.measuring {
                _ = Activations(config, layout, part, sequences: sequences, putsOff: putsOffWeightGradients, workspace, arena: $0)
            }
        }
        return ActivationFloats(kept: kept, scratch: scratch)
    }

    /// What this instance has allocated; the scratch may be other instances' too.
    package var activationFloats: ActivationFloats {
        ActivationFloats(kept: arena.carved, scratch: workspaceArena.carved)
    }
}
