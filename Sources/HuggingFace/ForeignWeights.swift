import Checkpointing
import Glibc
import Model
import RunSpec

/// The tensors of a model in `model.safetensors`, or in the shards that `model.safetensors.index.json` lists.
struct ForeignWeights {
    static let fileName = "model.safetensors", indexName = "model.safetensors.index.json"

    private struct Place {
        let file: String
        let tensor: Safetensors.TensorInfo
    }

    /// What is to be read, and where each lies.
    private var parameters: [(slot: ParameterSlot, place: Place)] = []
    /// Biases of a model that has none.
    private var zeros: [Place] = []
    /// A head that the file has although it is tied.
    private var head: Place?

    /// Reads the headers and looks whether all that `model` needs is there, and nothing else.
    init(_ folder: String, _ model: ModelConfig) throws(UserError) {
        var open: [String: Place] = [:]
        for file in try Self.files(folder) {
            for tensor in try Self.open(file).header.tensors where open.updateValue(Place(file: file, tensor: tensor), forKey: tensor.name) != nil {
                throw UserError(.badInput, "\(file) holds the tensor \(tensor.name), and so does another file")
            }
        }
        func take(_ slot: ParameterSlot) throws(UserError) -> Place? {
            guard let place = open.removeValue(forKey: slot.exportName) ?? open.removeValue(forKey: slot.name) else { return nil }
            let (file, tensor) = (place.file, place.tensor)
            guard tensor.shape == slot.exportShape else {
                throw UserError(.badInput, "\(file) holds \(tensor.name) with shape \(tensor.shape), and by config.json it has \(slot.exportShape)")
            }
            guard [.f32, .f16, .bf16].contains(tensor.type) else {
                throw UserError(.badInput, "\(file) holds \(tensor.name) as \(tensor.type.rawValue); F32, F16 and BF16 can be read")
            }
            return place
        }
        let layout = ParameterLayout(model)
        for slot in layout.slots {
            guard let place = try take(slot) else {
                throw UserError(.badInput, "\(folder) has no tensor \(slot.exportName), which the model of its config.json needs")
            }
            parameters.append((slot, place))
        }
        // What may lie there beside: parameters of a model with a head of its own and with biases, and what is no parameter.
        var whole = model
        (whole.tied, whole.bias) = (false, model.family == .gpt2)
        for slot in ParameterLayout(whole).slots where layout.slot(named: slot.name) == nil {
            guard let place = try take(slot) else { continue }
            if slot.name == "lm_head.weight" { head = place } else { zeros.append(place) }
        }
        let buffers = [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"]
        if let (name, place) = open.filter({ tensor in !buffers.contains { tensor.key.hasSuffix($0) } }).min(by: { $0.key < $1.key }) {
            throw UserError(.badInput, "\(place.file) holds the tensor \(name), which a \(model.family.rawValue) model of its config.json does not have")
        }
    }

    private static func files(_ folder: String) throws(UserError) -> [String] {
        if access("\(folder)/\(fileName)", F_OK) == 0 { return ["\(folder)/\(fileName)"] }
        guard access("\(folder)/\(indexName)", F_OK) == 0 else {
            throw UserError(.missing, "\(folder) has no \(fileName) and no \(indexName); weights in another format are to be saved again with `save_pretrained(…, safe_serialization=True)`")
        }
        let index = try ConfigFile("\(folder)/\(indexName)"), names = Set(try index.object("weight_map").texts.values).sorted()
        guard !names.isEmpty else { throw index.refuse("weight_map", "names no file") }
        if let away = names.first(where: { $0.contains("/") }) { throw index.refuse("weight_map", "names \(away), which is not a file of its own folder") }
        return names.map { "\(folder)/\($0)" }
    }

    private static func open(_ file: String) throws(UserError) -> SafetensorsFile {
        do throws(SafetensorsError) {
            return try SafetensorsFile(file)
        } catch {
            throw failure(file, error)
        }
    }

    private static func failure(_ file: String, _ error: SafetensorsError) -> UserError {
        if case .storage(let cause) = error, cause.code == ENOENT { return UserError(.missing, "\(file) does not exist, though \(indexName) names it") }
        return UserError(.badInput, "\(file) \(error)")
    }

    /// Writes all parameters to `state`, a flat vector of `layout`; floats between them are left alone. Of learned
    /// positions the layout may have fewer than the file: then the first ones are taken.
    func fill(_ layout: ParameterLayout, _ state: UnsafeMutablePointer<Float>) throws(UserError) {
        let places = parameters.map(\.place) + zeros + (head.map { [$0] } ?? [])
        let largest = places.map { $0.tensor.shape.reduce(1, *) }.max() ?? 0
        let values = UnsafeMutablePointer<Float>.allocate(capacity: largest)
        let turned = UnsafeMutablePointer<Float>.allocate(capacity: largest)
        defer {
            values.deallocate()
            turned.deallocate()
        }
        for file in Set(places.map(\.file)).sorted() {
            let open = try Self.open(file)
            func read(_ place: Place) throws(UserError) -> Int {
                do throws(SafetensorsError) { try open.readFloats(place.tensor.name, shape: place.tensor.shape, into: values) } catch { throw Self.failure(file, error) }
                let count = place.tensor.shape.reduce(1, *)
                guard let wrong = (0..<count).first(where: { !values[$0].isFinite }) else { return count }
                throw UserError(.badInput, "\(file): value \(wrong) of \(place.tensor.name) is \(values[wrong]); a run cannot begin from it")
            }
            for (slot, place) in parameters where place.file == file {
                _ = try read(place)
                let target = layout[slot.name]
                if slot.transposedInHuggingFace { slot.transpose(turned, values, rows: slot.exportShape[0]) }
                (state + target.offset).update(from: slot.transposedInHuggingFace ? turned : values, count: target.count)
            }
            for place in zeros where place.file == file {
                guard (0..<(try read(place))).allSatisfy({ values[$0] == 0 }) else {
                    throw UserError(.badInput, "\(file): \(place.tensor.name) is not zero, though `bias` in config.json is false")
                }
            }
        }
        guard let head else { return }
        // After everything, for the embedding may lie in a later file.
        let open = try Self.open(head.file), embedding = layout.slots[0]
        do throws(SafetensorsError) { try open.readFloats(head.tensor.name, shape: head.tensor.shape, into: values) } catch { throw Self.failure(head.file, error) }
        guard memcmp(values, state + embedding.offset, 4 * embedding.count) == 0 else {
            throw UserError(.badInput, "\(head.file): lm_head.weight is not the token embedding, though `tie_word_embeddings` in config.json is true; set that to false")
        }
    }
}
