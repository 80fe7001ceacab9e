// Everything the reference engine refuses, one case each.
//
// An error names the file, tensor, field or number it is about. It never carries token ids or text of a prompt.

public import KVFormat

/// Why the engine refuses a checkpoint, a tokenizer or a request.
public enum EngineError: Error, Equatable, Sendable {
    // A folder and its files.

    /// A file that the checkpoint needs is missing.
    case missingFile(path: String)
    /// The folder does not exist.
    case missingFolder(path: String)
    /// The path is a file, not the folder of a checkpoint.
    case notAFolder(path: String)
    /// The folder holds weights in another form than the engine reads; `file` is one of them.
    case otherWeights(folder: String, file: String)
    /// A file is only the pointer that Git LFS keeps in place of a large file.
    case gitLFSPointer(path: String)
    /// A call of the operating system on a file failed.
    case system(call: String, path: String, errno: Int32)
    /// A file is larger than the limit for files that the engine reads as a whole.
    case fileTooLarge(path: String, bytes: Int, limit: Int)
    /// A file that must hold one JSON object holds something else; `reason` says where it breaks.
    case notJSON(file: String, reason: String)
    /// A field is missing, of the wrong type or out of bounds.
    case invalidField(file: String, field: String, reason: String)
    /// The index names a file that is not directly in the checkpoint's folder.
    case shardOutsideFolder(shard: String)

    // What the checkpoint asks for.

    /// The architecture is not one of the four that are implemented.
    case unknownArchitecture(String)
    /// The checkpoint uses a feature that the engine does not implement.
    case unsupportedFeature(String)

    // Weights.

    /// No weight file holds the tensor.
    case missingTensor(String)
    /// The weight files hold tensors of the model that the configuration does not call for, so one of the two is wrong.
    case unusedTensors(count: Int, example: String)
    /// The tensor has another shape than the configuration implies.
    case wrongShape(tensor: String, found: [Int], expected: [Int])
    /// The tensor's elements are neither bf16, fp16 nor fp32.
    case unsupportedElementType(tensor: String, found: String)
    /// A weight file is shorter than its header says.
    case truncatedFile(file: String, bytes: Int, needed: Int)
    /// A weight file's header breaks the safetensors format.
    case malformedHeader(file: String, reason: String)
    /// Two tensors of a weight file share bytes.
    case overlappingTensors(file: String, first: String, second: String)
    /// Bytes of a weight file belong to no tensor.
    case unclaimedBytes(file: String, offset: Int)
    /// The tensor's shape is larger than any memory.
    case shapeOverflow(file: String, tensor: String)
    /// The index and the weight files disagree about where a tensor is.
    case inconsistentIndex(tensor: String, shard: String)

    // Tokenizer.

    /// The tokenizer uses a feature that the engine does not implement; the text names it.
    case unsupportedTokenizer(String)
    /// The tokenizer has ids for which the model's embedding has no row.
    case vocabularyTooLarge(tokenizer: Int, model: Int)

    // Requests.

    /// The prompt has no tokens.
    case promptEmpty
    /// The prompt, with what is to be generated, has more tokens than the model has positions.
    case promptTooLong(tokens: Int, limit: Int)
    /// The token at `index` of the prompt is not in the vocabulary.
    case tokenOutOfVocabulary(index: Int, vocabulary: Int)
    /// A sampling parameter is out of bounds.
    case invalidSampling(parameter: String, reason: String)
    /// The model's output for the request is infinite or not a number.
    case outputNotFinite(request: String)

    // The engine.

    /// An option of the engine is out of bounds.
    case invalidOption(name: String, reason: String)
    /// The engine's KV memory has no room for the pages that are needed.
    case kvMemoryTooSmall(needed: ByteCount, available: ByteCount)
    /// The store refused the model's space; its error says why.
    case store(StoreError)
}
