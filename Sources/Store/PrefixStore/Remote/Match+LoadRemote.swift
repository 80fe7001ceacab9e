// Load: pages of the remote into the caller's memory, and on to the disk of this host.
//
// A thread of the store receives, and the caller decodes behind it: so the network and the decoder work side by side,
// and nobody writes into the caller's memory but the caller.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

extension Match {
    /// How long a load may take that has no limit of its own. It ends long before when nothing comes.
    private static var longestLoad: Duration { .seconds(600) }

    /// Loads pages of the remote, the first of them page `first` of the match.
    ///
    /// - Returns: how many of the loads were delivered whole, from the first on.
    func loadRemote(
        _ loads: [RecordLoad], from first: Int, control: LoadControl, before deadline: Deadline?
    ) -> Int {
        guard let link = space.store.remote else { return 0 }
        let parent = first == 0 ? space.root : hash(ofPage: first - 1)
        let incoming = Incoming(loads, from: first, behind: parent, in: space, of: tokens)
        // Layers are complete only when all pages are here.
        if control.onLayersReady != nil { incoming.liftLimit() }
        let end = deadline ?? .after(Self.longestLoad)
        let withdraw = link.errands.begin { incoming.receive(from: link.tier, before: end) }
        guard let withdraw else { return 0 }
        defer {
            incoming.stop()
            withdraw()
        }
        var control = control
        control.isCancelled = { [isCancelled = control.isCancelled] in
            deadline?.hasPassed == true || isCancelled?() == true
        }
        var delivered = 0
        while delivered < loads.count, control.isCancelled?() != true {
            // Layers are complete only when all pages are.
            let wanted = control.onLayersReady == nil ? delivered + 1 : loads.count
            let ready = incoming.wait(for: wanted, before: end)
            guard ready > delivered else { break }
            var part = control
            if ready < loads.count { part.onLayersReady = nil }
            let batch = Array(loads[delivered..<ready])
            let lent = incoming.take(delivered..<ready)
            let count = (try? space.store.loader.load(batch, of: space.layout, from: lent, control: part)) ?? 0
            link.arrivals.offer(lent.pages(count, usedAt: SystemClock.wallMilliseconds()))
            delivered += count
            guard count == batch.count else { break }
        }
        return delivered
    }
}

/// Records on their way from the remote to a caller. Thread-safe.
private final class Incoming: Sendable {
    /// Bytes that may wait to be decoded.
    private static let limit = 64 << 20

    private struct State {
        /// For each page its record; nil for one that is not there or not right; no entry for one that is to come.
        var records: [Int: RecordBytes?] = [:]
        /// Pages that have come, from the first on, and how many of those the caller has taken.
        var ready = 0
        var taken = 0
        var limit = Incoming.limit
        var bytes = 0
        var isAll = false
        var isStopped = false
    }

    private let requests: [RecordRequest]
    private let names: [PageName]
    private let layout: KVLayout
    private let tier: RemoteTier?
    private let stall: Duration
    private let state = Guarded(State())

    init(_ loads: [RecordLoad], from first: Int, behind parent: PrefixHash, in space: Space, of tokens: [TokenID]) {
        layout = space.layout
        tier = space.store.remote?.tier
        stall = space.store.remote?.tier.options.stallTime ?? .zero
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
    func receive(from tier: RemoteTier, before deadline: Deadline) {
        _ = tier.fetch(requests, root: names.first?.root, of: layout, before: deadline, stall: stall) { place, page in
            // The hash proves parent and token ids; the position is nothing that it covers.
            let isRight = page.map { $0.name.firstToken == names[place].firstToken } ?? false
            state.withLock { state in
                state.records[place] = .some(isRight ? page?.bytes : nil)
                state.bytes += page?.bytes.encodedBytes ?? 0
                while state.records[state.ready].map({ $0 != nil }) == true { state.ready += 1 }
                // What follows a page that is not there is of no use.
                if state.records[state.ready].map({ $0 == nil }) == true { state.isAll = true }
            }
            state.broadcast()
            // It waits for the caller only while the caller has something to take.
            return state.withLock(
                when: { $0.isStopped || $0.isAll || $0.bytes < $0.limit || $0.ready == $0.taken }
            ) { !$0.isStopped && !$0.isAll }
        }
        state.withLock { $0.isAll = true }
        state.broadcast()
    }

    /// Waits until `count` pages have come; returns how many have.
    func wait(for count: Int, before deadline: Deadline) -> Int {
        state.withLock(when: { $0.ready >= count || $0.isAll }, before: deadline) { $0.ready }
            ?? state.withLock { $0.ready }
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
            tier?.noteDamage(of: hash, damage)
        }
    }

    /// The caller takes nothing before all has come.
    func liftLimit() { state.withLock { $0.limit = .max } }

    /// The caller wants no more.
    func stop() {
        state.withLock { $0.isStopped = true }
        state.broadcast()
    }
}
