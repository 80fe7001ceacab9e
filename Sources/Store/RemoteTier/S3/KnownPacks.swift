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
    private static let indexLimit = 256
    /// Packs of one page that are remembered.
    private static let copies = 4
    /// How long a place is believed, and how long a pack is not, in nanoseconds: packs never change, but an operator's
    /// rules remove them, and other hosts put them again.
    private static let lifetime: UInt64 = 600_000_000_000

    /// One page in one pack.
    private struct Copy: Hashable {
        let hash: PrefixHash
        let pack: Digest
    }

    /// Those of which was heard first go first.
    private var places: [PrefixHash: [PagePlace]] = [:]
    private var indexes: [Digest: PackIndex] = [:]
    private var lost: [Digest: UInt64] = [:]
    private var wrong: [Copy: UInt64] = [:]
    /// Pages whose index objects lead to lost packs: puts replace those.
    private var stale: Set<PrefixHash> = []
    /// Packs that were found not to begin with their index.
    private(set) var broken: [Digest: PackIndex] = [:]

    /// Where a page is; nil when that is not known.
    func place(of hash: PrefixHash, at now: UInt64) -> PagePlace? {
        places[hash]?.first { $0.until > now && isOfUse(hash, in: $0.pack, at: now) }
    }

    /// The index of a pack; nil when that is not known.
    func index(of pack: Digest) -> PackIndex? { indexes[pack] }

    private func isOfUse(_ hash: PrefixHash, in pack: Digest, at now: UInt64) -> Bool {
        if let end = lost[pack], end > now { return false }
        if let end = wrong[Copy(hash: hash, pack: pack)], end > now { return false }
        return true
    }

    /// Takes note of what was found under the key of a page: an index, or nil for what is none.
    mutating func learn(_ index: PackIndex?, under key: PrefixHash, at now: UInt64) {
        guard let index, isOfUse(key, in: index.name, at: now), index.entries.contains(where: { $0.hash == key })
        else {
            if stale.count >= Self.lostLimit { stale = [] }
            stale.insert(key)
            // What the page's own copy is worth says nothing about the others in that pack.
            if let index { learn(index, at: now) }
            return
        }
        learn(index, at: now)
    }

    /// Takes note of the index of a pack that is there.
    mutating func learn(_ index: PackIndex, at now: UInt64) {
        if places.count + index.entries.count > Self.limit { places = [:] }
        if indexes.count >= Self.indexLimit { indexes = [:] }
        let pack = index.name
        indexes[pack] = index
        var offset = index.size
        for entry in index.entries {
            let place = PagePlace(
                root: index.root, pack: pack, offset: offset, bytes: entry.bytes, until: now + Self.lifetime)
            var known = places[entry.hash] ?? []
            if let old = known.firstIndex(where: { $0.pack == pack }) {
                known[old] = place
            } else {
                known.removeAll { $0.until <= now || !isOfUse(entry.hash, in: $0.pack, at: now) }
                if known.count < Self.copies { known.append(place) }
            }
            places[entry.hash] = known
            offset += entry.bytes
        }
    }

    /// Whether a page's index object is known to be of no use.
    func isStale(_ hash: PrefixHash) -> Bool { stale.contains(hash) }

    /// Notes that a page is not where it should be in its pack, or is damaged there.
    mutating func doubt(_ hash: PrefixHash, at now: UInt64) {
        guard let place = place(of: hash, at: now) else { return }
        if wrong.count >= Self.limit { wrong = [:] }
        wrong[Copy(hash: hash, pack: place.pack)] = now + Self.lifetime
    }

    /// Notes that the pack of a page is not there, or is not what its index says: its other pages are not believed
    /// either.
    mutating func lose(_ hash: PrefixHash, at now: UInt64) {
        if let place = place(of: hash, at: now) { lose(place.pack, at: now) }
    }

    /// Believes no index that leads to a pack.
    mutating func lose(_ pack: Digest, at now: UInt64) {
        if lost.count >= Self.lostLimit { lost = [:] }
        lost[pack] = now + Self.lifetime
    }

    /// Notes that a pack does not begin with its index.
    mutating func noteBroken(_ index: PackIndex) {
        if broken.count < Self.lostLimit { broken[index.name] = index }
    }

    /// Takes note of a pack that this process has put.
    mutating func add(_ index: PackIndex, at now: UInt64) {
        lost[index.name] = nil
        broken[index.name] = nil
        for entry in index.entries { wrong[Copy(hash: entry.hash, pack: index.name)] = nil }
        stale.subtract(index.entries.map(\.hash))
        learn(index, at: now)
    }

    /// Takes note that a pack begins with its index again.
    mutating func noteMended(_ pack: Digest) { broken[pack] = nil }

    /// Pages in those packs in which pages of `index` were damaged, each with its pack: those that follow them. An
    /// index object that was replaced leads to them no more.
    func followers(of index: PackIndex) -> [(hash: PrefixHash, index: PackIndex)] {
        let new = Set(index.entries.map(\.hash))
        var followers: [PrefixHash: PackIndex] = [:]
        for copy in wrong.keys where copy.pack != index.name && new.contains(copy.hash) {
            guard let old = indexes[copy.pack], let place = old.entries.firstIndex(where: { $0.hash == copy.hash }),
                let next = old.entries[place...].first(where: { entry in
                    !new.contains(entry.hash) && wrong[Copy(hash: entry.hash, pack: copy.pack)] == nil
                })
            else { continue }
            followers[next.hash] = old
        }
        return followers.map { ($0.key, $0.value) }
    }
}
