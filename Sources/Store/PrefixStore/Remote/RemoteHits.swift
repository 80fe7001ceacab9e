// Which pages have been matched often enough for a remote that takes only what is used again.

internal import KVFormat
internal import Threads

/// How often this process has matched pages. Thread-safe.
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

    /// Whether a page has been matched often enough.
    func isDue(_ hash: PrefixHash) -> Bool {
        guard let threshold else { return false }
        return counts.withLock { $0[hash, default: 0] } >= threshold
    }
}
