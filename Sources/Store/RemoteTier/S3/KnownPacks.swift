// What this process knows of an object store's packs: where pages are, and which packs cannot be trusted.

internal import KVFormat
internal import Threads

/// A place of a page's value.
struct PagePlace: Sendable {
    let root: PrefixHash
    let pack: Digest
    let offset: Int
    let bytes: Int
    /// When it is to be asked for again.
    let until: UInt64
}

/// Places of pages, and packs that are of no use. All of it is bounded, and may be forgotten at any time.
struct KnownPacks: Sendable {
    /// Places that are kept at most; when there are more, all are forgotten. The same for the other sets.
    private static let limit = 65_536
    private static let lostLimit = 4096
    /// How long a place is believed, and how long a pack is not, in nanoseconds: packs never change, but an operator's
    /// rules remove them, and other hosts put them again.
    private static let lifetime: UInt64 = 600_000_000_000

    private var places: [PrefixHash: PagePlace] = [:]
    private var lost: [Digest: UInt64] = [:]
    /// Pages whose index objects lead to lost packs: puts replace those.
    private var stale: Set<PrefixHash> = []

    /// Where a page is; nil when that is not known.
    func place(of hash: PrefixHash, at now: UInt64) -> PagePlace? {
        guard let place = places[hash], place.until > now, !isLost(place.pack, at: now) else { return nil }
        return place
    }

    private func isLost(_ pack: Digest, at now: UInt64) -> Bool { lost[pack].map { $0 > now } ?? false }

    /// Takes note of what was found under the key of a page: an index, or nil for what is none.
    mutating func learn(_ index: PackIndex?, under key: PrefixHash, at now: UInt64) {
        guard let index, !isLost(index.name, at: now), index.entries.contains(where: { $0.hash == key }) else {
            if stale.count >= Self.lostLimit { stale = [] }
            stale.insert(key)
            return
        }
        learn(index, at: now)
    }

    /// Takes note of the index of a pack that is there.
    mutating func learn(_ index: PackIndex, at now: UInt64) {
        if places.count + index.entries.count > Self.limit { places = [:] }
        let pack = index.name
        var offset = index.size
        for entry in index.entries {
            places[entry.hash] = PagePlace(
                root: index.root, pack: pack, offset: offset, bytes: entry.bytes, until: now + Self.lifetime)
            offset += entry.bytes
        }
    }

    /// Whether a page's index object is known to be of no use.
    func isStale(_ hash: PrefixHash) -> Bool { stale.contains(hash) }

    /// Notes that the pack of a page is not there, or is damaged: its other pages are not believed either.
    mutating func lose(_ hash: PrefixHash, at now: UInt64) {
        if let place = places[hash] { lose(place.pack, at: now) }
    }

    /// Believes no index that leads to a pack.
    mutating func lose(_ pack: Digest, at now: UInt64) {
        if lost.count >= Self.lostLimit { lost = [:] }
        lost[pack] = now + Self.lifetime
    }

    /// Takes note of a pack that this process has put.
    mutating func add(_ index: PackIndex, at now: UInt64) {
        lost[index.name] = nil
        stale.subtract(index.entries.map(\.hash))
        learn(index, at: now)
    }
}
