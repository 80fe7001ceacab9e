import KVFormat
import Testing

@testable import LlamaEngine

@Suite("An engine error")
struct EngineErrorTests {
    static let all: [EngineError] = [
        .missingFile(path: "THING"), .system(call: "open", path: "THING", errno: 13),
        .fileTooLarge(path: "THING", bytes: 2, limit: 1), .notJSON(file: "THING", reason: "it ends"),
        .missingFolder(path: "THING"), .missingFolder(path: "OWNER/THING"), .notAFolder(path: "THING"),
        .gitLFSPointer(path: "THING"), .otherWeights(folder: "f", file: "THING"),
        .unusedTensors(count: 1, example: "THING"), .outputNotFinite(request: "THING"),
        .invalidField(file: "config.json", field: "THING", reason: "is missing"), .shardOutsideFolder(shard: "THING"),
        .unknownArchitecture("THING"), .unsupportedFeature("THING"), .missingTensor("THING"),
        .wrongShape(tensor: "THING", found: [1], expected: [2]), .unsupportedElementType(tensor: "THING", found: "I8"),
        .truncatedFile(file: "THING", bytes: 1, needed: 2), .malformedHeader(file: "THING", reason: "it is cut"),
        .overlappingTensors(file: "w", first: "THING", second: "b"), .unclaimedBytes(file: "THING", offset: 8),
        .shapeOverflow(file: "w", tensor: "THING"), .inconsistentIndex(tensor: "THING", shard: "w"),
        .unsupportedTokenizer("THING"), .vocabularyTooLarge(tokenizer: 4711, model: 1), .promptEmpty,
        .promptTooLong(tokens: 4711, limit: 1), .tokenOutOfVocabulary(index: 4711, vocabulary: 1),
        .invalidSampling(parameter: "THING", reason: "is negative"), .invalidOption(name: "THING", reason: "it is odd"),
        .kvMemoryTooSmall(needed: ByteCount(4711), available: ByteCount(1)), .store(.invalidLayout("THING")),
    ]

    @Test("names the thing in one sentence and the remedy in another", arguments: all)
    func sentences(error: EngineError) {
        for sentence in [error.description, error.remedy] {
            #expect(sentence.hasSuffix("."))
            #expect(sentence.first?.isUppercase == true)
        }
        #expect(error == .promptEmpty || error.description.contains("THING") || error.description.contains("4711"))
        #expect("\(error)" == error.description)
    }
}
