// What the commands that compute have in common: the model, the engine's sizes, the store.

internal import ArgumentParser
internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// The model and the sizes that the engine uses.
struct EngineArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder of a Hugging Face checkpoint: config.json, safetensors, tokenizer.json.", valueName: "folder"))
    var model: String

    @Option(help: ArgumentHelp("Threads that compute.", valueName: "count"))
    var threads: Int = min(64, ProcessInfo.processInfo.activeProcessorCount)

    @Option(
        help: ArgumentHelp(
            "Tokens per page: a multiple of 16, up to 256. Pages of different sizes are not shared.",
            valueName: "tokens"))
    var pageSize: Int = 64

    @Option(help: ArgumentHelp("Element type of the KV. (default: that of the weights)", valueName: "type"))
    var kvDtype: KVTypeArgument?

    @Option(
        help: ArgumentHelp("RAM for the KV of the requests that run at the same time.", valueName: "size"),
        transform: SizeArgument.parse)
    var kvMemory: ByteCount = .mebibytes(512)

    @Flag(help: "Do not put the tokenizer's special tokens, such as a BOS token, around prompts.")
    var noSpecialTokens = false

    /// The engine's options for `parallel` requests that run at the same time.
    func options(parallel: Int) -> EngineOptions {
        EngineOptions(
            kvElement: kvDtype?.element, pageSize: pageSize, threads: threads, maxParallel: parallel,
            maxBatchTokens: max(512, parallel), kvMemory: kvMemory)
    }
}

/// The store that a run uses, and the tenant it runs for.
struct CacheArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Store folder; made if it does not exist.", valueName: "folder"))
    var store: String?

    @Option(
        help: ArgumentHelp("RAM for recently used pages.", valueName: "size"), transform: SizeArgument.parse)
    var hotBytes: ByteCount = StoreOptions().hotCapacity

    @Option(
        help: ArgumentHelp(
            "Most disk space that the store may use, for all processes. Stays as it is if not given; a new store gets "
                + "20 GiB, or half of the free disk space when that is less.",
            valueName: "size"),
        transform: SizeArgument.parse)
    var quota: ByteCount?

    @Option(
        help: ArgumentHelp(
            "When pages go to disk: through (at once), back (when RAM is full, at the end), hits:N (after N uses).",
            valueName: "policy"))
    var writePolicy = WritePolicyArgument(policy: .writeThrough)

    @Option(
        help: ArgumentHelp(
            "File with a secret of 16 bytes or more. Pages are shared only between runs with the same secret.",
            valueName: "file"))
    var saltFile: String?

    @Option(
        help: ArgumentHelp(
            "Redis, Valkey or S3 server that other hosts use too, such as redis://host:6379. docs/fleet.md has all forms.",
            valueName: "url"))
    var remote: String?

    @OptionGroup var sealing: KeyArguments

    /// Opens the store; nil when none is named.
    func open() throws -> Store? {
        guard let store else { return nil }
        // The engine inserts a prompt's pages anyway after its first token. If the load kept them in RAM too, that
        // token would wait for a copy.
        let opened = try Store(
            at: store,
            options: StoreOptions(
                quota: quota, hotCapacity: hotBytes, writePolicy: writePolicy.policy, promotes: false,
                sealingKey: sealing.key(), remote: remote.map { try RemoteOptions(named: $0) }))
        if let notice = opened.setAsideNotice { Output.say("pfx: \(notice)") }
        if let notice = opened.quotaNotice { Output.say("pfx: \(notice)") }
        return opened
    }

    /// The tenant's salt. A line end at the end of the file is ignored.
    func salt() throws -> Salt? {
        guard let saltFile else { return nil }
        var secret: [UInt8]
        if FileStatus(path: saltFile)?.isFolder == true { throw CommandFailure.folder(saltFile) }
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

/// --no-store, for commands that can work without a store.
struct NoStoreArgument: ParsableArguments {
    @Flag(help: "Use no store, even if --store is given.")
    var noStore = false
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
