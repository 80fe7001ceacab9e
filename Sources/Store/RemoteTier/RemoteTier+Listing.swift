// Which pages of a space the servers have: for tools. No look-up ever lists anything.

package import KVFormat
internal import PageCodec
package import Records
internal import Threads

/// The pages of a space on a remote, as its servers list them.
package struct ListedPages: Sendable {
    /// In the order of their positions, so that parents come first.
    package fileprivate(set) var names: [PageName] = []
    /// Pages whose values cannot be read, of this space, or perhaps of another one: their headers do not say.
    package fileprivate(set) var unreadable: Set<PrefixHash> = []
    /// Packs that do not say which pages they have.
    package fileprivate(set) var unreadablePacks = 0
    /// Pages of the space that are sealed, with no key of this folder, or are not, where this folder's are.
    package fileprivate(set) var otherwiseSealed = 0
}

extension RemoteTier {
    /// How often a tool asks for a page of which there may be one more copy.
    private static var copies: Int { 4 }

    /// The pages of a space. Lists what the servers have, and reads the header of each page.
    ///
    /// - Throws: `.remoteFailure`.
    package func pages(of root: PrefixHash, _ layout: KVLayout, seal: SpaceSeal?) throws(StoreError) -> ListedPages {
        let size = min(WirePage.largestHeader, WirePage.headerBytes(tokens: layout.pageSize, isSealed: seal != nil))
        var listed = ListedPages()
        var names: [PrefixHash: PageName] = [:]
        /// The spaces of others, and of which space values that cannot be read say they are.
        var others: Set<PrefixHash> = []
        var claims: [PrefixHash: PrefixHash?] = [:]
        do throws(RemoteFault) {
            try client.list(root, bytes: size) { value in
                switch value {
                case .unreadablePack: listed.unreadablePacks += 1
                case .unreadable(let hash): claims[hash] = .some(nil)
                case .page(let hash, let header):
                    if let name = Self.name(in: header, hash, root, seal) {
                        names[hash] = name
                        return
                    }
                    let claim = WirePage.claim(header.bytes, key: hash)
                    switch claim {
                    case .sound(let space, _) where space != root: others.insert(space)
                    case .sound(_, let isSealed) where isSealed || seal != nil: listed.otherwiseSealed += 1
                    case .sound: claims[hash] = root
                    case .unsound(let space): claims[hash] = space
                    }
                }
            }
        } catch {
            throw failure(error)
        }
        listed.names = names.values.sorted { ($0.firstToken, $0.hash) < ($1.firstToken, $1.hash) }
        for (hash, space) in claims where names[hash] == nil {
            if let space, others.contains(space) { continue }
            listed.unreadable.insert(hash)
        }
        return listed
    }

    /// Fetches pages for a tool, which keeps what has come when the rest does not. Where a copy of a page is damaged,
    /// and there may be another one, that is asked for.
    ///
    /// - Returns: the record of each page that is there and sound, whether there was an answer about it, and why some
    ///   have none.
    package func fetched(
        _ wanted: [RecordRequest], of layout: KVLayout
    ) -> (records: [RecordBytes?], isAnswered: [Bool], failure: StoreError?) {
        var records = [RecordBytes?](repeating: nil, count: wanted.count)
        var isAnswered = [Bool](repeating: false, count: wanted.count)
        let patience = Patience.long
        var open = Array(wanted.indices)
        for _ in 0..<Self.copies where !open.isEmpty {
            copied.withLock { $0.subtract(open.map { wanted[$0].hash }) }
            let fault = fetch(
                open.map { wanted[$0] }, root: nil, of: layout, before: patience.deadline, stall: patience.stall
            ) {
                isAnswered[open[$0]] = true
                guard let bytes = $1?.bytes else { return true }
                do throws(RecordDamage) {
                    try bytes.verifyPayload()
                    records[open[$0]] = bytes
                } catch {
                    noteDamage(of: wanted[open[$0]].hash, error)
                }
                return true
            }
            if let fault { return (records, isAnswered, failure(fault)) }
            open = copied.withLock { copied in open.filter { copied.contains(wanted[$0].hash) } }
        }
        return (records, isAnswered, nil)
    }

    /// Fetches pages, and says which of them are not there, cannot be trusted, or are in no list: the next put replaces
    /// those that are damaged.
    ///
    /// - Throws: `.remoteFailure`.
    package func unsound(_ wanted: [RecordRequest], of layout: KVLayout) throws(StoreError) -> Set<PrefixHash> {
        do throws(RemoteFault) {
            for hash in try client.unlisted(wanted.map(\.hash), .long) { noteDamage(of: hash, .notARecord) }
        } catch {
            throw failure(error)
        }
        let (records, _, failure) = fetched(wanted, of: layout)
        if let failure { throw failure }
        let sound = Set(zip(wanted, records).lazy.filter { $1 != nil }.map(\.0.hash))
        // Those of which one copy of several was damaged.
        damaged.withLock { $0.subtract(sound) }
        return Set(wanted.map(\.hash)).subtracting(sound)
    }

    /// Has lists name again what `unsound` has found in none, of other hosts' pages too.
    ///
    /// - Throws: `.remoteFailure`.
    package func mendLists() throws(StoreError) {
        do throws(RemoteFault) { try client.mendLists(.long) } catch { throw failure(error) }
    }

    /// The name in a page's header; nil for a page of another space, and for what cannot be trusted.
    private static func name(
        in value: EncodedRecord, _ hash: PrefixHash, _ root: PrefixHash, _ seal: SpaceSeal?
    ) -> PageName? {
        do throws(RecordDamage) {
            return try WirePage(value.bytes, key: hash, root: root, seal: seal).name
        } catch {
            return nil
        }
    }
}
