// What a store has when a remote is configured: the tier, what goes there, and the threads that receive.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

/// A store's side of its remote. Thread-safe. Its threads start at first need.
final class RemoteLink: Sendable {
    let tier: RemoteTier
    let uploader: Uploader
    /// Threads that receive for callers that decode.
    let errands = Errands()
    let hits: RemoteHits
    /// Pages that came from the remote and were kept on this host.
    let keptPages = Counter()
    private let spaces = Guarded<[PrefixHash: SpaceDescriptor]>([:])

    init(_ tier: RemoteTier, _ cold: ColdTier) {
        self.tier = tier
        let spaces = spaces
        uploader = Uploader(from: cold, to: tier) { root in spaces.withLock { $0[root] } }
        hits = RemoteHits(tier.options.puts)
        tier.prepare()
    }

    /// Takes note of an open space: its pages may be put and fetched.
    func add(_ descriptor: SpaceDescriptor) { spaces.withLock { $0[descriptor.root] = descriptor } }

    /// The tier on disk, as the spill writer sees it when there is a remote: what was committed is put there, if the
    /// options say so.
    func relay(_ cold: ColdTier) -> any RecordTier {
        RelayTier(cold) { [uploader, hits, spaces, puts = tier.options.puts] pages in
            // A page that was in RAM only when it had been matched often enough could not be put yet.
            let wanted = pages.lazy.filter { puts == .all || hits.isDue($0.name.hash) }
            let sizes = spaces.withLock { $0.mapValues(\.layout.pageSize) }
            uploader.put(
                wanted.map { page in
                    // The disk gives up the end of a prompt for a page that goes on behind it, such as the one with
                    // the reply. Other hosts know the prompt alone.
                    let isTail = page.name.tokens.count < sizes[page.name.root] ?? 0
                    return Uploader.Item(
                        name: page.name.detached, bytes: page.bytes.encodedBytes,
                        record: isTail ? page.bytes.copied : nil)
                })
        }
    }

    /// Ends everything. What still waits to be put is waited for as long as the options say, and not beyond `deadline`.
    func close(before deadline: Deadline?) {
        uploader.close(before: .earlier(.after(tier.options.closeTime), deadline))
        errands.close()
        tier.close()
    }
}
