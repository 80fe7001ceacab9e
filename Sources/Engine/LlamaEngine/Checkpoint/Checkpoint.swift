// A checkpoint's folder: configuration, mapped weights, digests.

/// A Hugging Face checkpoint on disk, open for reading.
///
/// Opening maps the weight files and checks their headers, but reads no weights. Any thread may use it. Do not change
/// its files while it is open.
public final class Checkpoint: Sendable {
    /// The folder it was opened from.
    public let folder: String
    /// The model's shape.
    public let config: ModelConfig

    let configFile: MappedFile
    let weights: WeightFiles

    /// Opens the checkpoint in `folder`: `config.json`, and `model.safetensors` or an index with its shards.
    /// - Throws: `EngineError` for everything that is missing, damaged or not implemented.
    /// - Complexity: reads the headers, but not the weights.
    public init(folder: String) throws(EngineError) {
        self.folder = folder
        guard let stamp = FileStamp(path: folder) else { throw .missingFolder(path: folder) }
        guard !stamp.isRegularFile else { throw .notAFolder(path: folder) }
        do {
            configFile = try MappedFile(path: folder + "/" + ModelConfig.fileName)
        } catch .missingFile(let path) {
            throw WeightFiles.missing(path, in: folder)
        }
        config = try ModelConfig(configFile, folder: folder)
        weights = try WeightFiles(folder: folder)
    }

    /// The names of all tensors, sorted.
    public var tensorNames: [String] { weights.tensors.keys.sorted() }

    /// Whether a weight file holds the tensor, for example `model.layers.0.self_attn.q_proj.weight`.
    public func hasTensor(_ name: String) -> Bool { weights.tensors[name] != nil }

    /// The tensor `name`, which must have exactly `shape`, outermost extent first.
    ///
    /// - Throws: `.missingTensor`, `.wrongShape`, `.unsupportedElementType` for other types than bf16, fp16 and fp32.
    public func tensor(_ name: String, shape: [Int]) throws(EngineError) -> TensorView {
        guard let place = weights.tensors[name] else { throw .missingTensor(name) }
        let entry = place.entry
        guard entry.shape == shape else { throw .wrongShape(tensor: name, found: entry.shape, expected: shape) }
        guard let dtype = TensorElementType(rawValue: entry.dtype) else {
            throw .unsupportedElementType(tensor: name, found: entry.dtype)
        }
        return TensorView(
            dtype: dtype, shape: shape, file: weights.files[place.file], offset: entry.offset,
            byteCount: entry.byteCount)
    }

    /// Reads the tokenizer beside the weights. If this succeeds, the checkpoint takes text.
    ///
    /// - Throws: `.missingFile` without `tokenizer.json`, `.unsupportedTokenizer`, `.invalidField`, and
    ///   `.vocabularyTooLarge` when an id has no row in the embedding.
    public func tokenizer() throws(EngineError) -> Tokenizer {
        let tokenizer = try Tokenizer(path: folder + "/" + Tokenizer.fileName)
        guard tokenizer.vocabularySize <= config.vocabularySize else {
            throw .vocabularyTooLarge(tokenizer: tokenizer.vocabularySize, model: config.vocabularySize)
        }
        return tokenizer
    }
}
