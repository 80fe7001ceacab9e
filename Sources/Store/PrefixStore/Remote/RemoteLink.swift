// What a store has when a remote is configured: the tier, what goes there, and what comes from there.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

/// A store's side of its remote. Thread-safe. Its threads start at first need.
final class RemoteLink: Sendable {
    let tier: RemoteTier
    let uploader: Uploader
    let arrivals: Arrivals
    /// Threads that receive for callers that decode.
    let errands = Errands()
    let hits: RemoteHits
    private let spaces = Guarded<[PrefixHash: SpaceDescriptor]>([:])

    init(_ tier: RemoteTier, _ cold: ColdTier) {
        self.tier = tier
        let spaces = spaces
        uploader = Uploader(from: cold, to: tier) { root in spaces.withLock { $0[root] } }
        arrivals = Arrivals(into: cold)
        hits = RemoteHits(tier.options.puts)
        tier.prepare()
    }

    /// Takes note of an open space: its pages may be put and fetched.
    func add(_ descriptor: SpaceDescriptor) { spaces.withLock { $0[descriptor.root] = descriptor } }

    /// The tier on disk, as the spill writer sees it when there is a remote: what was committed is offered there.
    func relay(_ cold: ColdTier) -> any RecordTier {
        RelayTier(cold) { [uploader] pages in
            uploader.offer(pages.lazy.map { ($0.name.detached, $0.bytes.encodedBytes) })
        }
    }

    /// Ends everything. What still waits to be put is waited for as long as the options say, and not beyond `deadline`.
    func close(before deadline: Deadline?) {
        let limit = Deadline.after(tier.options.closeTime)
        let end = deadline.map { $0.nanoseconds < limit.nanoseconds ? $0 : limit } ?? limit
        uploader.close(before: end)
        arrivals.close()
        errands.close()
        tier.close()
    }
}

/// How often this process has matched pages, for remotes that take only what is used again. Thread-safe.
final class RemoteHits: Sendable {
    /// Pages that are counted at most; when there are more, counting begins again.
    private static let limit = 65_536
    private let threshold: Int?
    private let counts = Guarded<[PrefixHash: Int]>([:])

    init(_ puts: RemotePuts) {
        if case .afterHits(let hits) = puts { threshold = hits } else { threshold = nil }
    }

    /// Whether anything is counted.
    var isCounting: Bool { threshold != nil }

    /// Counts a match of these pages.
    ///
    /// - Returns: the places of those that have now been matched often enough, each once.
    func count(_ hashes: [PrefixHash]) -> [Int] {
        guard let threshold else { return [] }
        return counts.withLock { counts in
            if counts.count + hashes.count > Self.limit { counts = [:] }
            return hashes.indices.filter { place in
                counts[hashes[place], default: 0] += 1
                return counts[hashes[place]] == threshold
            }
        }
    }
}
