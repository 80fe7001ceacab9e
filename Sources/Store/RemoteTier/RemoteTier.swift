// The remote tier: records on servers that many hosts use.

package import KVFormat
package import PageCodec
package import Records
package import Threads

/// Records on a Redis or Valkey server, a cluster of them, an object store, or several of these. Thread-safe. Its
/// threads begin with `prepare()` or the first call; whoever makes a tier closes it.
///
/// Nothing that comes from a server is trusted: a record is proved by its key, its sums and its token ids. So any host
/// may take what any other has put there.
package final class RemoteTier: Sendable {
    /// The URL without what only its owner needs to know.
    package let shownURL: String
    package let options: RemoteOptions
    /// How long a look-up waits at most.
    package let lookupTime: Duration
    let client: any RemoteClient
    private let process = OwnProcess()
    let misses = MissMemory(.seconds(1))
    let counts = RemoteCounts()
    /// Pages whose values were found damaged: the next put of such a page replaces the value.
    let damaged = Guarded<Set<PrefixHash>>([])
    /// Those of them that may be there once more, elsewhere.
    let copied = Guarded<Set<PrefixHash>>([])
    /// When this process has put the descriptors of spaces last, by their roots, in nanoseconds.
    let registered = Guarded<[PrefixHash: UInt64]>([:])

    /// Whether it is a tool's, which looks at each page: damage of one says nothing about those beside it.
    private let looksAtEach: Bool

    /// Damaged pages that are remembered at most.
    private static let damagedLimit = 4096

    /// Reads the URL, the password and the certificates. Connects to nobody yet.
    ///
    /// - Throws: `.invalidOption`.
    package convenience init(_ options: RemoteOptions) throws(StoreError) {
        try self.init(options, looksAtEach: false)
    }

    private init(_ options: RemoteOptions, looksAtEach: Bool) throws(StoreError) {
        try options.validate()
        let urls = try RemoteURL.all(in: options.url)
        shownURL = urls.map(\.shown).joined(separator: " ")
        lookupTime = options.lookupTime ?? urls.map(\.lookupTime).max() ?? .zero
        var members: [SeveralClients.Member] = []
        for url in urls {
            // Nothing is put but to the first one.
            var own = options
            if !members.isEmpty { own.timeToLive = nil }
            members.append((try url.client(own), options.lookupTime ?? url.lookupTime))
        }
        client = members.count == 1 ? members[0].client : SeveralClients(members)
        self.options = options
        self.looksAtEach = looksAtEach
    }

    /// A tier for each remote that the options name, in their order: tools tell them apart. Pages go to the first one.
    ///
    /// - Throws: `.invalidOption`.
    package static func each(_ options: RemoteOptions) throws(StoreError) -> [RemoteTier] {
        // All are read before the first is made.
        _ = try RemoteURL.all(in: options.url)
        var tiers: [RemoteTier] = []
        for text in RemoteURL.texts(in: options.url) {
            var own = options
            own.url = text
            if !tiers.isEmpty { own.timeToLive = nil }
            tiers.append(try RemoteTier(own, looksAtEach: true))
        }
        return tiers
    }

    /// The files that the URLs of these options name.
    package static func files(named options: RemoteOptions) -> [String] { RemoteURL.files(in: options.url) }

    /// Begins to connect.
    package func prepare() { client.prepare() }

    /// Ends connections and threads; a call that runs ends soon.
    package func close() { client.close() }

    // In a forked child another thread's locks would be taken for ever.
    deinit { if process.isHere { client.close() } }

    /// What is wrong with servers now, as one clause each.
    package var faults: [String] { client.faults }

    // MARK: Looking up

    /// How many of these pages, from the first on, are there. The answer is that of the servers: only a load proves it.
    ///
    /// - Parameters:
    ///   - hashes: pages, each the child of the one before.
    ///   - earlier: the pages before them, as far as they are known: an object store may name these pages with them.
    ///   - deadline: when the answer must be known. What is not known then is a miss.
    package func leadingCount(
        of hashes: [PrefixHash], behind earlier: ArraySlice<PrefixHash> = [], before deadline: Deadline
    ) -> Int {
        let limit = misses.leadingUnknown(hashes)
        let found = client.leading(
            Array(hashes.prefix(limit)), behind: Array(earlier),
            Patience(deadline: deadline, stall: lookupTime))
        counts.questions.add(found.questions)
        if found.isLate { counts.late.add(1) }
        let known = found.count
        if found.isSure, known < hashes.count, known < limit || limit == hashes.count { misses.note(hashes[known]) }
        return known
    }

    // MARK: Fetching

    /// Fetches records, and passes each to `onPage` as it comes, on this thread: in any order if several servers have
    /// them. What is not there, or cannot be trusted, is nil.
    ///
    /// - Parameters:
    ///   - wanted: pages of one space.
    ///   - root: the space's root; nil if that is not known.
    ///   - layout: its layout.
    ///   - deadline: when it gives up.
    ///   - stall: how long it waits while nothing comes.
    ///   - onPage: false ends the call early. Frames of the record are not checked yet: decoding does that.
    /// - Returns: why some pages were not asked for or have no answer; nil when all have one.
    package func fetch(
        _ wanted: [RecordRequest], root: PrefixHash?, of layout: KVLayout, before deadline: Deadline, stall: Duration,
        _ onPage: (Int, (name: PageName, bytes: RecordBytes)?) -> Bool
    ) -> RemoteFault? {
        client.fetch(
            wanted.map(\.hash), pageBytes: layout.bytesPerPage, Patience(deadline: deadline, stall: stall)
        ) { index, value in
            switch value {
            case .value(let value): return onPage(index, page(in: value, wanted[index], root, layout))
            case .nothing: misses.note(wanted[index].hash)
            case .unreadable(let isCopied): noteDamage(of: wanted[index].hash, isCopied: isCopied)
            }
            return onPage(index, nil)
        }
    }

    /// The page in a value; nil when the value cannot be trusted.
    private func page(
        in value: EncodedRecord, _ wanted: RecordRequest, _ root: PrefixHash?, _ layout: KVLayout
    ) -> (name: PageName, bytes: RecordBytes)? {
        do throws(RecordDamage) {
            let page = try WirePage.record(
                in: value, key: wanted.hash, root: root, layout: layout,
                tokens: wanted.tokenCount == 0 ? nil : wanted.tokenCount, seal: wanted.seal)
            counts.fetchedPages.add(1)
            counts.fetchedBytes.add(UInt64(value.byteCount))
            return page
        } catch {
            noteDamage(of: wanted.hash, error)
            return nil
        }
    }

    /// Whether a page's value was found damaged, and was not replaced since.
    package func isDamaged(_ hash: PrefixHash) -> Bool { damaged.withLock { $0.contains(hash) } }

    /// Notes that a page's value cannot be trusted: it is a miss for a moment, and the next put replaces it. So is one
    /// of another version: other versions have keys of their own.
    package func noteDamage(of hash: PrefixHash, _ damage: RecordDamage) {
        noteDamage(of: hash, isCopied: client.distrust(hash, withNeighbours: !looksAtEach && damage.isOfWhole))
    }

    private func noteDamage(of hash: PrefixHash, isCopied: Bool) {
        counts.damagedPages.add(1)
        misses.note(hash)
        damaged.withLock { damaged in
            if damaged.count >= Self.damagedLimit { damaged = [] }
            damaged.insert(hash)
        }
        copied.withLock { copied in
            if isCopied, copied.count < Self.damagedLimit { copied.insert(hash) } else { copied.remove(hash) }
        }
    }
}

extension RecordDamage {
    /// Whether the value is not that of the page at all, so that its place may be wrong, and those of others with it.
    fileprivate var isOfWhole: Bool {
        switch self {
        case .truncated, .notARecord, .unknownVersion, .sealed, .wrongKey, .badHeader, .wrongShape: true
        case .badFrame, .unknownCodec, .badChecksum, .undecodable: false
        }
    }
}
