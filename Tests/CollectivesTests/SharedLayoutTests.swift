import Collectives
import Foundation
import RunSpec
import Testing

@Suite struct SharedLayoutTests {
    @Test(arguments: [16, 32, 240, 4_080, 4_096, 4_112, 8_176, 20_944, 65_536, 65_552, 816_128, 10_745_088])
    func `the chunks cover the parameter vector exactly once, in whole cache lines`(floats: Int) {
        let layout = Segment.layout(floats)
        var position = 0, sizes: Set<Int> = []
        for chunk in 0..<SharedLayout.chunkCount {
            let range = layout.chunk(chunk)
            #expect(range.lowerBound == position && range.lowerBound % 16 == 0 && range.upperBound % 16 == 0, "chunk \(chunk)")
            position = range.upperBound
            sizes.insert(range.count)
        }
        #expect(position == floats)
        // All are of one size but for one shorter one, and empty ones behind it.
        #expect(sizes.subtracting([0, layout.chunk(0).count]).count <= 1)
    }

    @Test(arguments: [(16, 2), (4_096, 4), (20_944, 2), (65_552, 16), (816_128, 256)])
    func `chunks of shards cover them one after the other, and none is of two`(floats: Int, shards: Int) {
        let layout = SharedLayout(parameterFloats: 16, leaves: 4, heldOut: HeldOutUnits(validation: 0), sequences: 1, transport: .gloo, shards: shards, shardFloats: floats)
        #expect(layout.chunkedFloats == shards * floats)
        var position = 0
        for rank in 0..<shards {
            let shard = layout.shard(rank), chunks = layout.chunks(ofShard: rank)
            #expect(shard == position..<position + floats && chunks.count == SharedLayout.chunkCount / shards && chunks.lowerBound == rank * chunks.count)
            for chunk in chunks {
                let range = layout.chunk(chunk)
                #expect(range.lowerBound == position && range.lowerBound % 16 == 0 && range.upperBound <= shard.upperBound, "chunk \(chunk)")
                position = range.upperBound
            }
            #expect(position == shard.upperBound)
        }
        for groups in 1...3 {
            let owners = GroupParts(layout, computes: [0..<floats], table: nil).owners(groups: groups)
            #expect(owners.enumerated().allSatisfy { $0.element % shards == $0.offset * shards / SharedLayout.chunkCount && $0.element < groups * shards })
        }
    }

    @Test(arguments: [1, 2, 4], [(20_944, [0, 9_008, 20_944]), (4_096, [0, 16, 2_000, 4_096])])
    func `stages of shards own each chunk once, and what they compute for each other has one owner`(shards: Int, stages: (floats: Int, cuts: [Int])) {
        let layout = SharedLayout(parameterFloats: shards * stages.floats, leaves: 4, heldOut: HeldOutUnits(validation: 0), sequences: 1, transport: .gloo, shards: shards, shardFloats: stages.floats)
        let parts = GroupParts(layout, computes: zip(stages.cuts, stages.cuts.dropFirst()).map { $0..<$1 }, table: 0..<16), last = parts.stages - 1
        #expect(parts.ranks == shards && parts.size == shards * (stages.cuts.count - 1))
        #expect(parts.chunks.flatMap(Array.init).sorted() == Array(0..<SharedLayout.chunkCount))
        for member in 0..<parts.size {
            let (stage, rank) = (member / shards, member % shards), computed = (0..<parts.size).map { parts.computed(by: member, ownedBy: $0) }
            #expect(parts.owns[member] == parts.chunks[member].map { layout.chunk($0) }.reduce(parts.owns[member].lowerBound..<parts.owns[member].lowerBound) { $0.lowerBound..<$1.upperBound })
            #expect(computed.reduce(0) { $0 + $1.count } == parts.computes[member].count && computed.enumerated().allSatisfy { $0.element.isEmpty || $0.offset % shards == rank })
            #expect(layout.shard(rank).contains(parts.computes[member].lowerBound) && parts.computes[member].upperBound <= layout.shard(rank).upperBound)
            let table = layout.shard(rank).lowerBound..<layout.shard(rank).lowerBound + 16
            #expect(parts.reads[member] == (stage == last ? [table] : []) + [parts.computes[member]])
        }
        for groups in 1...3 {
            for (chunk, owner) in parts.owners(groups: groups).enumerated() { #expect(owner < groups * parts.size && parts.chunks[owner % parts.size].contains(chunk)) }
        }
    }

    @Test(arguments: [(10_745_088, [32_768, 1_803_648, 3_574_528, 10_744_704, 10_745_088]), (4_112, [16, 32, 2_000, 4_112]), (16, [16])])
    func `each chunk is of the block that it begins in`(floats: Int, ends: [Int]) {
        let layout = Segment.layout(floats), blocks = zip([0] + ends, ends).map { $0..<$1 }, chunks = layout.chunkBlocks(blocks)
        #expect(chunks.first?.lowerBound == 0 && chunks.last?.upperBound == 256 && zip(chunks, chunks.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        for (block, chunks) in zip(blocks, chunks) { #expect(chunks.allSatisfy { layout.chunk($0).isEmpty || block.contains(layout.chunk($0).lowerBound) }) }
    }

    @Test func `random sizes are covered exactly once`() {
        let random = Philox(key: 8)
        for index in 0..<500 as Range<UInt32> {
            let floats = 16 * (1 + Int(random.uniform(.sampling, 0, 0, index: index) * 100_000))
            let layout = Segment.layout(floats)
            let chunks = (0..<SharedLayout.chunkCount).map { layout.chunk($0) }
            #expect(chunks.first?.lowerBound == 0 && chunks.last?.upperBound == floats, "\(floats) floats")
            #expect(zip(chunks, chunks.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound }, "\(floats) floats")
        }
    }

    @Test(arguments: [(16, 1, 0), (4_096, 4, 3), (20_944, 8, 100), (1_040, 64, 1)])
    func `no two blocks overlap, tables included, and all lie within the segment`(floats: Int, leaves: Int, units: Int) throws {
        let segment = Segment()
        let shared = try segment.create(floats: floats, leaves: leaves, evaluationUnits: units), layout = shared.layout
        let blocks = (0..<leaves).map { shared.gradient($0) } + [shared.reducedGradient]
            + (0..<SharedLayout.generationCount).flatMap { g in (0..<3).map { shared.state(generation: g, part: $0) } }
        let starts = blocks.map { Int(bitPattern: $0) }.sorted()
        #expect(starts.allSatisfy { $0 % 64 == 0 })
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 >= floats * 4 })
        for leaf in 0..<leaves { #expect(shared.gradient(leaf) == shared.gradient(0) + leaf * layout.gradientStride) }
        // Each block holds its own mark after all are written, the file ends behind the last, and no table was touched.
        for (number, block) in blocks.enumerated() { block.update(repeating: Float(number + 1), count: floats) }
        for (number, block) in blocks.enumerated() { #expect((0..<floats).allSatisfy { block[$0] == Float(number + 1) }) }
        let size = try FileManager.default.attributesOfItem(atPath: segment.path)[.size] as? Int
        #expect(size == layout.byteCount)
        for table in [shared.leaves, shared.reductions, shared.updates, shared.evaluations] {
            #expect((0..<table.count).allSatisfy { table.owner(of: $0) == 0 && !table.isDone($0, turn: 0) })
        }
        #expect(!(0..<SharedLayout.faultsMaximum).contains { shared.faultFired($0) != nil })
        #expect((0..<SharedLayout.slotsMaximum).allSatisfy { shared.slotState($0) == (0, .empty) })
    }
}
