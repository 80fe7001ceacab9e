// The remote tier behind the seam: which records it has, how it lends them, and how it takes them.

package import KVFormat
package import PageCodec
package import Records
internal import Threads

extension RemoteTier: RecordTier {
    /// - Throws: `.remoteFailure`.
    /// - Complexity: one question for all pages, to each server that has some of them.
    package func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash> {
        try held(hashes.map { [$0] })
    }

    /// Which of these pages are there. Cheaper than `held(_:usedAt:)` where the servers keep many pages in one object,
    /// because children follow their parents.
    ///
    /// - Throws: `.remoteFailure`.
    package func held(_ pages: some Sequence<(hash: PrefixHash, parent: PrefixHash)>) throws(StoreError)
        -> Set<PrefixHash>
    {
        try held(PageName.chains(pages))
    }

    private func held(_ chains: [[PrefixHash]]) throws(StoreError) -> Set<PrefixHash> {
        do throws(RemoteFault) { return try client.held(chains, .long) } catch { throw failure(error) }
    }

    /// Lends records that it fetches into memory.
    ///
    /// - Throws: `.remoteFailure`.
    package func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError) {
        var records = [RecordBytes?](repeating: nil, count: wanted.count)
        let patience = Patience.long
        let fault = fetch(wanted, root: nil, of: layout, before: patience.deadline, stall: patience.stall) {
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
        let held = try held(
            pages.lazy.map { (hash: $0.name.hash, parent: $0.name.parent) }.filter { !suspects.contains($0.hash) })
        let missing = pages.indices.filter { !held.contains(pages[$0].name.hash) }
        var outcomes = [TakeOutcome](repeating: .alreadyThere, count: pages.count)
        for (place, outcome) in zip(missing, try put(missing: missing.map { pages[$0] })) { outcomes[place] = outcome }
        return outcomes
    }

    /// The same for pages of which the caller knows that they are not there, or are damaged.
    ///
    /// - Throws: `.remoteFailure`; some pages may have been put.
    package func put(missing pages: [PageRecord]) throws(StoreError) -> [TakeOutcome] {
        var outcomes = [TakeOutcome](repeating: .noRoom, count: pages.count)
        let suspects = damaged.withLock { $0 }
        var puts: [RemotePut] = []
        var places: [Int] = []
        for (place, page) in pages.enumerated() {
            guard page.name.isSound, page.bytes.isSealed == (page.name.seal != nil),
                (try? page.bytes.verifyPayload()) != nil
            else {
                outcomes[place] = .invalid
                continue
            }
            guard page.bytes.encodedBytes <= Self.largestValue - WirePage.largestHeader else { continue }
            puts.append(RemotePut(page: page, replaces: suspects.contains(page.name.hash)))
            places.append(place)
        }
        let fault = client.put(puts, timeToLive: options.timeToLive, .long) { index, outcome in
            outcomes[places[index]] = outcome
            guard outcome == .stored else { return }
            let page = puts[index].page
            counts.putPages.add(1)
            counts.putBytes.add(UInt64(page.bytes.encodedBytes))
            _ = damaged.withLock { $0.remove(page.name.hash) }
        }
        if let fault { throw failure(fault) }
        misses.forget(pages.map(\.name.hash))
        return outcomes
    }

    /// Bytes of a value that servers take, as they are delivered.
    private static let largestValue = 512 << 20

    func failure(_ fault: RemoteFault) -> StoreError {
        .remoteFailure(remote: shownURL, fault.text, remedy: fault.remedy)
    }
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

    /// Puts it again, however soon: at the end of a call that has put as much as the server holds.
    ///
    /// - Throws: `.remoteFailure`.
    package func registerAgain(_ descriptor: SpaceDescriptor) throws(StoreError) {
        registered.withLock { $0[descriptor.root] = nil }
        try register(descriptor)
    }

    /// The same at a moment of the monotonic clock.
    func register(_ descriptor: SpaceDescriptor, at now: UInt64) throws(StoreError) {
        let root = descriptor.root
        let pause = UInt64(max(1, min(Self.registeredTime, options.timeToLive ?? Self.registeredTime).nanoseconds))
        guard registered.withLock({ $0[root].map { now - min(now, $0) >= pause } ?? true }) else { return }
        // Pages that are put before the next time may stay so much longer.
        let time = options.timeToLive.map { $0 * 2 }
        do throws(RemoteFault) { try client.put(space: descriptor, timeToLive: time, .long) } catch {
            throw failure(error)
        }
        registered.withLock { $0[root] = now }
    }

    /// The descriptor of a space; nil when nobody has put it there.
    ///
    /// - Throws: `.remoteFailure`.
    package func descriptor(of root: PrefixHash) throws(StoreError) -> SpaceDescriptor? {
        var bytes: [UInt8]?
        do throws(RemoteFault) { bytes = try client.space(root, .long) } catch { throw failure(error) }
        // Its hash is the root: a descriptor that was changed is none.
        return bytes.flatMap { SpaceDescriptor($0) }.flatMap { $0.root == root ? $0 : nil }
    }
}

extension PageName {
    /// Pages as chains, in which each is the child of the one before.
    static func chains(_ pages: some Sequence<(hash: PrefixHash, parent: PrefixHash)>) -> [[PrefixHash]] {
        var chains: [[PrefixHash]] = []
        for page in pages {
            if let last = chains.last?.last, last == page.parent {
                chains[chains.count - 1].append(page.hash)
            } else {
                chains.append([page.hash])
            }
        }
        return chains
    }
}
