// Records between the thread that receives them and the caller that decodes them.

internal import KVFormat
internal import Records
internal import RemoteTier
internal import Threads

/// Records on their way from the remote to a caller. Thread-safe.
final class Incoming: Sendable {
    /// Bytes that may wait to be decoded, and those that may wait behind a page that has not come.
    private static let limits = (ready: 64 << 20, blocked: 256 << 20)
    /// How often a caller that waits is asked whether it still wants to.
    private static let slice = Duration.milliseconds(20)

    private struct State {
        /// For each page its record; nil for one that is not there or not right; no entry for one that is to come.
        var records: [Int: RecordBytes?] = [:]
        /// Pages that have come, from the first on, and how many of those the caller has taken.
        var ready = 0
        var taken = 0
        var bytes = 0
        /// Whether the receiving has begun, and whether nothing more comes.
        var isBegun = false
        var isAll = false
        var isStopped = false

        /// Whether the receiver goes on. It waits for the caller only while the caller has something to take: other
        /// servers may be faster than the one that has the next page.
        var hasRoom: Bool { ready == taken || bytes < Incoming.limits.ready }
    }

    private let requests: [RecordRequest]
    private let names: [PageName]
    private let layout: KVLayout
    private let tier: RemoteTier
    private let state = Guarded(State())

    init(
        _ loads: [RecordLoad], from first: Int, behind parent: PrefixHash, in space: Space, of tokens: [TokenID],
        _ tier: RemoteTier
    ) {
        layout = space.layout
        self.tier = tier
        requests = loads.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokenCount, seal: $0.seal) }
        let size = space.layout.pageSize
        names = loads.indices.map { place in
            let start = (first + place) * size
            return PageName(
                root: space.root, parent: place == 0 ? parent : loads[place - 1].hash, hash: loads[place].hash,
                firstToken: start, tokens: tokens[start..<start + loads[place].tokenCount], seal: space.seal)
        }
    }

    /// Runs on a thread of the store.
    func receive(before deadline: Deadline) {
        state.withLock { $0.isBegun = true }
        let stall = tier.options.stallTime
        _ = tier.fetch(requests, root: names.first?.root, of: layout, before: deadline, stall: stall) { place, page in
            // The hash proves parent and token ids; the position is nothing that it covers.
            let isRight = page.map { $0.name.firstToken == names[place].firstToken } ?? false
            state.withLock { state in
                state.records[place] = .some(isRight ? page?.bytes : nil)
                state.bytes += isRight ? page?.bytes.encodedBytes ?? 0 : 0
                while state.records[state.ready].map({ $0 != nil }) == true { state.ready += 1 }
                // What follows a page that is not there is of no use, and of one that does not come only so much.
                let isMissing = state.records[state.ready].map { $0 == nil } == true
                if isMissing || state.ready == state.taken && state.bytes >= Self.limits.blocked { state.isAll = true }
            }
            state.broadcast()
            return state.withLock(when: { $0.isStopped || $0.isAll || $0.hasRoom }) { !$0.isStopped && !$0.isAll }
        }
        end()
    }

    /// Nothing more comes.
    func end() {
        state.withLock { $0.isAll = true }
        state.broadcast()
    }

    /// Waits until `count` pages have come; returns how many have.
    ///
    /// - Parameter isCancelled: asked now and then; true ends the wait.
    func wait(for count: Int, before deadline: Deadline, unless isCancelled: () -> Bool) -> Int {
        let beginning = Deadline.after(tier.options.stallTime)
        while !deadline.hasPassed, !isCancelled() {
            let slice = Deadline.earlier(.after(Self.slice), deadline)
            let ready = state.withLock(when: { $0.ready >= count || $0.isAll }, before: slice) { $0.ready }
            if let ready { return ready }
            // All threads that receive have other callers.
            if beginning.hasPassed, state.withLock({ !$0.isBegun }) { break }
        }
        return state.withLock { $0.ready }
    }

    /// Takes records that have come.
    func take(_ places: Range<Int>) -> FetchedRecords {
        let records = state.withLock { state in
            places.map { place in
                let record = state.records[place] ?? nil
                state.bytes -= record?.encodedBytes ?? 0
                state.records[place] = .some(nil)
                state.taken = place + 1
                return record
            }
        }
        state.broadcast()
        return FetchedRecords(names: Array(names[places]), records: records) { [tier] hash, damage in
            tier.noteDamage(of: hash, damage)
        }
    }

    /// The caller wants no more.
    func stop() {
        state.withLock { $0.isStopped = true }
        state.broadcast()
    }
}
