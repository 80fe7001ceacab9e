// What readers leave for the next writer: uses to count and damage to take out. Readers never wait for the writer's lock.

internal import KVFormat
internal import Threads

/// Uses of a page that are not stored yet.
struct Touch: Equatable {
    /// How often.
    var uses: UInt32
    /// How many of them were matches: they saved something.
    var matches: UInt32
    /// How many of these branched off at the page or behind it.
    var branches: UInt32
    /// Milliseconds since the Unix epoch, the last of them.
    var lastUse: Int64

    /// One use.
    init(_ use: PathUse, at now: Int64) {
        uses = 1
        matches = use == .insert ? 0 : 1
        branches = use == .branch ? 1 : 0
        lastUse = now
    }

    /// Adds the uses of `other`.
    mutating func add(_ other: Touch) {
        uses = uses.addingClamped(other.uses)
        matches = matches.addingClamped(other.matches)
        branches = branches.addingClamped(other.branches)
        lastUse = max(lastUse, other.lastUse)
    }
}

extension UInt32 {
    fileprivate func addingClamped(_ other: UInt32) -> UInt32 { self &+ Swift.min(other, .max - self) }
}

/// Buffered changes. Thread-safe.
final class PendingWork: @unchecked Sendable {
    // Unchecked because every variable is read and written under the mutex.

    /// Pages whose uses are kept: beyond that, uses of further pages are dropped, which costs eviction some accuracy only.
    static let touchLimit = 65_536

    private let mutex = Mutex()
    private var touches: [PrefixHash: Touch] = [:]
    private var damage: [PrefixHash: QuarantineReason] = [:]
    private var damageFound = 0
    private var dropped = 0

    /// Remembers a use of each page.
    func touch(_ hashes: [PrefixHash], now: Int64, as use: PathUse) {
        let touch = Touch(use, at: now)
        mutex.withLock {
            for hash in hashes { merge(hash, touch) }
        }
    }

    /// Takes up to `limit` pages' uses out.
    func takeTouches(limit: Int) -> [PrefixHash: Touch] {
        mutex.withLock {
            guard touches.count > limit else {
                defer { touches = [:] }
                return touches
            }
            var taken: [PrefixHash: Touch] = [:]
            for (hash, touch) in touches.prefix(limit) { taken[hash] = touch }
            for hash in taken.keys { touches[hash] = nil }
            return taken
        }
    }

    /// Puts uses back that could not be written.
    func giveBack(_ taken: [PrefixHash: Touch]) {
        mutex.withLock { for (hash, touch) in taken { merge(hash, touch) } }
    }

    /// Remembers that a page cannot be trusted; it is a miss from now on.
    func quarantine(_ hash: PrefixHash, _ reason: QuarantineReason) {
        mutex.withLock {
            guard damage.updateValue(reason, forKey: hash) == nil else { return }
            damageFound += 1
        }
    }

    /// Counts damage that has no key to quarantine.
    func countDamage() { mutex.withLock { damageFound += 1 } }

    /// Pages that are not to be trusted, and not taken out yet.
    var suspects: [PrefixHash: QuarantineReason] { mutex.withLock { damage } }

    /// Forgets pages that were taken out.
    func forget(_ suspects: [PrefixHash: QuarantineReason]) {
        mutex.withLock { for hash in suspects.keys { damage[hash] = nil } }
    }

    /// Whether there is nothing to write.
    var isEmpty: Bool { mutex.withLock { touches.isEmpty && damage.isEmpty } }

    /// Damaged pages found by this process.
    var damagedPages: Int { mutex.withLock { damageFound } }

    /// Uses that were dropped.
    var droppedTouches: Int { mutex.withLock { dropped } }

    private func merge(_ hash: PrefixHash, _ touch: Touch) {
        if var known = touches[hash] {
            known.add(touch)
            touches[hash] = known
        } else if touches.count < Self.touchLimit {
            touches[hash] = touch
        } else {
            dropped += 1
        }
    }
}
