// How a store is opened.

/// When an inserted page is written to the cold tier.
public enum WritePolicy: Hashable, Sendable {
    /// On insert, in the background. A crash loses at most what the spill queue holds.
    case writeThrough
    /// When the hot tier evicts it, on `flush()` and on `close()`. Least disk traffic; a crash loses what is only in
    /// RAM.
    case writeBack
    /// When it has been hit this many times, by all processes and since long before this one: by a match that finds it
    /// in RAM, or an insert of it after RAM has lost it. A page with fewer hits never reaches the disk, not even on
    /// `close()`. The folder counts the pages that were used last, 262,136 of them.
    case afterHits(Int)
}

/// How a store is opened. The defaults suit an engine on a machine of its own.
public struct StoreOptions: Hashable, Sendable {
    /// The most bytes on disk that all processes together may use. The quota belongs to the folder: nil keeps the one
    /// that is stored there. A new store gets 20 GiB, or half of the disk's free space if that is less. A quota given
    /// here is stored and applies to every process; `Store.quotaNotice` says what it evicts. The file itself, with what
    /// writers reserve ahead, stays within 1.10 times a quota of 1 GiB or more, and within 1.35 times one of 32 MiB or
    /// more.
    ///
    /// ```swift
    /// StoreOptions(quota: .gibibytes(50))
    /// ```
    public var quota: ByteCount?
    /// The size of this process's hot tier in RAM: enough for the prefixes that are in use at the same time. Zero: no
    /// page is kept in RAM.
    ///
    /// ```swift
    /// StoreOptions(hotCapacity: .gibibytes(8))
    /// ```
    public var hotCapacity: ByteCount
    /// When pages are written to the cold tier.
    ///
    /// ```swift
    /// StoreOptions(writePolicy: .afterHits(2))
    /// ```
    public var writePolicy: WritePolicy
    /// How pages are encoded. `.auto` suits it to this machine's CPU and disk, frame by frame.
    ///
    /// ```swift
    /// StoreOptions(codec: .auto)
    /// ```
    public var codec: StoreCodec
    /// Limit on the bytes of the pages that wait to be written: as they are in RAM, most of them encoded. An empty
    /// queue always accepts one page, however large. A larger queue bridges longer bursts of inserts, as long as it is
    /// smaller than the hot tier: pages that wait are not evicted, and where nothing can be evicted, new pages are not
    /// kept.
    ///
    /// ```swift
    /// StoreOptions(queueCapacity: .gibibytes(1))
    /// ```
    public var queueCapacity: ByteCount
    /// What happens when the queue is full.
    ///
    /// ```swift
    /// StoreOptions(whenQueueFull: .drop)
    /// ```
    public var whenQueueFull: WhenQueueFull
    /// Whether a page loaded from the cold tier is kept in the hot tier, as the record that it is on disk. That is done
    /// after the load, by a thread of the store. With nil, the default, pages are kept if their load had to wait for
    /// the disk: those that the system has in its page cache load as fast from there.
    ///
    /// ```swift
    /// StoreOptions(promotes: false)
    /// ```
    public var promotes: Bool?
    /// Limit on the encoded bytes that this process writes to the disk per second, so that others get their share of
    /// it; nil for no limit. Pages wait meanwhile, `queueCapacity` of them, and then `whenQueueFull` says what happens;
    /// `flush()` and `close()` write at full speed.
    ///
    /// ```swift
    /// StoreOptions(spillRate: .mebibytes(200))
    /// ```
    public var spillRate: ByteCount?
    /// The owner's key, such as `SealingKey(file:)`: every space that is made with it is sealed, and sealed spaces are
    /// found with it. Spaces that are not sealed are others, and are not found with it. Nil: nothing is sealed, and no
    /// sealed space is opened.
    ///
    /// ```swift
    /// StoreOptions(sealingKey: key)
    /// ```
    public var sealingKey: SealingKey?
    /// A server that other hosts use too; nil for none. Without it, nothing of this goes on.
    public var remote: RemoteOptions?

    /// Options with the given values.
    public init(
        quota: ByteCount? = nil, hotCapacity: ByteCount = .mebibytes(512),
        writePolicy: WritePolicy = .writeThrough,
        codec: StoreCodec = .auto, queueCapacity: ByteCount = .mebibytes(384), whenQueueFull: WhenQueueFull = .wait,
        promotes: Bool? = nil, spillRate: ByteCount? = nil, sealingKey: SealingKey? = nil,
        remote: RemoteOptions? = nil
    ) {
        self.quota = quota
        self.hotCapacity = hotCapacity
        self.writePolicy = writePolicy
        self.codec = codec
        self.queueCapacity = queueCapacity
        self.whenQueueFull = whenQueueFull
        self.promotes = promotes
        self.spillRate = spillRate
        self.sealingKey = sealingKey
        // Assigning nil to nil would make the type at run time: a tenth of the time in which a store is opened.
        if let remote { self.remote = remote }
    }

    /// Refuses options that cannot work, before anything is opened.
    func validate() throws(StoreError) {
        guard Limits.hotCapacity.contains(hotCapacity) else {
            throw .outside(Limits.hotCapacity, "hot capacity", hotCapacity)
        }
        if spillRate == .zero {
            throw .invalidOption("a spill rate of 0 stores nothing; give none for no limit")
        }
        if case .afterHits(let hits) = writePolicy, hits < 1 {
            throw .invalidOption("a page cannot be written after \(hits) hits")
        }
    }
}
