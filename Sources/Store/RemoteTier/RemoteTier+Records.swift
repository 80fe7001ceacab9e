// The remote tier behind the seam: which records it has, how it lends them, and how it takes them.

package import KVFormat
package import PageCodec
package import Records
internal import Threads

extension RemoteTier: RecordTier {
    /// - Throws: `.remoteFailure`.
    /// - Complexity: one question for all pages, to each server that has some of them.
    package func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash> {
        var held: Set<PrefixHash> = []
        let fault = client.run(
            hashes.map { Self.exists($0) }, before: .after(Self.patience), stall: Self.stall
        ) { index, reply in
            if case .integer(let count) = reply, count > 0 { held.insert(hashes[index]) }
            return true
        }
        if let fault { throw failure(fault) }
        return held
    }

    /// Lends records that it fetches into memory.
    ///
    /// - Throws: `.remoteFailure`.
    package func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError) {
        var records = [RecordBytes?](repeating: nil, count: wanted.count)
        let fault = fetch(wanted, root: nil, of: layout, before: .after(Self.patience), stall: Self.stall) {
            records[$0] = $1?.bytes
            return true
        }
        if let fault { throw failure(fault) }
        for (index, damage) in borrower(records) { noteDamage(of: wanted[index].hash, damage) }
    }

    /// Puts pages there, those first that come first. A page that is there already costs one question. The server does
    /// not look for parents: whoever looks a page up asks for them too.
    ///
    /// - Throws: `.remoteFailure`; some pages may have been put.
    package func take(_ pages: [PageRecord]) throws(StoreError) -> [TakeOutcome] {
        let suspects = damaged.withLock { $0 }
        let held = try held(pages.map(\.name.hash).filter { !suspects.contains($0) }, usedAt: nil)
        var outcomes = [TakeOutcome](repeating: .alreadyThere, count: pages.count)
        var commands: [RedisCommand] = []
        var places: [Int] = []
        for (place, page) in pages.enumerated() where !held.contains(page.name.hash) {
            guard page.name.isSound, page.bytes.isSealed == (page.name.seal != nil),
                (try? page.bytes.verifyPayload()) != nil
            else {
                outcomes[place] = .invalid
                continue
            }
            guard page.bytes.encodedBytes <= Self.largestValue - WirePage.largestHeader else {
                outcomes[place] = .noRoom
                continue
            }
            commands.append(put(page, replaces: suspects.contains(page.name.hash)))
            places.append(place)
        }
        guard !commands.isEmpty else { return outcomes }
        try run(commands, for: places, of: pages, &outcomes)
        misses.forget(pages.map(\.name.hash))
        return outcomes
    }

    /// Bytes of a value that servers take, as they are delivered.
    private static let largestValue = 512 << 20

    private func put(_ page: PageRecord, replaces: Bool) -> RedisCommand {
        var settings = replaces ? [] : ["NX"]
        if let time = options.timeToLive { settings += ["EX", "\(time.components.seconds)"] }
        return RedisCommand(
            set: Self.key(ofPage: page.name.hash), WirePage.header(page.name, recordBytes: page.bytes.encodedBytes),
            page.bytes, options: settings)
    }

    private func run(
        _ commands: [RedisCommand], for places: [Int], of pages: [PageRecord], _ outcomes: inout [TakeOutcome]
    ) throws(StoreError) {
        var refused: RemoteFault?
        for place in places { outcomes[place] = .noRoom }
        let fault = client.run(commands, before: .after(Self.patience), stall: Self.stall) { index, reply in
            let page = pages[places[index]]
            switch reply {
            case .null: outcomes[places[index]] = .alreadyThere
            case .error where refused == nil || refused == .full: refused = reply.refusal
            case .error: break
            case _ where reply.isOK:
                outcomes[places[index]] = .stored
                counts.putPages.add(1)
                counts.putBytes.add(UInt64(page.bytes.encodedBytes))
                _ = damaged.withLock { $0.remove(page.name.hash) }
            default: refused = .nonsense
            }
            return true
        }
        if let fault { throw failure(fault) }
        // A full server is no error of the call: those pages have no room.
        if let refused, refused != .full { throw failure(refused) }
    }

    func failure(_ fault: RemoteFault) -> StoreError { .remoteFailure(remote: shownURL, fault.text) }
}

// MARK: - Spaces

extension RemoteTier {
    /// How long a descriptor that was put is taken for still there. No look-up reads it, so a full server evicts it
    /// before all pages.
    private static var registeredTime: Duration { .seconds(60) }

    /// Puts the descriptor of a space there, so that a host that has never opened the space can take its pages. While
    /// pages are put it is put again now and then; it stays longer than the pages.
    ///
    /// - Throws: `.remoteFailure`.
    package func register(_ descriptor: SpaceDescriptor) throws(StoreError) {
        try register(descriptor, at: SystemClock.monotonicNanoseconds())
    }

    /// The same at a moment of the monotonic clock.
    func register(_ descriptor: SpaceDescriptor, at now: UInt64) throws(StoreError) {
        let root = descriptor.root
        let pause = UInt64(max(1, min(Self.registeredTime, options.timeToLive ?? Self.registeredTime).nanoseconds))
        guard registered.withLock({ $0[root].map { now - min(now, $0) >= pause } ?? true }) else { return }
        let key = Self.key(ofSpace: root)
        var words = [Array("SET".utf8), key, descriptor.encoded]
        // Pages that are put before the next time may stay so much longer.
        if let time = options.timeToLive { words += ["EX", "\(2 * time.components.seconds)"].map { Array($0.utf8) } }
        let command = RedisCommand(words, slot: SlotMap.slot(of: key), changes: true)
        var refused: RemoteFault?
        let fault = client.run([command], before: .after(Self.patience), stall: Self.stall) { _, reply in
            if case .error = reply { refused = reply.refusal }
            return true
        }
        if let fault = fault ?? refused { throw failure(fault) }
        registered.withLock { $0[root] = now }
    }

    /// The descriptor of a space; nil when nobody has put it there.
    ///
    /// - Throws: `.remoteFailure`.
    package func descriptor(of root: PrefixHash) throws(StoreError) -> SpaceDescriptor? {
        let key = Self.key(ofSpace: root)
        var bytes: [UInt8] = []
        let fault = client.run(
            [RedisCommand([Array("GET".utf8), key], slot: SlotMap.slot(of: key))], before: .after(Self.patience),
            stall: Self.stall
        ) { _, reply in
            switch reply {
            case .text(let text): bytes = text
            case .bulk(let value): bytes = unsafe value.bytes.withUnsafeBytes { unsafe Array($0) }
            default: break
            }
            return true
        }
        if let fault { throw failure(fault) }
        // Its hash is the root: a descriptor that was changed is none.
        return SpaceDescriptor(bytes).flatMap { $0.root == root ? $0 : nil }
    }
}
