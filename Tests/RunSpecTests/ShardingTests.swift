import RunSpec
import Testing

@Suite struct ShardingTests {
    private func sharding(_ text: String, workers: Int = 8) throws -> Sharding { try Sharding(text, workers: workers, place: "--choice") }
    private func refusal(_ body: () throws -> Any) -> String {
        do { return "\(try body())" } catch let error as UserError { return error.description } catch { return "\(error)" }
    }

    private func model(layers: Int = 4, heads: Int = 6, hidden: Int = 24, leaves: Int = 8) -> ShardedModel {
        var config = ModelConfig()
        (config.layers, config.heads, config.keyValueHeads, config.width, config.hidden) = (layers, heads, heads, 2 * heads, hidden)
        return ShardedModel(
            config: config, leaves: leaves, sequences: 1, embedding: ShardedModel.Block(perToken: 12),
            layers: Array(repeating: ShardedModel.Block(whole: 16, split: 96), count: layers), head: ShardedModel.Block(whole: 16))
    }

    @Test func `a mesh reads what it writes`() throws {
        for mesh in Mesh.all(workers: 24) { #expect(try Mesh("\(mesh)", place: "") == mesh) }
        #expect(try Mesh("tp=2", place: "") == Mesh(tensor: 2))
        #expect("\(Mesh())" == "dp=1" && "\(Mesh(data: 2, pipeline: 3))" == "dp=2,pp=3")
    }

    @Test func `every arrangement of the workers is there once`() {
        for workers in 1...64 {
            let all = Mesh.all(workers: workers)
            #expect(all.allSatisfy { $0.workers == workers } && Set(all).count == all.count)
            let brute = (1...workers).flatMap { d in (1...workers).flatMap { t in (1...workers).filter { d * t * $0 == workers } } }
            #expect(all.count == brute.count)
        }
    }

    @Test(arguments: [
        ("dp=2,dp=4", "--mesh: `dp` is given twice"), ("dp", "--mesh: `dp` needs a number, as in dp=2"),
        ("dp=0", "--mesh: `dp=0` must have a whole number from 1 to 65536"), ("tp=x", "--mesh: `tp=x` must have a whole number from 1 to 65536"),
        ("dq=2", "--mesh: `dq=2` is no axis of a mesh; did you mean `dp`?; write it as dp=2,tp=2,pp=2"),
        ("dp=2,", "--mesh: `` is no axis of a mesh; did you mean `dp`?; write it as dp=2,tp=2,pp=2"),
    ])
    func `what is no mesh is refused in a sentence`(text: String, sentence: String) {
        #expect(refusal { try Mesh(text, place: "--mesh") } == sentence)
    }

    @Test func `a choice reads what it writes`() throws {
        for mesh in Mesh.all(workers: 8) {
            for state in Sharding.State.allCases {
                for redundancy in Sharding.Redundancy.allCases {
                    let choice = Sharding(state, redundancy, mesh: mesh)
                    #expect(try sharding("\(choice)") == choice, "\(choice)")
                }
            }
        }
        #expect("\(Sharding(mesh: Mesh(tensor: 8)))" == "tp=8" && "\(Sharding(.zero2, .shadow, mesh: Mesh(data: 4, tensor: 2)))" == "zero2+shadow dp=4,tp=2")
    }

    @Test func `workers that a choice does not name are data-parallel`() throws {
        #expect(try sharding("zero1") == Sharding(.zero1, mesh: Mesh(data: 8)))
        #expect(try sharding("tp=2,zero1+shadow") == Sharding(.zero1, .shadow, mesh: Mesh(data: 4, tensor: 2)))
        #expect(try sharding("dp=2 tp=2") == Sharding(mesh: Mesh(data: 2, tensor: 2)))
        #expect(try sharding("tp=16") == Sharding(mesh: Mesh(tensor: 16)))
    }

    @Test(arguments: [
        ("zero4", "--choice: `zero4` is no sharding; did you mean `zero1`?; there are ddp, zero1, zero2, zero3, and meshes as in dp=2,tp=2,pp=2"),
        ("zero1 zero2", "--choice: `zero1 zero2` names two shardings, zero1 and zero2"),
        ("zero1+shadw", "--choice: `+shadw` is nothing that a state can be doubled by; did you mean `shadow`?; there are shadow, parity"),
        ("zero1+shadow+parity", "--choice: `zero1+shadow+parity` is doubled twice; one of shadow, parity is enough"),
        ("tp", "--choice: `tp` needs a number, as in tp=2"), (" , ", "--choice is empty; write it as zero1, zero2+shadow or dp=2,tp=2"),
    ])
    func `what is no choice is refused in a sentence`(text: String, sentence: String) {
        #expect(refusal { try sharding(text) } == sentence)
    }

    @Test(arguments: [
        ("dp=2,tp=2", "dp=2,tp=2 has 4 workers, not 8; dp=4,tp=2 has"), ("dp=1", "dp=1 has 1 worker, not 8; dp=8 has"),
        ("dp=2,tp=3", "dp=2,tp=3 has 6 workers, not 8"),
        ("tp=4", "tp=4 does not divide the 6 attention heads; tp can be 1, 2"),
        ("pp=8", "pp=8 is more than the 4 layers of the model; at most pp=4"),
        ("zero1 pp=8", "pp=8 is more than the 4 layers of the model; at most pp=4"),
        ("ddp+shadow", "ddp has 8 copies of the state already; shadow goes with zero1, zero2 and zero3"),
        ("zero2 dp=4,pp=2", "zero2 goes through blocks in lockstep with data-parallel workers, and pp=2 with others; use zero1 dp=4,pp=2, or zero2 without pp=2"),
        ("zero1+shadow dp=4,tp=2", "with tp=2 nobody goes on without the others, and a loss is made good from the newest checkpoint; leave +shadow out"),
    ])
    func `what the model or the workers do not allow is said with what would do`(text: String, sentence: String) throws {
        #expect(try sharding(text).obstacle(model(), workers: 8) == sentence)
    }

    @Test func `what depends on the number of data-parallel workers is said, too`() throws {
        #expect(try sharding("zero1", workers: 16).obstacle(model(), workers: 16) == "dp=16 is more than the 8 microbatches of a step; at most dp=8, or more batch.microbatches")
        #expect(try sharding("zero3 tp=2", workers: 2).obstacle(model(), workers: 2) == "zero3 shares the state among data-parallel workers, and tp=2 has one; use dp=2 or more")
        #expect(try sharding("ddp+parity tp=2", workers: 2).obstacle(model(), workers: 2) == "parity needs data-parallel owners, and tp=2 has one; use zero1+parity with dp=2 or more")
        #expect(try sharding("zero2+parity", workers: 2).obstacle(model(), workers: 2) == "the parity of dp=2 owners is a copy; use zero2+shadow, or dp=3 or more")
        #expect(try sharding("tp=8", workers: 8).obstacle(model(heads: 8, hidden: 12), workers: 8) == "tp=8 does not divide the 12 columns of the feed-forward part; tp can be 1, 2, 4")
        for text in ["ddp", "zero1+shadow", "zero2+parity", "zero1 dp=4,tp=2", "zero1 dp=4,pp=2", "dp=2,tp=2,pp=2"] {
            #expect(try sharding(text).obstacle(model(), workers: 8) == nil, "\(text)")
        }
    }
}
