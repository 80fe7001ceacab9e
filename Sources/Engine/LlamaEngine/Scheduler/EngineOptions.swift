// The sizes an engine works with.

public import KVFormat

/// How an engine is set up. No option changes a result, except `kvElement` and `pageSize`: they are part of the
/// arithmetic.
public struct EngineOptions: Sendable {
    /// Element type of the KV; nil for the checkpoint's own.
    public var kvElement: KVElement?
    /// Tokens of a page; a multiple of 16, 16 to 256.
    public var pageSize: Int
    /// Threads that compute, the caller's included.
    public var threads: Int
    /// Sequences that are computed side by side.
    public var maxParallel: Int
    /// Tokens of a forward pass; at least `maxParallel`. Longer prompts are computed in several.
    public var maxBatchTokens: Int
    /// Memory of the engine's own KV pages. The requests that run at one time must fit.
    public var kvMemory: ByteCount

    /// Options with defaults for a small machine.
    public init(
        kvElement: KVElement? = nil, pageSize: Int = 64, threads: Int = 2, maxParallel: Int = 8,
        maxBatchTokens: Int = 512, kvMemory: ByteCount = .mebibytes(512)
    ) {
        self.kvElement = kvElement
        self.pageSize = pageSize
        self.threads = threads
        self.maxParallel = maxParallel
        self.maxBatchTokens = maxBatchTokens
        self.kvMemory = kvMemory
    }

    /// Refuses what the engine cannot work with, an unknown `PFX_CPU` included.
    func check() throws(EngineError) {
        do throws(StoreError) { try CPULevel.check() } catch { throw .store(error) }
        guard pageSize % 16 == 0, (16...256).contains(pageSize) else {
            throw .invalidOption(name: "pageSize", reason: "\(pageSize) is not a multiple of 16 from 16 to 256")
        }
        guard (1...64).contains(threads) else {
            throw .invalidOption(name: "threads", reason: "\(threads) is outside 1 to 64")
        }
        guard (1...1024).contains(maxParallel) else {
            throw .invalidOption(name: "maxParallel", reason: "\(maxParallel) is outside 1 to 1024")
        }
        guard (maxParallel...16384).contains(maxBatchTokens) else {
            throw .invalidOption(
                name: "maxBatchTokens", reason: "\(maxBatchTokens) is outside maxParallel (\(maxParallel)) to 16384")
        }
    }
}

extension Checkpoint {
    /// The element type that KV has unless an option says otherwise: that of the weights.
    var kvElement: KVElement {
        let shape = [config.vocabularySize, config.hiddenSize]
        guard let embedding = try? tensor("model.embed_tokens.weight", shape: shape) else { return .fp32 }
        return switch embedding.dtype {
        case .bf16: .bf16
        case .fp16: .fp16
        case .fp32: .fp32
        }
    }
}
