// The reference engine: many prompts at once over one model, with pages shared and stored.

public import KVFormat
public import PrefixStore

/// Runs requests through a model: continuous batching, prompts in chunks, KV reused from a store and between requests.
///
/// Results do not depend on other requests or on what was reused: the same request gives the same tokens. One thread
/// drives an engine; do not call it from another thread at the same time. Callbacks run on that thread and may call
/// `cancel` and `submit`.
public final class Engine {
    /// The model's shape.
    public let config: ModelConfig
    /// Shape of the KV pages.
    public let layout: KVLayout
    /// The options of the engine.
    public let options: EngineOptions

    let transformer: Transformer
    let pool: PagePool
    let cache: (any PrefixCache)?
    let clock = ContinuousClock()

    var waiting: [WaitingRequest] = []
    var running: [RunningRequest] = []
    var finished: [GenerationResult] = []
    /// The errors of requests that ended without a result.
    var failures: [EngineError] = []

    /// An engine for the model in `checkpoint`.
    ///
    /// - Parameters:
    ///   - checkpoint: the model.
    ///   - options: the sizes that the engine uses.
    ///   - store: the store that keeps KV after a request has ended; with nil, only running requests share pages.
    ///   - salt: the tenant whose pages the engine uses and stores; nil for pages without a tenant.
    /// - Throws: `EngineError` when the engine cannot use the checkpoint or an option, and when the store refuses the
    ///   model's space.
    /// - Complexity: reads and packs all weights; with a store, also hashes them unless their digest is cached.
    public convenience init(
        checkpoint: Checkpoint, options: EngineOptions = EngineOptions(), store: Store? = nil, salt: Salt? = nil
    ) throws(EngineError) {
        var cache: StorePrefixCache?
        if let store {
            let identity = try Engine.identity(of: checkpoint, options: options, salt: salt)
            do throws(StoreError) {
                cache = StorePrefixCache(try store.space(identity))
            } catch {
                throw .store(error)
            }
        }
        try self.init(checkpoint: checkpoint, options: options, cache: cache)
    }

    /// The space of the store that the engine reuses and fills; nil without a store.
    public var space: Space? { (cache as? StorePrefixCache)?.space }

    /// The latest failure of the store; nil if there was none. The engine computed what it could not load.
    public var storeFailure: StoreError? { (cache as? StorePrefixCache)?.failure }

    init(checkpoint: Checkpoint, options: EngineOptions, cache: (any PrefixCache)?) throws(EngineError) {
        let layout = try Self.layout(checkpoint, options)
        config = checkpoint.config
        self.layout = layout
        self.options = options
        self.cache = cache
        pool = PagePool(layout: layout, byteCount: Int(clamping: options.kvMemory.value))
        guard pool.capacity > 0 else {
            throw .kvMemoryTooSmall(needed: ByteCount(UInt64(layout.bytesPerPage)), available: options.kvMemory)
        }
        transformer = try Transformer(
            checkpoint: checkpoint, layout: layout, maxRows: options.maxBatchTokens,
            pool: WorkerPool(threads: options.threads))
    }

    /// Tensors of the checkpoint that are not part of the model and that nothing uses, sorted; for example those of a
    /// vision tower or a value head. A checkpoint with unused tensors of the model itself is refused.
    public var unusedTensors: [String] { transformer.weights.unusedTensors }

    /// The build of the kernels that this engine uses: `avx512`, `avx2` or `portable`.
    public var kernelBuild: String { transformer.kernels.name }

    /// Whether no request waits or runs.
    public var isIdle: Bool { waiting.isEmpty && running.isEmpty && finished.isEmpty && failures.isEmpty }

    /// Number of requests that are being computed. Others may wait for a place.
    public var runningCount: Int { running.count }

    /// Queues a request.
    ///
    /// - Throws: `EngineError` when it can never run: an empty or too long prompt, a token outside the vocabulary, more
    ///   KV than `kvMemory`. Other requests are not affected.
    public func submit(_ request: GenerationRequest) throws(EngineError) {
        try check(request)
        waiting.append(WaitingRequest(request, submitted: clock.now))
    }

    /// Ends a request; its result says `cancelled` and holds the tokens so far. An unknown `id` is ignored.
    public func cancel(_ id: String) {
        if let index = waiting.firstIndex(where: { $0.request.id == id }) {
            let entry = waiting.remove(at: index)
            let sequence = RunningRequest(
                entry, prefix: ReusedPrefix(), pageLimit: 0, started: clock.now)
            finished.append(sequence.result(.cancelled))
        } else if let sequence = running.first(where: { $0.request.id == id }) {
            end(sequence, .cancelled)
        }
    }

    /// Submits `requests` and works until the engine is idle.
    ///
    /// - Parameters:
    ///   - requests: the requests to run; each needs its own name.
    ///   - onToken: called with the request's name and each token of a reply, as it is chosen.
    ///   - onFinish: called once per request, with its result or the reason why it was refused or could not continue.
    public func run(
        _ requests: [GenerationRequest], onToken: (String, UInt32) -> Void = { _, _ in },
        onFinish: (String, Result<GenerationResult, EngineError>) -> Void
    ) {
        for request in requests {
            do throws(EngineError) {
                try submit(request)
            } catch {
                onFinish(request.id, .failure(error))
            }
        }
        while !isIdle {
            do throws(EngineError) {
                try step(onToken: onToken) { onFinish($0.id, .success($0)) }
            } catch {
                if case .outputNotFinite(let id) = error { onFinish(id, .failure(error)) }
            }
        }
    }

    /// Computes a prompt and stores its KV; generates nothing.
    ///
    /// - Throws: `EngineError` when the prompt cannot run, and `.outputNotFinite` when its output is not finite. Call
    ///   it on an idle engine: requests that were submitted before continue meanwhile, and their results are lost.
    public func prefill(_ tokens: [UInt32]) throws(EngineError) -> GenerationResult {
        precondition(isIdle, "prefill needs an idle engine")
        try submit(GenerationRequest(id: "", tokens: tokens, maxNewTokens: 0))
        var result: GenerationResult?
        while !isIdle { try step(onToken: { _, _ in }, onFinish: { result = $0 }) }
        guard let result else { preconditionFailure("a request ends with a result") }
        return result
    }

    /// The layout of the KV of `checkpoint` under `options`.
    static func layout(_ checkpoint: Checkpoint, _ options: EngineOptions) throws(EngineError) -> KVLayout {
        try options.check()
        let config = checkpoint.config
        do throws(StoreError) {
            return try KVLayout(
                layers: config.layerCount, kvHeads: config.kvHeadCount, headDimension: config.headDimension,
                element: options.kvElement ?? checkpoint.kvElement, pageSize: options.pageSize)
        } catch {
            throw .store(error)
        }
    }

    private func check(_ request: GenerationRequest) throws(EngineError) {
        let count = request.tokens.count
        guard count > 0 else { throw .promptEmpty }
        guard count < config.maxPositions else { throw .promptTooLong(tokens: count + 1, limit: config.maxPositions) }
        if let index = request.tokens.firstIndex(where: { $0 >= config.vocabularySize }) {
            throw .tokenOutOfVocabulary(index: index, vocabulary: config.vocabularySize)
        }
        let needed = pageLimit(request)
        guard needed <= pool.capacity else {
            throw .kvMemoryTooSmall(
                needed: ByteCount(UInt64(needed * layout.bytesPerPage)), available: options.kvMemory)
        }
    }

    /// The most pages that the request fills. The last token that it may generate needs no KV.
    func pageLimit(_ request: GenerationRequest) -> Int {
        let count = request.tokens.count
        let room = config.maxPositions - count
        let tokens = count + max(0, min(request.maxNewTokens, room) - 1)
        return (tokens + layout.pageSize - 1) / layout.pageSize
    }
}
