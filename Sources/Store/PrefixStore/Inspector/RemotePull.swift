// A pull: what is wanted of which remote, and how it comes into the folder.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

/// A pull that is under way.
struct RemotePull {
    private let tiers: [RemoteTier]
    /// Why remotes are of no more use, by their places.
    private var failures: [StoreError?]
    private let descriptor: SpaceDescriptor
    private let seal: SpaceSeal?
    /// Whether the folder does not know the space.
    private var isNew: Bool
    /// What is to be moved, parents first, and which remotes have it, as bits.
    private let names: [PageName]
    private let holders: [PrefixHash: UInt8]
    private let selection: TransferSelection
    /// Pages, and the longer ones beside them that have their tokens.
    private let covers: [PrefixHash: PrefixHash]
    private var placed = PlacedPages()
    /// Pages for which there was no room; what follows them need not come.
    private var refused: Set<PrefixHash> = []
    private var isFull = false
    /// How many of the names were counted.
    private var looked = 0
    /// What became of the pages.
    private(set) var done = RemoteTransfer()

    /// Asks the remotes what they have, and chooses among that and what is in the folder. Changes nothing.
    ///
    /// - Parameters:
    ///   - cold: the folder; nil when it is to be made.
    ///   - isSealing: whether the folder has a sealing key.
    init(
        _ root: PrefixHash, from tiers: [RemoteTier], _ choice: TransferChoice, to cold: ColdTier?, isSealing: Bool
    ) throws(StoreError) {
        self.tiers = tiers
        var failures = [StoreError?](repeating: nil, count: tiers.count)
        if let (descriptor, seal) = try Self.known(root, in: cold) {
            (self.descriptor, self.seal, isNew) = (descriptor, seal, false)
        } else {
            (descriptor, seal, isNew) = (try Self.descriptor(of: root, tiers, &failures, isSealing), nil, true)
        }
        let (offered, holders, unreadable) = try Self.offered(descriptor, seal, tiers, &failures, &done)
        done.offered = offered.count
        let stored = isNew ? [] : try cold?.pages(in: root, order: .position, limit: .max) ?? []
        // What has expired here is not to come back, what follows it would not be found, and it has no tokens for a
        // prompt.
        var expired = PageInfo.expired(stored)
        let local = stored.filter { [expired] in
            !$0.isBlock && holders[$0.hash] == nil && !expired.contains($0.hash)
        }
        let known = Dictionary(offered.map { ($0.hash, $0.tokens) }) { first, _ in first }
        func tokens(of hash: PrefixHash) throws(StoreError) -> [TokenID] {
            if let tokens = known[hash] { return Array(tokens) }
            return try cold?.tokensIfStored(of: hash) ?? []
        }
        selection = try TransferSelection(
            choice,
            of: offered.map { TransferEntry(hash: $0.hash, parent: $0.parent) }
                + local.map { TransferEntry(hash: $0.hash, parent: $0.parent) },
            in: descriptor, seal, tokens: tokens)
        let chosen = offered.filter { [selection] in selection.hashes.contains($0.hash) }
        covers = try Self.covers(chosen, local, descriptor.layout, tokens)
        let there = Set(stored.lazy.map(\.hash))
        let missed = unreadable.filter { [selection] in !there.contains($0) && selection.mayWant($0) }
        let ordered = TransferOrder.byPaths(chosen.filter { [covers] in covers[$0.hash] == nil }) {
            ($0.hash, $0.parent)
        }
        for name in ordered where expired.contains(name.parent) { expired.insert(name.hash) }
        names = ordered.filter { !expired.contains($0.hash) }
        done.expired = ordered.count - names.count
        self.holders = holders
        self.failures = failures
        done.covered = chosen.count - ordered.count
        done.orphaned = selection.orphans.count
        // A pack that does not say which pages it has counts as one.
        done.damaged = missed.count + (choice.prompts == nil ? done.unreadablePacks : 0)
        done.pages = done.covered + done.orphaned + done.damaged + done.expired
        if choice.prompts != nil {
            // What a prompt begins with, and only the folder has.
            let own = local.lazy.map(\.hash).filter { [selection] in selection.hashes.contains($0) }
            placed.add(own)
            done.pages += placed.hashes.count
            done.alreadyThere = placed.hashes.count
        }
    }

    private static func known(_ root: PrefixHash, in cold: ColdTier?) throws(StoreError) -> (
        SpaceDescriptor, SpaceSeal?
    )? {
        do throws(StoreError) { return try cold?.known(root) } catch .noSuchSpace { return nil } catch { throw error }
    }

    /// What the first remote that knows the space says of it.
    private static func descriptor(
        of root: PrefixHash, _ tiers: [RemoteTier], _ failures: inout [StoreError?], _ isSealing: Bool
    ) throws(StoreError) -> SpaceDescriptor {
        for (number, tier) in tiers.enumerated() {
            do throws(StoreError) {
                guard let found = try tier.descriptor(of: root) else { continue }
                // The data key of a sealed space is in the folder that made it, and nowhere else.
                guard !isSealing else {
                    throw .remoteFailure(
                        remote: tier.shownURL,
                        "with a sealing key, only a space is pulled that this folder, or the one that it is a copy of, "
                            + "has sealed, and \(root.short) is none",
                        remedy: "Pull into that folder, or into a copy of it; without a key if the space is not sealed."
                    )
                }
                return found
            } catch {
                guard case .remoteFailure = error else { throw error }
                failures[number] = error
            }
        }
        if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
        throw .remoteFailure(
            remote: tiers.map(\.shownURL).joined(separator: " "),
            "it has no description of the space \(root.short), which the folder does not know either",
            remedy:
                "Check the root; a full server evicts the description before the pages, and a host that has the space "
                + "puts it there again when it pushes any page.")
    }

    /// The pages that the remotes have, and which of them have each, as bits; and those that none can give.
    private static func offered(
        _ descriptor: SpaceDescriptor, _ seal: SpaceSeal?, _ tiers: [RemoteTier], _ failures: inout [StoreError?],
        _ done: inout RemoteTransfer
    ) throws(StoreError) -> (names: [PageName], holders: [PrefixHash: UInt8], unreadable: Set<PrefixHash>) {
        var names: [PageName] = []
        var holders: [PrefixHash: UInt8] = [:]
        var unreadable: Set<PrefixHash> = []
        for (number, tier) in tiers.enumerated() where failures[number] == nil {
            do throws(StoreError) {
                let listed = try tier.pages(of: descriptor.root, descriptor.layout, seal: seal)
                unreadable.formUnion(listed.unreadable)
                done.unreadablePacks += listed.unreadablePacks
                done.otherwiseSealed += listed.otherwiseSealed
                for name in listed.names {
                    if holders[name.hash] == nil { names.append(name) }
                    holders[name.hash, default: 0] |= 1 << UInt8(number)
                }
            } catch {
                guard case .remoteFailure = error else { throw error }
                failures[number] = error
            }
        }
        if let failure = failures[0], failures.allSatisfy({ $0 != nil }) { throw failure }
        return (
            names.sorted { ($0.firstToken, $0.hash) < ($1.firstToken, $1.hash) }, holders,
            unreadable.filter { holders[$0] == nil }
        )
    }

    /// Which of the chosen pages, and of those of the folder beside them, have their tokens in a longer one.
    private static func covers(
        _ chosen: [PageName], _ local: [PageInfo], _ layout: KVLayout,
        _ tokens: (PrefixHash) throws(StoreError) -> [TokenID]
    ) throws(StoreError) -> [PrefixHash: PrefixHash] {
        let own = Dictionary(grouping: local, by: \.parent)
        let tails = Set(chosen.lazy.filter { $0.tokens.count < layout.pageSize }.map(\.parent))
            .union(local.lazy.filter(\.isTail).map(\.parent))
        var pages = chosen.filter { tails.contains($0.parent) }.map {
            (hash: $0.hash, parent: $0.parent, tokens: $0.tokens)
        }
        for parent in Set(pages.map(\.parent)) {
            for page in own[parent] ?? [] { pages.append((page.hash, parent, try tokens(page.hash)[...])) }
        }
        return TransferOrder.covers(pages)
    }

    // MARK: Moving

    /// Moves the pages. When a remote fails, or the folder, what has come stays.
    ///
    /// - Parameters:
    ///   - folder: where they go; nil when it is to be made.
    ///   - make: makes it. Called once, when the first pages have come.
    mutating func run(into folder: ColdTier?, _ make: () throws(StoreError) -> ColdTier) {
        var cold = folder
        do throws(StoreError) { try move(into: &cold, make) } catch {
            done.pages += names.count - looked
            done.unanswered += names.count - looked
            done.note(error)
        }
        for failure in failures { if let failure { done.note(failure) } }
        do throws(StoreError) { try lookAgain(cold) } catch { done.note(error) }
        // Prompts that are there whole need nothing of a remote that has failed.
        done.finish(isSure: true)
    }

    private mutating func move(
        into cold: inout ColdTier?, _ make: () throws(StoreError) -> ColdTier
    ) throws(StoreError) {
        let sizes = names.map { UInt64(descriptor.layout.pageBytes(tokens: $0.tokens.count)) }
        let parts = TransferOrder.parts(sizes)
        // None of what is wanted and there already is to go for what comes before it.
        for part in parts { placed.add(try cold?.held(names[part].map(\.hash), usedAt: nil) ?? []) }
        for part in parts {
            let batch = Array(names[part])
            let there = Set(batch.lazy.map(\.hash).filter { [placed] in placed.hashes.contains($0) })
            let missing = batch.filter { !there.contains($0.hash) }
            guard !isFull else {
                done.count(batch.count, known: there.count, refused: missing.count)
                looked = part.upperBound
                continue
            }
            let (records, silent) = fetch(missing)
            // Into a new store nothing can come but behind a first page.
            if cold == nil, records.contains(where: { $0.name.parent == $0.name.root }) { cold = try make() }
            guard !records.isEmpty, let cold else {
                let outcomes = records.map { _ in TakeOutcome.orphan }
                done.count(batch.count, known: there.count, silent: silent, records, outcomes)
                looked = part.upperBound
                continue
            }
            // A space of which nothing can be taken is not registered.
            if isNew { try cold.open(space: descriptor) }
            isNew = false
            let report = try cold.put(records, keeping: placed.hashes)
            take(records, report, of: batch.count, known: there.count, silent: silent)
            looked = part.upperBound
        }
    }

    /// Fetches pages from the first remotes that have them.
    ///
    /// - Returns: what has come, and for how many others a remote that may have them did not answer.
    private mutating func fetch(_ wanted: [PageName]) -> (records: [PageRecord], silent: Int) {
        var records: [PrefixHash: PageRecord] = [:]
        var silent: Set<PrefixHash> = []
        for (number, tier) in tiers.enumerated() {
            let asked = wanted.filter { (holders[$0.hash] ?? 0) & 1 << UInt8(number) != 0 && records[$0.hash] == nil }
            guard !asked.isEmpty else { continue }
            guard failures[number] == nil else {
                silent.formUnion(asked.map(\.hash))
                continue
            }
            let requests = asked.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokens.count, seal: seal) }
            let found = tier.fetched(requests, of: descriptor.layout)
            let now = SystemClock.wallMilliseconds()
            for (place, name) in asked.enumerated() {
                if let record = found.records[place] {
                    records[name.hash] = PageRecord(name, record, lastUse: now)
                } else if !found.isAnswered[place] {
                    silent.insert(name.hash)
                }
            }
            failures[number] = found.failure
        }
        return (wanted.compactMap { records[$0.hash] }, silent.count { records[$0] == nil })
    }

    private mutating func take(
        _ records: [PageRecord], _ report: PutReport, of count: Int, known: Int, silent: Int
    ) {
        var outcomes = report.outcomes
        for (place, record) in records.enumerated() {
            // What follows a page without room has none either.
            if outcomes[place] == .orphan, refused.contains(record.name.parent) { outcomes[place] = .noRoom }
            if outcomes[place] == .noRoom { refused.insert(record.name.hash) }
        }
        done.evicted += report.evicted
        done.count(count, known: known, silent: silent, records, outcomes)
        placed.add(records, outcomes)
        // All that is left in the folder is pinned, or has come with this call: more would only be fetched in vain.
        isFull = outcomes.contains(.noRoom) && !outcomes.contains(.stored)
    }

    /// Engines evict meanwhile, too.
    private mutating func lookAgain(_ cold: ColdTier?) throws(StoreError) {
        var there: Set<PrefixHash> = []
        var rest = Array(placed.hashes.union(covers.values))[...]
        while let cold, !rest.isEmpty {
            there.formUnion(try cold.held(Array(rest.prefix(4096)), usedAt: nil))
            rest = rest.dropFirst(4096)
        }
        placed.count(gone: placed.hashes.filter { !there.contains($0) && covers[$0] == nil }, in: &done)
        done.prompts = selection.counts { [covers] hash in
            var hash = hash
            while let longer = covers[hash] { hash = longer }
            return there.contains(hash)
        }
    }
}

extension RemoteTransfer {
    /// Counts a batch of which `refused` were not fetched because there is no room.
    fileprivate mutating func count(_ count: Int, known: Int, refused: Int) {
        pages += count
        alreadyThere += known
        withoutRoom += refused
    }
}
