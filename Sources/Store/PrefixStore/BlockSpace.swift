// Blocks: bytes under keys that an engine brings, for engines that have an index of their own.

internal import ColdTier
internal import Records
internal import Threads

/// A block to store.
public struct Block: Sendable {
    /// What the engine knows it by, such as its own hash of the token ids: `Limits.blockKey` bytes.
    public var key: [UInt8]
    /// The key of the block that it follows; nil for none. It is gone when that one is gone, and eviction takes it
    /// first.
    public var parent: [UInt8]?
    /// Its bytes: a whole number of the element's groups, at most `Limits.blockBytes`.
    public var source: BlockSource

    /// A block to store.
    public init(_ key: [UInt8], after parent: [UInt8]? = nil, _ source: BlockSource) {
        self.key = key
        self.parent = parent
        self.source = source
    }
}

/// What became of a block that was put.
public enum PutBlock: Hashable, Sendable {
    /// It waits to be written.
    case queued
    /// A block of its key is stored already, or came before it in the same call.
    case alreadyThere
    /// The queue was full, and `StoreOptions.whenQueueFull` says to leave it out.
    case dropped
    /// Its parent is neither stored, nor waits, nor came before it: it is not stored.
    case orphan
}

/// All blocks that engines of one identity share. Made by `Store.blockSpace(_:)`; thread-safe. It keeps its store open.
///
/// For engines that name their KV themselves, by keys, and keep their own hot tier: the store knows no token ids of a
/// block, so it compares none, and a key must stand for all that its bytes depend on. Identity, checksums, quota and
/// eviction are those of pages. Blocks lie on disk alone.
///
/// ```swift
/// let blocks = try store.blockSpace(identity)                // its layout is KVLayout.blocks(element: .bf16)
/// let count = try blocks.leadingCount(of: keys)
/// let isLoaded = try blocks.load(Array(keys[..<count]), into: targets)
/// try blocks.put([Block(key, after: parent, BlockSource(bytes))])
/// try store.flush()                                          // now they survive a power cut
/// ```
///
/// Every call throws `.invalidBlock` for a key outside `Limits.blockKey`, `.closed` after the store's `close()`, and
/// `.forked` in a child of the process that opened it.
public final class BlockSpace: Sendable {
    /// The space root, which every block's hash begins with.
    public let root: PrefixHash
    /// What the numbers of its blocks are stored as.
    public var element: KVElement { layout.element ?? .opaque }

    /// Whether what is stored of the space on disk is encrypted.
    public var isSealed: Bool { seal != nil }

    private let layout: KVLayout
    private let seal: SpaceSeal?
    private let store: Store

    fileprivate init(_ access: SpaceAccess, _ layout: KVLayout, of store: Store) {
        root = access.root
        seal = access.seal
        self.layout = layout
        self.store = store
    }

    /// Stores blocks: copies them into the spill queue, and returns. They can be found once they are written, which the
    /// store's own thread does; `flush()` waits for that.
    ///
    /// A key names its bytes: a block whose key is stored already, or waits, is not stored again, and that counts as a
    /// use of it. A block whose parent is neither stored, nor waits, nor is given before it is not stored; it counts in
    /// `StoreStatistics.orphanPages`.
    ///
    /// - Parameter blocks: a parent before those that follow it.
    /// - Returns: what became of each block.
    /// - Throws: `.invalidBlock` for a key or a size outside the bounds; nothing was stored then. `.readersFull`,
    ///   `.damaged`, `.system`. What keeps a block from being written later, `flush()` throws.
    /// - Complexity: one copy of each new block; a full spill queue makes it wait if `whenQueueFull` says so.
    @discardableResult
    public func put(_ blocks: [Block]) throws(StoreError) -> [PutBlock] {
        try store.checkOpen()
        let names = try blocks.map { (block) throws(StoreError) in try name(of: block) }
        let now = SystemClock.wallMilliseconds()
        let parents = names.map(\.parent).filter { $0 != root }
        // What waits is asked first: it may be stored a moment later, and would be found in neither place otherwise.
        let waiting = store.writer.waiting(among: parents)
        var known = try store.cold.held(names.map(\.hash) + parents, usedAt: now)
        var there = known.union(waiting).union([root])
        let outcomes = zip(names, blocks).map { name, block -> PutBlock in
            guard known.insert(name.hash).inserted else { return .alreadyThere }
            guard there.contains(name.parent) else {
                store.counters.orphanPages.add(1)
                return .orphan
            }
            guard enqueue(name, block.source, now) == .queued else { return .dropped }
            there.insert(name.hash)
            return .queued
        }
        store.counters.insertedPages.add(UInt64(outcomes.count { $0 == .queued }))
        return outcomes
    }

    /// Copies a block into the queue, unless it waits there already or would be refused: it can be a GiB.
    private func enqueue(_ name: PageName, _ source: BlockSource, _ now: Int64) -> EnqueueOutcome {
        if let answer = store.writer.answer(withoutCopyOf: name.hash, byteCount: source.byteCount) { return answer }
        return store.writer.enqueue(SpillJob(name, block: BlockCopy(source), layout: layout, insertedAt: now))
    }

    /// Which of these blocks are stored. Asking does not count as a use. A block that still waits to be written is not
    /// stored.
    ///
    /// - Complexity: two look-ups per block, in one read transaction; no bytes of a block are read.
    public func holds(_ keys: [[UInt8]]) throws(StoreError) -> [Bool] {
        let hashes = try hashes(keys)
        let held = try store.cold.held(hashes, usedAt: nil)
        return hashes.map { held.contains($0) }
    }

    /// How many of the first of these blocks are stored: what a request that is the same as an earlier one up to some
    /// point can load. Asking does not count as a use.
    public func leadingCount(of keys: [[UInt8]]) throws(StoreError) -> Int {
        try store.cold.leadingCount(of: hashes(keys))
    }

    /// Copies blocks into the caller's memory, decoded and checked by this thread and the store's helpers.
    ///
    /// - Parameters:
    ///   - keys: the blocks, in any order.
    ///   - targets: one for each key, of the size of its block.
    /// - Returns: for each key, whether the whole block lies in its target, byte for byte as it was put. False for a
    ///   block that is not stored, has another size, or is damaged; its target then holds nothing of use. The loaded
    ///   ones count as used.
    /// - Throws: `.invalidBlock` when there are more keys than targets, or fewer; `.readersFull`, `.system`.
    /// - Complexity: one decode per block.
    public func load(_ keys: [[UInt8]], into targets: [BlockTarget]) throws(StoreError) -> [Bool] {
        guard keys.count == targets.count else {
            throw .invalidBlock("\(keys.count) keys and \(targets.count) targets")
        }
        let start = SystemClock.monotonicNanoseconds()
        let loads = zip(try hashes(keys), targets).map { BlockLoad(hash: $0, target: $1, seal: seal) }
        let isLoaded = try store.loader.load(loads, of: layout, from: store.cold)
        let loaded = zip(loads, isLoaded).filter(\.1).map(\.0)
        store.cold.touch(loaded.map(\.hash), now: SystemClock.wallMilliseconds(), as: .match)
        store.counters.loadedBytes.add(UInt64(loaded.reduce(0) { $0 + $1.target.byteCount }))
        store.counters.loadNanoseconds.add(SystemClock.monotonicNanoseconds() - start)
        return isLoaded
    }

    /// Counts a use of each block, so that eviction knows of hits that the engine's own memory served. Give a block's
    /// parents with it. Never waits for a writer; what is not stored is passed over.
    public func touch(_ keys: [[UInt8]]) throws(StoreError) {
        store.cold.touch(try hashes(keys), now: SystemClock.wallMilliseconds(), as: .match)
    }

    /// Removes blocks, each with all that follow it; durable when this returns. A block that waits to be written is not
    /// there yet and is written afterwards: call `Store.flush()` before.
    ///
    /// - Returns: how many were removed, those that followed included.
    /// - Throws: `.diskFull`, `.mapFull`, `.damaged`, `.system`.
    @discardableResult
    public func remove(_ keys: [[UInt8]]) throws(StoreError) -> Int { try store.cold.removeAll(hashes(keys)) }

    private func name(of block: Block) throws(StoreError) -> PageName {
        let size = block.source.byteCount
        guard size <= Limits.blockBytes else {
            throw .invalidBlock("\(size) bytes; \(Limits.blockBytes) are possible")
        }
        guard size % element.groupBytes == 0 else {
            throw .invalidBlock("\(size) bytes are not a multiple of the \(element.groupBytes) bytes of \(element)")
        }
        try Self.check(block.key)
        var parent: PrefixHash?
        if let key = block.parent {
            try Self.check(key)
            parent = .block(key, in: root, seal: seal)
        }
        return PageName(block: block.key, root: root, parent: parent, seal: seal)
    }

    private func hashes(_ keys: [[UInt8]]) throws(StoreError) -> [PrefixHash] {
        try store.checkOpen()
        return try keys.map { (key) throws(StoreError) in
            try Self.check(key)
            return .block(key, in: root, seal: seal)
        }
    }

    private static func check(_ key: [UInt8]) throws(StoreError) {
        guard Limits.blockKey.contains(key.count) else {
            let (least, most) = (Limits.blockKey.lowerBound, Limits.blockKey.upperBound)
            throw .invalidBlock("a key of \(key.count) bytes; \(least) to \(most) are possible")
        }
    }
}

extension Store {
    /// The blocks of `identity`: all blocks that engines of this identity share. The first call registers the space in
    /// the folder.
    ///
    /// - Throws: `.invalidLayout` unless the identity's layout is `KVLayout.blocks(element:)`; `.sealedSpace`,
    ///   `.wrongKey`, `.damaged`, `.closed`, `.forked`, `.diskFull`, `.system`.
    public func blockSpace(_ identity: ModelIdentity) throws(StoreError) -> BlockSpace {
        try checkOpen()
        guard identity.layout.isOfBlocks else {
            throw .invalidLayout("a space of blocks has the layout KVLayout.blocks(element:)")
        }
        return BlockSpace(try cold.open(space: identity.descriptor), identity.layout, of: self)
    }
}
