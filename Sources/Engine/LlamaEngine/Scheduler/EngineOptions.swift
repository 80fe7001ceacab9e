// The sizes an engine works with.

public import KVFormat

/// How an engine is set up. Only `kvElement` and `pageSize` change results, because they are part of the arithmetic.
public struct EngineOptions: Sendable {
    /// Element type of the KV; nil for the checkpoint's own.
    public var kvElement: KVElement?
    /// Tokens per page: a multiple of 16, from 16 to 256.
    public var pageSize: Int
    /// Number of threads that compute, including the caller's.
    public var threads: Int
    /// How many sequences are computed at the same time.
    public var maxParallel: Int
    /// Tokens per forward pass; at least `maxParallel`. Longer prompts take several passes.
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

    /// Refuses options that the engine cannot use, and an unknown `PFX_CPU`.
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
