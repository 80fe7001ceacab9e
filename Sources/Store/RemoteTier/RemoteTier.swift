// The remote tier: records on servers that many hosts use.

package import KVFormat
package import PageCodec
package import Records
package import Threads

/// Records on a Redis or Valkey server, or a cluster of them. Thread-safe. Its threads begin with `prepare()` or the
/// first call; whoever makes a tier closes it.
///
/// Nothing that comes from a server is trusted: a record is proved by its key, its sums and its token ids. So any host
/// may take what any other has put there.
package final class RemoteTier: Sendable {
    /// The URL without what only its owner needs to know.
    package let shownURL: String
    package let options: RemoteOptions
    let client: RedisClient
    private let process = OwnProcess()
    let misses = MissMemory(.seconds(1))
    let counts = RemoteCounts()
    /// Pages whose values were found damaged: the next put of such a page replaces the value.
    let damaged = Guarded<Set<PrefixHash>>([])
    /// When this process has put the descriptors of spaces last, by their roots, in nanoseconds.
    let registered = Guarded<[PrefixHash: UInt64]>([:])

    /// How long the calls of the seam take at most: they are made by threads that nobody waits for, and by tools.
    static let patience = Duration.seconds(30)
    /// How long such a call waits while nothing comes.
    static let stall = Duration.seconds(2)
    /// Damaged pages that are remembered at most.
    private static let damagedLimit = 4096

    /// Reads the URL, the password and the certificates. Connects to nobody yet.
    ///
    /// - Throws: `.invalidOption`.
    package init(_ options: RemoteOptions) throws(StoreError) {
        try options.validate()
        let url = try RemoteURL(options.url)
        let tls = url.isTLS ? try TLSContext(ca: url.ca, certificate: url.certificate, key: url.key) : nil
        let settings = ConnectionSettings(
            tls: tls, serverName: url.serverName, user: url.user, password: try url.password(), database: url.database,
            version: url.version, isCluster: url.isCluster)
        client = RedisClient(url.hosts, settings, readsReplicas: url.readsReplicas)
        shownURL = url.shown
        self.options = options
    }

    /// Begins to connect.
    package func prepare() { client.prepare() }

    /// Ends connections and threads; a call that runs ends soon.
    package func close() { client.close() }

    // In a forked child another thread's locks would be taken for ever.
    deinit { if process.isHere { client.close() } }

    /// What is wrong with servers now, as one clause each.
    package var faults: [String] { client.faults.map { "\($0.key): \($0.value.text)" }.sorted() }

    /// The key of a page's value.
    static func key(ofPage hash: PrefixHash) -> [UInt8] { Array("pfx:1:p:\(hash)".utf8) }
    /// The key of a space's descriptor.
    static func key(ofSpace root: PrefixHash) -> [UInt8] { Array("pfx:1:s:\(root)".utf8) }

    static func exists(_ hash: PrefixHash) -> RedisCommand {
        let key = key(ofPage: hash)
        return RedisCommand([Array("EXISTS".utf8), key], slot: SlotMap.slot(of: key))
    }

    // MARK: Looking up

    /// How many of these pages, from the first on, are there. The answer is that of the servers: only a load proves it.
    ///
    /// A long chain is asked about in steps: what lies before a page that is there counts as there too, for pages are
    /// put in their order.
    ///
    /// - Parameter deadline: when the answer must be known. What is not known then is a miss.
    package func leadingCount(of hashes: [PrefixHash], before deadline: Deadline) -> Int {
        let limit = misses.leadingUnknown(hashes)
        var known = 0
        var bound = limit
        // The first page that a server has said it does not have.
        var missing: Int?
        while bound - known > Self.questionLimit {
            let step = (bound - known) / Self.probes
            let places = (1...Self.probes).map { known + step * $0 - 1 }
            let run = ask(hashes, at: places, before: deadline)
            guard run.isSure || run.count > 0 else { break }
            if run.count < places.count { bound = places[run.count] }
            if run.isSure, run.count < places.count { missing = bound }
            if run.count > 0 { known = places[run.count - 1] + 1 }
            if !run.isSure { bound = min(bound, known + Self.questionLimit) }
        }
        let places = Array(known..<min(bound, known + Self.questionLimit))
        let run = ask(hashes, at: places, before: deadline)
        known += run.count
        if run.isSure, run.count < places.count { missing = known }
        if missing == known { misses.note(hashes[known]) }
        return known
    }

    /// Pages that are asked about at once.
    private static let questionLimit = 256
    /// Pages that are asked about in a step, of a chain that is longer.
    private static let probes = 64

    /// How many of the pages at these places are there, from the first on, and whether the next one is known not to be.
    private func ask(
        _ hashes: [PrefixHash], at places: [Int], before deadline: Deadline
    ) -> (count: Int, isSure: Bool) {
        guard !places.isEmpty else { return (0, true) }
        var there = [Bool?](repeating: nil, count: places.count)
        counts.questions.add(1)
        let commands = places.map { Self.exists(hashes[$0]) }
        let fault = client.run(commands, before: deadline, stall: options.lookupTime) { index, reply in
            if case .integer(let count) = reply { there[index] = count > 0 }
            return true
        }
        if fault == .late { counts.late.add(1) }
        let count = there.firstIndex { $0 != true } ?? there.count
        return (count, count == there.count || there[count] == false)
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
        let weight = layout.bytesPerPage
        let commands = wanted.map { request in
            let key = Self.key(ofPage: request.hash)
            return RedisCommand([Array("GET".utf8), key], slot: SlotMap.slot(of: key), weight: weight)
        }
        return client.run(commands, before: deadline, stall: stall) { index, reply in
            let value: EncodedRecord
            switch reply {
            case .bulk(let bytes): value = bytes
            case .text(let bytes): value = EncodedRecord(copying: unsafe bytes.span.bytes)
            default:
                misses.note(wanted[index].hash)
                return onPage(index, nil)
            }
            return onPage(index, page(in: value, wanted[index], root, layout))
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

    /// Notes that a page's value cannot be trusted: it is a miss for a moment, and the next put replaces it.
    package func noteDamage(of hash: PrefixHash, _ damage: RecordDamage) {
        counts.damagedPages.add(1)
        misses.note(hash)
        // A newer version is another build's, and sound.
        if case .unknownVersion = damage { return }
        damaged.withLock { damaged in
            if damaged.count >= Self.damagedLimit { damaged = [] }
            damaged.insert(hash)
        }
    }
}
