// pfx_open, pfx_set_aside_notice, pfx_flush, pfx_close, pfx_close_within, pfx_statistics, pfx_file_digest.

public import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_open(
    _ folder: UnsafePointer<CChar>!, _ options: UnsafePointer<pfx_options>!,
    _ store: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    answer {
        let result = try unsafe place(store, "store")
        let path = try unsafe text(folder, "folder")
        guard !path.isEmpty else { throw Refusal.argument("folder is empty") }
        let options = try unsafe options == nil ? pfx_options() : sized(options, "pfx_options")
        let opened = try unsafe Store(at: path, options: StoreOptions(options))
        do {
            try unsafe result.give(opened)
        } catch {
            try opened.close()
            throw error
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_set_aside_notice(
    _ store: OpaquePointer!, _ text: UnsafeMutablePointer<CChar>!, _ capacity: Int
) -> Int64 {
    answer { try unsafe write(store.object(Store.self).setAsideNotice?.description ?? "", text, capacity) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_flush(_ store: OpaquePointer!, _ timeout_ms: UInt64) -> Int32 {
    answer {
        let store = try unsafe store.object(Store.self)
        guard timeout_ms > 0 else { return try store.flush() }
        guard try store.flush(within: .milliseconds(Int64(clamping: timeout_ms))) else {
            throw Refusal(
                code: PFX_TIMED_OUT,
                text: "Not everything was on disk after \(timeout_ms) ms. It goes on being written; flush again.")
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_close(_ store: OpaquePointer!) -> Int32 { unsafe pfx_close_within(store, 0) }

/// See prefixstore.h.
@c @implementation
public func pfx_close_within(_ store: OpaquePointer!, _ timeout_ms: UInt64) -> Int32 {
    answer {
        guard let (store, others) = try unsafe store.giveBackStore() else { return }
        func closeQueues() {
            for other in others {
                (other as? BlockQueue)?.close()
                (other as? OpenMatch)?.loads.close()
            }
        }
        guard timeout_ms > 0 else {
            closeQueues()
            return try store.close()
        }
        // A job of a queue may wait for the disk. The store's end refuses it.
        defer { closeQueues() }
        guard try store.close(within: .milliseconds(Int64(clamping: timeout_ms))) else {
            throw Refusal(
                code: PFX_TIMED_OUT,
                text: "Not everything was on disk after \(timeout_ms) ms. The store is closed; what was flushed stays.")
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_statistics(_ store: OpaquePointer!, _ text: UnsafeMutablePointer<CChar>!, _ capacity: Int) -> Int64 {
    answer { try unsafe write(JSONText(store.object(Store.self).statistics).text, text, capacity) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_file_digest(
    _ store: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ digest: UnsafeMutablePointer<UInt8>!
) -> Int32 {
    answer {
        let path = try unsafe text(path, "path")
        guard let result = unsafe digest else { throw Refusal.argument("digest is NULL") }
        let found: Digest
        if unsafe store == nil {
            found = try Store.digest(ofFile: path)
        } else {
            found = try unsafe store.object(Store.self).digest(ofFile: path)
        }
        for (index, byte) in found.bytes.enumerated() { unsafe result[index] = byte }
    }
}

extension StoreOptions {
    /// What a C program asks for. Zero is the default: a store beside an engine that has a cache of its own in RAM.
    fileprivate init(_ options: pfx_options) throws {
        guard unsafe options.flags & ~UInt32(PFX_KEEP_LOADED | PFX_DROP_WHEN_FULL) == 0 else {
            throw StoreError.invalidOption("the flags are \(unsafe options.flags)")
        }
        // Switches, not dictionaries: making the type of one takes a tenth of the time in which a store is opened.
        let codec: StoreCodec =
            switch Int(unsafe options.codec) {
            case PFX_CODEC_AUTO: .auto
            case PFX_CODEC_ZSTD: .zstd
            case PFX_CODEC_KBIT: .kbit
            case PFX_CODEC_RAW: .raw
            default: throw StoreError.invalidOption("there is no codec \(unsafe options.codec)")
            }
        let policy: WritePolicy =
            switch Int(unsafe options.write_policy) {
            case PFX_WRITE_THROUGH: .writeThrough
            case PFX_WRITE_BACK: .writeBack
            case PFX_WRITE_AFTER_HITS: .afterHits(Int(unsafe options.write_after_hits))
            default: throw StoreError.invalidOption("there is no write policy \(unsafe options.write_policy)")
            }
        try unsafe self.init(
            quota: options.quota == 0 ? nil : ByteCount(options.quota), hotCapacity: ByteCount(options.hot_capacity),
            writePolicy: policy, codec: codec,
            queueCapacity: options.queue_capacity == 0 ? .mebibytes(384) : ByteCount(options.queue_capacity),
            whenQueueFull: options.flags & UInt32(PFX_DROP_WHEN_FULL) == 0 ? .wait : .drop,
            promotes: options.flags & UInt32(PFX_KEEP_LOADED) != 0,
            spillRate: options.spill_rate == 0 ? nil : ByteCount(options.spill_rate),
            sealingKey: givenKey(options), remote: givenRemote(options))
    }
}

/// The key of a file, or of the caller's memory; nil for neither.
private func givenKey(_ options: pfx_options) throws -> SealingKey? {
    guard unsafe options.key != nil || options.key_bytes == 0 else { throw Refusal.argument("key is NULL") }
    if unsafe options.key_file != nil {
        guard unsafe options.key == nil else { throw Refusal.argument("key and key_file are both given") }
        return try unsafe SealingKey(file: text(options.key_file, "key_file"))
    }
    guard let key = unsafe options.key else { return nil }
    guard unsafe options.key_bytes == SealingKey.byteCount else {
        throw StoreError.invalidKey("it has \(unsafe options.key_bytes) bytes, not \(SealingKey.byteCount)")
    }
    return try SealingKey(bytes: unsafe Array(UnsafeRawBufferPointer(start: key, count: SealingKey.byteCount)))
}

/// The remote; nil for none.
private func givenRemote(_ options: pfx_options) throws -> RemoteOptions? {
    guard unsafe options.remote != nil else { return nil }
    let puts: RemotePuts =
        switch Int(unsafe options.remote_puts) {
        case PFX_REMOTE_ALL: .all
        case PFX_REMOTE_AFTER_HITS: .afterHits(Int(unsafe options.remote_put_after_hits))
        case PFX_REMOTE_PINNED: .pinned
        case PFX_REMOTE_READ_ONLY: .none
        default: throw StoreError.invalidOption("there is no way of putting to a remote \(unsafe options.remote_puts)")
        }
    return try unsafe RemoteOptions(url: text(options.remote, "remote"), puts: puts)
}

extension JSONText {
    fileprivate init(_ statistics: StoreStatistics) {
        self.init()
        add("matches", statistics.matches)
        add("requested_tokens", statistics.requestedTokens)
        add("loaded_tokens", JSONText(statistics.loadedTokens))
        add("skipped_tokens", statistics.skippedTokens)
        add("loaded_bytes", statistics.loadedBytes.value)
        add("load_nanoseconds", statistics.loadTime.wholeNanoseconds)
        add("saved_nanoseconds", statistics.savedTime.wholeNanoseconds)
        add("inserted_pages", statistics.insertedPages)
        add("spilled_pages", statistics.spilledPages)
        add("spilled_raw_bytes", statistics.spilledRawBytes.value)
        add("spilled_encoded_bytes", statistics.spilledEncodedBytes.value)
        add("dropped_pages", statistics.droppedPages)
        add("hot_evictions", statistics.hotEvictions)
        add("hot_bytes", statistics.hotBytes.value)
        add("damaged_pages", statistics.damagedPages)
        if let remote = statistics.remote { add("remote", JSONText(remote)) }
    }

    private init(_ remote: RemoteStatistics) {
        self.init()
        add("questions", remote.questions)
        add("late_questions", remote.lateQuestions)
        add("fetched_pages", remote.fetchedPages)
        add("fetched_bytes", remote.fetchedBytes.value)
        add("kept_pages", remote.keptPages)
        add("damaged_pages", remote.damagedPages)
        add("put_pages", remote.putPages)
        add("put_bytes", remote.putBytes.value)
        add("waiting_pages", remote.waitingPages)
        add("dropped_pages", remote.droppedPages)
        add("refused_pages", remote.refusedPages)
        add("faults", remote.faults)
    }

    init(_ tokens: TokensByTier) {
        self.init()
        add("hot", tokens.hot)
        add("cold", tokens.cold)
        if tokens.remote > 0 { add("remote", tokens.remote) }
    }
}

extension Duration {
    /// Nanoseconds; as many as fit when it is longer than 292 years.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let whole = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let sum = whole.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        return whole.overflow || sum.overflow ? .max : sum.partialValue
    }
}
