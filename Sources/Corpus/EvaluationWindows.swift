import RunSpec

/// The validation tokens cut into windows of T in order, so that every token but the first is a target exactly once.
/// The last window may be short. Nothing here is random.
package struct EvaluationWindows: Sendable {
    /// The target that a loss must leave out.
    package static let ignoredTarget: Int32 = -1

    /// N, tokens in the validation shard.
    package let tokenCount: Int
    /// T, inputs in a window.
    package let context: Int

    package init(tokenCount: Int, context: Int) {
        precondition(context > 0 && tokenCount > 1, "\(tokenCount) validation tokens, context \(context)")
        (self.tokenCount, self.context) = (tokenCount, context)
    }

    /// Tokens with a prediction to judge: N − 1.
    package var targetCount: Int { tokenCount - 1 }
    /// (N − 1) / T full windows and, if tokens are left, one short one.
    package var count: Int { (targetCount + context - 1) / context }
    /// Windows that are not short.
    package var fullCount: Int { targetCount / context }
    /// Units of `sequences` windows that hold all windows; the last may be partly empty.
    package func units(sequences: Int) -> Int { (count + sequences - 1) / sequences }

    /// Fills unit `unit`: windows unit · b ..< (unit + 1) · b. Where there is no token (after the end of the short
    /// window, or in a missing window) the input is 0 and the target −1.
    ///
    /// - Parameters:
    ///   - tokens: the validation shard, N tokens.
    ///   - sequences: b.
    ///   - inputs: b × T, row-major; all written.
    ///   - targets: b × T; all written.
    /// - Returns: the number of targets that are not −1, at most b × T.
    @discardableResult
    package func fillEvaluation(
        from tokens: TokenShard, unit: Int, sequences: Int,
        inputs: UnsafeMutablePointer<Int32>, targets: UnsafeMutablePointer<Int32>
    ) -> Int {
        precondition(tokens.count == tokenCount, "\(tokens.path) has \(tokens.count) tokens, not \(tokenCount)")
        precondition(unit >= 0 && unit < units(sequences: sequences), "unit \(unit) of \(units(sequences: sequences))")
        var judged = 0
        for row in 0..<sequences {
            let start = (unit * sequences + row) * context
            let length = max(0, min(context, targetCount - start))
            let rowInputs = inputs + row * context, rowTargets = targets + row * context
            if length > 0 {
                tokens.copy(from: start, length: length, to: rowInputs)
                tokens.copy(from: start + 1, length: length, to: rowTargets)
            }
            for i in length..<context {
                rowInputs[i] = 0
                rowTargets[i] = Self.ignoredTarget
            }
            judged += length
        }
        return judged
    }

    /// Fills each of `rows` rows with the full window `index`(row).
    package func fill(
        rows: Int, from tokens: TokenShard, inputs: UnsafeMutablePointer<Int32>, targets: UnsafeMutablePointer<Int32>, _ index: (Int) -> Int
    ) {
        for row in 0..<rows {
            let index = index(row)
            precondition(index >= 0 && index < fullCount, "window \(index) of \(fullCount)")
            tokens.copy(from: index * context, length: context, to: inputs + row * context)
            tokens.copy(from: index * context + 1, length: context, to: targets + row * context)
        }
    }
}
