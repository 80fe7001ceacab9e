// Pages from a folder to a remote, by hand: before other hosts join, or after it was away.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

extension StoreInspector {
    /// Puts pages of a space on a remote, parents first; of several remotes on the first. What is there costs a
    /// question, so that an interrupted call is simply made again.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remote.
    ///   - choice: which pages of it.
    ///   - isPinned: whether only pinned pages are put.
    ///   - verifies: whether what is there is fetched and checked, and replaced if it is damaged.
    /// - Returns: what became of the pages, also when the remote has failed on the way.
    /// - Throws: `.invalidOption`, `.noSuchSpace`, `.sealedSpace` without a key, `.wrongKey` with another one.
    public func push(
        _ root: PrefixHash, to options: RemoteOptions, _ choice: TransferChoice = TransferChoice(),
        isPinned: Bool = false, verifies: Bool = false
    ) throws(StoreError) -> RemoteTransfer {
        let tiers = try RemoteTier.each(options)
        defer { for tier in tiers { tier.close() } }
        let (descriptor, seal) = try cold.known(root)
        let all = try pages(in: root, order: .position, limit: .max).filter { !$0.isBlock }
        let expired = PageInfo.expired(all)
        let stored = all.filter { !expired.contains($0.hash) }
        let selection = try TransferSelection(
            choice, of: stored.map { TransferEntry(hash: $0.hash, parent: $0.parent) }, in: descriptor, seal,
            tokens: cold.tokensIfStored)
        let chosen = stored.filter { selection.hashes.contains($0.hash) && (!isPinned || $0.pins > 0) }
        var push = RemotePush(cold, tiers[0], descriptor, seal, verifies: verifies)
        push.done.offered = stored.count
        if choice.under == nil, choice.prompts == nil, !isPinned {
            push.done.expired = expired.count
            push.done.pages = expired.count
        }
        push.run(TransferOrder.byPaths(chosen) { ($0.hash, $0.parent) })
        let there = push.held(selection.prompts?.map(\.chain) ?? [], behind: root)
        push.done.prompts = selection.counts { there.contains($0) }
        push.done.finish(isSure: false)
        return push.done
    }

    /// How many of the store's pages a remote has: of several remotes one of them at least. Blocks never go there.
    ///
    /// - Throws: `.invalidOption`, `.remoteFailure`.
    public func countPages(on options: RemoteOptions) throws(StoreError) -> (url: String, there: Int, all: Int) {
        let tiers = try RemoteTier.each(options)
        defer { for tier in tiers { tier.close() } }
        var (there, all) = (0, 0)
        for space in try spaces() {
            let stored = try self.pages(in: space.root, order: .position, limit: .max).filter { !$0.isBlock }
            let expired = PageInfo.expired(stored)
            let pages = stored.filter { !expired.contains($0.hash) }
            let ordered = TransferOrder.byPaths(pages) { ($0.hash, $0.parent) }
            all += ordered.count
            for start in stride(from: 0, to: ordered.count, by: 1024) {
                var batch = Array(ordered[start..<min(start + 1024, ordered.count)])
                for tier in tiers where !batch.isEmpty {
                    let held = try tier.held(batch.lazy.map { (hash: $0.hash, parent: $0.parent) })
                    there += held.count
                    batch.removeAll { held.contains($0.hash) }
                }
            }
        }
        return (tiers.map(\.shownURL).joined(separator: " "), there, all)
    }
}

extension ColdTier {
    /// A space of the folder, and its seal.
    ///
    /// - Throws: `.noSuchSpace`; `.sealedSpace` without a key, `.wrongKey` with another one.
    func known(_ root: PrefixHash) throws(StoreError) -> (SpaceDescriptor, SpaceSeal?) {
        guard let space = try space(root) else { throw .noSuchSpace(root.short) }
        guard !space.wrappedKey.isEmpty else { return (space.descriptor, nil) }
        if let seal = seal(of: space) { return (space.descriptor, seal) }
        if let (found, given) = keyIDs(of: space), found != given { throw .wrongKey(found: found, given: given) }
        throw .sealedSpace(root.short)
    }

    /// The token ids of a page; none of one that is not stored any more.
    func tokensIfStored(of hash: PrefixHash) throws(StoreError) -> [TokenID] {
        do throws(StoreError) { return try tokens(of: hash) } catch .noSuchPage { return [] } catch { throw error }
    }
}

extension PageInfo {
    /// Those of a space's pages, parents first, whose date has passed, and those behind them: no match finds them.
    static func expired(_ pages: [PageInfo]) -> Set<PrefixHash> {
        let now = Timestamp(milliseconds: SystemClock.wallMilliseconds())
        var expired: Set<PrefixHash> = []
        for page in pages where expired.contains(page.parent) || page.expiry.map({ $0 <= now }) ?? false {
            expired.insert(page.hash)
        }
        return expired
    }
}

/// A push that is under way.
private struct RemotePush {
    let cold: ColdTier
    let tier: RemoteTier
    let descriptor: SpaceDescriptor
    let seal: SpaceSeal?
    let verifies: Bool
    var done = RemoteTransfer()
    /// What is on the remote.
    private(set) var placed = PlacedPages()

    init(
        _ cold: ColdTier, _ tier: RemoteTier, _ descriptor: SpaceDescriptor, _ seal: SpaceSeal?, verifies: Bool
    ) {
        (self.cold, self.tier, self.descriptor, self.seal) = (cold, tier, descriptor, seal)
        self.verifies = verifies
    }

    /// Moves pages, parents first. When the remote fails, or the folder, what has come stays.
    mutating func run(_ pages: [PageInfo]) {
        var failure: StoreError?
        do throws(StoreError) { try tier.register(descriptor) } catch { failure = error }
        for part in TransferOrder.parts(pages.map(\.rawBytes.value)) {
            guard failure == nil else {
                done.count(part.count, known: 0, silent: part.count, [], [])
                continue
            }
            do throws(StoreError) { try move(Array(pages[part])) } catch {
                done.count(part.count, known: 0, silent: part.count, [], [])
                failure = error
            }
        }
        if failure == nil {
            do throws(StoreError) {
                if verifies { try tier.mendLists() }
                try lookAgain(pages)
            } catch { failure = error }
        }
        if let failure { done.note(failure) }
    }

    /// What the remote has of the pages of prompts, whether the folder has them or not.
    mutating func held(_ chains: [[PrefixHash]], behind root: PrefixHash) -> Set<PrefixHash> {
        var there = placed.hashes
        guard done.failures.isEmpty else { return there }
        var open = Set(chains.joined()).subtracting(there)
        for chain in chains {
            let pages = zip(chain, [root] + chain).map { (hash: $0, parent: $1) }.filter { open.contains($0.hash) }
            open.subtract(chain)
            guard !pages.isEmpty else { continue }
            do throws(StoreError) { there.formUnion(try tier.held(pages)) } catch {
                done.note(error)
                break
            }
        }
        return there
    }

    private mutating func move(_ batch: [PageInfo]) throws(StoreError) {
        var there = try tier.held(batch.lazy.map { (hash: $0.hash, parent: $0.parent) })
        var damaged: Set<PrefixHash> = []
        if verifies {
            let unsound = try tier.unsound(
                batch.filter { there.contains($0.hash) }.map {
                    RecordRequest(hash: $0.hash, tokenCount: $0.tokenCount, seal: seal)
                }, of: descriptor.layout)
            // Others were evicted since the question.
            damaged = unsound.filter { tier.isDamaged($0) }
            there.subtract(unsound)
        }
        let missing = batch.filter { !there.contains($0.hash) }
        var records: [PageRecord] = []
        let names = try missing.map { (page) throws(StoreError) in
            PageName(
                root: page.root, parent: page.parent, hash: page.hash, firstToken: page.firstToken,
                tokens: try cold.tokensIfStored(of: page.hash)[...], seal: seal)
        }
        let wanted = names.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokens.count, seal: seal) }
        try cold.lend(wanted, of: descriptor.layout) { lent in
            for (name, record) in zip(names, lent) {
                if let record { records.append(PageRecord(name, record.copied, lastUse: 0)) }
            }
            return [:]
        }
        let outcomes = try tier.put(missing: records)
        done.count(batch.count, known: there.count, silent: 0, records, outcomes)
        done.replaced += zip(records, outcomes).count { damaged.contains($0.name.hash) && $1 == .stored }
        placed.add(there)
        placed.add(records, outcomes)
    }

    /// A server that is too small evicts the first pages while the last ones come, and the descriptor before them: no
    /// look-up reads that.
    private mutating func lookAgain(_ pages: [PageInfo]) throws(StoreError) {
        let placed = pages.filter { self.placed.hashes.contains($0.hash) }
        guard !placed.isEmpty else { return }
        var gone: [PrefixHash] = []
        for start in stride(from: 0, to: placed.count, by: 1024) {
            let part = placed[start..<min(start + 1024, placed.count)]
            let held = try tier.held(part.lazy.map { (hash: $0.hash, parent: $0.parent) })
            gone += part.map(\.hash).filter { !held.contains($0) }
        }
        self.placed.count(gone: gone, in: &done)
        self.placed.remove(gone)
        try tier.registerAgain(descriptor)
    }
}
