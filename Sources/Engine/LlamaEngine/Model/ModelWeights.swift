// The weights of a model, packed and checked.

import CEngine
import Glibc

/// One decoder layer.
struct LayerWeights {
    /// RMS norm before the attention.
    let attentionNorm: [Float]
    /// Query, key and value projections, one below the other.
    let queryKeyValue: WeightMatrix
    /// Their biases, joined in the same order; empty when the architecture has none.
    let queryKeyValueBias: [Float]
    /// RMS norms of each head of query and key; empty when the architecture has none.
    let queryNorm: [Float]
    let keyNorm: [Float]
    /// The attention's output projection and its bias.
    let output: WeightMatrix
    let outputBias: [Float]
    /// RMS norm before the feed-forward part.
    let feedForwardNorm: [Float]
    /// Gate and up projections.
    let gateUp: GatedProduct
    let down: WeightMatrix
}

/// All weights of a model.
struct ModelWeights {
    /// Embedding rows, read where they lie.
    let embedding: TensorView
    let layers: [LayerWeights]
    let finalNorm: [Float]
    /// The projection onto the vocabulary.
    let head: WeightMatrix
    /// Tensors that are not part of the model and that nothing uses, sorted.
    let unusedTensors: [String]

    private static let headName = "lm_head.weight"

    /// Below this size, in bytes of floats, the whole model is held as floats.
    private static let floatLimit = 1 << 30

    /// Reads and packs every tensor that `config` calls for.
    ///
    /// - Throws: `EngineError` when one is missing or has another shape or type, and when the files hold more of the
    ///   model than `config` calls for.
    init(_ checkpoint: Checkpoint, pool: WorkerPool) throws(EngineError) {
        let config = checkpoint.config
        let storage: WeightMatrix.Storage = Self.floatBytes(config) < Self.floatLimit ? .floats : .asStored
        let reader = WeightReader(checkpoint: checkpoint, storage: storage, pool: pool)
        let table = [config.vocabularySize, config.hiddenSize]
        embedding = try reader.tensor("model.embed_tokens.weight", table)
        var layers: [LayerWeights] = []
        for index in 0..<config.layerCount { layers.append(try LayerWeights(reader, index)) }
        self.layers = layers
        finalNorm = try reader.vector("model.norm.weight", config.hiddenSize)
        var projection = embedding
        if !config.tiesEmbeddings || checkpoint.hasTensor(Self.headName) {
            projection = try reader.tensor(Self.headName, table)
        }
        guard !config.tiesEmbeddings || projection.hasBytes(of: embedding) else {
            throw .invalidField(
                file: ModelConfig.fileName, field: "tie_word_embeddings",
                reason: "is true, but the weight files hold a \(Self.headName) that is not the embedding")
        }
        unusedTensors = try reader.unusedTensors()
        head = WeightMatrix([projection], columns: config.hiddenSize, storage: storage, pool: pool)
    }

    private static func floatBytes(_ config: ModelConfig) -> Int {
        let heads = (2 * config.headCount + 2 * config.kvHeadCount) * config.headDimension
        let layer = config.hiddenSize * (heads + 3 * config.intermediateSize)
        return 4 * (config.layerCount * layer + config.vocabularySize * config.hiddenSize)
    }
}

extension TensorView {
    /// Whether `other` has the same elements, of the same type.
    fileprivate func hasBytes(of other: TensorView) -> Bool {
        guard dtype == other.dtype, byteCount == other.byteCount else { return false }
        return unsafe withUnsafeBytes { own in
            unsafe other.withUnsafeBytes { bytes in
                guard let own = own.baseAddress, let bytes = bytes.baseAddress else { return true }
                return unsafe memcmp(own, bytes, byteCount) == 0
            }
        }
    }
}

/// Reads tensors by name, and knows afterwards which ones were not read.
final class WeightReader {
    let checkpoint: Checkpoint
    let storage: WeightMatrix.Storage
    let pool: WorkerPool
    private var names = Set<String>()

    init(checkpoint: Checkpoint, storage: WeightMatrix.Storage, pool: WorkerPool) {
        self.checkpoint = checkpoint
        self.storage = storage
        self.pool = pool
    }

    /// The tensor `name`, where it lies.
    func tensor(_ name: String, _ shape: [Int]) throws(EngineError) -> TensorView {
        names.insert(name)
        return try checkpoint.tensor(name, shape: shape)
    }

    /// Tensors that were not read. Frequencies of the rotation do not count: old checkpoints carry them, and they
    /// follow from the configuration.
    ///
    /// - Throws: `.unusedTensors` when some of them belong to the model itself (a bias, a norm, a further layer),
    ///   because the results without them would be those of another model.
    func unusedTensors() throws(EngineError) -> [String] {
        let unused = checkpoint.tensorNames.filter { !names.contains($0) && !$0.contains(".rotary_emb.") }
        let missed = unused.filter { $0.hasPrefix("model.") || $0.hasPrefix("lm_head.") }
        if let example = missed.first { throw .unusedTensors(count: missed.count, example: example) }
        return unused
    }

    /// The matrices `names`, each given with its outputs, one below the other.
    func matrix(_ names: [(String, Int)], columns: Int) throws(EngineError) -> WeightMatrix {
        var parts: [TensorView] = []
        for (name, rows) in names { parts.append(try tensor(name, [rows, columns])) }
        return WeightMatrix(parts, columns: columns, storage: storage, pool: pool)
    }

    /// A vector as floats.
    func vector(_ name: String, _ count: Int) throws(EngineError) -> [Float] {
        let view = try tensor(name, [count])
        return unsafe [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            unsafe view.withUnsafeBytes { bytes in
                guard let source = bytes.baseAddress, let target = buffer.baseAddress else { return }
                unsafe Kernels.current.table.pointee.widen(source, view.dtype.kernelElement, target, count)
            }
            filled = count
        }
    }
}

extension LayerWeights {
    /// Layer `index` of a checkpoint.
    init(_ reader: WeightReader, _ index: Int) throws(EngineError) {
        let config = reader.checkpoint.config
        let prefix = "model.layers.\(index)."
        let attention = prefix + "self_attn."
        let hidden = config.hiddenSize
        let queries = config.headCount * config.headDimension
        let keys = config.kvHeadCount * config.headDimension
        let projections = [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)]

        attentionNorm = try reader.vector(prefix + "input_layernorm.weight", hidden)
        queryKeyValue = try reader.matrix(projections.map { (attention + $0.0 + ".weight", $0.1) }, columns: hidden)
        var bias: [Float] = []
        if config.hasAttentionBias {
            for (name, count) in projections { bias += try reader.vector(attention + name + ".bias", count) }
        }
        queryKeyValueBias = bias
        let normalizes = config.normalizesQueryAndKey
        queryNorm = normalizes ? try reader.vector(attention + "q_norm.weight", config.headDimension) : []
        keyNorm = normalizes ? try reader.vector(attention + "k_norm.weight", config.headDimension) : []
        output = try reader.matrix([(attention + "o_proj.weight", hidden)], columns: queries)
        outputBias = config.hasAttentionOutputBias ? try reader.vector(attention + "o_proj.bias", hidden) : []
        feedForwardNorm = try reader.vector(prefix + "post_attention_layernorm.weight", hidden)
        let width = config.intermediateSize
        gateUp = GatedProduct(
            gate: try reader.matrix([(prefix + "mlp.gate_proj.weight", width)], columns: hidden),
            up: try reader.matrix([(prefix + "mlp.up_proj.weight", width)], columns: hidden))
        down = try reader.matrix([(prefix + "mlp.down_proj.weight", hidden)], columns: width)
    }
}
