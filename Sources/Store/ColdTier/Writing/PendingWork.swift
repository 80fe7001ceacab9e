// The work that readers leave for the next writer: uses to count and suspects to remove. Readers never wait for the
// writer's lock.

internal import KVFormat
internal import Synchronization
internal import Threads

/// Uses of a page that are not stored yet.
struct Touch: Equatable {
    /// How often.
    var uses: UInt32
    /// How many of the uses were matches, which saved something.
    var matches: UInt32
    /// How many of the matches branched off at the page or behind it.
    var branches: UInt32
    /// When the last use was, in milliseconds since the Unix epoch.
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

/// What openings have to say to the store, and could not write at once.
struct Registrations {
    /// The quota of the store, if this process opened it with another one.
    var quota: UInt64?
    /// Spaces that pages may come for.
    var spaces: [PrefixHash: SpaceDescriptor] = [:]
}

/// Buffered changes. Thread-safe.
final class PendingWork: Sendable {
    /// The number of pages whose uses are kept. Uses of further pages are dropped, which only makes eviction less
    /// accurate.
    static let touchLimit = 65_536

    private struct State {
        var touches: [PrefixHash: Touch] = [:]
        var damage: [PrefixHash: QuarantineReason] = [:]
        var dates: [PrefixHash: Int64] = [:]
        var registrations = Registrations()
        var damageFound = 0
        var dropped = 0

        mutating func merge(_ hash: PrefixHash, _ touch: Touch) {
            if var known = touches[hash] {
                known.add(touch)
                touches[hash] = known
            } else if touches.count < PendingWork.touchLimit {
                touches[hash] = touch
            } else {
                dropped += 1
            }
        }
    }

    private let state = Guarded(State())
    /// Whether `damage` and `dates` hold anything. Every look-up asks for both and they are nearly always empty:
    /// reading a flag costs it a nanosecond, and the lock twenty. Written under the lock.
    private let hasDamage = Atomic(false)
    private let hasDates = Atomic(false)

    /// Remembers a use of each page.
    func touch(_ hashes: [PrefixHash], now: Int64, as use: PathUse) {
        let touch = Touch(use, at: now)
        state.withLock { state in
            for hash in hashes { state.merge(hash, touch) }
        }
    }

    /// Removes and returns the uses of up to `limit` pages.
    func takeTouches(limit: Int) -> [PrefixHash: Touch] {
        state.withLock { state in
            guard state.touches.count > limit else {
                defer { state.touches = [:] }
                return state.touches
            }
            var taken: [PrefixHash: Touch] = [:]
            for (hash, touch) in state.touches.prefix(limit) { taken[hash] = touch }
            for hash in taken.keys { state.touches[hash] = nil }
            return taken
        }
    }

    /// Puts uses back that could not be written.
    func giveBack(_ taken: [PrefixHash: Touch]) {
        state.withLock { state in
            for (hash, touch) in taken { state.merge(hash, touch) }
        }
    }

    /// Remembers that a page cannot be trusted; it is a miss from now on.
    func quarantine(_ hash: PrefixHash, _ reason: QuarantineReason) {
        state.withLock { state in
            guard state.damage.updateValue(reason, forKey: hash) == nil else { return }
            state.damageFound += 1
            hasDamage.store(true, ordering: .releasing)
        }
    }

    /// Counts damage that has no key to quarantine.
    func countDamage() { state.withLock { $0.damageFound += 1 } }

    /// Pages that cannot be trusted and have not been removed yet.
    var suspects: [PrefixHash: QuarantineReason] {
        hasDamage.load(ordering: .acquiring) ? state.withLock { $0.damage } : [:]
    }

    /// Forgets pages that were removed.
    func forget(_ suspects: [PrefixHash: QuarantineReason]) {
        state.withLock { state in
            for hash in suspects.keys { state.damage[hash] = nil }
            hasDamage.store(!state.damage.isEmpty, ordering: .releasing)
        }
    }

    /// What is to be registered by the next write.
    var registrations: Registrations { state.withLock { $0.registrations } }

    /// Remembers the quota that this process has opened the store with.
    func set(quota: UInt64) { state.withLock { $0.registrations.quota = quota } }

    /// Remembers a space that is not in the store yet.
    func add(space: SpaceDescriptor) { state.withLock { $0.registrations.spaces[space.root] = space } }

    /// Forgets what was registered.
    func forget(_ registered: Registrations) {
        guard registered.quota != nil || !registered.spaces.isEmpty else { return }
        state.withLock { state in
            if state.registrations.quota == registered.quota { state.registrations.quota = nil }
            for root in registered.spaces.keys { state.registrations.spaces[root] = nil }
        }
    }

    /// Remembers the dates of used pages.
    func note(dates: [PrefixHash: Int64]) {
        guard !dates.isEmpty else { return }
        state.withLock { state in
            state.dates.merge(dates) { $1 }
            hasDates.store(true, ordering: .releasing)
        }
    }

    /// Removes and returns the dates.
    func takeDates() -> [PrefixHash: Int64] {
        guard hasDates.load(ordering: .acquiring) else { return [:] }
        return state.withLock { state in
            defer { state.dates = [:] }
            hasDates.store(false, ordering: .releasing)
            return state.dates
        }
    }

    /// Pages whose uses are pending.
    var touchCount: Int { state.withLock { $0.touches.count } }

    /// Whether there is nothing to write.
    var isEmpty: Bool { state.withLock { $0.touches.isEmpty && $0.damage.isEmpty } }

    /// Damaged pages found by this process.
    var damagedPages: Int { state.withLock { $0.damageFound } }

    /// Uses that were dropped.
    var droppedTouches: Int { state.withLock { $0.dropped } }
}
