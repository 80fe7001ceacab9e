// The reference engine: many prompts at once over one model, with pages shared and stored.

public import KVFormat
public import PrefixStore

/// Runs requests through a model: continuous batching, prompts in chunks, KV reused from a store and between requests.
///
/// Results do not depend on what runs side by side, nor on what was reused: the same request gives the same tokens. One
/// thread drives an engine; a call from another thread at the same time is a mistake. Callbacks run on that thread and
/// may call `cancel` and `submit`.
public final class Engine {
    /// The model's shape.
    public let config: ModelConfig
    /// Shape of the KV pages.
    public let layout: KVLayout
    /// The options in force.
    public let options: EngineOptions

    let transformer: Transformer
    let pool: PagePool
    let cache: (any PrefixCache)?
    let clock = ContinuousClock()

    var waiting: [WaitingRequest] = []
    var running: [RunningRequest] = []
    var finished: [GenerationResult] = []
    /// Why requests had to end that have no result.
    var failures: [EngineError] = []

    /// An engine for the model in `checkpoint`.
    ///
    /// - Parameters:
    ///   - checkpoint: the model.
    ///   - options: the sizes to work with.
    ///   - store: where KV is kept beyond a request; nil shares pages between running requests only.
    ///   - salt: the tenant whose pages are seen and made; nil for those of no tenant.
    /// - Throws: `EngineError` for a checkpoint, or an option, that the engine cannot work with, and for a store that
    ///   refuses the model's space.
    /// - Complexity: reads and packs all weights; with a store, digests them too unless their digest is remembered.
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

    /// The latest failure of the store, which the engine computed its way around; nil while there was none.
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

    /// Tensors of the checkpoint that are no part of the model and that nothing is computed with, sorted: those of a
    /// vision tower or a value head, say. A checkpoint with unused tensors of the model itself is refused.
    public var unusedTensors: [String] { transformer.weights.unusedTensors }

    /// Which build of the kernels computes: `avx512`, `avx2` or `portable`.
    public var kernelBuild: String { transformer.kernels.name }

    /// Whether no request waits or runs.
    public var isIdle: Bool { waiting.isEmpty && running.isEmpty && finished.isEmpty && failures.isEmpty }

    /// Requests that are computed at the moment; others may wait for a place.
    public var runningCount: Int { running.count }

    /// Queues a request.
    ///
    /// - Throws: `EngineError` when it can never run: an empty or too long prompt, a token outside the vocabulary,
    ///   more KV than `kvMemory`. Other requests are not touched by that.
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
    ///   - requests: what to run; each has a name of its own.
    ///   - onToken: called with the request's name and each token of a reply, as it is chosen.
    ///   - onFinish: called once per request, with its result or the reason why it was refused or could not go on.
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
    /// - Throws: `EngineError` when the prompt cannot run, `.outputNotFinite` when what it gives is not finite.
    ///   Requests that were submitted before go on meanwhile and end unseen; call it on an idle engine.
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

    /// Pages that the request fills at most; the last token that it may generate needs no KV.
    func pageLimit(_ request: GenerationRequest) -> Int {
        let count = request.tokens.count
        let room = config.maxPositions - count
        let tokens = count + max(0, min(request.maxNewTokens, room) - 1)
        return (tokens + layout.pageSize - 1) / layout.pageSize
    }
}
