// Pages between a folder and a remote, by hand: before a host joins, or after it was away.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

extension StoreInspector {
    /// Pages and raw bytes that are in memory at once.
    private static var batch: (pages: Int, bytes: Int) { (64, 16 << 20) }

    /// Puts pages of a space on a remote, parents first. What is there costs a question, so that an interrupted call is
    /// simply made again.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remote.
    ///   - choice: which pages of it.
    ///   - isPinned: whether only pinned pages are put.
    ///   - verifies: whether what is there is fetched and checked, and replaced if it is damaged.
    /// - Throws: `.invalidOption`, `.noSuchSpace`, `.sealedSpace` without the key, `.remoteFailure`.
    public func push(
        _ root: PrefixHash, to options: RemoteOptions, _ choice: TransferChoice = TransferChoice(),
        isPinned: Bool = false, verifies: Bool = false
    ) throws(StoreError) -> RemoteTransfer {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        let (descriptor, seal) = try descriptor(of: root)
        var pages = try pages(in: root, order: .position, limit: .max).filter { !$0.isBlock }
        pages = try choice.pages(of: pages, in: root) {
            ($0.hash, $0.parent)
        } tokens: { (page) throws(StoreError) in
            try tokens(of: page.hash)
        }
        if isPinned { pages = pages.filter { $0.pins > 0 } }
        pages = Self.byPaths(pages) { ($0.hash, $0.parent) }
        try tier.register(descriptor)
        var all = RemoteTransfer()
        for part in Self.parts(pages.map(\.rawBytes.value)) {
            let batch = Array(pages[part])
            var there = try tier.held(batch.lazy.map { (hash: $0.hash, parent: $0.parent) })
            var damaged: Set<PrefixHash> = []
            if verifies {
                let known = batch.filter { there.contains($0.hash) }
                damaged = try tier.unsound(
                    known.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokenCount, seal: seal) },
                    of: descriptor.layout)
                there.subtract(damaged)
            }
            let missing = batch.filter { !there.contains($0.hash) }
            var records: [PageRecord] = []
            let names = try missing.map { (page) throws(StoreError) in
                PageName(
                    root: root, parent: page.parent, hash: page.hash, firstToken: page.firstToken,
                    tokens: try tokens(of: page.hash)[...], seal: seal)
            }
            let wanted = names.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokens.count, seal: seal) }
            try cold.lend(wanted, of: descriptor.layout) { lent in
                for (name, record) in zip(names, lent) {
                    if let record { records.append(PageRecord(name, record.copied, lastUse: 0)) }
                }
                return [:]
            }
            let outcomes = try tier.put(missing: records)
            all.count(batch.count, known: there.count, records, outcomes)
            all.replaced += zip(records, outcomes).count { damaged.contains($0.name.hash) && $1 == .stored }
        }
        return all
    }

    /// How many of the store's pages a remote has. Blocks never go there.
    ///
    /// - Throws: `.invalidOption`, `.remoteFailure`.
    public func countPages(on options: RemoteOptions) throws(StoreError) -> (url: String, there: Int, all: Int) {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        var (there, all) = (0, 0)
        for space in try spaces() {
            let pages = try pages(in: space.root, order: .position, limit: .max).filter { !$0.isBlock }
            let ordered = Self.byPaths(pages) { ($0.hash, $0.parent) }
            all += ordered.count
            for start in stride(from: 0, to: ordered.count, by: 1024) {
                let batch = ordered[start..<min(start + 1024, ordered.count)]
                there += try tier.held(batch.lazy.map { (hash: $0.hash, parent: $0.parent) }).count
            }
        }
        return (tier.shownURL, there, all)
    }

    /// Takes pages of a space from a remote into the folder, parents first. What is there is left alone, so that an
    /// interrupted call is simply made again. The space is registered if the folder does not know it.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remote.
    ///   - choice: which pages of it.
    /// - Throws: `.invalidOption`; `.noSuchSpace` when neither side knows the space; `.remoteFailure`, `.diskFull`.
    public func pull(
        _ root: PrefixHash, from options: RemoteOptions, _ choice: TransferChoice = TransferChoice()
    ) throws(StoreError) -> RemoteTransfer {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        let (descriptor, seal, isNew) = try descriptorHereOrThere(root, tier)
        var names = try tier.pages(of: root, descriptor.layout, seal: seal)
        names = try choice.pages(of: names, in: root) {
            ($0.hash, $0.parent)
        } tokens: { (page) throws(StoreError) in
            Array(page.tokens)
        }
        var all = RemoteTransfer()
        (names, all.covered) = Self.uncovered(names)
        all.pages = all.covered
        names = Self.byPaths(names) { ($0.hash, $0.parent) }
        // A space of which nothing can be taken is not registered.
        if isNew, !names.isEmpty { try cold.open(space: descriptor) }
        let layout = descriptor.layout
        for part in Self.parts(names.map { UInt64(layout.pageBytes(tokens: $0.tokens.count)) }) {
            let batch = Array(names[part])
            let there = try cold.held(batch.map(\.hash), usedAt: nil)
            let missing = batch.filter { !there.contains($0.hash) }
            let wanted = missing.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokens.count, seal: seal) }
            var records: [PageRecord] = []
            try tier.lend(wanted, of: layout) { lent in
                let now = SystemClock.wallMilliseconds()
                for (name, record) in zip(missing, lent) {
                    guard let record, (try? record.verifyPayload()) != nil else { continue }
                    records.append(PageRecord(name, record, lastUse: now))
                }
                return [:]
            }
            all.count(batch.count, known: there.count, records, try cold.take(records))
        }
        return all
    }

    private func descriptor(of root: PrefixHash) throws(StoreError) -> (SpaceDescriptor, SpaceSeal?) {
        guard let space = try cold.space(root) else { throw .noSuchSpace(root.short) }
        guard space.wrappedKey.isEmpty else {
            guard let seal = cold.seal(of: space) else { throw .sealedSpace(root.short) }
            return (space.descriptor, seal)
        }
        return (space.descriptor, nil)
    }

    private func descriptorHereOrThere(
        _ root: PrefixHash, _ tier: RemoteTier
    ) throws(StoreError) -> (SpaceDescriptor, SpaceSeal?, isNew: Bool) {
        do throws(StoreError) {
            let (descriptor, seal) = try descriptor(of: root)
            return (descriptor, seal, isNew: false)
        } catch .noSuchSpace {
            guard let found = try tier.descriptor(of: root) else { throw .noSuchSpace(root.short) }
            // The data key of a sealed space is in the folder that made it, and nowhere else.
            guard !cold.hasSealingKey else {
                throw .invalidOption(
                    "with a sealing key, pages are pulled only into a space that this folder, or the one that it is a "
                        + "copy of, has sealed; \(root.short) is none")
            }
            return (found, nil, isNew: true)
        } catch {
            throw error
        }
    }

    /// The pages whose tokens are in no longer page beside them, and how many others there are: a store drops a page
    /// when a longer one comes that begins with its tokens.
    private static func uncovered(_ names: [PageName]) -> (names: [PageName], covered: Int) {
        var covered: Set<PrefixHash> = []
        for siblings in Dictionary(grouping: names, by: \.parent).values where siblings.count > 1 {
            // In lexicographic order, what begins with a page follows it at once.
            let ordered = siblings.sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
            for (page, next) in zip(ordered, ordered.dropFirst()) where next.tokens.starts(with: page.tokens) {
                covered.insert(page.hash)
            }
        }
        return (names.filter { !covered.contains($0.hash) }, covered.count)
    }

    /// Pages in the order in which an object store packs them: each behind its parent, one path after the other.
    private static func byPaths<Page>(
        _ pages: [Page], _ name: (Page) -> (hash: PrefixHash, parent: PrefixHash)
    ) -> [Page] {
        var places: [PrefixHash: Int] = [:]
        for (place, page) in pages.enumerated() { places[name(page).hash] = place }
        var children: [PrefixHash: [Int]] = [:]
        var next: [Int] = []
        for (place, page) in pages.enumerated().reversed() {
            let parent = name(page).parent
            if places[parent] == nil { next.append(place) } else { children[parent, default: []].append(place) }
        }
        var ordered: [Page] = []
        while let place = next.popLast() {
            ordered.append(pages[place])
            next += children[name(pages[place]).hash] ?? []
        }
        return ordered
    }

    /// Cuts pages of these sizes into parts that fit memory.
    private static func parts(_ bytes: [UInt64]) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var (start, sum) = (0, 0)
        for (place, size) in bytes.enumerated() {
            if place > start, place - start >= batch.pages || sum + Int(size) > batch.bytes {
                parts.append(start..<place)
                (start, sum) = (place, 0)
            }
            sum += Int(size)
        }
        if start < bytes.count { parts.append(start..<bytes.count) }
        return parts
    }
}
