// Answers about pages: lists, one page, its children, its token ids, its frames.

package import KVFormat
internal import LMDB
internal import PageCodec

extension ColdTier {
    /// The first `limit` pages of a space, or of the whole store, in an order. Walks all nodes in bounded read
    /// transactions; memory grows with `limit` only. Pages that cannot be read are left out; `verify` names them.
    ///
    /// - Throws: `.noSuchSpace` when the space is not registered.
    package func pages(in root: PrefixHash?, order: PageOrder, limit: Int) throws(StoreError) -> [PageInfo] {
        if let root {
            let isThere = try reading { (transaction) throws(LMDBError) in
                try transaction.has(tables.spaces, root.bytes)
            }
            guard isThere else { throw .noSuchSpace(root.short) }
        }
        var best = BestPages(order: order, limit: limit)
        try inspecting { () throws(LMDBError) in
            try walk(tables.nodes) { (transaction, key, value) throws(LMDBError) in
                guard let hash = PrefixHash(key: key), let node = NodeRecord(value, key: hash),
                    root == nil || node.root == root
                else { return .next }
                best.offer(hash, node, try transaction.recency(hash, tables).record)
                return .next
            }
        }
        return try pageInfos(best.hashes)
    }

    /// One page.
    ///
    /// - Throws: `.noSuchPage` when it is not stored, or cannot be read.
    package func page(_ hash: PrefixHash) throws(StoreError) -> PageInfo {
        guard let page = try pageInfos([hash]).first else { throw .noSuchPage(hash.short) }
        return page
    }

    /// The pages that follow a page directly, or that begin a space when `hash` is its root, in the order of their
    /// token ids: the first `limit` of them.
    package func children(of hash: PrefixHash, limit: Int = .max) throws(StoreError) -> [PageInfo] {
        var children: [PageInfo] = []
        try inspecting { () throws(LMDBError) in
            try walk(tables.edges, under: hash.bytes) { (transaction, key, _) throws(LMDBError) in
                guard children.count < limit else { return .stop }
                if let edge = EdgeKey(key), let node = try transaction.node(edge.child, tables).record,
                    node.parent == hash
                {
                    children.append(try pageInfo(edge.child, node, transaction))
                }
                return .next
            }
        }
        return children
    }

    /// The token ids of a page; empty for a block. They encode somebody's prompt: show them only on request.
    ///
    /// - Throws: `.noSuchPage` when it is not stored, or cannot be read; `.sealedSpace` without the key of its space.
    package func tokens(of hash: PrefixHash) throws(StoreError) -> [TokenID] {
        let found = try reading { (transaction) throws(LMDBError) -> (NodeRecord, SpaceSeal?)? in
            guard let node = try transaction.node(hash, tables).record else { return nil }
            return (node, try seal(of: node.root, transaction))
        }
        guard let (node, seal) = found else { throw .noSuchPage(hash.short) }
        guard node.flags.contains(.sealed) else { return node.tokens }
        guard let seal else { throw .sealedSpace(node.root.short) }
        guard let tokens = node.tokens(of: hash, by: seal) else { throw .noSuchPage(hash.short) }
        return tokens
    }

    /// The frames of a page's record, each compared with its checksum.
    ///
    /// - Throws: `.noSuchPage` when there is no record; `.damaged` when its header cannot be trusted; `.sealedSpace`
    ///   without the key of its space.
    package func frames(of hash: PrefixHash) throws(StoreError) -> [FrameInfo] {
        var root = PrefixHash.zero
        let found = try reading { (transaction) throws(LMDBError) -> Result<[FrameInfo], RecordDamage>? in
            guard let node = try transaction.node(hash, tables).record,
                let space = try transaction.space(node.root, tables).record,
                let bytes = try unsafe transaction.get(tables.pages, key: hash.bytes.span.bytes)
            else { return nil }
            root = node.root
            return Self.frames(bytes, hash, node, space.descriptor.layout, seal(of: space))
        }
        switch found {
        case nil: throw .noSuchPage(hash.short)
        case .failure(.sealed): throw .sealedSpace(root.short)
        case .failure(let damage): throw .damaged(path: path, "page \(hash.short): \(damage)")
        case .success(let frames): return frames
        }
    }

    private static func frames(
        _ bytes: RawSpan, _ hash: PrefixHash, _ node: NodeRecord, _ layout: KVLayout, _ seal: SpaceSeal?
    ) -> Result<[FrameInfo], RecordDamage> {
        do throws(RecordDamage) {
            let record = try RecordView(bytes, hash, node, layout, seal)
            func layers(_ planes: Range<Int>) -> Range<Int> {
                layout.layer(ofPlane: planes.lowerBound)..<layout.layer(ofPlane: planes.upperBound - 1) + 1
            }
            var frames: [FrameInfo] = []
            for index in 0..<record.frameCount {
                let entry = FrameEntry(bytes, index: index)
                frames.append(
                    FrameInfo(
                        layers: layout.isOfBlocks ? 0..<0 : layers(record.planes(ofFrame: index)),
                        codec: FrameCodec(rawValue: entry.codec)?.name ?? "unknown",
                        rawBytes: ByteCount(UInt64(entry.rawBytes)),
                        encodedBytes: ByteCount(UInt64(entry.encodedBytes)),
                        isSound: record.isSound(frame: index)))
            }
            return .success(frames)
        } catch {
            return .failure(error)
        }
    }

    /// The pages with these hashes that are there and can be read, in bounded read transactions.
    private func pageInfos(_ hashes: [PrefixHash]) throws(StoreError) -> [PageInfo] {
        var pages: [PageInfo] = []
        for start in stride(from: 0, to: hashes.count, by: Self.walkLength) {
            try reading { (transaction) throws(LMDBError) in
                for hash in hashes[start..<min(start + Self.walkLength, hashes.count)] {
                    guard let node = try transaction.node(hash, tables).record else { continue }
                    pages.append(try pageInfo(hash, node, transaction))
                }
            }
        }
        return pages
    }

    private func pageInfo(
        _ hash: PrefixHash, _ node: NodeRecord, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> PageInfo {
        let recency = try transaction.recency(hash, tables).record
        let prefix = hash.bytes
        let sides = try transaction.keys(tables.sides, from: prefix, limit: Limits.sideStates) {
            $0.starts(with: prefix)
        }
        return PageInfo(
            hash: hash, parent: node.parent, root: node.root, firstToken: Int(node.firstToken),
            tokenCount: Int(node.tokenCount), isTail: node.flags.contains(.tail),
            isBlock: node.flags.contains(.block), rawBytes: ByteCount(node.rawBytes),
            encodedBytes: ByteCount(node.encodedBytes), slotBytes: ByteCount(UInt64(node.slotBytes)),
            createdAt: Timestamp(milliseconds: node.createdAt),
            lastUse: Timestamp(milliseconds: recency?.use.last ?? node.createdAt),
            hits: max(0, Int(recency?.uses ?? 1) - 1),
            branches: Int(recency?.use.branches ?? 0), pins: Int(recency?.pins ?? 0),
            expiry: recency.flatMap { $0.expiry == 0 ? nil : Timestamp(milliseconds: $0.expiry) },
            childCount: try transaction.countKeys(tables.edges, under: prefix),
            sideStates: sides.compactMap { key in unsafe SideKey(key.span.bytes)?.name })
    }
}

extension Transaction where Self: ~Copyable {
    /// How many keys begin with `prefix`.
    borrowing func countKeys(_ table: Table, under prefix: [UInt8]) throws(LMDBError) -> Int {
        var count = 0
        var cursor = try cursor(table)
        var isThere = try unsafe cursor.seek(prefix.span.bytes)
        while isThere, cursor.key.starts(with: prefix) {
            count += 1
            isThere = try cursor.next()
        }
        return count
    }
}

/// The first pages in an order, of however many are offered.
private struct BestPages {
    private typealias Rank = (first: Int64, second: Int64, hash: PrefixHash)

    private let order: PageOrder
    private let limit: Int
    private var kept: [Rank] = []

    init(order: PageOrder, limit: Int) {
        self.order = order
        self.limit = max(0, limit)
    }

    mutating func offer(_ hash: PrefixHash, _ node: NodeRecord, _ recency: RecencyRecord?) {
        let lastUse = recency?.use.last ?? node.createdAt
        switch order {
        case .recent: kept.append((-lastUse, Int64(node.firstToken), hash))
        case .size: kept.append((-Int64(node.slotBytes), -Int64(clamping: node.encodedBytes), hash))
        case .hits: kept.append((-Int64(recency?.uses ?? 1), -lastUse, hash))
        case .position: kept.append((Int64(node.firstToken), 0, hash))
        }
        // Sorting now and then keeps memory at twice the limit, and adds the logarithm of the limit per page.
        if kept.count >= 1024, kept.count / 2 >= limit { cut() }
    }

    var hashes: [PrefixHash] {
        mutating get {
            cut()
            return kept.map(\.hash)
        }
    }

    private mutating func cut() {
        kept.sort { $0 < $1 }
        kept.removeLast(max(0, kept.count - limit))
    }
}
