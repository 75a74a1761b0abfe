import RunSpec

extension ParameterLayout {
    /// Writes the state before the first step to `parameters` (`count` floats), padding included. A pure function of
    /// the layout and the seed: element i of slot s of the whole model is made from the Philox stream (initialisation;
    /// s, 0), block i / 2, two normal numbers from four words; a rank makes its own elements only.
    package func initialise(into parameters: UnsafeMutablePointer<Float>, seed: UInt64) {
        parameters.initialize(repeating: 0, count: count)
        let generator = Philox(key: seed)
        for (number, slot) in slots.enumerated() {
            slot.forEachRun { own, origin, count in
                let values = parameters + slot.offset + own
                switch slot.initialisation {
                case .zeros: break
                case .ones: values.update(repeating: 1, count: count)
                case .normal(let standardDeviation):
                    precondition((origin + count) / 2 < Int(UInt32.max), "\(slot.name) has \(origin + count) entries")
                    for pair in origin / 2...(origin + count - 1) / 2 {
                        let words = generator.block(
                            .initialisation, UInt32(number), 0, index: UInt32(truncatingIfNeeded: pair))
                        let (first, second) = Self.normalPair(words), i = 2 * pair - origin
                        if i >= 0 { values[i] = Float(first * standardDeviation) }
                        if i + 1 < count { values[i + 1] = Float(second * standardDeviation) }
                    }
                }
            }
        }
    }

    /// Two independent standard normal numbers from four random words: Box and Muller 1958.
    private static func normalPair(_ words: Philox.Block) -> (Double, Double) {
        let first = UInt64(words[0]) << 32 | UInt64(words[1]), second = UInt64(words[2]) << 32 | UInt64(words[3])
        let u = (Double(first >> 11) + 0.5) * 0x1p-53          // in 0 ..< 1, never 0
        let angle = Double(second >> 11) * 0x1p-53 * 6.283185307179586
        let radius = (-2 * PortableMath.log(u)).squareRoot(), (sine, cosine) = PortableMath.sinCos(angle)
        return (radius * cosine, radius * sine)
    }
}
