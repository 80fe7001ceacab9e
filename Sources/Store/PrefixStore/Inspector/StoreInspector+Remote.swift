// Pages between a folder and a remote, by hand: before a host joins, or after it was away.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

/// What was moved between a folder and a remote.
public struct RemoteTransfer: Sendable, Equatable, Encodable {
    /// Pages that were looked at.
    public internal(set) var pages = 0
    /// Pages that were there already.
    public internal(set) var alreadyThere = 0
    /// Pages that were moved.
    public internal(set) var moved = 0
    /// Bytes of those, encoded.
    public internal(set) var movedBytes = ByteCount.zero
    /// Pages that the other side did not take: it is full, their parent is missing, or they are damaged.
    public internal(set) var refused = 0
}

/// What a check of a remote has found.
public struct RemoteReport: Sendable, Encodable {
    /// Where it is: scheme and servers of the URL.
    public let url: String
    /// The server's own name and version; nil if this user may not ask.
    public let version: String?
    /// Servers that take changes.
    public let primaries: Int
    /// Servers that have copies.
    public let replicas: Int
    /// Whether this user may write.
    public let isWritable: Bool
    /// The median time of a question, in seconds.
    public let questionSeconds: Double
    /// The longest time of a question, in seconds.
    public let longestQuestionSeconds: Double
    /// Bytes per second of values of 1 MiB that are put; 0 for a user who may not write.
    public let putRate: Double
    /// Bytes per second of such values that are fetched.
    public let fetchRate: Double
    /// Limit on the server's memory in bytes; 0 for none, nil if this user may not ask.
    public let memoryLimit: UInt64?
    /// What the server does when its memory is full.
    public let evictionPolicy: String?
    /// What to change, one sentence each.
    public let advice: [String]

    /// Tries everything that a store does with a remote. What it puts there is gone after ten seconds.
    ///
    /// - Throws: `.invalidOption`; `.remoteFailure` when the remote cannot be reached, or this user may not read.
    public init(checking options: RemoteOptions) throws(StoreError) {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        let found = try tier.check()
        url = found.url
        version = found.version
        primaries = found.primaries
        replicas = found.replicas
        isWritable = found.writes
        questionSeconds = Double(found.questionTime.nanoseconds) / 1e9
        longestQuestionSeconds = Double(found.longestQuestionTime.nanoseconds) / 1e9
        putRate = found.putRate
        fetchRate = found.fetchRate
        memoryLimit = found.memoryLimit
        evictionPolicy = found.evictionPolicy
        advice = found.advice
    }
}

extension StoreInspector {
    /// Pages and raw bytes that are in memory at once.
    private static var batch: (pages: Int, bytes: Int) { (64, 16 << 20) }

    /// Puts pages of a space on a remote, parents first. What is there costs a question, so that an interrupted call is
    /// simply made again.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remote.
    ///   - last: only the pages on the way to this one and behind it; nil for all.
    ///   - isPinned: whether only pinned pages are put.
    /// - Throws: `.invalidOption`, `.noSuchSpace`, `.sealedSpace` without the key, `.remoteFailure`.
    public func push(
        _ root: PrefixHash, to options: RemoteOptions, under last: PrefixHash? = nil, isPinned: Bool = false
    ) throws(StoreError) -> RemoteTransfer {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        let (descriptor, seal) = try descriptor(of: root)
        var pages = try pages(in: root, order: .position, limit: .max).filter { !$0.isBlock }
        if let last { pages = try Self.under(last, path(to: last), pages) }
        if isPinned { pages = pages.filter { $0.pins > 0 } }
        pages = Self.byPaths(pages) { ($0.hash, $0.parent) }
        try tier.register(descriptor)
        var all = RemoteTransfer()
        for part in Self.parts(pages.map(\.rawBytes.value)) {
            let batch = Array(pages[part])
            let there = try tier.held(batch.lazy.map { (hash: $0.hash, parent: $0.parent) })
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
            all.count(batch.count, known: there.count, records, try tier.put(missing: records))
        }
        return all
    }

    /// Takes pages of a space from a remote into the folder, parents first. What is there is left alone, so that an
    /// interrupted call is simply made again. The space is registered if the folder does not know it.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remote.
    ///   - last: only the pages on the way to this one and behind it; nil for all.
    /// - Throws: `.invalidOption`; `.noSuchSpace` when neither side knows the space; `.remoteFailure`, `.diskFull`.
    public func pull(
        _ root: PrefixHash, from options: RemoteOptions, under last: PrefixHash? = nil
    ) throws(StoreError) -> RemoteTransfer {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        let (descriptor, seal) = try descriptorHereOrThere(root, tier)
        var names = try tier.pages(of: root, descriptor.layout, seal: seal)
        if let last { names = try Self.under(last, names) }
        names = Self.byPaths(names) { ($0.hash, $0.parent) }
        var all = RemoteTransfer()
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
            all.refused += missing.count - records.count
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
    ) throws(StoreError) -> (SpaceDescriptor, SpaceSeal?) {
        do throws(StoreError) {
            return try descriptor(of: root)
        } catch .noSuchSpace {
            guard let found = try tier.descriptor(of: root) else { throw .noSuchSpace(root.short) }
            try cold.open(space: found)
            return (found, nil)
        } catch {
            throw error
        }
    }

    /// The pages of a path, and those behind its last one.
    private static func under(_ last: PrefixHash, _ path: [PrefixHash], _ pages: [PageInfo]) -> [PageInfo] {
        var wanted = Set(path)
        var behind: Set<PrefixHash> = [last]
        for page in pages where behind.contains(page.parent) {
            behind.insert(page.hash)
            wanted.insert(page.hash)
        }
        return pages.filter { wanted.contains($0.hash) }
    }

    /// The same for names, whose path is found by their parents.
    private static func under(_ last: PrefixHash, _ names: [PageName]) throws(StoreError) -> [PageName] {
        let parents = Dictionary(names.map { ($0.hash, $0.parent) }) { first, _ in first }
        guard parents[last] != nil else { throw .noSuchPage(last.short) }
        var wanted: Set<PrefixHash> = []
        var hash = last
        while let parent = parents[hash], wanted.insert(hash).inserted { hash = parent }
        var behind: Set<PrefixHash> = [last]
        for name in names where behind.contains(name.parent) {
            behind.insert(name.hash)
            wanted.insert(name.hash)
        }
        return names.filter { wanted.contains($0.hash) }
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

extension RemoteTransfer {
    fileprivate mutating func count(_ pages: Int, known: Int, _ records: [PageRecord], _ outcomes: [TakeOutcome]) {
        self.pages += pages
        alreadyThere += known
        for (record, outcome) in zip(records, outcomes) {
            switch outcome {
            case .stored:
                moved += 1
                movedBytes = ByteCount(movedBytes.value + UInt64(record.bytes.encodedBytes))
            case .alreadyThere: alreadyThere += 1
            case .orphan, .noRoom, .invalid: refused += 1
            }
        }
    }
}
