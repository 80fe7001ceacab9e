// Match: on to the remote, where RAM and disk of this host end.

internal import Records
internal import RemoteTier
internal import Threads

/// A page that a remote says it has.
struct RemotePage: Sendable {
    let hash: PrefixHash
    /// Tokens of the page: all of them are tokens of the request.
    let tokenCount: Int
}

extension Space {
    /// What the remote has behind the first whole pages of a sequence. None in time is none: the engine computes.
    ///
    /// - Parameters:
    ///   - path: the hashes of those pages.
    ///   - found: tokens that this host has; the last page perhaps in part.
    ///   - limit: when the caller's own time is up.
    func matchRemote(
        _ tokens: [TokenID], after path: [PrefixHash], behind found: Int, before limit: Deadline?
    ) -> [RemotePage] {
        guard let link = store.remote, found < tokens.count, limit?.hasPassed != true else { return [] }
        let deadline = Deadline.earlier(.after(link.tier.lookupTime), limit)
        var rest = tokens[(path.count * layout.pageSize)...]
        if !layout.isDivisible { rest = rest.prefix(rest.count / layout.pageSize * layout.pageSize) }
        guard !rest.isEmpty else { return [] }
        let hashes = PrefixHash.chain(from: path.last ?? root, tokens: rest, pageSize: layout.pageSize, seal: seal)
        let found = link.tier.leadingCount(of: hashes, behind: path.suffix(16), before: deadline)
        return hashes.prefix(found).enumerated().map { place, hash in
            RemotePage(hash: hash, tokenCount: min(layout.pageSize, rest.count - place * layout.pageSize))
        }
    }

    /// Counts a match of pages of this host, for a remote that takes what is used again, and queues those that have
    /// been used often enough.
    func putAfterHits(_ tokens: [TokenID], _ hashes: [PrefixHash]) {
        guard let link = store.remote, link.hits.isCounting else { return }
        let places = link.hits.count(hashes)
        link.uploader.put(places.map { item($0, hashes, tokens) })
    }

    /// Queues the pages of a prefix for a remote that takes what is pinned.
    func putPinned(_ tokens: [TokenID], _ hashes: [PrefixHash]) {
        guard let link = store.remote, link.tier.options.puts == .pinned else { return }
        link.uploader.put(hashes.indices.map { item($0, hashes, tokens) })
    }

    private func item(_ page: Int, _ hashes: [PrefixHash], _ tokens: [TokenID]) -> Uploader.Item {
        let start = page * layout.pageSize
        let name = PageName(
            root: root, parent: page == 0 ? root : hashes[page - 1], hash: hashes[page], firstToken: start,
            tokens: tokens[start..<min(start + layout.pageSize, tokens.count)], seal: seal
        ).detached
        return Uploader.Item(name: name, bytes: layout.bytesPerPage)
    }
}
