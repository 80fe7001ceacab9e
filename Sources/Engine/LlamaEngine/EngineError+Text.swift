// The texts of an `EngineError`: one sentence says what is wrong, and one says what to do.

import Glibc
import KVFormat

extension EngineError: CustomStringConvertible {
    /// What is wrong, in one sentence.
    public var description: String {
        switch self {
        case .missingFile(let path): "The file \(path) does not exist."
        case .missingFolder(let path): "The folder \(path) does not exist."
        case .notAFolder(let path): "\(path) is a file, not the folder of a checkpoint."
        case .otherWeights(let folder, let file): "The folder \(folder) holds \(file), but not model.safetensors."
        case .gitLFSPointer(let path): "The file \(path) is a Git LFS pointer, not the file itself."
        case .system(let call, let path, let errno):
            "The call \(call) failed on \(path): \(Self.text(of: errno)) (error \(errno))."
        case .fileTooLarge(let path, let bytes, let limit):
            "The file \(path) has \(bytes) bytes, more than the limit of \(limit)."
        case .notJSON(let file, let reason): "The file \(file) is not a JSON object: \(reason)."
        case .invalidField(let file, let field, let reason): "The field \(field) of \(file) \(reason)."
        case .shardOutsideFolder(let shard): "The index names the weight file \(shard), which is outside the folder."
        case .unknownArchitecture(let name): "The architecture \(name) is not implemented."
        case .unsupportedFeature(let feature): "The checkpoint uses \(feature), which is not implemented."
        case .missingTensor(let name): "No weight file holds the tensor \(name)."
        case .unusedTensors(let count, let example):
            "The weight files hold the tensor \(example), which the configuration does not call for (\(count) such tensors)."
        case .wrongShape(let tensor, let found, let expected):
            "The tensor \(tensor) has the shape \(found), but the configuration implies \(expected)."
        case .unsupportedElementType(let tensor, let found):
            "The tensor \(tensor) has elements of type \(found), which is neither BF16, F16 nor F32."
        case .truncatedFile(let file, let bytes, let needed):
            "The weight file \(file) has \(bytes) bytes, but its header needs \(needed)."
        case .malformedHeader(let file, let reason): "The header of the weight file \(file) is broken: \(reason)."
        case .overlappingTensors(let file, let first, let second):
            "The tensors \(first) and \(second) of the weight file \(file) overlap."
        case .unclaimedBytes(let file, let offset):
            "The weight file \(file) has bytes at data offset \(offset) that belong to no tensor."
        case .shapeOverflow(let file, let tensor):
            "The shape of the tensor \(tensor) in \(file) is larger than any memory."
        case .inconsistentIndex(let tensor, let shard):
            "The index places the tensor \(tensor) in \(shard), which does not hold it."
        case .unsupportedTokenizer(let what): "The tokenizer uses \(what), which is not implemented."
        case .vocabularyTooLarge(let tokenizer, let model):
            "The tokenizer has \(tokenizer) ids, but the model's embedding has \(model) rows."
        case .promptEmpty: "The prompt has no tokens."
        case .promptTooLong(let tokens, let limit):
            "The request needs \(tokens) positions, but the limit is \(limit)."
        case .tokenOutOfVocabulary(let index, let vocabulary):
            "The token at index \(index) is not below the vocabulary size of \(vocabulary)."
        case .invalidSampling(let parameter, let reason): "The sampling parameter \(parameter) \(reason)."
        case .outputNotFinite(let request):
            "The model's output for the request \(request) is infinite or not a number."
        case .invalidOption(let name, let reason): "The engine's option \(name) is out of bounds: \(reason)."
        case .kvMemoryTooSmall(let needed, let available):
            "The KV needs \(needed.value) bytes, but the engine has \(available.value)."
        case .store(let error): error.description
        }
    }

    /// What the caller can do about it, in one sentence.
    public var remedy: String {
        switch self {
        case .missingFile:
            "Give the folder of a complete Hugging Face checkpoint: config.json, safetensors, and tokenizer.json for text."
        case .missingFolder(let path) where Self.mayBeHubName(path):
            "Download the model if this is its name on the Hugging Face Hub: hf download \(path) --local-dir FOLDER."
        case .missingFolder, .notAFolder: "Give the folder of a Hugging Face checkpoint; GGUF files are not read."
        case .otherWeights(_, let file): Self.remedy(insteadOf: file)
        case .gitLFSPointer: "Run `git lfs pull` in the folder, or download the file itself."
        case .system: "Check that the file can be read by this user and that the disk is sound, then retry."
        case .notJSON:
            "Correct the file (JSON has no comments and no NaN), or take it from the original checkpoint."
        case .fileTooLarge, .malformedHeader, .overlappingTensors, .unclaimedBytes, .shapeOverflow:
            "Download the file again, or write it again with the safetensors library."
        case .truncatedFile: "Download the file again: the copy is incomplete."
        case .invalidField: "Correct the field, or take the file from the original checkpoint."
        case .shardOutsideFolder: "Put every weight file beside the index and name it without a folder."
        case .unknownArchitecture: "Use a Llama, Mistral, Qwen2 or Qwen3 checkpoint."
        case .unsupportedFeature: "Use a checkpoint without it, or one that was converted to plain weights."
        case .missingTensor, .unusedTensors, .wrongShape, .inconsistentIndex:
            "Take config.json and all weight files from the same checkpoint."
        case .unsupportedElementType: "Convert the checkpoint to bf16, fp16 or fp32 weights."
        case .unsupportedTokenizer: "Tokenize elsewhere and give token ids instead of text."
        case .vocabularyTooLarge: "Take tokenizer.json and the weights from the same checkpoint."
        case .promptEmpty: "Give at least one token."
        case .promptTooLong: "Shorten the prompt or ask for fewer new tokens."
        case .tokenOutOfVocabulary: "Use the tokenizer that belongs to the checkpoint."
        case .invalidSampling: "Correct the parameter; temperature 0 means greedy."
        case .outputNotFinite:
            "Look for NaN in the weights; if there is none, use KV in fp32, because fp16 ends at 65,504."
        case .invalidOption: "Choose a value within the bounds."
        case .store(let error): error.remedy
        case .kvMemoryTooSmall: "Raise `kvMemory`, or ask for fewer new tokens."
        }
    }

    /// Whether a path is spelled as the Hub spells its models: OWNER/NAME.
    private static func mayBeHubName(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty && $0.first != "." && $0.first != "~" }
    }

    /// How to convert weights in another form to a form that the engine reads.
    private static func remedy(insteadOf file: String) -> String {
        switch file {
        case _ where file.hasPrefix("adapter_"): "Merge the adapter into its base model and give the merged checkpoint."
        case _ where file.hasSuffix(".gguf"):
            "Give the Hugging Face checkpoint that it was made from; GGUF is not read."
        case _ where file.contains("-of-") && file.hasSuffix(".safetensors"):
            "Download model.safetensors.index.json too: it says which file holds which tensor."
        case _ where file.hasPrefix("model.") && file.hasSuffix(".safetensors"): "Rename the file to model.safetensors."
        default: "Load it with transformers and save it with `save_pretrained`, or download the safetensors files."
        }
    }

    /// The system's words for an error number.
    private static func text(of number: Int32) -> String {
        guard let text = unsafe strerror(number) else { return "unknown error" }
        return unsafe String(cString: text)
    }
}
