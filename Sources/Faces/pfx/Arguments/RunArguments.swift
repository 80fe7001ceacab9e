// What the commands that compute have in common: the model, the engine's sizes, the store.

internal import ArgumentParser
internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// The model and the sizes that the engine works with.
struct EngineArguments: ParsableArguments {
    @Option(help: "The checkpoint's folder: config.json, safetensors, tokenizer.json.")
    var model: String

    @Option(help: "Threads that compute.")
    var threads: Int = min(64, ProcessInfo.processInfo.activeProcessorCount)

    @Option(help: "Tokens of a page: a multiple of 16, up to 256. Other page sizes are other spaces.")
    var pageSize: Int = 64

    @Option(help: "Element type of the KV; that of the weights if not given.")
    var kvDtype: KVTypeArgument?

    @Option(help: "Memory for the KV of the requests that run side by side.")
    var kvMemory: ByteCount = .mebibytes(512)

    /// The engine's options for `parallel` requests side by side.
    func options(parallel: Int) -> EngineOptions {
        EngineOptions(
            kvElement: kvDtype?.element, pageSize: pageSize, threads: threads, maxParallel: parallel,
            maxBatchTokens: max(512, parallel), kvMemory: Int(clamping: kvMemory.value))
    }
}

/// The store that a run uses, and the tenant it runs for.
struct CacheArguments: ParsableArguments {
    @Option(help: "The store's folder; it is made if it does not exist.")
    var store: String?

    @Option(help: "RAM for pages that were used lately.")
    var hotBytes: ByteCount = StoreOptions().hotCapacity

    @Option(help: "The most that the store may use on disk, whoever writes.")
    var quota: ByteCount = StoreOptions().quota

    @Option(
        help:
            "When pages are written: through (at once), back (when RAM is full, and at the end) or hits:N (after N uses)."
    )
    var writePolicy = WritePolicyArgument(policy: .writeThrough)

    @Option(
        help: "A file with a tenant's secret of 16 bytes or more: pages are shared only with runs that have it too.")
    var saltFile: String?

    /// Opens the store; nil when none is named.
    func open() throws(StoreError) -> Store? {
        guard let store else { return nil }
        // The engine inserts a prompt's pages anyway, once its first token is out: keeping them while they are loaded would make
        // that token wait for a copy.
        return try Store(
            at: store,
            options: StoreOptions(
                quota: quota, hotCapacity: hotBytes, writePolicy: writePolicy.policy, promotes: false))
    }

    /// The tenant's salt; a line end at the end of the file does not count.
    func salt() throws -> Salt? {
        guard let saltFile else { return nil }
        var secret: [UInt8]
        do {
            secret = [UInt8](try Data(contentsOf: URL(fileURLWithPath: saltFile)))
        } catch {
            throw CommandFailure(
                status: .missingInput, sentence: "The salt file \(saltFile) cannot be read.",
                remedy: "Name a file of 16 bytes or more that this user can read.")
        }
        while let last = secret.last, last == 0x0A || last == 0x0D { secret.removeLast() }
        return try Salt(secret)
    }
}

/// `through`, `back` or `hits:N`.
struct WritePolicyArgument: ExpressibleByArgument {
    var policy: WritePolicy

    init(policy: WritePolicy) { self.policy = policy }

    init?(argument: String) {
        switch argument {
        case "through": policy = .writeThrough
        case "back": policy = .writeBack
        default:
            guard argument.hasPrefix("hits:"), let hits = Int(argument.dropFirst(5)), hits > 0 else { return nil }
            policy = .afterHits(hits)
        }
    }

    var defaultValueDescription: String {
        switch policy {
        case .writeThrough: "through"
        case .writeBack: "back"
        case .afterHits(let hits): "hits:\(hits)"
        }
    }
}

/// The element types that the engine computes in.
enum KVTypeArgument: String, CaseIterable, ExpressibleByArgument {
    case bf16, fp16, fp32

    /// The store's name for it.
    var element: KVElement {
        switch self {
        case .bf16: .bf16
        case .fp16: .fp16
        case .fp32: .fp32
        }
    }
}
