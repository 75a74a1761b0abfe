import RunSpec
import Testing

@Suite struct PhiloxTests {
    /// Known answers of the Random123 distribution (`kat_vectors`, philox4x32 10).
    @Test(arguments: [
        (Philox.Block(repeating: 0), UInt64(0), Philox.Block(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)),
        (Philox.Block(repeating: .max), UInt64.max, Philox.Block(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)),
        (
            Philox.Block(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), UInt64(0x299F_31D0_A409_3822),
            Philox.Block(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)
        ),
    ])
    func `a block is the published answer for its counter and key`(counter: Philox.Block, key: UInt64, answer: Philox.Block) {
        #expect(Philox(key: key).block(counter) == answer)
    }

    @Test func `purpose, both coordinates and the index each change the block`() {
        let random = Philox(key: 9)
        let base = random.block(.dropout, 3, 5, index: 7)
        #expect(base == random.block(Philox.Block(7, 5, 3, RandomPurpose.dropout.rawValue)))
        let others = [
            random.block(.tales, 3, 5, index: 7), random.block(.dropout, 4, 5, index: 7),
            random.block(.dropout, 3, 6, index: 7), random.block(.dropout, 3, 5, index: 8),
            random.block(.dropout, 5, 3, index: 7), Philox(key: 10).block(.dropout, 3, 5, index: 7),
        ]
        #expect(Set(others + [base]).count == 7)
    }

    @Test func `a uniform number is the block's first 53 bits`() {
        let random = Philox(key: 1)
        for index in 0..<1000 as Range<UInt32> {
            let w = random.block(.sampling, 2, 3, index: index)
            let u = random.uniform(.sampling, 2, 3, index: index)
            #expect(u == Double(UInt64(w[0]) << 21 | UInt64(w[1]) >> 11) / 9_007_199_254_740_992)
        }
    }

    @Test func `uniform numbers fill 0 to 1 evenly`() {
        let random = Philox(key: 4), count = 64_000
        var bins = [Int](repeating: 0, count: 64)
        for index in 0..<UInt32(count) { bins[Int(random.uniform(.tales, 0, 0, index: index) * 64)] += 1 }
        // Chi-squared with 63 degrees of freedom: above 120 with probability 2e-5. The numbers are fixed by the key.
        let chiSquared = bins.reduce(0.0) { $0 + (Double($1) - 1000) * (Double($1) - 1000) / 1000 }
        #expect(chiSquared < 120)
    }
}
